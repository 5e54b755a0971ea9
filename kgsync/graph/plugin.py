"""The server plugin: puts its jar into a Neo4j home, takes it out, and tells what a server offers of it.

The jar, beside this file, holds `CALL kgsync.explain | accept | reject | undo | validate | predict`; `plugin/build.py`
makes it from the Java in `plugin/` and from `cypher/`. Promises that a home holds a whole jar or none. A server reads
its plugins when it starts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from kgsync import files
from kgsync.errors import ConfigError, NotFoundError
from kgsync.graph import statements

if TYPE_CHECKING:
    from kgsync.graph.connection import Connection

NAME = "kgsync-plugin.jar"
PROCEDURES = tuple(f"kgsync.{name}" for name in ("accept", "explain", "predict", "reject", "undo", "validate"))
ALLOWLIST = "dbms.security.procedures.allowlist"  # names with *; the server loads no others

_FOLDER = "server.directories.plugins"
_OLDEST = (5, 26)
_VERSION = re.compile(r"neo4j-procedure-api-((\d+)\.(\d+)\..*)\.jar")

State = Literal["current", "another", "none"]


@dataclass(frozen=True)
class Place:
    """The plugin in the home of a server."""

    jar: Path  # where it is, or would be
    state: State  # `another`: of a kgsync with another plugin
    refused: tuple[str, ...]  # procedures that the server's neo4j.conf keeps out


@dataclass(frozen=True)
class Procedure:
    """A procedure of the plugin that a server offers."""

    name: str
    signature: str
    mode: str  # READ or WRITE
    description: str


def jar() -> Path:
    """Return the jar that comes with kgsync."""
    return Path(__file__).with_name(NAME)


def look(home: Path) -> Place:
    """Return how the plugin stands in the Neo4j home `home`. Changes nothing.

    Raises:
        NotFoundError: this is no Neo4j home.
        ConfigError: it is the home of a Neo4j that is too old.
    """
    if not (home / "conf").is_dir() or not ((home / "plugins").is_dir() or (home / "lib").is_dir()):
        raise NotFoundError(
            f"{home} is no Neo4j home: it lacks conf/, and plugins/ or lib/",
            fix="give the folder that `neo4j` prints as its home when it starts",
        )
    for path in (home / "lib").glob("neo4j-procedure-api-*.jar"):
        version = _VERSION.fullmatch(path.name)
        if version and (int(version[2]), int(version[3])) < _OLDEST:
            raise ConfigError(f"{home} is of Neo4j {version[1]}", fix="the plugin needs Neo4j 5.26 or newer")
    settings = _settings(home / "conf" / "neo4j.conf")
    target = home / settings.get(_FOLDER, "plugins") / NAME
    allowed = [pattern.strip() for pattern in settings.get(ALLOWLIST, "*").split(",")]
    refused = tuple(name for name in PROCEDURES if not any(fnmatchcase(name, pattern) for pattern in allowed))
    return Place(target, state(target.parent), refused)


def _settings(path: Path) -> dict[str, str]:
    """Return what a neo4j.conf sets; of a setting that is there twice, the last."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:  # a server may live without
        return {}
    except OSError as error:
        raise NotFoundError(f"cannot read {path}: {error.strerror}", fix="run this as a user who can") from error
    pairs = [line.split("=", 1) for line in lines if "=" in line and not line.lstrip().startswith("#")]
    return {key.strip(): value.strip() for key, value in pairs}


def state(folder: Path) -> State:
    """Return which plugin a folder of plugins holds."""
    path = folder / NAME
    if not path.is_file():
        return "none"
    return "current" if files.sha256(path) == files.sha256(jar()) else "another"


def put(folder: Path) -> bool:
    """Make a folder of plugins hold this plugin, and return whether it did not."""
    if state(folder) == "current":
        return False
    files.write_bytes(folder / NAME, jar().read_bytes())
    return True


def install(home: Path) -> bool:
    """Put the plugin into a Neo4j home, in the place of another kgsync's, and return whether it was not there.

    Raises:
        NotFoundError, ConfigError: `home` is not as `look` wants it.
        StorageError: it cannot be written.
    """
    return put(look(home).jar.parent)


def remove(home: Path) -> bool:
    """Take the plugin, whichever kgsync's, out of a Neo4j home, and return whether it was there.

    Raises:
        NotFoundError, ConfigError: `home` is not as `look` wants it.
        StorageError: it cannot be written.
    """
    place = look(home)
    if place.state == "none":
        return False
    with files.storing(place.jar):
        place.jar.unlink()
        files.sync(place.jar.parent)
    return True


def offered(connection: Connection) -> list[Procedure]:
    """Return the procedures of the plugin that the server has loaded and lets this user call, by name."""
    return [Procedure(**row) for row in connection.read(statements.load("inspect/procedures").text)]
