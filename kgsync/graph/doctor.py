"""Doctor: looks at everything between a person and a sync, and says how to mend what is wrong. Changes nothing."""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

import neo4j

from kgsync.config import Config
from kgsync.errors import AccessError, FindingsError, KgsyncError
from kgsync.graph import inspect, keys, names, schema, server, statements
from kgsync.graph.connection import Connection, run
from kgsync.graph.init import OWN_KEY
from kgsync.graph.settings import ConnectionSettings
from kgsync.graph.translate import GRANT

OLDEST = (5, 26, 4)
_CLOCK = 30.0  # seconds that two clocks may differ
_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")

Level = Literal["ok", "info", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """One thing that doctor looked at."""

    level: Level
    what: str
    fix: str = ""
    source: str = ""  # where a setting came from


@dataclass(frozen=True)
class Diagnosis:
    """All findings, and the error that kept doctor from looking further, if there was one."""

    findings: tuple[Finding, ...]
    failure: KgsyncError | None = None

    @property
    def exit_code(self) -> int:
        """Return 0 if nothing is wrong, the failure's own code, or that of findings."""
        if self.failure:
            return self.failure.exit_code
        return FindingsError.exit_code if any(f.level == "error" for f in self.findings) else 0


def check(settings: ConnectionSettings, config: Config) -> Diagnosis:
    """Look at settings, server, database and configuration. A server that does not let us in is a finding too."""
    findings = (*_settings(settings), *_transport(settings.uri), *_local_servers())
    try:
        with Connection.open(settings) as connection:
            found = examine(connection, config)
    except KgsyncError as error:
        found = _failed([], error)
    return Diagnosis(findings + found.findings, found.failure)


def examine(connection: Connection, config: Config) -> Diagnosis:
    """Look at the server, the database and the configuration through an open connection."""
    findings: list[Finding] = []
    try:
        for look in (_server, _database, _write_access, _schema, _writer, _configuration):
            findings += look(connection, config)
    except KgsyncError as error:
        return _failed(findings, error)
    return Diagnosis(tuple(findings))


def _failed(findings: list[Finding], error: KgsyncError) -> Diagnosis:
    return Diagnosis((*findings, Finding("error", error.what, error.fix)), error)


def _settings(settings: ConnectionSettings) -> Iterator[Finding]:
    shown = {
        "uri": f"address {settings.uri}",
        "username": f"user {settings.username}",
        "password": "password known",
        "database": f"database {settings.database}" if settings.database else "the user's home database",
    }
    for name, what in shown.items():
        yield Finding("ok", what, source=settings.sources.get(name, "default"))


def _transport(uri: str) -> Iterator[Finding]:
    parts = urlsplit(uri)
    host = parts.hostname or ""
    if parts.scheme.endswith("+ssc"):
        yield Finding(
            "warning",
            f"the certificate of {host} is not checked",
            fix=f"use {parts.scheme.removesuffix('sc')}:// once it has a certificate of a known authority",
        )
    elif not parts.scheme.endswith("+s") and not _is_loopback(host):
        yield Finding(
            "warning",
            f"the password and the data travel to {host} unencrypted",
            fix=f"use {parts.scheme}+s:// if the server has TLS",
        )


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _local_servers() -> Iterator[Finding]:
    for local in server.status():
        what = f"local server {local.name} ({local.version}) is {local.state}"
        if local.state in ("crashed", "not listening"):
            yield Finding("warning", what, fix=f"run `kgsync up --name {local.name}`")
        else:
            yield Finding("ok" if local.state == "running" else "info", what)


def _server(connection: Connection, _: Config) -> Iterator[Finding]:
    before = time.time()
    row = connection.read(statements.load("inspect/server").text)[0]
    after = time.time()
    if too_old(row["version"]):
        yield Finding(
            "error",
            f"Neo4j {row['version']} is too old: it can give one row the label or type of another",
            fix="upgrade to 5.26.4 or a later 5.26, or to 2025.03 or later",
        )
    else:
        yield Finding("ok", f"Neo4j {row['version']}, {row['edition']} edition")
    yield Finding("ok", "no plugin is needed (neither APOC nor Graph Data Science)")
    now = row["now"] / 1000
    difference = max(before - now, now - after, 0.0)
    if difference > _CLOCK:
        yield Finding(
            "warning",
            f"the server's clock and this machine's differ by {difference:,.0f} s",
            fix="synchronise them; times in the graph are the server's, those in run folders this machine's",
        )


def too_old(version: str) -> bool:
    """Say whether a server mixes up dynamic labels and types, or lacks Cypher that kgsync uses."""
    match = _VERSION.match(version)
    numbers = tuple(int(number or 0) for number in match.groups()) if match else OLDEST
    return numbers < OLDEST or (2025, 0, 0) <= numbers < (2025, 3, 0)


def _database(connection: Connection, _: Config) -> Iterator[Finding]:
    identity = connection.identity()
    yield Finding("ok", f"database {identity['name']}, id {identity['id']}")
    rows: list[dict[str, Any]] = []
    with suppress(AccessError):
        rows = connection.read(statements.load("inspect/databases").text, name=identity["name"])
    for row in rows[:1]:
        if language := row.get("defaultLanguage"):
            yield Finding("ok", f"its default language is {language}; kgsync's statements run in both")
    if len(rows) > 1 and connection.uri.startswith("bolt"):
        yield Finding(
            "warning",
            f"{len(rows)} servers host the database, and bolt:// talks to one of them alone",
            fix="use neo4j:// instead of bolt://",
        )


class _RollBackError(Exception):
    """Ends a transaction that must leave nothing."""


def _write_access(connection: Connection, _: Config) -> Iterator[Finding]:
    label = "__KgsyncRun"
    known = [row["label"] for row in connection.read(statements.load("inspect/labels").text)]
    # a label that the database does not know would stay in it even after the rollback
    of_label = names.Fragment(f":{label}" if label in known else "")
    text = statements.load("inspect/try_write").fill(label=of_label)

    def work(tx: neo4j.ManagedTransaction) -> None:
        run(tx, text, {}).consume()
        raise _RollBackError

    try:
        connection.write_with(work)
    except _RollBackError:
        yield _may_write(connection.read(statements.load("inspect/server").text)[0]["edition"])
    except AccessError as error:
        yield Finding(
            "info",
            f"this user may not write: {error.what}",
            fix=f"pull, train and predict work; for `kgsync write` use a user who may write ({GRANT})",
        )


def _may_write(edition: str) -> Finding:
    """Return what it means that a node could be made. Only Community has no roles, which may allow that alone."""
    if edition == "community":
        return Finding("ok", "this user may write")
    return Finding(
        "info",
        "this user may create nodes; whether also new names, constraints and indexes was not tried",
        fix=f"if the first `kgsync write` is refused: {GRANT}",
    )


def _schema(connection: Connection, _: Config) -> Iterator[Finding]:
    try:
        missing = schema.missing(connection)
    except AccessError:
        yield Finding(
            "info",
            "this user may not see which constraints there are",
            fix="let an administrator grant it SHOW CONSTRAINT and SHOW INDEX",
        )
        return
    if missing:
        yield Finding(
            "info",
            f"kgsync's constraints are missing: {', '.join(missing)}",
            fix="run `kgsync init --yes`, or let the first `kgsync write` make them",
        )
    else:
        yield Finding("ok", "kgsync's constraints are there")


def _writer(connection: Connection, config: Config) -> Iterator[Finding]:
    """Look for a writer at work, and for runs that nobody finished."""
    active = None
    for holder in connection.read(statements.load("write/lock_read").text):
        if holder["age"] <= config.write.lock_timeout:
            active = holder["runId"]
            yield Finding("info", f"run {active} is writing into the database now", fix="wait for it before you write")
    for row in connection.read(statements.load("write/runs").text):
        if row["status"] in ("running", "rolling_back") and row["id"] != active:
            running = row["status"] == "running"
            word, given = ("write", " (with its --max-false, if it had one)") if running else ("rollback", "")
            yield Finding(
                "warning",
                f"run {row['id']} was interrupted while {row['status'].replace('_', ' ')}",
                fix=f"run `kgsync {word} {row['id']} --yes` to finish it{given}",
            )


def _configuration(connection: Connection, config: Config) -> Iterator[Finding]:
    if not config.graph.labels:
        yield Finding("info", "no labels are configured: every pull makes its own proposal", fix="run `kgsync init`")
    constrained = keys.constrained(connection)
    for label, entry in config.graph.labels.items():
        yield _label(connection, label, entry.key, constrained=entry.key in constrained.get(label, []))
    known = {row["relation"] for row in connection.read(statements.load("pull/types").text)}
    noted = inspect.relation_notes(connection)
    for relation in config.graph.relations:
        if noted.meant(relation, known) is None:
            yield Finding(
                "error",
                f"the graph has no relation {relation}",
                fix="correct graph.relations in kgsync.toml",
            )


def _label(connection: Connection, label: str, key: str, *, constrained: bool) -> Finding:
    looked = keys.check(connection, label, key, constrained=constrained)
    if not looked.nodes:
        return Finding("error", f"no node is labelled {label}", fix="correct graph.labels in kgsync.toml")
    if looked.problem:
        return Finding(
            "error",
            f"{key} cannot be the key of {label}: {looked.problem}",
            fix=f"mend the nodes, set graph.labels.{label}.key in kgsync.toml to another property, or run"
            f" `kgsync init --add-key '{label}' --yes` and set it to {OWN_KEY}",
        )
    if not constrained:
        return Finding(
            "warning",
            f"{key} is unique on all {looked.nodes:,} {label} nodes, but nothing keeps it so, nor is it indexed",
            fix=keys.uniqueness(label, key),
        )
    return Finding("ok", f"{label} is found by {key} ({looked.nodes:,} nodes, unique by a constraint)")
