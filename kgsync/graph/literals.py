"""Values as Cypher text, for queries that a person pastes into Neo4j Browser. What kgsync sends takes parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def literal(value: Any) -> str:
    """Return a value (null, truth values, numbers, texts, lists and maps of them) as Cypher writes it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(str(key))}: {literal(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(literal(one) for one in value) + "]"
    return "'" + _escaped(str(value)) + "'"


def params(values: Mapping[str, Any]) -> str:
    """Return Browser's command that sets parameters."""
    return f":params {literal(values)}"


def _key(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else "`" + _escaped(name).replace("`", "``") + "`"


def _escaped(text: str) -> str:
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    return "".join(c if c.isprintable() else "".join(f"\\u{unit:04x}" for unit in _utf16(c)) for c in quoted)


def _utf16(character: str) -> list[int]:
    data = character.encode("utf-16-be", "surrogatepass")
    return [int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2)]
