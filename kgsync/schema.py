"""The schema: what the relations of a graph mean, trait by trait, and what the checks take from it.

A trait that was learned carries its support (how many known edges, heads or tails it rests on) and its confidence
(the share of them that agree); one that a person wrote, or a SHACL shape or graph type declares, carries neither.
`kgsync.graph.traits` learns a schema from the graph, `kgsync.graph.declared` reads what the server and shapes declare,
`kgsync.schema_file` keeps a schema in `schema.yml`, which belongs to the person who edits it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

Kind = Literal[
    "domain", "range", "max_tails", "max_heads", "usual_tails", "usual_heads", "min_tails", "min_heads", "symmetric",
    "asymmetric", "loops", "inverse", "order", "disjoint",
]  # fmt: skip
KINDS: tuple[Kind, ...] = get_args(Kind)
SEVERAL: tuple[Kind, ...] = ("min_tails", "min_heads", "order", "disjoint")  # of which there may be more than one
Declared = Literal["shape", "graph type"]  # who declares a trait
DECLARED: tuple[Declared, ...] = get_args(Declared)
NO_LABEL = "(none)"  # stands among labels for an entity that has none but common ones


@dataclass(frozen=True)
class Order:
    """A date of the head that is never after (or, not `before`, never before) a date of the tail."""

    head: str
    before: bool
    tail: str

    def __str__(self) -> str:
        return f"head.{self.head} {'<=' if self.before else '>='} tail.{self.tail}"


@dataclass(frozen=True)
class Least:
    """How many tails (or heads) every entity with a label has at least."""

    label: str
    number: int

    def __str__(self) -> str:
        return f"{self.label} >= {self.number}"


Value = tuple[str, ...] | int | bool | str | Order | Least


@dataclass(frozen=True)
class Trait:
    """One thing that holds for a relation; of kind `disjoint` for labels, with an empty relation."""

    relation: str
    kind: Kind
    value: Value
    support: int | None = None
    confidence: float | None = None
    declared: Declared | None = None

    @property
    def learned(self) -> bool:
        """Whether the graph says so, and not a person or a declaration."""
        return self.support is not None

    @property
    def source(self) -> str:
        """Return who says so: `learned`, `shape`, `graph type` or `person`."""
        return "learned" if self.learned else self.declared or "person"

    @property
    def evidence(self) -> str:
        """Return what the trait rests on, for people."""
        if self.declared:
            return f"declared by a {self.declared}"
        if self.support is None:
            return "written by a person"
        return f"{self.confidence or 0:.1%} of {self.support:,}"

    @property
    def key(self) -> tuple[str, Kind, str]:
        """Return what makes two traits tell of the same: there may be several orders, and several disjoint sets."""
        return self.relation, self.kind, str(_comparable(self.value)) if self.kind in SEVERAL else ""

    @property
    def sentence(self) -> str:
        """Return what the trait says, in words."""
        return _sentence(self)


@dataclass(frozen=True)
class Schema:
    """The traits of a graph, by relation and kind."""

    traits: tuple[Trait, ...] = ()
    common: tuple[str, ...] = ()  # labels that tell nothing, as nearly every entity has them
    changed: tuple[str, ...] = ()  # properties that say when an entity, or a relationship, was changed
    relations: tuple[str, ...] = ()  # those it says something about, be it that nothing holds

    def of(self, relation: str) -> tuple[Trait, ...]:
        """Return the traits of one relation."""
        return tuple(trait for trait in self.traits if trait.relation == relation)

    def over(self, learned: Schema) -> Schema:
        """Return this schema, a person's, with what `learned` says of relations that it does not name."""
        own = tuple(trait for trait in learned.traits if trait.relation and trait.relation not in self.relations)
        return Schema(
            traits=(*self.traits, *own),
            common=self.common or learned.common,
            changed=self.changed or learned.changed,
            relations=tuple(dict.fromkeys((*self.relations, *learned.relations))),
        )

    def declaring(self, declared: Iterable[Trait]) -> Schema:
        """Return this schema with `declared` traits in place of the learned ones of their relation and kind.

        What a person wrote stays. A declared number of tails or heads also replaces the usual one.
        """
        own = {trait.key for trait in self.traits if not trait.learned}
        new = {trait.key: trait for trait in declared if trait.key not in own}
        if not new:
            return self
        usual = {(relation, kind.replace("max", "usual"), "") for relation, kind, _ in new if kind.startswith("max")}
        kept = [trait for trait in self.traits if not trait.learned or trait.key not in {*new, *usual}]
        relations = tuple(dict.fromkeys((*self.relations, *(it.relation for it in new.values() if it.relation))))
        place = {relation: number for number, relation in enumerate((*relations, ""))}
        traits = sorted((*kept, *new.values()), key=lambda it: (place.get(it.relation, -1), KINDS.index(it.kind)))
        return replace(self, traits=tuple(traits), relations=relations)

    def parameters(self) -> dict[str, Any]:
        """Return what the checks in `cypher/validate` take from it; their headers say what each one is."""
        kinds: dict[str, dict[str, list[str]]] = {}
        for trait in self._all("domain", "range"):
            kinds.setdefault(trait.relation, {})["head" if trait.kind == "domain" else "tail"] = _names(trait.value)
        orders: dict[str, list[dict[str, Any]]] = {}
        for trait in self._all("order"):
            if isinstance(trait.value, Order):
                row = {"head": trait.value.head, "tail": trait.value.tail, "before": trait.value.before}
                orders.setdefault(trait.relation, []).append(row)
        asymmetric = [trait.relation for trait in self._all("asymmetric") if trait.value]
        inverses = {
            trait.relation: {"relation": trait.relation, "oneWay": False}
            for trait in self._all("symmetric")
            if trait.value
        } | {
            trait.relation: {"relation": trait.value, "oneWay": trait.relation in asymmetric}
            for trait in self._all("inverse")
        }
        return {
            "common": list(self.common),
            "kinds": kinds,
            "maxTails": {trait.relation: trait.value for trait in self._all("max_tails")},
            "maxHeads": {trait.relation: trait.value for trait in self._all("max_heads")},
            "usualTails": {trait.relation: trait.value for trait in self._all("usual_tails")},
            "usualHeads": {trait.relation: trait.value for trait in self._all("usual_heads")},
            "asymmetric": asymmetric,
            "loopless": [trait.relation for trait in self._all("loops") if not trait.value],
            "inverses": inverses,
            "orders": orders,
            "disjoint": [_names(trait.value) for trait in self._all("disjoint")],
        }

    def _all(self, *kinds: Kind) -> Iterable[Trait]:
        return (trait for trait in self.traits if trait.kind in kinds)


Change = Literal["added", "removed", "changed", "same"]


@dataclass(frozen=True)
class Difference:
    """A trait that graph and file tell differently: `added` is in the graph alone, `removed` in the file alone.

    `same` is what both say, but not all of the graph agrees. `against` is how much of it does not agree with the file
    (None where nobody counted), in the unit `of`: edges, heads, tails or entities.
    """

    change: Change
    relation: str
    kind: Kind
    file: Trait | None
    graph: Trait | None
    against: int | None = None
    of: str = "edges"


def compare(file: Schema, graph: Schema) -> list[Difference]:
    """Return where `file` and what was learned from the graph say different things, by relation and kind.

    How often something was seen is no difference, and neither is the order of labels. Relations that one of them does
    not know at all are differences trait by trait.
    """
    mine, theirs = {trait.key: trait for trait in file.traits}, {trait.key: trait for trait in graph.traits}
    found: list[Difference] = []
    for key in sorted({*mine, *theirs}, key=lambda key: (key[0], KINDS.index(key[1]), key[2])):
        one, other = mine.get(key), theirs.get(key)
        if one and other and _comparable(one.value) == _comparable(other.value):
            continue
        change: Change = "changed" if one and other else "removed" if one else "added"
        found.append(Difference(change, key[0], key[1], one, other))
    return found


def _comparable(value: Value) -> object:
    return tuple(sorted(value)) if isinstance(value, tuple) else value


def _names(value: Value) -> list[str]:
    return list(value) if isinstance(value, tuple) else [str(value)]


def _sentence(trait: Trait) -> str:
    value = " or ".join(trait.value) if isinstance(trait.value, tuple) else str(trait.value)
    yes = bool(trait.value)
    least = trait.value if isinstance(trait.value, Least) else Least("", 0)
    number = f"at most {value}" if trait.value != 1 else "one"
    return {
        "domain": f"its heads are {value}",
        "range": f"its tails are {value}",
        "max_tails": f"a head has {number} of its tails",
        "max_heads": f"a tail has {number} of its heads",
        "usual_tails": f"99 of 100 heads have at most {value} tails",
        "usual_heads": f"99 of 100 tails have at most {value} heads",
        "min_tails": f"each {least.label} has {least.number} or more of its tails",
        "min_heads": f"each {least.label} has {least.number} or more of its heads",
        "symmetric": "it holds both ways" if yes else "it need not hold both ways",
        "asymmetric": "it holds one way only" if yes else "it may hold both ways",
        "loops": "it may join an entity with itself" if yes else "it joins no entity with itself",
        "inverse": f"{value} says the same from the tail to the head",
        "order": value,
        "disjoint": f"an entity is only one of {value}",
    }[trait.kind]
