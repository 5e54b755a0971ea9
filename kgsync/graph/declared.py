"""What is declared of the relations of a graph: by its graph type, by a file of SHACL shapes, by the shapes that n10s
has loaded. Reads only; a declared trait takes the place of what the known edges show.

A graph type is part of Neo4j Enterprise and Aura since 2026.02. Constraints on properties say nothing of relations, and
Neo4j keeps them itself: they are only counted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kgsync.candidates.signatures import RULE
from kgsync.claims import Claim, Claims, combine
from kgsync.errors import AccessError, ConfigError, DataError
from kgsync.graph import disagreement, inspect, names, statements, traits
from kgsync.graph.connection import Connection
from kgsync.progress import Progress, silent
from kgsync.schema import Declared, Kind, Least, Schema, Trait

_SHOWN = 5  # names that a note tells before it says how many more there are


@dataclass(frozen=True)
class Declarations:
    """What is declared, and notes for people: where it comes from, and what of it kgsync has no rule for."""

    traits: tuple[Trait, ...] = ()
    notes: tuple[str, ...] = ()


def meant(
    connection: Connection,
    relations: Collection[str] | None = None,
    *,
    shapes: Path | None = None,
    progress: Progress = silent,
) -> tuple[Schema, Declarations]:
    """Return what `relations` (all, without) mean: what the known edges show, and over it what is declared."""
    learned = traits.learn(connection, relations, progress=progress)
    declared = read(connection, relations, shapes=shapes)
    return learned.declaring(declared.traits), declared


def read(
    connection: Connection, relations: Collection[str] | None = None, *, shapes: Path | None = None
) -> Declarations:
    """Return what the server, and the file of `shapes` if there is one, declare of `relations` (of all, without).

    A graph type goes before the file, the file before n10s.

    Raises:
        ConfigError: there is a file, and the library that reads it is not installed.
        NotFoundError, DataError: the file is not there, or not Turtle.
    """
    if relations is not None and not relations:
        return Declarations()
    notes: list[str] = []
    typed, listed = _graph_type(connection, notes), _listed_by_n10s(connection, notes)
    if not (typed.claims or shapes or listed):
        return Declarations(notes=tuple(notes))
    edges = inspect.relation_counts(connection)
    labels = {row["label"] for row in connection.read(statements.load("inspect/labels").text)}
    labels = {label for label in labels if names.refusal(label) is None}
    sources: list[tuple[str, Declared, Claims]] = [
        ("the graph type", "graph type", typed),
        (str(shapes), "shape", _of_file(shapes) if shapes else Claims()),
        ("the shapes in n10s", "shape", _of_n10s(connection, listed, edges, labels)),
    ]
    found: dict[tuple[str, Kind, str], Trait] = {}
    for name, declared, claims in sources:
        if claims == Claims():
            continue
        combined = combine(claims.claims)
        kept, left_out = _settle(connection, combined.claims, edges, labels)
        for claim in kept:
            if relations is None or not claim.relation or claim.relation in relations:
                trait = Trait(claim.relation, claim.kind, claim.value, declared=declared)
                found.setdefault(trait.key, trait)
        notes.append(f"{name}: {len(kept):,} rules for this graph")
        left_out = (*claims.left_out, *combined.left_out, *left_out)
        if left_out:
            notes.append(f"{name}: left out: {'; '.join(left_out)}")
    return Declarations(tuple(found.values()), tuple(notes))


def property_constraints(connection: Connection) -> int:
    """Return how many constraints on properties the database has, kgsync's own left out; 0 if this user may not see."""
    try:
        return int(connection.read(statements.load("inspect/property_constraints").text)[0]["constraints"])
    except AccessError:
        return 0


def _graph_type(connection: Connection, notes: list[str]) -> Claims:
    version = connection.read(statements.load("inspect/server").text)[0]["version"]
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if numbers < (2026, 2) and "aura" not in version:
        return Claims()
    try:
        rows = connection.read(statements.load("inspect/graph_type").text)
    except AccessError:
        notes.append("the graph type: this user may not see it (it takes the privilege SHOW CONSTRAINTS)")
        return Claims()
    except DataError:  # an Aura does not tell by its version whether it knows graph types, so it was asked
        notes.append("the graph type: this server has none to tell")
        return Claims()
    return of_constraints(rows)


def of_constraints(rows: Iterable[Mapping[str, str]]) -> Claims:
    """Return what the constraints of a graph type say: rows of relation, end (source or target) and label."""
    kinds: dict[str, Kind] = {"source": "domain", "target": "range"}
    return Claims(tuple(Claim(row["relation"], kinds[row["end"]], (row["label"],)) for row in rows))


def _of_file(path: Path) -> Claims:
    try:
        from kgsync import shacl_reader
    except ImportError as error:
        raise ConfigError("rdflib, which reads shapes, is not installed", fix="pip install 'kgsync[shacl]'") from error
    return shacl_reader.read(path)


def _listed_by_n10s(connection: Connection, notes: list[str]) -> list[dict[str, Any]]:
    if not connection.read(statements.load("inspect/n10s").text)[0]["kept"]:
        return []
    if not connection.read(statements.load("inspect/n10s_at_hand").text)[0]["procedures"]:
        notes.append("the shapes in n10s: there are some, but the server, or this user, cannot list them")
        return []
    return connection.read(statements.load("inspect/n10s_shapes").text)


def _of_n10s(
    connection: Connection, rows: Iterable[Mapping[str, Any]], edges: Collection[str], labels: Collection[str]
) -> Claims:
    found: list[Claim] = []
    left: Counter[str] = Counter()
    for row in rows:
        target, path, param, value = row["target"], row["path"], row["param"].removeprefix("sh:"), row["value"]
        if target not in labels:
            left["targets that are no labels here"] += 1
        elif path is None and param == "not" and value != target:
            found.append(Claim("", "disjoint", tuple(sorted((target, value)))))
        elif path is None or param not in ("class", "maxCount", "minCount") or value == 0:
            left[f"sh:{param}"] += 1
        else:
            sides = {"heads": 1, "tails": 0}  # what is no relation here will be told as such
            if path in edges:
                sides = connection.read(statements.load("inspect/sides").fill(label=target, relation=path))[0]
            if (
                sides["heads"] and sides["tails"]
            ):  # a path and its inverse look alike, and a guess may turn a rule around
                left[f"{path} of {target}, whose direction n10s does not tell (give the file with --shapes)"] += 1
            else:
                found.append(_one_of_n10s(target, path, param, value, back=bool(sides["tails"])))
    return Claims(tuple(found), tuple(f"{what} ({count:,})" for what, count in sorted(left.items())))


def _one_of_n10s(target: str, path: str, param: str, value: Any, *, back: bool) -> Claim:
    if param == "class":
        return Claim(path, "domain" if back else "range", (value,), (target,))
    if param == "maxCount":
        return Claim(path, "max_heads" if back else "max_tails", int(value), (target,))
    return Claim(path, "min_heads" if back else "min_tails", Least(target, int(value)))


def _settle(
    connection: Connection, claims: Iterable[Claim], edges: Mapping[str, int], labels: Collection[str]
) -> tuple[list[Claim], tuple[str, ...]]:
    """Return the claims that hold for relations of this graph as a whole, and in words what they leave out.

    A claim about some labels holds for a relation if nearly all its edges have one of them at that end.
    """
    kept: list[Claim] = []
    elsewhere: dict[str, None] = {}
    unseen: dict[str, None] = {}
    partly: list[str] = []
    for claim in claims:
        named = claim.value if isinstance(claim.value, tuple) else ()
        named = (claim.value.label,) if isinstance(claim.value, Least) else named
        missing = [label for label in named if label not in labels]
        if claim.kind != "disjoint" and claim.relation not in edges:
            elsewhere[claim.relation] = None
        elif missing and (claim.kind == "disjoint" or len(missing) == len(named)):
            unseen |= dict.fromkeys(missing)
        elif claim.among and not _covers(connection, claim, edges[claim.relation]):
            partly.append(f"the {claim.kind} of {claim.relation}, said of {_listed(claim.among)} only")
        else:
            kept.append(claim)
    left_out = [*partly]
    if elsewhere:
        left_out.append(f"no relations here: {_listed(elsewhere)}")
    if unseen:
        left_out.append(f"no labels here: {_listed(unseen)}")
    return kept, tuple(left_out)


def _covers(connection: Connection, claim: Claim, edges: int) -> bool:
    others, _ = disagreement.count(connection, Trait(claim.relation, claim.other_end, claim.among))
    return others <= (1 - RULE) * edges


def _listed(words: Collection[str]) -> str:
    shown = ", ".join([*words][:_SHOWN])
    return shown if len(words) <= _SHOWN else f"{shown} and {len(words) - _SHOWN:,} more"
