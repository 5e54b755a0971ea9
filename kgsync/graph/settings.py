"""Where the connection's settings come from: flag > environment > `.env` > `kgsync.toml` > the managed local server.

Promises: a password is never in an argument, a URI, `kgsync.toml`, or anything that is printed.
"""

from __future__ import annotations

import getpass
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from kgsync.config import FILE_NAME, ConnectionConfig
from kgsync.errors import ConfigError
from kgsync.graph import server
from kgsync.graph.server import LocalServer

_SCHEMES = tuple(base + suffix for base in ("neo4j", "bolt") for suffix in ("", "+s", "+ssc"))
_VARIABLES = {
    "uri": ("NEO4J_URI",),
    "username": ("NEO4J_USERNAME", "NEO4J_USER"),
    "database": ("NEO4J_DATABASE", "NEO4J_DB"),
    "password": ("NEO4J_PASSWORD",),
}

Layer = tuple[str, Mapping[str, str | None]]
"""Where variables come from, for a person, and the variables."""


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
    """Return the settings, each from the first place that has it.

    Where nothing names a server, the local one is meant, with its own user and password: variables that
    were set for another server do not count then, only flags do.

    Raises:
        ConfigError: no database is known, the URI holds a password, or the password file is readable by others.
    """
    config = config or ConnectionConfig()
    layers = [("environment", os.environ if environment is None else environment), _read_dotenv(dotenv)]
    flags = {"uri": uri, "username": username, "database": database}
    found = {name: (flag, "flag") for name, flag in flags.items() if flag}
    if "uri" not in found:
        found |= _first("uri", layers, config.uri)
    if "uri" in found:
        layers_of_server, defaults = layers, config
        local = _local_at(found["uri"][0])
    else:
        layers_of_server, defaults = [], ConnectionConfig()
        local = _only_local()
        found["uri"] = local.uri, f"local server {local.name}"
    for name in ("username", "database"):
        if name not in found:
            found |= _first(name, layers_of_server, getattr(defaults, name))
        if name not in found and local:
            found[name] = getattr(local, name), f"local server {local.name}"
    found.setdefault("username", ("neo4j", "default"))
    check_uri(found["uri"][0])
    password, source = _password(
        password_file, prompt, layers_of_server, defaults.password_file, local, found["username"][0], found["uri"][0]
    )
    return ConnectionSettings(
        uri=found["uri"][0],
        username=found["username"][0],
        password=Secret(password),
        database=found.get("database", ("", ""))[0],
        sources={name: place for name, (_, place) in found.items()} | {"password": source},
    )


def _read_dotenv(path: Path) -> Layer:
    from dotenv import dotenv_values

    try:
        # a password may hold `${…}`: nothing is filled in
        return str(path), dotenv_values(path, interpolate=False) if path.is_file() else {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}", fix="correct or remove it") from error


def _first(name: str, layers: Sequence[Layer], configured: str = "") -> dict[str, tuple[str, str]]:
    """Return {name: (value, where it came from)} of the first place that has it, or nothing."""
    for place, values in layers:
        for variable in _VARIABLES[name]:
            if value := values.get(variable):
                return {name: (value, f"{place} ({variable})")}
    return {name: (configured, FILE_NAME)} if configured else {}


def _local_at(uri: str) -> LocalServer | None:
    return next((local for local in server.running() if local.uri == uri), None)


def _only_local() -> LocalServer:
    locals_ = server.running()
    if not locals_:
        raise ConfigError(
            "no database is configured and no local one runs",
            fix="run `kgsync up`, or set NEO4J_URI (and NEO4J_USERNAME, NEO4J_PASSWORD)",
        )
    if len(locals_) > 1:
        named = ", ".join(f"{local.name} ({local.uri})" for local in locals_)
        raise ConfigError(
            f"several local servers run, and none is named: {named}",
            fix="give --uri or set NEO4J_URI to one of them, or stop the others with `kgsync down --name NAME`",
        )
    return locals_[0]


def _password(
    file: str | Path | None,
    prompt: bool,
    layers: Sequence[Layer],
    configured_file: str,
    local: LocalServer | None,
    username: str,
    uri: str,
) -> tuple[str, str]:
    """Return the password and where it came from."""
    if file:
        return read_password(Path(file).expanduser()), f"flag (file {file})"
    if prompt:
        try:
            return getpass.getpass(f"Password of {username}: "), "prompt"
        except EOFError as error:
            raise ConfigError("no password was typed", fix="type it, or use --password-file") from error
    if found := _first("password", layers):
        return found["password"]
    if configured_file:
        return read_password(Path(configured_file).expanduser()), f"{FILE_NAME} (file {configured_file})"
    if local:
        return local.password(), f"local server {local.name}"
    raise ConfigError(f"no password is known for {uri}", fix="set NEO4J_PASSWORD, or use --password-file or --prompt")


def check_uri(uri: str) -> None:
    """Refuse a URI that the driver cannot use or that carries a password."""
    try:
        parts = urlsplit(uri)
        usable = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, half an IPv6 address
        usable = False
    if "@" in uri:
        raise ConfigError(
            "the URI carries a user name or password",
            fix="take it out; use NEO4J_USERNAME and NEO4J_PASSWORD, or --password-file",
        )
    if not usable:
        fix = "use for example neo4j://host:7687 or neo4j+s://host"
        if uri.startswith("http"):
            fix = "give the Bolt address, for example bolt://host:7687, not that of the browser"
        raise ConfigError(f"{uri!r} is no Neo4j URI", fix=fix)


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
