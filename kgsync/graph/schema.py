"""The constraints and indexes that writing rests on: `cypher/schema/install.cypher`, names start with `kgsync_`."""

from __future__ import annotations

from kgsync.errors import DataError
from kgsync.graph import statements
from kgsync.graph.connection import Connection


def missing(connection: Connection) -> tuple[str, ...]:
    """Return the names of those that are not there. Read-only."""
    there = {row["name"] for row in connection.read(statements.load("schema/indexes").text)}
    return tuple(name for name in _definitions() if name not in there)


def is_installed(connection: Connection) -> bool:
    """Say whether all of them are there. Read-only."""
    return not missing(connection)


def install(connection: Connection) -> tuple[str, ...]:
    """Create those that are missing, wait until they are online, and return their names. Idempotent.

    Raises:
        AccessError: the user may not create them.
        DataError: the graph holds data or an index that stands against one.
    """
    names = missing(connection)
    definitions = _definitions()
    for name in names:
        try:
            connection.write(definitions[name])
        except DataError:  # IF NOT EXISTS does not see what another process makes at the same moment
            if name in missing(connection):
                raise
    created = tuple(set(names) - set(missing(connection))) if names else ()  # one may be there under another name
    for name in created:
        connection.read(statements.load("schema/await").text, name=name)
    return tuple(sorted(created))


def _definitions() -> dict[str, str]:
    """Return the statement that creates each constraint or index, by name."""
    return {statement.split()[2]: statement for statement in statements.load_all("schema/install")}
