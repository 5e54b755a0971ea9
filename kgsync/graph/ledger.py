"""The ledger: what the graph remembers of runs, so that one can be taken back from the database alone.

A run is a `(:__KgsyncRun)` node. Each of its batches is a `(:__KgsyncBatch)`, made in the batch's own
transaction: the ids of the edges that it created, and what the edges that it changed carried before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kgsync.graph import statements
from kgsync.graph.connection import Connection
from kgsync.tabular import Tabular, table

if TYPE_CHECKING:
    import pyarrow

# every property that kgsync puts on a PREDICTED edge; what else is there is the user's and is left alone
OWNED = (
    "id", "relation", "score", "scoreLow", "status", "rank", "kgeScore", "textScore", "lmScore", "ruleScore",
    "reasons", "evidence", "modelId", "runId", "firstRunId", "createdAt", "updatedAt", "reviewedBy", "reviewedAt",
    "reviewReason", "alreadyTrue",
)  # fmt: skip
_COLUMNS = {
    **dict.fromkeys(("id", "status", "started_at", "finished_at"), "string"),
    **dict.fromkeys(("created", "updated", "expired"), "int64"),
    **dict.fromkeys(("plan", "models"), "string"),
}


@dataclass(frozen=True)
class RunInfo:
    """One run that the graph knows."""

    id: str
    status: str  # running (or interrupted), finished, rolling_back, rolled_back
    started_at: str
    finished_at: str | None
    created: int
    updated: int
    expired: int
    plan: str
    models: tuple[str, ...]


class Runs(list[RunInfo], Tabular):
    """Runs, the latest first."""

    def to_arrow(self) -> pyarrow.Table:
        """Return one row per run; its models are one text."""
        return table(_COLUMNS, (vars(run) | {"models": ", ".join(run.models)} for run in self))


def runs(connection: Connection) -> Runs:
    """Return the runs that the graph knows, the latest first. Read-only."""
    return Runs(
        RunInfo(
            id=row["id"],
            status=row["status"],
            started_at=row["startedAt"],
            finished_at=row["finishedAt"],
            created=row["created"],
            updated=row["updated"],
            expired=row["expired"],
            plan=row["planHash"],
            models=tuple(row["models"]),
        )
        for row in connection.read(statements.load("write/runs").text)
    )


def run_state(connection: Connection, run_id: str) -> dict[str, Any] | None:
    """Return status and planHash of a run, or None if the graph does not know it. Read-only."""
    rows = connection.read(statements.load("write/run_read").text, runId=run_id)
    return rows[0] if rows else None


def encode_images(edges: Sequence[Mapping[str, Any]]) -> str | None:
    """Return what `edges` carry of kgsync's properties as JSON, or None for no edges. Times are texts."""
    images = [{key: edge[key] for key in OWNED if edge.get(key) is not None} for edge in edges]
    return json.dumps(images, ensure_ascii=False, separators=(",", ":")) if images else None


def decode_images(text: str | None) -> list[dict[str, Any]]:
    """Return what `encode_images` was given."""
    images: list[dict[str, Any]] = json.loads(text) if text else []
    return images


def restoring(image: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that make an edge carry `image` again: what it did not carry is null."""
    return {key: image.get(key) for key in OWNED}
