"""Identifiers in Cypher: the only place where a name becomes part of a statement's text.

Values always travel as parameters. Labels, relationship types and property keys cannot, so they are
quoted here. Cypher decodes `\\uXXXX` inside quoted identifiers too (`\\u0060` is a backtick), so a name
with a backslash is refused, not escaped.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from kgsync.errors import DataError
from kgsync.graph.literals import literal

_LONGEST = 65_534  # characters, the server's own limit


class Fragment(str):
    """A piece of Cypher made of quoted identifiers, literals and fixed text only; made in this module alone."""

    __slots__ = ()


def refusal(name: str) -> str | None:
    """Say why `name` cannot be used as an identifier, or None if it can."""
    if not name:
        return "it is empty"
    if len(name) > _LONGEST:
        return f"it is longer than {_LONGEST:,} characters"
    if "\\" in name:
        return "it contains a backslash, which Cypher may decode to a backtick"
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in name):
        return "it contains a control character"
    return None


def quote(name: str) -> Fragment:
    """Return `name` quoted with backticks.

    Raises:
        DataError: for names with backslashes or control characters, empty or too long ones.
    """
    why = refusal(name)
    if why:
        raise DataError(
            f"the name {name[:60]!r} cannot be used in Cypher: {why}",
            fix="choose another; one that is in the graph has to be renamed there, or left out of kgsync.toml",
        )
    return Fragment("`" + name.replace("`", "``") + "`")


def constant(value: str | bool) -> Fragment:
    """Return a value as Cypher text, for a file that another program will run. What kgsync sends takes parameters."""
    return Fragment(literal(value))


def type_filter(relations: Iterable[str]) -> Fragment:
    """Return `:A|B` for a relationship pattern, or nothing for no relations (every type)."""
    quoted = [quote(relation) for relation in relations]
    return Fragment(":" + "|".join(quoted) if quoted else "")


def relation_counts(relations: Iterable[str]) -> Fragment:
    """Return a list of subqueries, each of which counts the relationships of one type."""
    return Fragment(", ".join(f"COUNT {{ ()-[:{quote(relation)}]->() }}" for relation in relations))


def label_case(variable: str, labels: Sequence[str]) -> Fragment:
    """Return an expression for the position in `labels` of the first one that node `variable` has, or null."""
    whens = " ".join(f"WHEN {variable}:{quote(label)} THEN {i}" for i, label in enumerate(labels))
    return Fragment(f"CASE {whens} END")


def key_case(variable: str, keys: Sequence[tuple[str, str]]) -> Fragment:
    """Return an expression for the key of node `variable`: `keys` holds (label, key property) in order."""
    if len({key for _, key in keys}) == 1:
        return Fragment(f"{variable}.{quote(keys[0][1])}")
    whens = " ".join(f"WHEN {variable}:{quote(label)} THEN {variable}.{quote(key)}" for label, key in keys)
    return Fragment(f"CASE {whens} END")


def any_label(variable: str, labels: Iterable[str]) -> Fragment:
    """Return a condition that node `variable` has one of the labels, of which there is one at least."""
    return Fragment("(" + " OR ".join(f"{variable}:{quote(label)}" for label in labels) + ")")


def not_labels(variable: str, labels: Iterable[str], among: Sequence[str] = ()) -> Fragment:
    """Return a condition, to follow another, that node `variable` has none of the labels, and one of `among` if any."""
    none = "".join(f" AND NOT {variable}:{quote(label)}" for label in labels)
    return Fragment(f"{none} AND {any_label(variable, among)}" if among else none)
