"""A look at one predicted edge: what it says, why, what is known around it, and who did what to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kgsync.config import LabelConfig
from kgsync.errors import NotFoundError
from kgsync.graph import ends, statements
from kgsync.graph.connection import Connection
from kgsync.graph.ends import End, end

_FACTS = 6  # of an end that are shown
VOICES = {"kgeScore": "embeddings", "ruleScore": "rules", "textScore": "texts", "lmScore": "language model"}


@dataclass(frozen=True)
class Fact:
    """A known fact of an end; `out` says that it starts there."""

    relation: str
    out: bool
    other: End


@dataclass(frozen=True)
class Link:
    """Two known facts that connect the ends over one entity, as seen from each end."""

    of_head: Fact
    of_tail: Fact


@dataclass(frozen=True)
class Note:
    """What a reviewer did to the edge."""

    action: str
    by: str
    at: str  # ISO 8601, by the server's clock
    reason: str | None


@dataclass(frozen=True)
class Look:
    """A predicted edge with what a reviewer needs to judge it. Each list is a bounded part of what there is."""

    id: str
    head: End
    relation: str
    tail: End
    head_text: str
    tail_text: str
    head_facts: int  # known facts in all
    tail_facts: int
    score: float
    score_low: float
    status: str
    rank: int | None
    reasons: tuple[str, ...]
    voices: Mapping[str, float]  # what each voice says, in its own measure
    model: Mapping[str, Any]  # the card of the model, empty where the graph has none
    run_id: str
    reviewed_by: str | None
    reviewed_at: str | None
    review_reason: str | None
    direct: tuple[tuple[str, bool], ...]  # (relation, from head to tail) of known facts between the ends
    links: tuple[Link, ...]
    heads: tuple[Fact, ...]
    tails: tuple[Fact, ...]
    notes: tuple[Note, ...]

    @property
    def sentence(self) -> str:
        """Return what the edge says."""
        return f"{self.head} {self.relation} {self.tail}"


def look(connection: Connection, id_: str, labels: Mapping[str, LabelConfig]) -> Look:
    """Return a look at the edge `id_`.

    Raises:
        NotFoundError: it is not in the graph (any more).
    """
    names = [name | {"text": list(labels[name["label"]].text)} for name in ends.parameter(labels)]
    found = connection.read(statements.load("review/desk/look").text, id=id_, names=names)
    if not found:
        raise NotFoundError(f"no predicted edge has the id {id_}", fix="go on with another")
    notes = connection.read(statements.load("review/desk/history").text, id=id_)
    return _look(found[0], tuple(Note(**note) for note in notes))


def _look(row: Mapping[str, Any], notes: tuple[Note, ...]) -> Look:
    edge, head, tail = row["edge"], row["head"], row["tail"]
    links = tuple(
        Link(Fact(link["relation"], link["out"], end(link)), Fact(link["back"], link["backOut"], end(link)))
        for link in row["between"]
    )
    return Look(
        id=edge["id"],
        head=end(head),
        relation=edge.get("relation") or "",
        tail=end(tail),
        head_text=head["text"] or "",
        tail_text=tail["text"] or "",
        head_facts=head["facts"],
        tail_facts=tail["facts"],
        score=edge.get("score") or 0.0,
        score_low=edge.get("scoreLow") or 0.0,
        status=edge.get("status") or "",
        rank=edge.get("rank"),
        reasons=tuple(edge.get("reasons") or ()),
        voices={name: edge[key] for key, name in VOICES.items() if edge.get(key) is not None},
        model=row["model"] or {},
        run_id=edge.get("runId") or "",
        reviewed_by=edge.get("reviewedBy"),
        reviewed_at=edge["reviewedAt"].isoformat() if edge.get("reviewedAt") else None,
        review_reason=edge.get("reviewReason"),
        direct=tuple((fact["relation"], fact["out"]) for fact in row["direct"]),
        links=links,
        heads=_others(row["heads"], [link.of_head for link in links]),
        tails=_others(row["tails"], [link.of_tail for link in links]),
        notes=notes,
    )


def _others(rows: Sequence[Mapping[str, Any]], linking: Sequence[Fact]) -> tuple[Fact, ...]:
    """Return the facts of an end that do not lead to the other end, a few of them, one of those that go both ways."""
    facts = {(row["relation"], end(row)): Fact(row["relation"], row["out"], end(row)) for row in reversed(rows)}
    entities = {fact.other for fact in linking}
    return tuple(fact for fact in reversed(facts.values()) if fact.other not in entities)[:_FACTS]
