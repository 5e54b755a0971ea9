"""Batches: each is one fenced transaction that changes edges and notes in the ledger what it did."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import neo4j
from neo4j import exceptions as driver_errors

from kgsync.errors import DataError
from kgsync.graph import ledger, statements
from kgsync.graph.connection import run
from kgsync.graph.diff import SEEN, Change, by_ends, fill
from kgsync.graph.lock import Lock
from kgsync.plan import PlannedEdge

Item = PlannedEdge | Change
Step = Callable[[Sequence[Item]], set[str]]
"""`step(items)` writes them in one transaction and returns the ids of those that are written."""

_ONE_ROW = ("ConstraintValidationFailed", "EntityNotFound")  # what one row can do to its whole transaction


class Batches:
    """The batches of one run."""

    def __init__(self, lock: Lock, model_id: str, run_id: str) -> None:
        self._lock = lock
        self._model_id = model_id
        self._run_id = run_id

    def create(self, edges: Sequence[Item]) -> set[str]:
        """Create the edges whose ends are there and whose relationship is not."""

        def work(tx: neo4j.ManagedTransaction, number: int, now: str) -> set[str]:
            created: list[str] = []
            constants = {"modelId": self._model_id, "runId": self._run_id, "now": now}
            for _, group in by_ends(edge for edge in edges if isinstance(edge, PlannedEdge)):
                rows = [[e.id, e.head.key, e.tail.key, *e.columns().values()] for e in group]
                for record in run(tx, fill("write/create", group[0]), constants | {"rows": rows}):
                    created += record["ids"]
            self._note(tx, number, created=created)
            return set(created)

        return self._lock.once(work)

    def change(self, changes: Sequence[Item]) -> set[str]:
        """Change the edges that are still what they were when the change was decided."""

        def work(tx: neo4j.ManagedTransaction, number: int, now: str) -> set[str]:
            wanted = {change.id: change for change in changes if isinstance(change, Change)}
            rows = run(tx, statements.load("write/hold").text, {"ids": list(wanted)})
            held = {row["id"]: row["edge"] for row in rows}
            same = [
                change
                for id_, change in wanted.items()
                if id_ in held and all(held[id_].get(key) == change.seen[key] for key in SEEN)
            ]
            parameters = {
                "rows": [{"id": change.id, "set": dict(change.set)} for change in same],
                "runId": self._run_id,
                "now": now,
            }
            run(tx, statements.load("write/change").text, parameters).consume()
            expired = sum(change.edge is None for change in same)
            before = [held[change.id] for change in same]
            self._note(tx, number, before=before, updated=len(same) - expired, expired=expired)
            return {change.id for change in same}

        return self._lock.once(work)

    def _note(
        self,
        tx: neo4j.ManagedTransaction,
        number: int,
        *,
        created: Sequence[str] = (),
        before: Sequence[dict[str, object]] = (),
        updated: int = 0,
        expired: int = 0,
    ) -> None:
        if not created and not before:
            return
        parameters = {
            "runId": self._run_id,
            "n": number,
            "createdIds": list(created),
            "before": ledger.encode_images(before),
            "created": len(created),
            "updated": updated,
            "expired": expired,
        }
        run(tx, statements.load("write/batch_note").text, parameters).consume()


def isolating(step: Step, items: Sequence[Item]) -> set[str]:
    """Do `step`; if a row makes it fail, do it on ever smaller parts, so that only that row is left out."""
    try:
        return step(items)
    except DataError as error:
        cause = error.__cause__
        if not isinstance(cause, driver_errors.ClientError) or not (cause.code or "").endswith(_ONE_ROW):
            raise
        if len(items) == 1:
            return set()
        half = len(items) // 2
        return isolating(step, items[:half]) | isolating(step, items[half:])
