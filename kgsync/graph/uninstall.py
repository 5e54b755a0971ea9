"""Uninstall: takes every trace of kgsync out of a graph; without `commit` it only counts.

Gone are the predicted edges, kgsync's own nodes, constraints and indexes (also those that keep the keys of a
`kgsync load` unique), the vectors of `kgsync embed`, and the key that `kgsync init` may have added. What was loaded
stays. Relationships that came from accepted predictions are a person's knowledge: they stay, without kgsync's
properties, unless told otherwise. Killed, it goes on when it is repeated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from kgsync.config import WriteConfig
from kgsync.graph import statements
from kgsync.graph.connection import Connection
from kgsync.graph.lock import Lock, locked
from kgsync.graph.names import refusal
from kgsync.progress import Progress, silent

LOCK_LABEL = "__KgsyncLock"
_BATCH = 10_000  # edges or nodes per transaction


@dataclass(frozen=True)
class UninstallReport:
    """What of kgsync was in the graph and, with `committed`, is not any more."""

    committed: bool
    predictions: int  # PREDICTED edges, whatever their status
    accepted: Mapping[str, int]  # relationships that came from accepted predictions, by type
    accepted_deleted: bool  # whether those go too, instead of losing kgsync's properties alone
    nodes: Mapping[str, int]  # kgsync's own nodes, by label
    keys: int  # nodes with the property kgsyncId
    vectors: int  # nodes with the property kgsyncVector
    schema: tuple[str, ...]  # constraints and indexes, by name
    foreign: int  # PREDICTED edges that kgsync did not make: they stay

    @property
    def empty(self) -> bool:
        """Say whether there is nothing of kgsync in the graph."""
        return not (self.predictions or self.accepted or self.nodes or self.keys or self.vectors or self.schema)


def uninstall(
    connection: Connection,
    *,
    commit: bool = False,
    delete_accepted: bool = False,
    config: WriteConfig | None = None,
    progress: Progress = silent,
) -> UninstallReport:
    """Take everything of kgsync out of the graph; without `commit` only say what there is. Repeatable.

    `delete_accepted` deletes also the relationships that accepting predictions has made.

    Raises:
        TransientError: another process is writing.
    """
    report = _look(connection, delete_accepted)
    if not commit or report.empty:
        return report
    config = config or WriteConfig()
    with locked(connection, run_id="uninstall", timeout=config.lock_timeout) as lock:
        _Remover(connection, lock, report, progress).remove_all()
    return replace(report, committed=True)


def _look(connection: Connection, delete_accepted: bool) -> UninstallReport:
    counts = connection.read(statements.load("write/uninstall_counts").text)[0]
    accepted = connection.read(statements.load("write/uninstall_accepted").text)
    nodes = connection.read(statements.load("write/uninstall_labels").text)
    return UninstallReport(
        committed=False,
        predictions=counts["predictions"],
        accepted={row["relation"]: row["edges"] for row in accepted},
        accepted_deleted=delete_accepted,
        nodes={row["label"]: row["nodes"] for row in nodes},
        keys=counts["keys"],
        vectors=counts["vectors"],
        schema=tuple(row["name"] for row in connection.read(statements.load("schema/indexes").text)),
        foreign=counts["foreign"],
    )


class _Remover:
    """Deletes in transactions of a bounded size, as long as the lock is held."""

    def __init__(self, connection: Connection, lock: Lock, report: UninstallReport, progress: Progress) -> None:
        self._connection = connection
        self._lock = lock
        self._report = report
        self._progress = progress

    def remove_all(self) -> None:
        """Remove everything; the lock goes last."""
        report = self._report
        self._repeat("write/uninstall_predictions", "predicted edges", report.predictions)
        accepted = "write/uninstall_relationships" if report.accepted_deleted else "write/uninstall_marks"
        for relation, edges in report.accepted.items():
            self._repeat(accepted, "accepted edges", edges, relation=relation)
        if report.keys:
            for row in self._connection.read(statements.load("write/uninstall_key_labels").text):
                if refusal(row["label"]) is None:  # another of the node's labels will do
                    self._repeat("write/uninstall_keys", "keys", report.keys, label=row["label"])
        self._repeat("embed/remove_vectors", "vectors", report.vectors, {"modelId": ""})
        for label, nodes in report.nodes.items():
            if label != LOCK_LABEL:
                self._repeat("write/uninstall_nodes", "kgsync's nodes", nodes, label=label)
        for row in self._connection.read(statements.load("schema/indexes").text):
            kind = "constraint" if row["constraint"] else "index"
            name = row["constraint"] or row["name"]
            self._connection.write(statements.load(f"schema/drop_{kind}").fill(name=name))
        self._repeat("write/uninstall_nodes", "kgsync's nodes", 1, label=LOCK_LABEL)

    def _repeat(
        self, name: str, step: str, total: int, parameters: Mapping[str, str] | None = None, **identifiers: str
    ) -> None:
        statement = statements.load(name).fill(**identifiers)
        done = 0
        while batch := self._connection.write(statement, limit=_BATCH, **(parameters or {}))[0]["done"]:
            done += batch
            self._progress(f"removing {step}", done, total)
            if identifiers.get("label") != LOCK_LABEL:
                self._lock.keep()
