"""Who is who: how an entity is named outside of the database, and the id of a predicted edge.

An entity is (label, key property, typed key). Keys are unique per label only, and `1` is not `"1"`.
The id of an edge does not contain the model: another model's prediction of the same edge is the same edge.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import NamedTuple

from kgsync.errors import DataError

Key = str | int

_NUMBER = re.compile(r"-?[0-9]{1,19}")

LONGEST_KEY = 8_000  # bytes of UTF-8; the server's range index refuses keys over about 8 kB


class Entity(NamedTuple):
    """The identity of a node: `label` is the configured label under which it is found."""

    label: str
    key_property: str
    key: Key

    def __str__(self) -> str:
        return f"{self.label}:{self.key}"


def prediction_id(head: Entity, relation: str, tail: Entity) -> str:
    """Return sha256 of the canonical JSON of the triple, 64 hexadecimal digits."""
    canonical = json.dumps([list(head), relation, list(tail)], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def encode_key(key: object, where: str) -> tuple[str, str]:
    """Return (text, type) of a key for a column file.

    Raises:
        DataError: the key is neither a string nor an integer.
    """
    if isinstance(key, bool) or not isinstance(key, str | int):
        raise DataError(
            f"the key {key!r} of {where} is a {type(key).__name__}",
            fix="use a string or integer property as key (see `kgsync init`)",
        )
    return (key, "string") if isinstance(key, str) else (str(key), "integer")


def decode_key(text: str, key_type: str) -> Key:
    """Return the key that `encode_key` wrote."""
    return int(text) if key_type == "integer" else text


def named(text: str) -> tuple[str, tuple[Key, ...]]:
    """Return (label, keys) of LABEL:KEY as a person writes it; no keys where it is LABEL alone."""
    label, colon, key = text.partition(":")
    return label, meant(key) if colon else ()


def meant(text: str) -> tuple[Key, ...]:
    """Return the keys that `text` may mean: itself and, if it reads as an integer that a graph can hold, that."""
    if _NUMBER.fullmatch(text) and -(2**63) <= (number := int(text)) < 2**63:
        return text, number
    return (text,)
