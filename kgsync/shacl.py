"""A schema as SHACL shapes in Turtle, named as n10s names what it exports: http://neo4j.com/voc# and the local name.

SHACL has no word for what holds one way only, for dates of two nodes, or for what is merely usual: those traits are
left out, and a comment counts them. Domain and range become `sh:class`, the most tails `sh:maxCount`, the most heads
`sh:maxCount` of the inverse path, disjoint labels `sh:not` (W3C Shapes Constraint Language, 2017).
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from kgsync.schema import NO_LABEL, Schema, Trait

_PREFIXES = """\
@prefix sh: <http://www.w3.org/ns/shacl#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
"""
_VOCABULARY = "http://neo4j.com/voc#"
_SHAPES = "https://kgsync.invalid/shapes#"
_SAYABLE = ("domain", "range", "max_tails", "max_heads", "disjoint")


def shapes(schema: Schema) -> str:
    """Return the shapes as text."""
    left_out = sum(trait.kind not in _SAYABLE or NO_LABEL in _labels(trait) for trait in schema.traits)
    parts = [_PREFIXES]
    if left_out:
        parts.append(f"# {left_out} traits are left out, for which SHACL has no word.\n")
    for relation in schema.relations:
        parts += _relation(relation, {trait.kind: trait for trait in schema.of(relation)})
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
        yield _shape(f"{relation}-tails", f"sh:targetSubjectsOf {path}", path, out)
    if domain := _classes(traits.get("domain")):
        yield _shape(f"{relation}-heads", f"sh:targetSubjectsOf {path}", "", domain)
    if back:
        yield _shape(f"{relation}-back", f"sh:targetObjectsOf {path}", f"[ sh:inversePath {path} ]", back)


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
