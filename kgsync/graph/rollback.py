"""Rollback: takes back what a run wrote, from the database alone.

Edges that the run created are deleted, edges that it changed carry again what they carried before. What a
person reviewed since, or a later run changed, stays and is reported; its entries stay in the ledger, so that
the rollback can be repeated after the later run's. Killed, it goes on when it is repeated. What `kgsync validate`
has judged on edges of other runs meanwhile is for `kgsync validate` to judge again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import neo4j

from kgsync import interrupt
from kgsync.config import WriteConfig
from kgsync.errors import NotFoundError
from kgsync.graph import ledger, statements
from kgsync.graph.connection import Connection, run
from kgsync.graph.lock import locked
from kgsync.graph.review import REVIEWED
from kgsync.progress import Progress, silent
from kgsync.tabular import Tabular, table

if TYPE_CHECKING:
    import pyarrow


@dataclass(frozen=True)
class Left:
    """An edge that stays as it is, and why."""

    id: str
    relation: str
    reason: str


@dataclass(frozen=True)
class RollbackReport(Tabular):
    """What a rollback did, or without `commit` would do."""

    run_id: str
    committed: bool
    deleted: int
    restored: int
    left: tuple[Left, ...]

    def to_arrow(self) -> pyarrow.Table:
        """Return the edges that stay, one row each."""
        return table(dict.fromkeys(("id", "relation", "reason"), "string"), map(asdict, self.left))


@dataclass(frozen=True)
class _Undoing:
    """What taking back one batch means, edge by edge."""

    deletes: list[str]
    restores: list[dict[str, Any]]  # before-images
    left: list[Left]
    left_created: list[str]  # what remains of the batch
    left_before: list[dict[str, Any]]


def rollback(
    connection: Connection,
    run_id: str,
    *,
    commit: bool = False,
    config: WriteConfig | None = None,
    progress: Progress = silent,
) -> RollbackReport:
    """Undo run `run_id`; without `commit` only say what would be done. Repeatable.

    Raises:
        NotFoundError: the graph does not know the run.
        TransientError: another process is writing.
    """
    if ledger.run_state(connection, run_id) is None:
        known = ", ".join(info.id for info in ledger.runs(connection)[:5]) or "none"
        raise NotFoundError(f"the graph knows no run {run_id}", fix=f"known runs: {known}")
    if not commit:
        return _walk(connection, run_id, _looked(connection, run_id), committed=False, progress=progress)
    config = config or WriteConfig()
    with (
        interrupt.deferred() as stop_if_asked,
        locked(connection, run_id=run_id, timeout=config.lock_timeout) as lock,
    ):
        lock.again(_setting_status(run_id, "rolling_back"))

        def take_back(number: int) -> _Undoing:
            stop_if_asked()
            return lock.once(lambda tx, _, __: _take_back(tx, run_id, number))

        report = _walk(connection, run_id, take_back, committed=True, progress=progress)
        lock.again(_setting_status(run_id, "rolled_back"))
    return report


def _walk(
    connection: Connection,
    run_id: str,
    undo: Callable[[int], _Undoing],
    *,
    committed: bool,
    progress: Progress,
) -> RollbackReport:
    rows = connection.read(statements.load("write/batch_numbers").text, runId=run_id)
    deleted: set[str] = set()
    restored: set[str] = set()
    left: dict[str, Left] = {}
    progress("rolling back", 0, len(rows))
    for done, row in enumerate(rows, 1):  # the last batch first
        undoing = undo(row["n"])
        deleted.update(undoing.deletes)
        restored.update(image["id"] for image in undoing.restores)
        left.update({edge.id: edge for edge in undoing.left})
        progress("rolling back", done, len(rows))
    return RollbackReport(run_id, committed, len(deleted), len(restored - deleted), tuple(left.values()))


def _looked(connection: Connection, run_id: str) -> Callable[[int], _Undoing]:
    """Return what says what taking back a batch would do."""

    def look(number: int) -> _Undoing:
        return connection.read_with(lambda tx: _undoing(tx, run_id, number, "write/look"))

    return look


def _take_back(tx: neo4j.ManagedTransaction, run_id: str, number: int) -> _Undoing:
    undoing = _undoing(tx, run_id, number, "write/hold")
    run(tx, statements.load("write/delete").text, {"ids": undoing.deletes}).consume()
    rows = [{"id": image["id"], "set": ledger.restoring(image)} for image in undoing.restores]
    run(tx, statements.load("write/restore").text, {"rows": rows}).consume()
    remaining = {
        "runId": run_id,
        "n": number,
        "createdIds": undoing.left_created,
        "before": ledger.encode_images(undoing.left_before),
    }
    run(tx, statements.load("write/batch_reduce").text, remaining).consume()
    return undoing


def _undoing(tx: neo4j.ManagedTransaction, run_id: str, number: int, read: str) -> _Undoing:
    """Return what taking back a batch means. The statement `read` says what its edges carry now."""
    batch = run(tx, statements.load("write/batch_read").text, {"runId": run_id, "n": number}).single()
    if batch is None:
        return _Undoing([], [], [], [], [])
    created: list[str] = batch["createdIds"]
    before = ledger.decode_images(batch["before"])
    ids = [*created, *(image["id"] for image in before)]
    now = {row["id"]: row["edge"] for row in run(tx, statements.load(read).text, {"ids": ids})}
    left = [_left(id_, edge, why) for id_, edge in now.items() if (why := _why_left(edge, run_id))]
    stay = {edge.id for edge in left}
    gone = [Left(image["id"], image["relation"], "is gone") for image in before if image["id"] not in now]
    return _Undoing(
        deletes=[id_ for id_ in created if id_ in now and id_ not in stay],
        restores=[image for image in before if image["id"] in now and image["id"] not in stay],
        left=left + gone,
        left_created=[id_ for id_ in created if id_ in stay],
        left_before=[image for image in before if image["id"] in stay],
    )


def _why_left(edge: Mapping[str, Any], run_id: str) -> str | None:
    if edge.get("status") in REVIEWED:
        return f"was {edge['status']} by {edge.get('reviewedBy') or 'somebody'}"
    if edge.get("runId") != run_id:
        return f"was changed by run {edge.get('runId')}"
    return None


def _left(id_: str, edge: Mapping[str, Any], why: str) -> Left:
    return Left(id_, str(edge.get("relation")), why)


def _setting_status(run_id: str, status: str) -> Callable[[neo4j.ManagedTransaction, int, str], object]:
    parameters = {"runId": run_id, "status": status}
    return lambda tx, _, __: run(tx, statements.load("write/run_status").text, parameters).consume()
