"""How many edges there are, and how far the review has come: counted in the graph, and kept for a few seconds."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kgsync.graph import statements
from kgsync.graph.connection import Connection
from kgsync.graph.review import REVIEWED, Filter
from kgsync.review import queue
from kgsync.review.queue import Audit

_FRESH = 5.0  # seconds; counting 100,000 edges takes a good part of one


@dataclass(frozen=True)
class Counts:
    """The edges of a relation and run, or of all, by status; and what there is to choose from."""

    by_status: Mapping[str, int]
    relations: tuple[str, ...]
    runs: tuple[str, ...]
    audit: Audit

    @property
    def waiting(self) -> int:
        """Return the edges that wait for a review."""
        return self.by_status.get("proposed", 0)

    @property
    def reviewed(self) -> int:
        """Return the edges that somebody has decided."""
        return sum(self.by_status.get(status, 0) for status in REVIEWED)


class Tally:
    """Counts, at most every few seconds."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: list[dict[str, Any]] = []
        self._audit = Audit(0, 0, 0.0)
        self._at = -_FRESH

    def counts(self, which: Filter) -> Counts:
        """Return the counts of the relation and run that a filter asks for."""
        if time.monotonic() - self._at > _FRESH:
            self._rows = self._connection.read(statements.load("review/desk/tally").text)
            self._audit = queue.audit(self._connection)
            self._at = time.monotonic()
        return _counts(self._rows, which, self._audit)


def _counts(rows: Iterable[Mapping[str, Any]], which: Filter, audit: Audit) -> Counts:
    by_status: Counter[str] = Counter()
    relations: Counter[str] = Counter()
    runs: Counter[str] = Counter()
    for row in rows:
        relation, run, edges = row["relation"] or "", row["runId"] or "", row["edges"]
        relations[relation] += edges
        runs[run] += edges
        if which.relation in (None, relation) and which.run_id in (None, run):
            by_status[row["status"] or ""] += edges
    return Counts(by_status, tuple(sorted(relations)), tuple(sorted(runs, reverse=True)), audit)
