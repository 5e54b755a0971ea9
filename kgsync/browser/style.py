"""The style (GraSS): how Neo4j Browser draws predicted edges, apart from asserted ones.

Promises a whole style, since Browser forgets the one it had: predicted edges are thick and orange with the relation
that they would be and their score, asserted ones thin and grey with their type. Entities keep the colours that
Browser gives to their labels, and kgsync's own nodes say what they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")  # GraSS quotes nothing: other names cannot stand in a selector

_RULES: dict[str, dict[str, str]] = {
    "node": {
        "diameter": "50px",
        "color": "#A5ABB6",
        "border-color": "#9AA1AC",
        "border-width": "2px",
        "text-color-internal": "#FFFFFF",
        "font-size": "10px",
    },
    "relationship": {
        "color": "#A5ABB6",
        "shaft-width": "1px",
        "font-size": "8px",
        "padding": "3px",
        "text-color-external": "#000000",
        "text-color-internal": "#FFFFFF",
        "caption": "'<type>'",
    },
    "relationship.PREDICTED": {
        "color": "#FD7E14",
        "shaft-width": "8px",  # wider than the font: so the caption stands inside, and the whole arrow is orange
        "font-size": "6px",
        "padding": "3px",
        "text-color-external": "#000000",
        "text-color-internal": "#000000",
        "caption": "'{relation} {score}'",
    },
    "node.__KgsyncRun": {
        "diameter": "65px",
        "color": "#495057",
        "border-color": "#343A40",
        "text-color-internal": "#FFFFFF",
        "caption": "'run {id}'",
    },
    "node.__KgsyncModel": {
        "diameter": "65px",
        "color": "#868E96",
        "border-color": "#495057",
        "text-color-internal": "#FFFFFF",
        "caption": "'{kind} {id}'",
    },
}


def style(captions: Mapping[str, str] | None = None) -> str:
    """Return the GraSS text; `captions` says which property names the entities of a label."""
    rules = dict(_RULES)
    for label, property_ in (captions or {}).items():
        if _PLAIN.fullmatch(label) and _PLAIN.fullmatch(property_):
            rules[f"node.{label}"] = {"caption": f"'{{{property_}}}'"}
    return "\n".join(_rule(selector, properties) for selector, properties in rules.items())


def _rule(selector: str, properties: Mapping[str, str]) -> str:
    return f"{selector} {{\n" + "".join(f"  {name}: {value};\n" for name, value in properties.items()) + "}\n"
