"""Ranks of true answers, and what is said of them: means, whole, by side, by relation and by slice.

Reads arrays and knows no torch, so that a report can read what was measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from kgsync.kge.slices import slices

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Ranks:
    """The filtered ranks [n, 2] of the tail and of the head of each triple; 1 is best."""

    optimistic: Floats  # every tie goes to the true answer
    pessimistic: Floats  # every tie goes against it
    competing: Floats  # entities that were ranked, the true answer included

    @property
    def realistic(self) -> Floats:
        """Return the mean of the two, which is what counts."""
        return (self.optimistic + self.pessimistic) / 2

    def __getitem__(self, chosen: Any) -> Ranks:
        return Ranks(self.optimistic[chosen], self.pessimistic[chosen], self.competing[chosen])


@dataclass(frozen=True)
class Metrics:
    """Means over filtered ranks; a triple counts once for its tail and once for its head."""

    mrr: float
    hits_at_1: float
    hits_at_3: float
    hits_at_10: float
    mean_rank: float
    adjusted_mean_rank_index: float  # 1 is perfect, 0 is chance (Berrendorf et al. 2020, arXiv:2002.06914)
    optimistic_mrr: float
    pessimistic_mrr: float
    count: int  # ranks, two per triple where both sides are counted
    sides: Mapping[str, Metrics] = field(default_factory=dict)  # "head" and "tail", by what was asked for
    per_relation: Mapping[int, Metrics] = field(default_factory=dict)  # each with its own sides
    slices: Mapping[str, Mapping[str, Metrics]] = field(default_factory=dict)  # see `kgsync.kge.slices`

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; empty parts are left out."""
        means = {
            "mrr": self.mrr,
            "hits_at_1": self.hits_at_1,
            "hits_at_3": self.hits_at_3,
            "hits_at_10": self.hits_at_10,
            "mean_rank": self.mean_rank,
            "adjusted_mean_rank_index": self.adjusted_mean_rank_index,
            "count": self.count,
        }
        if self.optimistic_mrr != self.pessimistic_mrr:
            means |= {"optimistic_mrr": self.optimistic_mrr, "pessimistic_mrr": self.pessimistic_mrr}
        parts = {
            "sides": {side: metrics.to_dict() for side, metrics in self.sides.items()},
            "per_relation": {str(relation): m.to_dict() for relation, m in self.per_relation.items()},
            "slices": {
                name: {part: metrics.to_dict() for part, metrics in parts.items()}
                for name, parts in self.slices.items()
            },
        }
        return means | {name: part for name, part in parts.items() if part}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Metrics:
        """Return the metrics that `to_dict` described."""
        return cls(
            **{
                "optimistic_mrr": values["mrr"],
                "pessimistic_mrr": values["mrr"],
                **values,
                "sides": {side: cls.from_dict(each) for side, each in values.get("sides", {}).items()},
                "per_relation": {int(r): cls.from_dict(each) for r, each in values.get("per_relation", {}).items()},
                "slices": {
                    name: {part: cls.from_dict(each) for part, each in parts.items()}
                    for name, parts in values.get("slices", {}).items()
                },
            }
        )


def measure(ranks: Ranks, triples: np.ndarray[Any, Any], *, train: np.ndarray[Any, Any] | None = None) -> Metrics:
    """Return the metrics of ranks of `triples` [n, 3]: whole, per side, per relation and, with `train`, per slice."""
    relations = triples[:, 1]
    return replace(
        _both_sides(ranks),
        per_relation={int(r): _both_sides(ranks[relations == r]) for r in np.unique(relations)},
        slices={
            name: {part: _both_sides(ranks[rows]) for part, rows in parts.items() if rows.any()}
            for name, parts in ({} if train is None else slices(triples, train)).items()
        },
    )


def _both_sides(ranks: Ranks) -> Metrics:
    return replace(_means(ranks), sides={"head": _means(ranks[:, 1]), "tail": _means(ranks[:, 0])})


def _means(ranks: Ranks) -> Metrics:
    realistic = ranks.realistic
    mean_rank = float(realistic.mean())
    by_chance = float(((ranks.competing + 1) / 2).mean())
    return Metrics(
        mrr=float((1 / realistic).mean()),
        hits_at_1=float((realistic <= 1).mean()),
        hits_at_3=float((realistic <= 3).mean()),
        hits_at_10=float((realistic <= 10).mean()),
        mean_rank=mean_rank,
        adjusted_mean_rank_index=1 - (mean_rank - 1) / (by_chance - 1) if by_chance > 1 else 1.0,
        optimistic_mrr=float((1 / ranks.optimistic).mean()),
        pessimistic_mrr=float((1 / ranks.pessimistic).mean()),
        count=realistic.size,
    )
