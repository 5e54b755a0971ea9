"""A schema as SHACL shapes in Turtle, named as n10s names a graph that is no RDF: neo4j://graph.schema# and the name.

Traits for which SHACL has no plain word (what holds both ways or one way only, dates of two nodes, what is merely
usual) are left out, and a comment counts them. Domain and range become `sh:class`, the most tails `sh:maxCount`, the
least `sh:minCount`, those of heads the same of the inverse path, disjoint labels `sh:not` (W3C Shapes Constraint
Language, 2017). What is said of all heads of a relation has them as its target, and their labels as well where the
schema knows them, as n10s looks at targets that are classes only. `kgsync.shacl_reader` reads the same traits again.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from kgsync.schema import NO_LABEL, Least, Schema, Trait

_PREFIXES = """\
@prefix sh: <http://www.w3.org/ns/shacl#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
"""
_VOCABULARY = "neo4j://graph.schema#"
_SHAPES = "https://kgsync.invalid/shapes#"
_SAYABLE = ("domain", "range", "max_tails", "max_heads", "min_tails", "min_heads", "disjoint")


def shapes(schema: Schema) -> str:
    """Return the shapes as text."""
    left_out = sum(trait.kind not in _SAYABLE or NO_LABEL in _labels(trait) for trait in schema.traits)
    parts = [_PREFIXES]
    if left_out:
        parts.append(f"# {left_out} traits are left out, for which SHACL has no word.\n")
    for relation in schema.relations:
        traits = schema.of(relation)
        parts += _relation(relation, {trait.kind: trait for trait in traits})
        parts += [_least(relation, trait.kind, trait.value) for trait in traits if isinstance(trait.value, Least)]
    for number, trait in enumerate(schema.of("")):
        parts += _disjoint(number, trait)
    return "\n".join(parts)


def _relation(relation: str, traits: dict[str, Trait]) -> Iterator[str]:
    path = _name(relation)
    out = _classes(traits.get("range"))
    if "max_tails" in traits:
        out.append(f"sh:maxCount {traits['max_tails'].value}")
    back = [f"sh:maxCount {traits['max_heads'].value}"] if "max_heads" in traits else []
    if out:
        target = f"sh:targetSubjectsOf {path}{_targets(traits.get('domain'))}"
        yield _shape(f"{relation}-tails", target, path, out)
    if domain := _classes(traits.get("domain")):
        yield _shape(f"{relation}-heads", f"sh:targetSubjectsOf {path}", "", domain)
    if back:
        target = f"sh:targetObjectsOf {path}{_targets(traits.get('range'))}"
        yield _shape(f"{relation}-back", target, _inverse(relation), back)


def _least(relation: str, kind: str, least: Least) -> str:
    path = _name(relation) if kind == "min_tails" else _inverse(relation)
    name = f"{relation}-{kind}-{least.label}"
    return _shape(name, f"sh:targetClass {_name(least.label)}", path, [f"sh:minCount {least.number}"])


def _inverse(relation: str) -> str:
    return f"[ sh:inversePath {_name(relation)} ]"


def _targets(trait: Trait | None) -> str:
    """Return the labels of an end as further targets, if all that stand there are known."""
    labels = _labels(trait) if trait else ()
    return "" if NO_LABEL in labels else "".join(f" ;\n  sh:targetClass {_name(label)}" for label in labels)


def _shape(name: str, target: str, path: str, says: list[str]) -> str:
    inner = " ;\n    ".join([f"sh:path {path}", *says] if path else says)
    body = f"sh:property [\n    {inner} ;\n  ]" if path else inner
    return f"<{_SHAPES}{quote(name, safe='')}> a sh:NodeShape ;\n  {target} ;\n  {body} .\n"


def _classes(trait: Trait | None) -> list[str]:
    labels = _labels(trait) if trait else ()
    if not labels or NO_LABEL in labels:
        return []
    if len(labels) == 1:
        return [f"sh:class {_name(labels[0])}"]
    return ["sh:or ( " + " ".join(f"[ sh:class {_name(label)} ]" for label in labels) + " )"]


def _disjoint(number: int, trait: Trait) -> Iterator[str]:
    labels = _labels(trait)
    for i, label in enumerate(labels[:-1]):
        others = [f"sh:not [ sh:class {_name(other)} ]" for other in labels[i + 1 :]]
        yield _shape(f"disjoint-{number}-{label}", f"sh:targetClass {_name(label)}", "", [" ;\n  ".join(others)])


def _labels(trait: Trait) -> tuple[str, ...]:
    return trait.value if isinstance(trait.value, tuple) else ()


def _name(name: str) -> str:
    return f"<{_VOCABULARY}{quote(name, safe='')}>"
