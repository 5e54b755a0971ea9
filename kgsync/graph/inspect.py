"""Looks at a graph that nobody has described yet: labels, relationship types, properties. Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kgsync.graph import names, statements
from kgsync.graph.connection import Connection
from kgsync.graph.relation_types import Noted

SAMPLE = 1_000  # nodes that are looked at to see what properties a label has
_TYPES_PER_REQUEST = 50  # counting many in one statement takes long to plan


@dataclass(frozen=True)
class PropertyLook:
    """What one property looks like on the sampled nodes of a label."""

    name: str
    sampled: int
    present: int
    strings: int
    integers: int
    distinct: int  # different strings and integers
    length: float  # mean characters of the strings


def label_sets(connection: Connection) -> dict[frozenset[str], int]:
    """Return how many nodes have which labels together. Counts every node; kgsync's own are left out."""
    rows = connection.read(statements.load("inspect/label_sets").text)
    return {frozenset(row["labels"]): row["nodes"] for row in rows}


def label_counts(sets: Mapping[frozenset[str], int]) -> dict[str, int]:
    """Return the number of nodes of each label, most frequent first."""
    counts: dict[str, int] = {}
    for labels, nodes in sets.items():
        for label in labels:
            counts[label] = counts.get(label, 0) + nodes
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def relation_counts(connection: Connection) -> dict[str, int]:
    """Return the number of relationships of each type that Cypher can name, most frequent first."""
    relations = [row["relation"] for row in connection.read(statements.load("pull/types").text)]
    usable = [relation for relation in relations if names.refusal(relation) is None]
    statement = statements.load("inspect/relation_counts")
    counts: list[int] = []
    for start in range(0, len(usable), _TYPES_PER_REQUEST):
        text = statement.fill(counts=names.relation_counts(usable[start : start + _TYPES_PER_REQUEST]))
        counts += connection.read(text)[0]["counts"]
    found = {relation: count for relation, count in zip(usable, counts, strict=True) if count}
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def relation_notes(connection: Connection) -> Noted:
    """Return what relationship types stand for, where `kgsync load` noted it."""
    rows = connection.read(statements.load("pull/relation_names").text)
    return Noted(
        ids={row["relation"]: row["id"] for row in rows if row["id"] is not None},
        names={row["relation"]: row["name"] for row in rows if row["name"] is not None},
    )


def properties(connection: Connection, label: str, *, sample: int = SAMPLE) -> list[PropertyLook]:
    """Return what the properties of a label look like on its first nodes, by name."""
    rows = connection.read(statements.load("inspect/properties").fill(label=label), sample=sample)
    return [PropertyLook(name=row.pop("property"), **row) for row in rows]
