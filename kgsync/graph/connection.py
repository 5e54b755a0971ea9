"""The connection to one Neo4j database: where its settings come from, and how statements are sent.

Reads go to a reader of the cluster and cannot write; every session names its database; every
transaction has a timeout and says who sent it. Only this module retries (through the driver's managed
transactions) and turns the driver's errors into kgsync's.
"""

from __future__ import annotations

import getpass
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, LiteralString, TypeVar, cast
from urllib.parse import urlsplit

import neo4j
from neo4j import exceptions as driver_errors

import kgsync
from kgsync.config import ConnectionConfig
from kgsync.errors import (
    AccessError,
    ConfigError,
    DataError,
    KgsyncError,
    NotFoundError,
    TransientError,
    UnavailableError,
)
from kgsync.graph import server, statements

T = TypeVar("T")

USER_AGENT = f"kgsync/{kgsync.__version__}"
READ_TIMEOUT = 300.0  # seconds, for one read transaction
WRITE_TIMEOUT = 120.0  # seconds, for one write transaction
_RETRY_TIME = 30.0  # seconds that the driver goes on retrying a transient failure
_ALIASES = {"username": ("NEO4J_USERNAME", "NEO4J_USER"), "database": ("NEO4J_DATABASE", "NEO4J_DB")}


class Secret:
    """A password that does not show itself when printed or logged by accident."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def __repr__(self) -> str:
        return "***"

    def reveal(self) -> str:
        """Return the password itself."""
        return self._value


@dataclass(frozen=True)
class ConnectionSettings:
    """What is needed to connect; `sources` says where each setting came from."""

    uri: str
    username: str
    password: Secret
    database: str = ""  # empty: the user's home database
    sources: Mapping[str, str] = field(default_factory=dict)


def resolve(
    *,
    uri: str | None = None,
    username: str | None = None,
    database: str | None = None,
    password_file: str | Path | None = None,
    prompt: bool = False,
    config: ConnectionConfig | None = None,
    environment: Mapping[str, str] | None = None,
    dotenv: Path = Path(".env"),
) -> ConnectionSettings:
    """Return the settings: flag > environment > `.env` > `kgsync.toml` > the managed local server.

    Raises:
        ConfigError: no database is known, the URI holds a password, or the password file is readable by others.
    """
    from dotenv import dotenv_values

    config = config or ConnectionConfig()
    flags = {"uri": uri, "username": username, "database": database}
    layers: list[tuple[str, Mapping[str, str | None]]] = [
        ("environment", os.environ if environment is None else environment),
        (str(dotenv), dotenv_values(dotenv) if dotenv.is_file() else {}),
    ]
    found: dict[str, str] = {}
    sources: dict[str, str] = {}
    for name, flag in flags.items():
        candidates = [("flag", flag)]
        for source, values in layers:
            candidates += [(f"{source} ({key})", values.get(key)) for key in _variables(name)]
        candidates.append(("kgsync.toml", getattr(config, name)))
        for source, value in candidates:
            if value:
                found[name], sources[name] = value, source
                break

    local = None
    if "uri" not in found:
        local = server.find()
        if local is None:
            raise ConfigError(
                "no database is configured and no local one runs",
                fix="run `kgsync up`, or set NEO4J_URI (and NEO4J_USERNAME, NEO4J_PASSWORD)",
            )
        found = {"uri": local.uri, "username": local.username, "database": local.database} | found
        sources = dict.fromkeys(("uri", "username", "database"), f"local server {local.name}") | sources
    else:
        local = next((s for s in [server.find()] if s and s.uri == found["uri"]), None)
    check_uri(found["uri"])

    password: str | None = None
    if password_file or (not prompt and not _first(layers, "NEO4J_PASSWORD")[0] and config.password_file):
        path = Path(password_file or config.password_file).expanduser()
        password, sources["password"] = read_password(path), f"file {path}"
    elif prompt:
        password, sources["password"] = (
            getpass.getpass(f"Password for {found.get('username', 'neo4j')}: "),
            "prompt",
        )
    else:
        password, source = _first(layers, "NEO4J_PASSWORD")
        if password:
            sources["password"] = source
        elif local is not None:
            password, sources["password"] = local.password(), f"local server {local.name}"
    if password is None:
        raise ConfigError(
            f"no password is known for {found['uri']}",
            fix="set NEO4J_PASSWORD, or use --password-file or --prompt",
        )
    if "username" not in found:
        found["username"], sources["username"] = "neo4j", "default"
    return ConnectionSettings(found["uri"], found["username"], Secret(password), found.get("database", ""), sources)


def _variables(name: str) -> tuple[str, ...]:
    return _ALIASES.get(name, (f"NEO4J_{name.upper()}",))


def _first(layers: list[tuple[str, Mapping[str, str | None]]], key: str) -> tuple[str | None, str]:
    for source, values in layers:
        if values.get(key):
            return values[key], f"{source} ({key})"
    return None, ""


def check_uri(uri: str) -> None:
    """Refuse a URI that the driver cannot use or that carries a password."""
    parts = urlsplit(uri)
    schemes = [base + suffix for base in ("neo4j", "bolt") for suffix in ("", "+s", "+ssc")]
    if parts.scheme not in schemes or not parts.hostname:
        shown = uri if "@" not in uri else f"{parts.scheme}://…"
        raise ConfigError(f"{shown!r} is no Neo4j URI", fix="use for example neo4j://host:7687 or neo4j+s://host")
    if parts.username or parts.password:
        raise ConfigError(
            f"the URI of {parts.hostname} carries a user name or password",
            fix="take it out; use NEO4J_USERNAME and NEO4J_PASSWORD, or --password-file",
        )


def read_password(path: Path) -> str:
    """Return the first line of a file that only its owner may read.

    Raises:
        ConfigError: it is missing, empty, or others may read it.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the password file {path}", fix="check its path and its mode") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"others may read the password file {path}", fix=f"run `chmod 600 {path}`")
    if not text.strip():
        raise ConfigError(f"the password file {path} is empty", fix="put the password in its first line")
    return text.splitlines()[0]


class Connection:
    """One database of one server. Close it, or use it as a context manager."""

    def __init__(self, driver: neo4j.Driver, database: str, uri: str, *, owned: bool = True) -> None:
        self.driver = driver
        self.database = database
        self.uri = uri
        self._owned = owned
        self._bookmarks = neo4j.GraphDatabase.bookmark_manager()

    @classmethod
    def open(cls, settings: ConnectionSettings) -> Connection:
        """Connect, and check that the server answers and lets us in.

        Raises:
            UnavailableError, AccessError, NotFoundError: it does not.
        """
        with translating(settings.uri):
            driver = neo4j.GraphDatabase.driver(
                settings.uri,
                auth=(settings.username, settings.password.reveal()),
                user_agent=USER_AGENT,
                connection_timeout=10.0,
                connection_acquisition_timeout=60.0,
                max_transaction_retry_time=_RETRY_TIME,
                max_connection_lifetime=3_000.0,
                liveness_check_timeout=300.0,
                keep_alive=True,
                notifications_min_severity=neo4j.NotificationMinimumSeverity.OFF,
                warn_notification_severity=neo4j.NotificationMinimumSeverity.OFF,
            )
        try:
            return cls.wrap(driver, settings.database, settings.uri, owned=True)
        except BaseException:
            driver.close()
            raise

    @classmethod
    def wrap(cls, driver: neo4j.Driver, database: str = "", uri: str = "", *, owned: bool = False) -> Connection:
        """Use the caller's own driver, which stays the caller's to close."""
        connection = cls(driver, database, uri or "the given driver", owned=owned)
        if not database:
            connection.database = connection.identity()["name"]
        else:
            connection.identity()
        return connection

    def close(self) -> None:
        """Close the driver, if this connection opened it."""
        if self._owned:
            self.driver.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def identity(self) -> dict[str, Any]:
        """Return id and name of the database. The id changes when the database is made anew."""
        return self.read(statements.load("schema/database").text)[0]

    def read(self, text: str, /, **parameters: Any) -> list[dict[str, Any]]:
        """Return all rows of a read statement. Read-only: the server itself refuses a write."""
        return self.read_with(lambda tx: [dict(record) for record in run(tx, text, parameters)])

    def read_with(self, work: Callable[[neo4j.ManagedTransaction], T], *, fetch_size: int = 1000) -> T:
        """Run `work` in one read transaction. It may be run again after a transient failure."""
        with translating(self.uri), self._session(neo4j.READ_ACCESS, fetch_size) as session:
            return session.execute_read(_described(work, READ_TIMEOUT))

    def write_with(self, work: Callable[[neo4j.ManagedTransaction], T]) -> T:
        """Run `work` in one write transaction. It may be run again after a transient failure."""
        with translating(self.uri), self._session(neo4j.WRITE_ACCESS) as session:
            return session.execute_write(_described(work, WRITE_TIMEOUT))

    def write(self, text: str, /, **parameters: Any) -> list[dict[str, Any]]:
        """Run one write statement in a transaction of its own and return its rows."""
        return self.write_with(lambda tx: [dict(record) for record in run(tx, text, parameters)])

    def bookmarks(self) -> list[str]:
        """Return the bookmarks of what this connection has seen."""
        return sorted(self._bookmarks.get_bookmarks())

    def see(self, bookmarks: list[str]) -> None:
        """Make later reads see at least what `bookmarks` stand for (of an earlier process, on a cluster)."""
        self._bookmarks.update_bookmarks([], bookmarks)

    def read_bookmark(self) -> str:
        """Return the bookmark of now: it changes when anything in the database does."""
        with (
            translating(self.uri),
            self.driver.session(database=self.database or None, default_access_mode=neo4j.READ_ACCESS) as session,
        ):
            session.execute_read(lambda tx: tx.run("RETURN 1").consume())
            return ",".join(sorted(session.last_bookmarks().raw_values))

    def _session(self, access: str, fetch_size: int = 1000) -> neo4j.Session:
        return self.driver.session(
            database=self.database or None,
            default_access_mode=access,
            fetch_size=fetch_size,
            bookmark_manager=self._bookmarks,
            notifications_min_severity=neo4j.NotificationMinimumSeverity.OFF,
        )


def run(tx: neo4j.ManagedTransaction, text: str, parameters: Mapping[str, Any]) -> neo4j.Result:
    """Run a statement that came from `cypher/`, with its identifiers quoted."""
    return tx.run(cast(LiteralString, text), dict(parameters))


def _described(
    work: Callable[[neo4j.ManagedTransaction], T], timeout: float
) -> Callable[[neo4j.ManagedTransaction], T]:
    return neo4j.unit_of_work(metadata={"app": USER_AGENT}, timeout=timeout)(work)


@contextmanager
def translating(uri: str) -> Iterator[None]:
    """Turn the driver's errors into kgsync's, with the next step."""
    try:
        yield
    except KgsyncError:
        raise
    except driver_errors.AuthError as error:
        raise AccessError(
            f"{uri} refused the user name or password", fix="check NEO4J_USERNAME and NEO4J_PASSWORD"
        ) from error
    except driver_errors.Forbidden as error:
        raise AccessError(
            f"{uri} does not allow this user to do that: {error.message}",
            fix="grant the privilege (see `kgsync doctor`) or use another user",
        ) from error
    except driver_errors.ClientError as error:
        code = error.code or ""
        if code.endswith("DatabaseNotFound"):
            raise NotFoundError(f"{uri}: {error.message}", fix="check NEO4J_DATABASE or --database") from error
        if code.endswith(".AccessMode"):
            raise AccessError(
                f"{uri} does not allow this: {error.message}",
                fix="use a user who may write, or leave out that step",
            ) from error
        raise DataError(f"{uri} refused a statement ({code}): {error.message}", fix="see `kgsync doctor`") from error
    except (driver_errors.ServiceUnavailable, driver_errors.ConfigurationError, OSError, ValueError) as error:
        if isinstance(error, driver_errors.IncompleteCommit):
            raise TransientError(f"the connection to {uri} was lost during a commit", fix="run it again") from error
        if isinstance(error, OSError | ValueError) and not _is_network(error):
            raise
        fix = "check that it runs and that the address is right"
        if "routing" in str(error).lower():
            fix += "; for a single server behind a gateway use bolt:// instead of neo4j://"
        raise UnavailableError(f"{uri} does not answer: {_first_line(error)}", fix=fix) from error
    except (
        driver_errors.SessionExpired,
        driver_errors.TransientError,
        driver_errors.DatabaseUnavailable,
    ) as error:
        raise TransientError(f"{uri} failed for the moment: {_first_line(error)}", fix="run it again") from error
    except (driver_errors.Neo4jError, driver_errors.DriverError) as error:
        raise UnavailableError(f"{uri}: {_first_line(error)}", fix="see `kgsync doctor`") from error


def _is_network(error: BaseException) -> bool:
    return isinstance(error, ConnectionError | TimeoutError) or "resolve" in str(error).lower()


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
