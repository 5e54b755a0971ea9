"""Learns the schema of a graph from its known edges, with support and confidence. Reads only; the server counts.

What a habit needs to count as a rule is decided where prediction decides it, in `kgsync.candidates.signatures`: both
see the same `Signature`, there of a snapshot, here of the whole graph.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from kgsync.candidates.signatures import COMMON, ENOUGH, RARE, RULE, Signature
from kgsync.graph import inspect, names, statements
from kgsync.graph.connection import Connection
from kgsync.graph.ends import End, end
from kgsync.progress import Progress, silent
from kgsync.schema import NO_LABEL, Kind, Order, Schema, Trait, Value

SAMPLE = 20_000  # relationships of a type of which the reverse, and the dates at the ends, are looked at
MUTUAL = (
    0.8  # share of edges that lead back from which a relation is symmetric, or the inverse: some are always missing
)
OFTEN = 5  # edges that make a label usual at an end, however rare it is there
CHANGED = ("updatedAt", "updated_at", "modifiedAt", "modified_at", "lastModified", "last_modified", "lastUpdated",
           "changedAt")  # fmt: skip


def learn(connection: Connection, relations: Collection[str] | None = None, *, progress: Progress = silent) -> Schema:
    """Return what the known edges of `relations` (of all, without) show. Predicted edges are no knowledge."""
    counts = inspect.relation_counts(connection)
    wanted = [relation for relation in sorted(counts) if relations is None or relation in relations]
    if not wanted:
        return Schema()
    learner = _Learner(connection)
    sets = learner.label_sets(wanted)
    common = _common(sets)
    traits: list[Trait] = []
    for done, relation in enumerate(wanted):
        progress("learning the schema", done, len(wanted))
        traits += learner.traits(relation, common)
    progress("learning the schema", len(wanted), len(wanted))
    return Schema(
        traits=(*traits, *_disjoint(sets, common)),
        common=tuple(common),
        changed=learner.changed(),
        relations=tuple(wanted),
    )


def exceptions(
    connection: Connection, trait: Trait, common: Sequence[str] = (), limit: int = 5
) -> list[tuple[End, End]]:
    """Return some known edges that do not agree with a trait of a relation (not for the usual numbers)."""
    statement = statements.load("validate/machinery/exceptions")
    value: Any = trait.value
    if isinstance(value, Order):
        value = {"head": value.head, "tail": value.tail, "before": value.before}
    rows = connection.read(
        statement.fill(relation=trait.relation), kind=trait.kind, value=value, common=list(common), limit=limit
    )
    return [(end(row["head"]), end(row["tail"])) for row in rows]


@dataclass(frozen=True)
class _Seen:
    """What was counted of one relation."""

    heads: Counter[tuple[str, ...]]  # labels of the head -> edges
    tails: Counter[tuple[str, ...]]
    loops: int
    tails_of_heads: Counter[int]  # number of tails -> heads that have so many
    heads_of_tails: Counter[int]
    open: int  # sampled edges that are no loops
    mutual: int  # of these: the same relation leads back
    back: Mapping[str, int]  # another relation that leads back -> of these

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> _Seen:
        heads, tails = Counter[tuple[str, ...]](), Counter[tuple[str, ...]]()
        for head, tail, edges, _ in row["ends"]:
            heads[_labels(head)] += edges
            tails[_labels(tail)] += edges
        return cls(
            heads=heads,
            tails=tails,
            loops=sum(loops for _, _, _, loops in row["ends"]),
            tails_of_heads=Counter(dict(row["tails_of_heads"])),
            heads_of_tails=Counter(dict(row["heads_of_tails"])),
            open=row["open"],
            mutual=row["mutual"],
            back=dict(row["back"]),
        )

    @property
    def edges(self) -> int:
        return self.heads.total()

    def signature(self, domain: Sequence[str], range_: Sequence[str]) -> Signature:
        heads, tails = self.tails_of_heads.total(), self.heads_of_tails.total()
        return Signature(
            triples=self.edges,
            domain=tuple(sorted(set(domain) - {NO_LABEL})),
            range=tuple(sorted(set(range_) - {NO_LABEL})),
            untyped_heads=NO_LABEL in domain,
            untyped_tails=NO_LABEL in range_,
            loops=self.loops > 0,
            symmetric=self.mutual / self.open if self.open else 0.0,
            heads=heads,
            tails=tails,
            single_tail=self.tails_of_heads[1] / heads if heads else 0.0,
            single_head=self.heads_of_tails[1] / tails if tails else 0.0,
        )


class _Learner:
    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._seen: dict[str, _Seen] = {}

    def label_sets(self, relations: Sequence[str]) -> dict[tuple[str, ...], int]:
        """Return how many entities have which labels together; an entity is what has an edge of `relations`."""
        text = statements.load("validate/machinery/learn_labels").fill(types=names.type_filter(relations))
        return {_labels(row["labels"]): row["entities"] for row in self.connection.read(text)}

    def changed(self) -> tuple[str, ...]:
        """Return the properties that say when something was changed, of those that the database has ever had."""
        rows = self.connection.read(statements.load("validate/machinery/property_keys").text, names=list(CHANGED))
        return tuple(row["name"] for row in rows)

    def traits(self, relation: str, common: Collection[str]) -> list[Trait]:
        seen = self._of(relation)
        domain, range_ = _usual(seen.heads, common), _usual(seen.tails, common)
        signature = seen.signature(domain, range_)
        found: list[Trait] = []

        def add(kind: Kind, value: Value, support: int, confidence: float) -> None:
            found.append(Trait(relation, kind, value, support, round(confidence, 4)))

        if domain:
            add("domain", domain, seen.edges, _share(seen.heads, domain, common))
        if range_:
            add("range", range_, seen.edges, _share(seen.tails, range_, common))
        if signature.functional:
            add("max_tails", 1, signature.heads, signature.single_tail)
        elif signature.heads >= ENOUGH:
            add("usual_tails", *_most(seen.tails_of_heads))
        if signature.inverse_functional:
            add("max_heads", 1, signature.tails, signature.single_head)
        elif signature.tails >= ENOUGH:
            add("usual_heads", *_most(seen.heads_of_tails))
        if seen.open >= ENOUGH and signature.symmetric >= MUTUAL:
            add("symmetric", True, seen.open, signature.symmetric)
        elif seen.open >= ENOUGH and signature.one_way:
            add("asymmetric", True, seen.open, 1 - signature.symmetric)
        if not signature.loops:
            add("loops", False, seen.edges, 1.0)
        return [*found, *self._inverse(relation, seen), *self._orders(relation)]

    def _of(self, relation: str) -> _Seen:
        if relation not in self._seen:
            text = statements.load("validate/machinery/learn_relation").fill(relation=relation)
            (row,) = self.connection.read(text, relation=relation, sample=SAMPLE)
            self._seen[relation] = _Seen.of(row)
        return self._seen[relation]

    def _inverse(self, relation: str, seen: _Seen) -> list[Trait]:
        """Return the relation that says the same from the tail to the head: each leads back where the other does."""
        if seen.open < ENOUGH:
            return []
        shares = {}
        for other, edges in seen.back.items():
            if edges >= MUTUAL * seen.open and names.refusal(other) is None:
                theirs = self._of(other)
                if theirs.back.get(relation, 0) >= MUTUAL * theirs.open:
                    shares[other] = edges / seen.open
        best = sorted(shares, key=lambda other: (-shares[other], other))[:1]
        return [Trait(relation, "inverse", other, seen.open, round(shares[other], 4)) for other in best]

    def _orders(self, relation: str) -> list[Trait]:
        text = statements.load("validate/machinery/learn_order").fill(relation=relation)
        rows = self.connection.read(text, sample=SAMPLE, ignored=list(CHANGED))
        found = []
        for row in rows:
            share, before = max((row["before"] / row["edges"], True), (row["after"] / row["edges"], False))
            same = row["before"] == row["after"] == row["edges"]
            if row["edges"] >= ENOUGH and share >= RULE and not same:
                order = Order(row["head"], before, row["tail"])
                found.append(Trait(relation, "order", order, row["edges"], round(share, 4)))
        return found


def _labels(labels: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(label for label in labels if not label.startswith("__Kgsync")))


def _common(sets: Mapping[tuple[str, ...], int]) -> list[str]:
    """Return the labels that nearly every entity has."""
    carriers: Counter[str] = Counter()
    for labels, entities in sets.items():
        carriers.update(dict.fromkeys(labels, entities))
    return sorted(label for label, count in carriers.items() if count > COMMON * sum(sets.values()))


def _kinds(labels: Sequence[str], common: Collection[str]) -> tuple[str, ...]:
    return tuple(label for label in labels if label not in common) or (NO_LABEL,)


def _usual(ends: Mapping[tuple[str, ...], int], common: Collection[str]) -> tuple[str, ...]:
    """Return the labels that are usual at one end, the most frequent first; none where there is too little to tell."""
    edges = sum(ends.values())
    seen: Counter[str] = Counter()
    for labels, count in ends.items():
        seen.update(dict.fromkeys(_kinds(labels, common), count))
    if edges < ENOUGH:
        return ()
    usual = [kind for kind, count in seen.items() if count >= OFTEN or count >= RARE * edges]
    return tuple(sorted(usual, key=lambda kind: (-seen[kind], kind)))


def _most(degrees: Mapping[int, int]) -> tuple[int, int, float]:
    """Return the number that 99 of 100 do not exceed, how many there are, and the share that does not."""
    total, within = sum(degrees.values()), 0
    for degree in sorted(degrees):
        within += degrees[degree]
        if within >= 0.99 * total:
            return degree, total, within / total
    return 0, 0, 1.0


def _share(ends: Mapping[tuple[str, ...], int], usual: Collection[str], common: Collection[str]) -> float:
    """Return the share of edges that have a usual label at this end."""
    agreeing = sum(count for labels, count in ends.items() if not set(usual).isdisjoint(_kinds(labels, common)))
    return agreeing / sum(ends.values())


def _disjoint(sets: Mapping[tuple[str, ...], int], common: Collection[str]) -> list[Trait]:
    """Return sets of labels that exclude each other: nearly no entity has two, far fewer than by chance."""
    carriers: Counter[str] = Counter()
    both: Counter[tuple[str, str]] = Counter()
    for labels, entities in sets.items():
        telling = [label for label in labels if label not in common]
        carriers.update(dict.fromkeys(telling, entities))
        both.update(dict.fromkeys(combinations(telling, 2), entities))  # labels are sorted
    n_entities = sum(sets.values())
    apart: set[tuple[str, str]] = set()
    for one, other in combinations(sorted(label for label, count in carriers.items() if count >= ENOUGH), 2):
        rarer, expected = min(carriers[one], carriers[other]), carriers[one] * carriers[other] / n_entities
        together = both[one, other]
        if together <= (1 - RULE) * rarer and (together <= 1 or together <= 0.1 * expected):
            apart.add((one, other))
    found = []
    while apart:
        group = _grown(min(apart), apart)
        pairs = set(combinations(group, 2))
        support = min(carriers[label] for label in group)
        overlap = max(both[pair] / min(carriers[pair[0]], carriers[pair[1]]) for pair in pairs)
        found.append(Trait("", "disjoint", group, support, round(1 - overlap, 4)))
        apart -= pairs
    return found


def _grown(pair: tuple[str, str], apart: Collection[tuple[str, str]]) -> tuple[str, ...]:
    """Return a set of labels, any two of which are in `apart`, that begins with `pair`."""
    group = list(pair)
    for label in sorted({label for two in apart for label in two} - set(pair)):
        if all((min(label, member), max(label, member)) in apart for member in group):
            group.append(label)
    return tuple(sorted(group))
