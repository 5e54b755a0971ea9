"""Review: finds predicted edges, and writes what a person decides about them.

Accepting, rejecting and undoing compare and set: what another reviewer has decided meanwhile is told, never
overwritten. The statements are those that a reviewer runs in Neo4j Browser, `cypher/review/`. Every decision leaves a
note in the graph, `(:__KgsyncReview)`, in the same transaction: who decided what, when and why, also what was undone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import neo4j

from kgsync.config import LabelConfig
from kgsync.errors import DataError, NotFoundError
from kgsync.graph import ends, inspect, statements
from kgsync.graph.connection import Connection, run
from kgsync.graph.ends import End
from kgsync.identity import Key
from kgsync.progress import Progress, silent
from kgsync.tabular import Tabular, table

if TYPE_CHECKING:
    import pyarrow

Action = Literal["accept", "reject", "undo"]
STATUSES = ("proposed", "quarantined", "accepted", "rejected", "expired")
LIVE = ("proposed", "quarantined")
REVIEWED = ("accepted", "rejected")
SHORTEST_PREFIX = 4  # characters of an id
SLICE = "0cccccccccccccccd"  # ids below it are of the audit (`kgsync.review.queue`): a twentieth of all hashes
_BATCH = 1_000  # edges per transaction
_EVERY = 2**62  # a LIMIT that is none


@dataclass(frozen=True)
class EndFilter:
    """Which heads or tails: those with the label and, if `keys` are given, one of these in `key_property`."""

    label: str
    key_property: str = ""
    keys: tuple[Key, ...] = ()

    def parameter(self) -> dict[str, Any]:
        """Return it as the statement takes it."""
        return {"label": self.label, "property": self.key_property, "keys": list(self.keys) or None}


@dataclass(frozen=True)
class Filter:
    """Which predicted edges; what is not given does not matter."""

    relation: str | None = None
    statuses: tuple[str, ...] = STATUSES
    min_score: float | None = None
    max_score: float | None = None
    head: EndFilter | None = None
    tail: EndFilter | None = None
    run_id: str | None = None
    reviewer: str | None = None


@dataclass(frozen=True)
class Proposal:
    """A predicted edge as it stands in the graph, whatever its status."""

    id: str
    head: End
    relation: str
    tail: End
    score: float
    score_low: float
    status: str
    rank: int | None
    reasons: tuple[str, ...]
    model_id: str | None
    run_id: str | None
    reviewed_by: str | None
    reviewed_at: str | None  # ISO 8601, by the server's clock
    review_reason: str | None


@dataclass(frozen=True)
class Refusal:
    """An edge that stays as it was, and why: another reviewer's decision, a status, a changed relationship."""

    id: str
    why: str


@dataclass(frozen=True)
class ReviewReport(Tabular):
    """What a review did."""

    action: Action
    done: int  # with those already true
    already_true: int  # accepted, and the graph held the relationship before
    unchanged: int  # the same had been decided before
    refused: tuple[Refusal, ...]
    left: int = 0  # that fit a filter, and wait for the audit

    def to_arrow(self) -> pyarrow.Table:
        """Return the refused edges, one row each."""
        return table(dict.fromkeys(("id", "why"), "string"), map(asdict, self.refused))


_COLUMNS = {
    "id": "string",
    **ends.COLUMNS["head"],
    "relation": "string",
    **ends.COLUMNS["tail"],
    "score": "double",
    "score_low": "double",
    "status": "string",
    "rank": "int64",
    **dict.fromkeys(("reasons", "model_id", "run_id", "reviewed_by", "reviewed_at", "review_reason"), "string"),
}


class Proposals(list[Proposal], Tabular):
    """Predicted edges as they stand in the graph."""

    def to_arrow(self) -> pyarrow.Table:
        """Return one row per edge; the ends as label, key and name, all of them text."""
        rows = (
            vars(edge) | edge.head.columns("head") | edge.tail.columns("tail") | {"reasons": ", ".join(edge.reasons)}
            for edge in self
        )
        return table(_COLUMNS, rows)


def proposals(
    connection: Connection,
    which: Filter,
    *,
    limit: int | None = None,
    labels: Mapping[str, LabelConfig] | None = None,
) -> Proposals:
    """Return the predicted edges that fit, best score first; `labels` say how entities are called."""
    rows = connection.read(
        statements.load("review/list").text,
        **filter_parameters(by_type(connection, which)),
        limit=_EVERY if limit is None else limit,
        names=ends.parameter(labels or {}),
    )
    return Proposals(proposal(row) for row in rows)


def by_type(connection: Connection, which: Filter) -> Filter:
    """Return `which` with the type of its relation, where that is said by its id in loaded files or by its name."""
    if which.relation is None:
        return which
    noted = inspect.relation_notes(connection)
    return replace(which, relation=noted.meant(which.relation, noted.ids) or which.relation)


def filter_parameters(which: Filter) -> dict[str, Any]:
    """Return a filter as the statements take it."""
    return {
        "relation": which.relation,
        "statuses": list(which.statuses),
        "minScore": which.min_score,
        "maxScore": which.max_score,
        "head": which.head.parameter() if which.head else None,
        "tail": which.tail.parameter() if which.tail else None,
        "runId": which.run_id,
        "reviewer": which.reviewer,
    }


def find(connection: Connection, prefixes: Sequence[str]) -> list[str]:
    """Return the ids that start with each of `prefixes`.

    Raises:
        NotFoundError: no predicted edge has such an id.
        DataError: several have, or the prefix is shorter than four characters.
    """
    for prefix in prefixes:
        if len(prefix) < SHORTEST_PREFIX:
            raise DataError(f"the id {prefix!r} is too short", fix=f"give {SHORTEST_PREFIX} characters or more")
    found: dict[str, None] = {}
    for row in connection.read(statements.load("review/ids").text, prefixes=list(prefixes)):
        prefix, ids = row["prefix"], row["ids"]
        if not ids:
            raise NotFoundError(f"no predicted edge has the id {prefix}", fix="look with `kgsync review list`")
        if len(ids) > 1:
            raise DataError(f"several predicted edges have ids that start with {prefix}", fix="give more of it")
        found[ids[0]] = None
    return list(found)


def accept(
    connection: Connection,
    which: Sequence[str] | Filter,
    *,
    by: str,
    reason: str | None = None,
    include_quarantined: bool = False,
    progress: Progress = silent,
) -> ReviewReport:
    """Make predicted edges true: each becomes `accepted` and its relationship appears, in one transaction.

    `which` is ids, or a filter, which leaves the audit's slice alone. Quarantined edges are accepted when named by id,
    by a filter only with `include_quarantined`. A relationship that the graph held before is left as it is, and marked
    as such.
    """
    return decide(
        connection, "accept", which, by=by, reason=reason, include_quarantined=include_quarantined, progress=progress
    )


def reject(
    connection: Connection,
    which: Sequence[str] | Filter,
    *,
    by: str,
    reason: str | None = None,
    include_quarantined: bool = False,
    progress: Progress = silent,
) -> ReviewReport:
    """Make predicted edges `rejected`: never proposed again, and false for the scores of the next training.

    `which` and `include_quarantined` are those of `accept`.
    """
    return decide(
        connection, "reject", which, by=by, reason=reason, include_quarantined=include_quarantined, progress=progress
    )


def undo(
    connection: Connection, which: Sequence[str] | Filter, *, by: str, progress: Progress = silent
) -> ReviewReport:
    """Take back what `by` decided about edges; those of other reviewers are refused.

    The relationship that accepting made goes, unless somebody has put more properties on it: then all
    of it stays. A relationship that was there before stays in any case.
    """
    return decide(connection, "undo", which, by=by, progress=progress)


def selected(action: Action, which: Filter, *, by: str, include_quarantined: bool = False) -> Filter:
    """Return `which`, narrowed to the edges that `action` may change."""
    if action == "undo":
        return replace(which, statuses=_both(which, REVIEWED), reviewer=by)
    return replace(which, statuses=_both(which, LIVE if include_quarantined else LIVE[:1]))


def fitting(
    connection: Connection,
    action: Action,
    which: Filter,
    *,
    by: str,
    include_quarantined: bool = False,
    labels: Mapping[str, LabelConfig] | None = None,
) -> tuple[list[Proposal], int]:
    """Return the edges that `action` on all that fit is about, and how many it leaves to the audit.

    A decision that nobody took a look for would spoil that sample; what was decided can be undone all the same.
    """
    chosen = selected(action, which, by=by, include_quarantined=include_quarantined)
    found = proposals(connection, chosen, labels=labels)
    kept = [edge for edge in found if action == "undo" or edge.id >= SLICE]
    return kept, len(found) - len(kept)


def _both(which: Filter, allowed: Sequence[str]) -> tuple[str, ...]:
    return tuple(status for status in which.statuses if status in allowed)


def decide(
    connection: Connection,
    action: Action,
    which: Sequence[str] | Filter,
    *,
    by: str,
    reason: str | None = None,
    include_quarantined: bool = False,
    audit: Collection[str] = (),
    progress: Progress = silent,
) -> ReviewReport:
    """Do `accept`, `reject` or `undo`, by the name of the action; of a filter on what is `fitting`.

    The ids in `audit` came up by chance, not for their score: their decisions are marked, and may re-estimate the
    base rate.
    """
    statuses: tuple[str, ...] = LIVE
    left = 0
    if isinstance(which, Filter):
        statuses = selected(action, which, by=by, include_quarantined=include_quarantined).statuses
        found, left = fitting(connection, action, which, by=by, include_quarantined=include_quarantined)
        which = [proposal.id for proposal in found]
    ids = sorted(set(which))  # every writer locks in the same order
    outcomes: Counter[str] = Counter()
    refused: list[Refusal] = []
    for start in range(0, len(ids), _BATCH):
        batch = ids[start : start + _BATCH]
        parameters = {"ids": batch, "by": by, "reason": reason, "statuses": list(statuses)}
        answers = connection.write_with(partial(_answers, action=action, parameters=parameters, audit=audit))
        for id_ in batch:
            outcome, message = answers.get(id_, ("refused", "is not in the graph"))
            outcomes[outcome] += 1
            if outcome == "refused":
                refused.append(Refusal(id_, message))
        progress(action, start + len(batch), len(ids))
    return ReviewReport(
        action,
        done=outcomes["done"] + outcomes["already true"],
        already_true=outcomes["already true"],
        unchanged=outcomes["unchanged"],
        refused=tuple(refused),
        left=left,
    )


def _answers(
    tx: neo4j.ManagedTransaction, *, action: Action, parameters: Mapping[str, Any], audit: Collection[str]
) -> dict[str, tuple[str, str]]:
    """Return (outcome, message) per id."""
    answers: dict[str, tuple[str, str]] = {}
    for row in run(tx, statements.load(f"review/{action}").text, parameters):
        if action == "accept" and row["made"] not in (None, row["p"]["relation"]):
            # Community 5.26.3 and 2025.01.0 keep the first type of a statement (neo4j/neo4j#13597)
            raise DataError(
                f"this server made a {row['made']} of what should become a {row['p']['relation']}; nothing is accepted",
                fix="upgrade it to Neo4j 5.26.4 or newer",
            )
        answers[row["id"]] = (row["outcome"], row["message"])
    drawn = [id_ for id_ in audit if answers.get(id_, ("",))[0] in ("done", "already true")]
    run(tx, statements.load("review/desk/mark_audit").text, {"ids": drawn}).consume()
    return answers


def skip(tx: neo4j.ManagedTransaction, id_: str, *, by: str, reason: str | None) -> None:
    """Keep in the graph that a reviewer left an edge for later."""
    run(tx, statements.load("review/desk/skip").text, {"id": id_, "by": by, "reason": reason}).consume()


def proposal(row: Mapping[str, Any]) -> Proposal:
    """Return the edge that a statement returned with the columns of `review/list`."""
    return Proposal(
        id=row["id"],
        head=ends.end(row["head"]),
        relation=row["relation"],
        tail=ends.end(row["tail"]),
        score=row["score"],
        score_low=row["scoreLow"],
        status=row["status"],
        rank=row["rank"],
        reasons=tuple(row["reasons"] or ()),
        model_id=row["modelId"],
        run_id=row["runId"],
        reviewed_by=row["reviewedBy"],
        reviewed_at=row["reviewedAt"],
        review_reason=row["reviewReason"],
    )
