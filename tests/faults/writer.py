"""Processes that write and that may be killed: forks of one that has imported everything, so each begins at once."""

from __future__ import annotations

import multiprocessing
import os
import sys
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from kgsync.cli import main
from kgsync.config import WriteConfig
from kgsync.errors import KgsyncError
from kgsync.graph.connection import Connection, resolve
from kgsync.graph.rollback import rollback
from kgsync.graph.server import LocalServer
from kgsync.graph.write import write
from kgsync.plan import Plan
from kgsync.runs import Workspace

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["pytest", "kgsync.cli.write", "kgsync.graph.rollback", "kgsync.report.kept"])


@dataclass(frozen=True)
class Place:
    """Where a process writes: a server, and the workspace with the run's plan."""

    uri: str
    password_file: Path
    workspace: Path

    @classmethod
    def of(cls, server: LocalServer, workspace: Path) -> Place:
        return cls(server.uri, server.password_file, workspace)


@dataclass(frozen=True)
class Started:
    """A process that was started."""

    process: BaseProcess
    errors: Path

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    @property
    def runs(self) -> bool:
        return self.process.is_alive()

    def kill(self) -> None:
        """Kill it, if it lives, and wait for its end."""
        self.process.kill()
        self.process.join()

    def finish(self) -> tuple[int, str]:
        """Wait for its end and return its exit code (negative: the signal) and what it said on standard error."""
        self.process.join(timeout=120)
        assert self.process.exitcode is not None, "it does not end"
        return self.process.exitcode, self.errors.read_text(encoding="utf-8")


def start(
    place: Place, run_id: str, step: str = "write", *, signal: int = 0, after: int = 0, timeout: float = 60.0
) -> Started:
    """Start a `write` or `rollback` in batches of five edges, which signals itself when `after` batches are done."""
    return _start(place, _step, place, run_id, step, signal, after, timeout)


def command(place: Place, *arguments: str, batch: int = 5) -> Started:
    """Start the real command, in batches of `batch` edges."""
    (place.workspace / "small.toml").write_text(f"[write]\nbatch = {batch}\n")
    where = ["--database", "neo4j", "--uri", place.uri, "--password-file", str(place.password_file)]
    return _start(place, main, [*arguments, *where, "--config", str(place.workspace / "small.toml")])


def _start(place: Place, *work: object) -> Started:
    number = len(list(place.workspace.glob("errors-*")))
    errors = place.workspace / f"errors-{number}"
    errors.touch()
    process = _FORKS.Process(target=_child, args=(place.workspace, errors, *work), daemon=True)
    process.start()
    return Started(process, errors)


def _child(workspace: Path, errors: Path, work: object, *arguments: object) -> None:
    os.chdir(workspace)
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (until the process ends)
    sys.stderr = errors.open("w", encoding="utf-8")
    assert callable(work)
    work(*arguments)


def _step(place: Place, run_id: str, step: str, signal: int, after: int, timeout: float) -> None:
    calls = 0

    def progress(name: str, done: int, total: int | None) -> None:
        nonlocal calls
        if name in ("writing", "rolling back"):
            if calls == after and signal:
                os.kill(os.getpid(), signal)
            calls += 1

    run = Workspace(place.workspace).run(run_id)
    config = WriteConfig(batch=5, lock_timeout=timeout)
    settings = resolve(uri=place.uri, password_file=place.password_file, database="neo4j")
    try:
        with Connection.open(settings) as connection:
            if step == "rollback":
                rollback(connection, run_id, commit=True, config=config, progress=progress)
            else:
                write(connection, Plan.load(run.plan_folder), run_id=run.id, folder=run.folder,
                      started_at=run.started_at, config=config, commit=True, progress=progress)  # fmt: skip
    except KgsyncError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
