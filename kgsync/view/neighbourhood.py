"""The neighbourhood of an entity: reads a bounded part of the graph around it, and says what it left out.

Reads only. An entity is found by a configured label and its key, or by its name; nodes without both are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from kgsync.config import LabelConfig
from kgsync.errors import NotFoundError
from kgsync.graph import ends, statements
from kgsync.graph.connection import Connection
from kgsync.identity import meant

MOST = 120  # entities
STATUSES = ("proposed", "quarantined")  # of the predicted edges that are shown; an accepted one is known by now
_EDGES = 40, 6, 6  # of an entity, of either kind: of the centre, and one and two hops away
_SEEN = 5_000  # edges of an entity that are looked at
Kind = Literal["known", "accepted", "predicted"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Node:
    """An entity, and how many hops it is away."""

    label: str
    key: str | int
    name: str
    hops: int

    def __str__(self) -> str:
        return self.name or str(self.key)

    @property
    def id(self) -> str:
        """Return its label and key."""
        return f"{self.label}:{self.key}"


@dataclass(frozen=True)
class Edge:
    """An edge between two entities, by their ids. `accepted`: it is known because a person accepted a prediction."""

    head: str
    relation: str
    tail: str
    kind: Kind
    properties: Mapping[str, Any] = field(default_factory=dict)

    @property
    def score(self) -> float | None:
        """Return the probability of a predicted edge."""
        return self.properties.get("score") if self.kind == "predicted" else None


@dataclass(frozen=True)
class Neighbourhood:
    """What is around `centre`; `nodes` begin with it, the nearer ones first."""

    centre: Node
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    runs: Mapping[str, Mapping[str, Any]]  # by id: when they started, their model and snapshot
    left_out: int  # further edges of the entities whose edges were looked at

    @property
    def predicted(self) -> list[Edge]:
        """Return the predicted edges, the best first."""
        found = [edge for edge in self.edges if edge.kind == "predicted"]
        return sorted(found, key=lambda edge: (-(edge.score or 0.0), edge.head, edge.tail))


def around(
    connection: Connection, labels: Mapping[str, LabelConfig], question: str, *, hops: int = 1, most: int = MOST
) -> Neighbourhood:
    """Return the neighbourhood of the entity that `question` means: `Label:key`, a key, or a name; `hops` up to 3.

    Raises:
        NotFoundError: no entity is meant, or several are.
    """
    centre = _find(connection, labels, question)
    nodes, edges = {centre.id: centre}, dict[tuple[tuple[str, ...], int], Edge]()
    frontier, left_out, alike = [centre], 0, Counter[tuple[str, tuple[str, ...]]]()
    for hop in range(1, hops + 1):
        new: list[Node] = []
        rows, degrees = _rows(connection, labels, frontier, _EDGES[hop - 1])
        left_out += degrees
        for focus, row in rows:
            other = _node(row["other"], hop)
            if other.id not in nodes:
                if len(nodes) >= most:
                    continue
                nodes[other.id] = other
                new.append(other)
            edge = _edge(focus, nodes[other.id], row)
            what = (edge.head, edge.relation, edge.tail, edge.kind, repr(sorted(edge.properties.items())))
            alike[focus.id, what] += 1  # parallel edges; from their other ends the same are seen again
            edges.setdefault((what, alike[focus.id, what]), edge)
            left_out -= 1
        frontier = new
    runs = _runs(connection, edges.values())
    return Neighbourhood(centre, tuple(nodes.values()), tuple(edges.values()), runs, left_out)


def _rows(
    connection: Connection, labels: Mapping[str, LabelConfig], foci: Sequence[Node], most: int
) -> tuple[list[tuple[Node, dict[str, Any]]], int]:
    """Return the edges of some entities, one of each entity and kind in turn, and how many they have in all."""
    found: list[tuple[int, bool, Node, dict[str, Any]]] = []
    degrees = 0
    statement = statements.load("view/around")
    given = {"names": ends.parameter(labels), "statuses": list(STATUSES), "most": most, "seen": _SEEN}
    for label in dict.fromkeys(focus.label for focus in foci):
        by_key = {focus.key: focus for focus in foci if focus.label == label}
        text = statement.fill(label=label, key=labels[label].key)
        for record in connection.read(text, keys=list(by_key), **given):
            degrees += record["degree"]
            turns = Counter[bool]()
            for row in record["edges"]:
                turns[row["predicted"]] += 1
                if row["other"] is not None:
                    found.append((turns[row["predicted"]], not row["predicted"], by_key[record["focus"]], row))
    found.sort(key=lambda entry: entry[:2])
    return [(focus, row) for _, _, focus, row in found], degrees


def _find(connection: Connection, labels: Mapping[str, LabelConfig], question: str) -> Node:
    """Return the entity that is meant; a key goes before a name."""
    label, colon, key = question.partition(":")
    chosen, text = ({label: labels[label]}, key) if colon and label in labels else (labels, question)
    for statement, asked in (("view/find", {"keys": list(meant(text))}), ("view/named", {"text": text})):
        found = [
            Node(name, row["key"], row["name"] or "", 0)
            for name, config in chosen.items()
            for row in connection.read(
                statements.load(statement).fill(label=name, key=config.key), name=config.name or config.key, **asked
            )
        ]
        distinct = list({node.id: node for node in found}.values())
        if len(distinct) == 1:
            return distinct[0]
        if distinct:
            options = ", ".join(node.id for node in distinct[:5])
            raise NotFoundError(f"{question!r} means several entities: {options}", fix="give Label:key")
    raise NotFoundError(f"no entity has the key or the name {question!r}", fix="give its key as Label:key")


def _node(row: Mapping[str, Any], hops: int) -> Node:
    return Node(row["label"], row["key"], row["name"] or "", hops)


def _edge(focus: Node, other: Node, row: Mapping[str, Any]) -> Edge:
    head, tail = (focus, other) if row["out"] else (other, focus)
    properties = row["properties"]
    known: Kind = "accepted" if properties.get("kgsyncPredictionId") else "known"
    return Edge(head.id, row["relation"], tail.id, "predicted" if row["predicted"] else known, properties)


def _runs(connection: Connection, edges: Iterable[Edge]) -> dict[str, Mapping[str, Any]]:
    """Return what the graph says of the runs that the edges name."""
    named = {edge.properties.get("runId") or edge.properties.get("kgsyncRunId") for edge in edges}
    rows = connection.read(statements.load("view/runs").text, ids=sorted(filter(None, named)))
    return {row.pop("id"): row for row in rows}
