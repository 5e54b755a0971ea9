"""The difference between a plan and the graph: what to create and to change, and what a person should see.

Read-only. Only what differs is touched: times and the run's own id are never compared.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

import neo4j

from kgsync.graph import statements
from kgsync.graph.connection import Connection, run
from kgsync.graph.review import LIVE, REVIEWED
from kgsync.identity import Entity, Key
from kgsync.plan import DETAILS, Plan, PlannedEdge
from kgsync.progress import Progress, silent

T = TypeVar("T")

SEEN = (
    "status", "runId", "modelId", "relation", "score", "scoreLow", "rank", "kgeScore", "ruleScore", "textScore",
    "evidence",
)  # fmt: skip
"""What is read of every edge, and compared again, under a lock, when it is changed."""

MISSING = "endpoint_missing"
CHANGED = "endpoint_changed"  # the key is there, under another label
AMBIGUOUS = "endpoint_ambiguous"  # several nodes have the key
CONFLICT = "conflict"  # the id is on an edge between other nodes
MEANWHILE = "changed_meanwhile"  # somebody changed the edge while it was to be written
ALREADY_TRUE = "already_true"  # the relationship itself is in the graph

_CHUNK = 5_000  # rows of a read


@dataclass(frozen=True)
class Problem:
    """An edge that is not written, and why: one of the words above, `accepted` or `rejected`."""

    id: str
    head: str
    relation: str
    tail: str
    reason: str

    @classmethod
    def of(cls, edge: PlannedEdge, reason: str) -> Problem:
        """Return the problem of a planned edge."""
        return cls(edge.id, str(edge.head), edge.relation, str(edge.tail), reason)


@dataclass(frozen=True)
class Change:
    """An edge in the graph that becomes different: `seen` is what it was when the change was decided."""

    id: str
    seen: Mapping[str, Any]
    set: Mapping[str, Any]
    edge: PlannedEdge | None  # None: it is no longer predicted and expires
    ends: tuple[str, str] = ("", "")  # of an edge that is not planned, for people

    def no_longer_predicted(self) -> Problem:
        """Return the problem of an edge that should have expired, and that somebody changed meanwhile."""
        return Problem(self.id, self.ends[0], self.seen["relation"], self.ends[1], MEANWHILE)


@dataclass
class Difference:
    """What writing a plan means."""

    creates: list[PlannedEdge] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    unchanged: int = 0
    problems: list[Problem] = field(default_factory=list)

    @property
    def updates(self) -> int:
        """Return the number of edges whose values change or that are proposed again."""
        return sum(change.edge is not None for change in self.changes)

    @property
    def expires(self) -> int:
        """Return the number of edges that expire."""
        return sum(change.edge is None for change in self.changes)


@dataclass(frozen=True)
class _Found:
    """An edge of the graph with a planned id."""

    seen: Mapping[str, Any]
    in_place: bool  # between the planned ends


_Identity = tuple[str, str, str, object]  # like Entity, with the type of the key: 1 is not True


@dataclass(frozen=True)
class _Node:
    """An end of an edge in the graph: those of its labels that the plan knows, and who it may be for the plan."""

    labels: Sequence[str]
    identities: set[_Identity]

    def __str__(self) -> str:
        for label, _, _, key in sorted(self.identities, key=str):
            return f"{label}:{key}"
        return f"{self.labels[0]}:?"


class Differ:
    """Compares one plan with the graph. `keep` is called between reads, to show that somebody works."""

    def __init__(
        self,
        connection: Connection,
        plan: Plan,
        *,
        keep: Callable[[], None] = lambda: None,
        progress: Progress = silent,
    ) -> None:
        self._connection = connection
        self._keep = keep
        self._progress = progress
        self._scope = plan.scope
        self._planned = {edge.id: edge for edge in plan.edges}
        self._model_id = plan.model["id"]
        ends = {entity for edge in plan.edges for entity in (edge.head, edge.tail)}
        entities = ends.union(plan.scope.heads, plan.scope.tails)
        self._heads = {_identity(entity) for entity in plan.scope.heads}
        self._tails = {_identity(entity) for entity in plan.scope.tails}
        self._key_of = {entity.label: entity.key_property for entity in entities}
        self._labels = sorted({*plan.scope.labels, *self._key_of})
        self._keys = sorted(set(self._key_of.values()))

    def whole(self) -> Difference:
        """Return the difference between the plan and the graph."""
        relations = {*self._scope.relations, *(edge.relation for edge in self._planned.values())}
        statement = statements.load("write/seen_in_scope").text
        found, expired = self._seen(statement, relations=sorted(relations))
        others = [id_ for id_ in self._planned if id_ not in found]
        difference = self._compare(list(self._planned.values()), found | self._by_id(others))
        difference.changes += expired
        return difference

    def of(self, edges: Sequence[PlannedEdge]) -> Difference:
        """Return the difference for some edges of the plan alone."""
        return self._compare(edges, self._by_id([edge.id for edge in edges]))

    def _by_id(self, ids: Sequence[str]) -> dict[str, _Found]:
        found = {}
        for chunk in chunks(ids, _CHUNK):
            found.update(self._seen(statements.load("write/seen_by_id").text, ids=chunk)[0])
        return found

    def _seen(self, statement: str, **parameters: Any) -> tuple[dict[str, _Found], list[Change]]:
        """Return the edges with planned ids, and those to expire: live, in the scope and not planned."""
        parameters |= {"properties": list(SEEN), "labels": self._labels, "keys": self._keys}

        def work(tx: neo4j.ManagedTransaction) -> tuple[dict[str, _Found], list[Change]]:
            found: dict[str, _Found] = {}
            expired: list[Change] = []
            for count, record in enumerate(run(tx, statement, parameters), 1):
                id_, values, *ends = record.values()
                seen = dict(zip(SEEN, values, strict=True))
                head, tail = self._node(*ends[:2]), self._node(*ends[2:])
                edge = self._planned.get(id_)
                if edge is not None:
                    in_place = _identity(edge.head) in head.identities and _identity(edge.tail) in tail.identities
                    found[id_] = _Found(seen, in_place)
                elif seen["status"] in LIVE and self._in_scope(seen["relation"], head, tail):
                    expired.append(Change(id_, seen, {"status": "expired"}, None, (str(head), str(tail))))
                if count % _CHUNK == 0:
                    self._progress("reading predicted edges", count, None)
                    self._keep()
            return found, expired

        answer = self._connection.read_with(work, fetch_size=_CHUNK)
        self._keep()
        return answer

    def _node(self, labels: Sequence[str], keys: Sequence[object]) -> _Node:
        identities = {
            (label, key_property, type(key).__name__, key)
            for label in labels
            for key_property, key in zip(self._keys, keys, strict=True)
            if key is not None
        }
        return _Node(labels, identities)

    def _in_scope(self, relation: str, head: _Node, tail: _Node) -> bool:
        labels = self._scope.labels
        return (
            relation in self._scope.relations
            and any(label in labels for label in head.labels)
            and any(label in labels for label in tail.labels)
            and (not self._heads or not self._heads.isdisjoint(head.identities))
            and (not self._tails or not self._tails.isdisjoint(tail.identities))
        )

    def _compare(self, edges: Sequence[PlannedEdge], found: Mapping[str, _Found]) -> Difference:
        difference = Difference()
        undecided = []
        for edge in edges:
            status = found[edge.id].seen["status"] if edge.id in found else None
            if status in REVIEWED:
                difference.problems.append(Problem.of(edge, status))
            else:
                undecided.append(edge)
        obstacles = self._obstacles(undecided)
        for edge in undecided:
            there = found.get(edge.id)
            if edge.id in obstacles:
                difference.problems.append(Problem.of(edge, obstacles[edge.id]))
            elif there is None:
                difference.creates.append(edge)
            elif not there.in_place:
                difference.problems.append(Problem.of(edge, CONFLICT))
            elif values := self._changed(edge, there.seen):
                difference.changes.append(Change(edge.id, there.seen, values, edge))
            else:
                difference.unchanged += 1
        return difference

    def _changed(self, edge: PlannedEdge, seen: Mapping[str, Any]) -> dict[str, Any]:
        values = edge.columns() | {"modelId": self._model_id}
        details = values.pop(DETAILS)  # they follow from the model and the edge
        changed = {key: value for key, value in values.items() if seen[key] != value}
        if seen["status"] not in LIVE:  # expired; a quarantined edge stays so until it is validated again
            changed |= {"status": "proposed", "reasons": None}
        return changed | ({DETAILS: details} if changed and details else {})

    def _obstacles(self, edges: Sequence[PlannedEdge]) -> dict[str, str]:
        """Return why edges cannot be written, by id: an end is missing, or the relationship is there."""
        obstacles: dict[str, str] = {}
        lacking: dict[str, set[Entity]] = {}  # by edge id: ends that are not there
        whole: list[PlannedEdge] = []
        nodes = self._nodes({entity for edge in edges for entity in (edge.head, edge.tail)})
        for edge in edges:
            counts = {entity: nodes[_identity(entity)] for entity in (edge.head, edge.tail)}
            if max(counts.values()) > 1:
                obstacles[edge.id] = AMBIGUOUS
            elif min(counts.values()) < 1:
                lacking[edge.id] = {entity for entity, count in counts.items() if not count}
            else:
                whole.append(edge)
        obstacles |= dict.fromkeys(self._asserted(whole), ALREADY_TRUE)
        elsewhere = self._elsewhere({entity for entities in lacking.values() for entity in entities})
        for id_, entities in lacking.items():
            obstacles[id_] = CHANGED if elsewhere.issuperset(entities) else MISSING
        return obstacles

    def _nodes(self, entities: Collection[Entity]) -> Counter[_Identity]:
        """Return how many nodes each entity is. Every statement is one pass over a label that has no index."""
        found = Counter[_Identity]()
        keys: dict[tuple[str, str], list[Key]] = defaultdict(list)
        for label, key_property, key in entities:
            keys[label, key_property].append(key)
        for (label, key_property), wanted in keys.items():
            statement = statements.load("write/ends").fill(label=label, key=key_property)
            for chunk in chunks(wanted, _CHUNK):
                for row in self._connection.read(statement, keys=chunk):
                    key = row["key"] if isinstance(row["key"], str) else int(row["key"])  # to Cypher 1.0 is 1
                    found[_identity(Entity(label, key_property, key))] += row["nodes"]
                self._keep()
        return found

    def _asserted(self, edges: Sequence[PlannedEdge]) -> Iterator[str]:
        """Yield the ids of the edges whose relationship is in the graph; both ends are there, once."""
        done = 0
        for _, group in by_ends(edges):
            group.sort(key=lambda edge: str(edge.head.key))  # so that what leaves a head is read once
            for chunk in chunks(group, _CHUNK):
                rows = self._connection.read(
                    fill("write/asserted", chunk[0]),
                    heads=list({edge.head.key for edge in chunk}),
                    relations=list({edge.relation for edge in chunk}),
                    tails=list({edge.tail.key for edge in chunk}),
                )
                there = {(row["head"], row["relation"], row["tail"]) for row in rows}
                yield from (e.id for e in chunk if (e.head.key, e.relation, e.tail.key) in there)
                done += len(chunk)
                self._progress("comparing with the graph", done, len(edges))
                self._keep()

    def _elsewhere(self, entities: set[Entity]) -> set[Entity]:
        """Return those whose key some other label of the plan has."""
        found: set[Entity] = set()
        for label in self._labels:
            lost = {
                entity: Entity(label, self._key_of.get(label, entity.key_property), entity.key)
                for entity in entities - found
                if entity.label != label
            }
            nodes = self._nodes(set(lost.values()))
            found.update(entity for entity, there in lost.items() if nodes[_identity(there)])
        return found


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield `items` in lists of at most `size`."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


_Ends = tuple[str, str, str, str]


def by_ends(edges: Iterable[PlannedEdge]) -> list[tuple[_Ends, list[PlannedEdge]]]:
    """Return edges grouped by the labels and key properties of their ends, in a fixed order."""
    groups: dict[_Ends, list[PlannedEdge]] = defaultdict(list)
    for edge in edges:
        groups[*edge.head[:2], *edge.tail[:2]].append(edge)
    return sorted(groups.items())


def fill(name: str, edge: PlannedEdge) -> str:
    """Return a statement whose ends are those of `edge`, and of its whole group."""
    return statements.load(name).fill(
        head_label=edge.head.label,
        head_key=edge.head.key_property,
        tail_label=edge.tail.label,
        tail_key=edge.tail.key_property,
    )


def _identity(entity: Entity) -> _Identity:
    return (entity.label, entity.key_property, type(entity.key).__name__, entity.key)
