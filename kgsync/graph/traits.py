"""Learns the schema of a graph from its known edges, with support and confidence. Reads only; the server counts.

What a habit needs to count as a rule is decided where prediction decides it, in `kgsync.candidates.signatures`: both
see the same `Signature`, there of a snapshot, here of the whole graph.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from kgsync.candidates.signatures import COMMON, ENOUGH, RARE, RULE, Signature
from kgsync.claims import apart
from kgsync.graph import inspect, keys, names, statements
from kgsync.graph.connection import Connection
from kgsync.progress import Progress, silent
from kgsync.schema import NO_LABEL, Kind, Order, Schema, Trait, Value

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
    progress("learning the schema", 0, None)
    seen = _count(connection, wanted, counts)
    sets = {_labels(row["labels"]): row["entities"] for row in _ask(connection, "labels", wanted)}
    common = _common(sets)
    orders = _orders(connection, wanted)
    traits = [trait for relation in wanted for trait in (*_traits(relation, seen, common), *orders.get(relation, ()))]
    return Schema(
        traits=(*traits, *_disjoint(sets, common)),
        common=tuple(common),
        changed=_changed(connection),
        relations=tuple(wanted),
    )


def changing(connection: Connection, properties: Sequence[str]) -> tuple[str, ...]:
    """Return the relations that have one of the `properties` on some edge."""
    if not properties:
        return ()
    rows = connection.read(statements.load("validate/machinery/changing").text, properties=list(properties))
    return tuple(row["relation"] for row in rows)


@dataclass
class _Seen:
    """What was counted of one relation."""

    heads: Counter[tuple[str, ...]] = field(default_factory=Counter)  # labels of the head -> edges
    tails: Counter[tuple[str, ...]] = field(default_factory=Counter)
    loops: int = 0
    tails_of_heads: Counter[int] = field(default_factory=Counter)  # number of tails -> heads that have so many
    heads_of_tails: Counter[int] = field(default_factory=Counter)
    open: int = 0  # edges that are no loops
    back: Counter[str] = field(default_factory=Counter)  # a relation that leads back, also the same one -> of these

    @property
    def edges(self) -> int:
        return self.heads.total()

    def signature(self, relation: str, domain: Sequence[str], range_: Sequence[str]) -> Signature:
        heads, tails = self.tails_of_heads.total(), self.heads_of_tails.total()
        return Signature(
            triples=self.edges,
            domain=tuple(sorted(set(domain) - {NO_LABEL})),
            range=tuple(sorted(set(range_) - {NO_LABEL})),
            untyped_heads=NO_LABEL in domain,
            untyped_tails=NO_LABEL in range_,
            loops=self.loops > 0,
            symmetric=self.back[relation] / self.open if self.open else 0.0,
            heads=heads,
            tails=tails,
            single_tail=self.tails_of_heads[1] / heads if heads else 0.0,
            single_head=self.heads_of_tails[1] / tails if tails else 0.0,
        )


def _ask(connection: Connection, what: str, relations: Sequence[str], **parameters: Any) -> list[dict[str, Any]]:
    """Return the rows of one of the learning statements for all relations at once: one plan, however many there are."""
    text = statements.load(f"validate/machinery/learn_{what}").fill(types=names.type_filter(relations))
    return connection.read(text, **parameters)


def _count(connection: Connection, wanted: Sequence[str], known: Collection[str]) -> dict[str, _Seen]:
    """Return what was counted of each wanted relation, and of the others only what leads back."""
    seen: defaultdict[str, _Seen] = defaultdict(_Seen)
    for row in _ask(connection, "ends", wanted):
        one = seen[row["relation"]]
        one.heads[_labels(row["head"])] += row["edges"]
        one.tails[_labels(row["tail"])] += row["edges"]
        one.loops += row["loops"]
    for row in _ask(connection, "tails", wanted):
        seen[row["relation"]].tails_of_heads[row["degree"]] = row["nodes"]
    for row in _ask(connection, "heads", wanted):
        seen[row["relation"]].heads_of_tails[row["degree"]] = row["nodes"]
    asked = list(wanted)
    while asked:
        for row in _ask(connection, "back", asked):
            one = seen[row["relation"]]
            one.open += row["edges"]
            one.back.update(dict.fromkeys(row["back"], row["edges"]))
        often = {other for one in seen.values() for other, n in one.back.items() if n >= MUTUAL * one.open}
        asked = sorted((often & set(known)) - set(seen))  # inverses of which nothing is asked: do they lead back too?
    return dict(seen)


def _traits(relation: str, every: Mapping[str, _Seen], common: Collection[str]) -> list[Trait]:
    """Return what was seen of a relation often enough to be a rule."""
    seen = every.get(relation, _Seen())
    domain, range_ = _usual(seen.heads, common), _usual(seen.tails, common)
    signature = seen.signature(relation, domain, range_)
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
    if inverse := _inverse(relation, every):
        add("inverse", inverse, seen.open, seen.back[inverse] / seen.open)
    return found


def _inverse(relation: str, every: Mapping[str, _Seen]) -> str | None:
    """Return the relation that says the same from the tail to the head: each leads back where the other does."""
    seen = every.get(relation, _Seen())
    if seen.open < ENOUGH:
        return None
    shares = {
        other: edges / seen.open
        for other, edges in seen.back.items()
        if other != relation and edges >= MUTUAL * seen.open and other in every
        and every[other].back[relation] >= MUTUAL * every[other].open
    }  # fmt: skip
    return min(shares, key=lambda other: (-shares[other], other), default=None)


def _orders(connection: Connection, relations: Sequence[str]) -> dict[str, list[Trait]]:
    """Return by relation which dates of its ends follow each other; what a constraint keeps unique is no date."""
    unique = {name for properties in keys.constrained(connection).values() for name in properties}
    rows = _ask(connection, "dates", relations, ignored=[*CHANGED, *sorted(unique)], least=RULE)
    found: defaultdict[str, list[Trait]] = defaultdict(list)
    if not rows:
        return found
    for row in _ask(connection, "order", relations, dates=[row["property"] for row in rows]):
        share, before = max((row["before"] / row["edges"], True), (row["after"] / row["edges"], False))
        same = row["before"] == row["after"] == row["edges"]
        if row["edges"] >= ENOUGH and share >= RULE and not same:
            order = Order(row["head"], before, row["tail"])
            found[row["relation"]].append(Trait(row["relation"], "order", order, row["edges"], round(share, 4)))
    return found


def _changed(connection: Connection) -> tuple[str, ...]:
    """Return the properties that say when something was changed, of those that the database has ever had."""
    rows = connection.read(statements.load("validate/machinery/property_keys").text, names=list(CHANGED))
    return tuple(row["name"] for row in rows)


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
    if set(seen) == {NO_LABEL}:
        return ()  # nothing tells entities apart here
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
    pairs: set[tuple[str, str]] = set()
    for one, other in combinations(sorted(label for label, count in carriers.items() if count >= ENOUGH), 2):
        rarer, expected = min(carriers[one], carriers[other]), carriers[one] * carriers[other] / n_entities
        together = both[one, other]
        if together <= (1 - RULE) * rarer and (together <= 1 or together <= 0.1 * expected):
            pairs.add((one, other))
    found = []
    for group in apart(pairs):
        support = min(carriers[label] for label in group)
        overlap = max(both[pair] / min(carriers[pair[0]], carriers[pair[1]]) for pair in combinations(group, 2))
        found.append(Trait("", "disjoint", group, support, round(1 - overlap, 4)))
    return found
