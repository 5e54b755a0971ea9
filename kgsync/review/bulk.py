"""One decision about many edges: first a look at how many it would be and at a random few, then the decision.

Waiting edges of the audit's slice are left out: a decision that nobody took a look for would spoil the sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kgsync.config import LabelConfig
from kgsync.graph import statements
from kgsync.graph.connection import Connection
from kgsync.graph.review import SLICE, Action, Filter, Proposal, ReviewReport, decide, filter_parameters, selected
from kgsync.review import queue

MOST = 10_000  # edges that one decision is about
SAMPLE = 12


@dataclass(frozen=True)
class Preview:
    """What a decision about all that fit would be about."""

    edges: int
    low: float | None  # the scores, None where nothing fits
    high: float | None
    mean: float | None
    left: int  # edges that fit and are left to the audit
    sample: tuple[Proposal, ...]  # random ones


def preview(
    connection: Connection, action: Action, which: Filter, *, by: str, labels: Mapping[str, LabelConfig]
) -> Preview:
    """Return what `action` on all that fit would be about. Quarantined edges count if the filter names their status."""
    parameters = _parameters(action, which, by)
    found = connection.read(statements.load("review/desk/bulk_look").text, **parameters)[0]
    return Preview(**found, sample=tuple(queue.rows(connection, _ids(connection, parameters, SAMPLE), labels)))


def commit(
    connection: Connection, action: Action, which: Filter, *, by: str, reason: str | None
) -> tuple[list[str], ReviewReport]:
    """Do `action` on what `preview` has shown, at most `MOST` edges; return their ids, and what was done."""
    ids = _ids(connection, _parameters(action, which, by), MOST)
    return ids, decide(connection, action, ids, by=by, reason=reason)


def _parameters(action: Action, which: Filter, by: str) -> dict[str, Any]:
    quarantined = "quarantined" in which.statuses
    chosen = selected(action, which, by=by, include_quarantined=quarantined)
    return filter_parameters(chosen) | {"first": "" if action == "undo" else SLICE}


def _ids(connection: Connection, parameters: Mapping[str, Any], limit: int) -> list[str]:
    text = statements.load("review/desk/bulk_ids").text
    return [row["id"] for row in connection.read(text, **parameters, limit=limit)]
