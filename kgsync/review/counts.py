"""How many edges there are, and how far the review has come: counted in the graph, and kept for a few seconds."""

from __future__ import annotations

import threading
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
from kgsync.review.worth import Beliefs

_FRESH = 5.0  # seconds; counting 100,000 edges takes a good part of one
_SHARE = 10  # counting may take a tenth of the time: where it takes long, counts are kept for longer


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
    """Counts, and what the decisions teach, at most every few seconds."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: list[dict[str, Any]] = []
        self._audit = Audit(0, 0, 0.0)
        self._beliefs = Beliefs()
        self._until = 0.0  # by the monotonic clock: so long they are fresh
        self._lock = threading.Lock()

    def counts(self, which: Filter) -> Counts:
        """Return the counts of the relation and run that a filter asks for."""
        self._refresh()
        return _counts(self._rows, which, self._audit)

    def beliefs(self) -> Beliefs:
        """Return what the decisions say about the scores."""
        self._refresh()
        return self._beliefs

    def _refresh(self) -> None:
        with self._lock:  # whoever comes meanwhile waits, and counts nothing again
            start = time.monotonic()
            if start < self._until:
                return
            self._rows = self._connection.read(statements.load("review/desk/tally").text)
            self._audit = queue.audit(self._connection)
            self._beliefs = queue.learned(self._connection)
            done = time.monotonic()
            self._until = done + max(_FRESH, _SHARE * (done - start))


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
