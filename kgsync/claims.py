"""What a declaration says of relations, before the graph has had its word: read by `kgsync.shacl_reader` and
`kgsync.graph.declared`, who turn it into traits.

A shape speaks of the entities of a class, a trait of a relation. So a claim names the labels for which it was made, and
`combine` makes one claim of all that were made of the same relation.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import cast

from kgsync.schema import SEVERAL, Kind, Value


@dataclass(frozen=True)
class Claim:
    """One thing that a declaration says of a relation; of kind `disjoint` for labels, with an empty relation.

    It holds for heads (of what is said of heads, `domain` and `max_heads`: for tails) that have one of the labels
    `among`; for all, where `among` is empty.
    """

    relation: str
    kind: Kind
    value: Value
    among: tuple[str, ...] = ()

    @property
    def other_end(self) -> Kind:
        """Return the kind of trait that tells the labels of the end whose `among` this is."""
        return "range" if self.kind in ("domain", "max_heads") else "domain"


@dataclass(frozen=True)
class Claims:
    """What one source says, and in words what of it no trait can say."""

    claims: tuple[Claim, ...] = ()
    left_out: tuple[str, ...] = ()


def combine(claims: Iterable[Claim]) -> Claims:
    """Return at most one claim of each kind for a relation (several where a relation can have several).

    What is said of all goes before what is said of some. Of numbers that hold together the strictest counts; what is
    said of several labels one by one holds for all of them in its weakest form: the largest number, any of the classes.
    """
    groups: defaultdict[tuple[str, Kind], list[Claim]] = defaultdict(list)
    for claim in claims:
        groups[claim.relation, claim.kind].append(claim)
    found: list[Claim] = []
    left_out: list[str] = []
    for (relation, kind), group in groups.items():
        if kind == "disjoint":
            pairs = {pair for claim in group for pair in combinations(sorted(cast(tuple[str, ...], claim.value)), 2)}
            found += [Claim("", "disjoint", labels) for labels in apart(pairs)]
            continue
        if kind in SEVERAL:
            found += dict.fromkeys(group)
            continue
        by_label: dict[str, list[Value]] = {}
        overall = [claim.value for claim in group if not claim.among]
        for claim in () if overall else group:
            for label in claim.among:
                by_label.setdefault(label, []).append(claim.value)
        try:
            if overall:
                found.append(Claim(relation, kind, _together(overall)))
            else:
                value = _either([_together(values) for values in by_label.values()])
                found.append(Claim(relation, kind, value, tuple(by_label)))
        except _Clash:
            left_out.append(f"{relation}: several classes at once as its {kind}, for which kgsync has no rule")
    return Claims(tuple(found), tuple(left_out))


def apart(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, ...]]:
    """Return sets of labels, any two of which exclude each other, that together hold all `pairs` (of sorted labels)."""
    left, found = set(pairs), []
    while left:
        group = list(min(left))
        for label in sorted({label for pair in left for label in pair} - set(group)):
            if all((min(label, member), max(label, member)) in left for member in group):
                group.append(label)
        found.append(tuple(sorted(group)))
        left -= set(combinations(found[-1], 2))
    return found


class _Clash(ValueError):
    """Two classes are asked for together."""


def _together(values: Sequence[Value]) -> Value:
    """Return what holds where all of `values` hold."""
    if isinstance(values[0], int):
        return min(cast(Sequence[int], values))
    if len({_plain(value) for value in values}) > 1:
        raise _Clash
    return values[0]


def _either(values: Sequence[Value]) -> Value:
    """Return what holds where one of `values` holds."""
    if isinstance(values[0], int):
        return max(cast(Sequence[int], values))
    labels = [label for value in values if isinstance(value, tuple) for label in value]
    return tuple(dict.fromkeys(labels))


def _plain(value: Value) -> object:
    return frozenset(value) if isinstance(value, tuple) else value
