"""How good a model is on the edges that it never saw, with intervals: as a whole, per relation, and voice by voice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kgsync.logbook import MIX, Logbook
from kgsync.metrics import Metrics
from kgsync.report.intervals import Interval, bootstrap, pairs_of, wilson

FUSED = "fused"


@dataclass(frozen=True)
class RelationQuality:
    """One relation on its test edges. Both questions about an edge count as one trial: they share its fate."""

    relation: str
    known: int  # edges that were learned from
    tested: int
    hits: Interval | None  # share of questions whose answer is among the first ten; None where nothing was tested
    mrr: float | None


@dataclass(frozen=True)
class VoiceQuality:
    """One voice alone, or several together, on all test edges."""

    name: str
    together: bool
    mrr: Interval
    hits: float  # share among the first ten
    lead: Interval | None  # by how much the fusion's MRR is above; None for the fusion itself


def overall(metrics: Metrics) -> Interval:
    """Return the share of questions whose answer is among the first ten."""
    return wilson(metrics.hits_at_10, metrics.test_triples)


def relations(metrics: Metrics) -> list[RelationQuality]:
    """Return every relation, the most frequent first."""
    return [
        RelationQuality(
            relation=row.relation,
            known=row.train_triples,
            tested=row.test_triples,
            hits=None if row.hits_at_10 is None else wilson(row.hits_at_10, row.test_triples),
            mrr=row.mrr,
        )
        for row in metrics.relations
    ]


def voices(logbook: Logbook) -> list[VoiceQuality]:
    """Return every voice alone, then their plain mix and their fusion, on the same edges."""
    pairs = pairs_of(logbook.test)
    gained = {name: (1 / ranks).mean(axis=1) for name, ranks in logbook.ranks.items()}  # [n], both questions
    fused = gained.get(FUSED)
    return [
        VoiceQuality(
            name=name,
            together=name in (MIX, FUSED),
            mrr=bootstrap(values, pairs),
            hits=float(np.mean(logbook.ranks[name] <= 10)),
            lead=None if fused is None or name == FUSED else bootstrap(fused - values, pairs),
        )
        for name, values in gained.items()
    ]
