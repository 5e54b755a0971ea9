"""Reads SHACL shapes in Turtle as claims about relations (W3C Shapes Constraint Language, 2017). Needs `kgsync[shacl]`.

Classes are labels and paths relations by their local names, as n10s has them (`neo4j://graph.schema#BORN%20IN` is
`BORN IN`). Read are `sh:class` (and `sh:or` of classes), `sh:maxCount`, `sh:minCount` and `sh:not` of a class, on
targets that are classes or the subjects or objects of a relation, for a path of one step there or back. Everything else
is left out, and told. Nothing is fetched: imports are not followed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

import rdflib
from rdflib import OWL, RDF, RDFS, SH
from rdflib.term import Literal as Value
from rdflib.term import Node, URIRef

from kgsync.claims import Claim, Claims
from kgsync.errors import DataError, NotFoundError
from kgsync.schema import Kind, Least

_SH = str(SH)
_SAYS_NOTHING = {  # what a shape has beside its constraints
    "targetClass", "targetSubjectsOf", "targetObjectsOf", "targetNode", "path", "property", "name", "description",
    "message", "severity", "order", "group", "defaultValue", "deactivated", "nodeKind", "ignoredProperties", "flags",
}  # fmt: skip


def read(path: Path) -> Claims:
    """Return what the shapes in the Turtle file at `path` say.

    Raises:
        NotFoundError: there is no such file.
        DataError: it is not Turtle; the message names the line where the parser does.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no {path}", fix="check --shapes") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {error}", fix="save it as UTF-8 text") from error
    graph = rdflib.Graph()
    try:
        graph.parse(data=text, format="turtle")
    except Exception as error:  # the parser raises what it likes
        line = getattr(error, "lines", None)
        where = f", line {line + 1}" if isinstance(line, int) else ""
        what = getattr(error, "_why", None) or str(error)
        raise DataError(f"{path}{where} is not Turtle: {what}", fix="correct it, or convert it to Turtle") from error
    return _Reader(graph).claims()


@dataclass(frozen=True)
class _Target:
    """Of what a shape speaks: the entities of a class, or the heads (subjects) or tails (objects) of a relation."""

    of: Literal["class", "heads", "tails"]
    name: str


@dataclass
class _Reader:
    graph: rdflib.Graph
    found: list[Claim] = field(default_factory=list)
    left: set[tuple[str, Node]] = field(default_factory=set)  # what is left out, and where it stands

    def claims(self) -> Claims:
        targeted = {shape for how in _TARGETS for shape in self.graph.subjects(how)}
        classes = set(self.graph.subjects(RDF.type, RDFS.Class)) | set(self.graph.subjects(RDF.type, OWL.Class))
        shapes = targeted | (classes & set(self.graph.subjects(RDF.type, SH.NodeShape)))
        for shape in sorted(shapes, key=str):
            for target in self._targets(shape, shape in classes):
                self._node(shape, target, frozenset())
        times = Counter(what for what, _ in self.left)
        told = [f"{what} ({count:,})" for what, count in sorted(times.items())]
        return Claims(tuple(self.found), tuple(told))

    def _targets(self, shape: Node, is_class: bool) -> Iterator[_Target]:
        if is_class:
            yield _Target("class", _name(shape))
        for how, of in _TARGETS.items():
            for node in sorted(self.graph.objects(shape, how), key=str):
                if of:
                    yield _Target(of, _name(node))
                else:
                    self._leave("sh:targetNode", shape)

    def _node(self, shape: Node, target: _Target, inside: frozenset[Node]) -> None:
        """Read what a shape says of its focus, and of what its paths lead to."""
        if shape in inside or self._off(shape):
            return
        if (shape, SH.path, None) in self.graph:
            self._property(shape, target)
            return
        for node in self.graph.objects(shape, SH.property):
            self._property(node, target)
        inner = [*self.graph.objects(shape, SH.node)]
        inner += [node for items in self.graph.objects(shape, SH["and"]) for node in self._list(items)]
        for node in inner:
            self._node(node, target, inside | {shape})
        for labels in self._classes(shape):
            if target.of == "class":
                self._leave("sh:class of a class", shape)
            else:
                self._claim(target.name, "domain" if target.of == "heads" else "range", labels)
        excluded = [*self.graph.objects(shape, SH["not"])]
        excluded += [node for node in self.graph.objects(shape, SH["class"]) if (node, SH["not"], None) in self.graph]
        for node in excluded:
            name = self._excluded(node)
            if target.of == "class" and name and name != target.name:
                self._claim("", "disjoint", tuple(sorted((target.name, name))))
            else:
                self._leave("sh:not", shape)
        self._count_others(shape, {"class", "or", "not", "node", "and"})

    def _property(self, shape: Node, target: _Target) -> None:
        """Read what a shape says of the edges of a relation."""
        if self._off(shape):
            return
        path = self.graph.value(shape, SH.path)
        back = self.graph.value(path, SH.inversePath) if path is not None else None
        step = back if back is not None else path
        if not isinstance(step, URIRef):
            self._leave("sh:path of several steps", shape)
            return
        if (shape, SH.datatype, None) in self.graph or (shape, SH.nodeKind, SH.Literal) in self.graph:
            self._leave("constraints of a property", shape)
            return
        relation = _name(step)
        among = (target.name,) if target.of == "class" else ()
        if not among and target != _Target("tails" if back is not None else "heads", relation):
            self._leave("paths from the ends of another relation", shape)
            return
        for labels in self._classes(shape):
            self._claim(relation, "domain" if back is not None else "range", labels, among)
        for number in self._numbers(shape, SH.maxCount):
            if number:
                self._claim(relation, "max_heads" if back is not None else "max_tails", number, among)
            else:
                self._leave("sh:maxCount 0", shape)
        for number in self._numbers(shape, SH.minCount):
            if number and among:
                self._claim(relation, "min_heads" if back is not None else "min_tails", Least(target.name, number))
            elif number > 1:
                self._leave("sh:minCount of the ends of a relation", shape)
        self._count_others(shape, {"class", "or", "maxCount", "minCount"})

    def _classes(self, shape: Node) -> Iterator[tuple[str, ...]]:
        """Yield the labels of each `sh:class`, and of each `sh:or` of such, of a shape."""
        for node in self.graph.objects(shape, SH["class"]):
            if isinstance(node, URIRef):
                yield (_name(node),)
        for items in self.graph.objects(shape, SH["or"]):
            either = [self.graph.value(item, SH["class"]) for item in self._list(items)]
            if either and all(isinstance(node, URIRef) for node in either):
                yield tuple(dict.fromkeys(_name(node) for node in either if node is not None))
            else:
                self._leave("sh:or", shape)

    def _excluded(self, node: Node) -> str:
        """Return the label that `[ sh:class X ]` names, or n10s's `[ sh:not X ]`; nothing for other shapes."""
        found = self.graph.value(node, SH["class"]) or self.graph.value(node, SH["not"])
        return _name(found) if isinstance(found, URIRef) else ""

    def _numbers(self, shape: Node, what: URIRef) -> Iterator[int]:
        for node in self.graph.objects(shape, what):
            number = node.toPython() if isinstance(node, Value) else None
            if isinstance(number, int) and number >= 0:
                yield number
            else:
                self._leave(f"sh:{_name(what)} that is no number", shape)

    def _list(self, items: Node) -> list[Node]:
        """Return the members of a list; none of what is no list, or leads back into itself."""
        try:
            return list(self.graph.items(items))
        except ValueError:
            return []

    def _off(self, shape: Node) -> bool:
        return (shape, SH.deactivated, Value(True)) in self.graph

    def _claim(
        self, relation: str, kind: Kind, value: tuple[str, ...] | int | Least, among: tuple[str, ...] = ()
    ) -> None:
        self.found.append(Claim(relation, kind, value, among))

    def _leave(self, what: str, shape: Node) -> None:
        self.left.add((what, shape))

    def _count_others(self, shape: Node, read: set[str]) -> None:
        for predicate in self.graph.predicates(shape, unique=True):
            name = str(predicate).removeprefix(_SH)
            if str(predicate).startswith(_SH) and name not in read | _SAYS_NOTHING:
                self._leave(f"sh:{name}", shape)


_TARGETS: dict[URIRef, Literal["class", "heads", "tails"] | None] = {
    SH.targetClass: "class",
    SH.targetSubjectsOf: "heads",
    SH.targetObjectsOf: "tails",
    SH.targetNode: None,
}


def _name(node: Node) -> str:
    """Return the local name of an IRI, as n10s does: what comes after the last `#`, `/` or `:`."""
    iri = str(node)
    for mark in "#/:":
        if mark in iri:
            return unquote(iri.rsplit(mark, 1)[1])
    return unquote(iri)
