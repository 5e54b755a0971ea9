"""Keys: whether a property identifies the nodes of a label, and how it comes to do so.

A key is on every node of its label, unique within it, a string or an integer, and short enough for an index.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import neo4j

from kgsync.errors import AccessError, DataError
from kgsync.graph import names, statements
from kgsync.graph.connection import Connection, run
from kgsync.identity import LONGEST_KEY

CONSTRAINT = "kgsync_key_"  # how the names of the constraints that kgsync puts on keys begin


@dataclass(frozen=True)
class KeyCheck:
    """What a property looks like over all nodes of a label."""

    label: str
    key: str
    constrained: bool  # a constraint keeps it unique
    nodes: int
    present: int
    strings: int
    integers: int
    distinct: int
    longest: int  # bytes of the longest string

    @property
    def problem(self) -> str | None:
        """Say why the property is no key, or None if it is one."""
        if self.present < self.nodes:
            return f"{self.nodes - self.present:,} of {self.nodes:,} nodes have no {self.key}"
        if self.strings + self.integers < self.present:
            others = self.present - self.strings - self.integers
            return f"{others:,} values of {self.key} are neither strings nor integers"
        if self.distinct < self.present:
            return f"{self.key} is not unique: {self.present:,} nodes, {self.distinct:,} different values"
        if self.longest > LONGEST_KEY:
            return f"a value of {self.key} has {self.longest:,} bytes; an index holds {LONGEST_KEY:,}"
        return None


def constrained(connection: Connection) -> dict[str, list[str]]:
    """Return per label the properties that a uniqueness or key constraint keeps unique.

    Nothing, if the user may not see constraints.
    """
    found: dict[str, list[str]] = {}
    try:
        rows = connection.read(statements.load("inspect/constraints").text)
    except AccessError:
        return {}
    for row in rows:
        found.setdefault(row["label"], []).append(row["property"])
    return {label: sorted(properties) for label, properties in found.items()}


def unindexed(connection: Connection, wanted: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return those (label, property) that have no index, so that each look for a node reads all nodes of the label.

    None of them, if the user may not see indexes.
    """
    try:
        rows = connection.read(statements.load("inspect/indexes").text)
    except AccessError:
        return []
    return sorted(set(wanted).difference((row["label"], row["property"]) for row in rows))


def check(connection: Connection, label: str, key: str, *, constrained: bool) -> KeyCheck:
    """Look at `key` on every node of `label`. A constraint saves the counting of distinct values."""
    distinct = names.Fragment("count(key)" if constrained else "count(DISTINCT key)")
    statement = statements.load("inspect/key").fill(label=label, key=key, distinct=distinct)
    row = connection.read(statement)[0]
    longest = row.pop("longest") * 3  # bytes in UTF-8 at most
    if longest > LONGEST_KEY:
        longest = _longest(connection, label, key)
    return KeyCheck(label, key, constrained, longest=longest, **row)


def _longest(connection: Connection, label: str, key: str) -> int:
    """Return the bytes of the longest key, or of the first one that is too long."""
    statement = statements.load("inspect/long_keys").fill(label=label, key=key)

    def work(tx: neo4j.ManagedTransaction) -> int:
        longest = 0
        for record in run(tx, statement, {"limit": LONGEST_KEY // 3}):
            longest = max(longest, len(record["key"].encode("utf-8", "surrogatepass")))
            if longest > LONGEST_KEY:
                break
        return longest

    return connection.read_with(work, fetch_size=10)


def uniqueness(label: str, key: str, name: str = "") -> str:
    """Return the statement that makes `key` unique within `label` by a constraint, with a name or with any."""
    quoted = names.Fragment(f"{names.quote(name)} " if name else "")
    return statements.load("load/key").fill(name=quoted, label=label, key=key)


def constrain(connection: Connection, label: str, key: str) -> None:
    """Make sure that a constraint keeps `key` unique within `label`; its name says that it is kgsync's.

    Raises:
        DataError: two nodes share a value, or an index that is no constraint stands in the way.
    """
    if key in constrained(connection).get(label, []):
        return
    try:
        connection.write(uniqueness(label, key, f"{CONSTRAINT}{label}({key})"))
    except DataError as error:
        raise DataError(
            f"{key} cannot be made unique among the nodes labelled {label}: {error.what}",
            fix="choose another label or key, merge the duplicates, or drop the index that is in the way",
        ) from error
