"""Writing under fire, on the real server: killed, cut off, paused, and against each other."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import neo4j
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from faults.proxy import Proxy
from planned import check_written, dump, knows, make_plan, make_world, predicted, query, save_run

from kgsync.config import WriteConfig
from kgsync.errors import TransientError
from kgsync.graph.connection import Connection, ConnectionSettings, Secret
from kgsync.graph.rollback import rollback
from kgsync.graph.server import LocalServer
from kgsync.graph.write import write
from kgsync.plan import Plan
from kgsync.runs import Run

pytestmark = pytest.mark.fault

ROOT = Path(__file__).parents[2]
WRITER = Path(__file__).parent / "writer.py"
BATCHES = 5  # of five edges

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def connection(graph_db: neo4j.Driver) -> Connection:
    make_world(graph_db)
    return Connection.wrap(graph_db, "neo4j")


@pytest.fixture
def plan(connection: Connection) -> Plan:
    return make_plan(connection, knows(5 * BATCHES))


@pytest.fixture
def run(plan: Plan, tmp_path: Path) -> Run:
    return save_run(tmp_path, plan)


@pytest.fixture
def start(server: LocalServer, run: Run, tmp_path: Path) -> Iterator[Start]:
    """Return what starts `writer.py` on the run, or the real command with `real`."""
    started: list[subprocess.Popen[str]] = []

    def begin(
        step: str = "write", kill: int = 0, after: int = 0, timeout: float = 60.0, real: bool = False
    ) -> subprocess.Popen[str]:
        common = [server.uri, str(server.password_file), str(tmp_path), run.id]
        command = [sys.executable, str(WRITER), *common, step, str(kill), str(after), str(timeout)]
        if real:
            (tmp_path / "small.toml").write_text("[write]\nbatch = 5\n")
            command = [
                *(sys.executable, "-m", "kgsync", "write", run.id, "--yes", "--database", "neo4j"),
                *("--uri", server.uri, "--password-file", str(server.password_file)),
                *("--workspace", str(tmp_path), "--config", str(tmp_path / "small.toml")),
            ]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(
            command, env=environment, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors


def check_whole_batches(driver: neo4j.Driver) -> int:
    """Check that the ledger names exactly the edges that are there, and return how many there are."""
    noted = [id_ for row in query(driver, "MATCH (b:__KgsyncBatch) RETURN b.createdIds AS ids") for id_ in row["ids"]]
    assert sorted(noted) == sorted(predicted(driver))
    return len(noted)


@pytest.mark.parametrize("after", range(BATCHES + 1))
def test_killed_at_a_batch_boundary_a_rerun_writes_each_edge_once(
    connection: Connection, graph_db: neo4j.Driver, plan: Plan, run: Run, start: Start, after: int
) -> None:
    before = dump(graph_db)
    assert finish(start(kill=signal.SIGKILL, after=after))[0] == -signal.SIGKILL
    assert check_whole_batches(graph_db) == 5 * after
    report = write(connection, plan, run_id=run.id, folder=run.folder, started_at=run.started_at,
                   config=WriteConfig(batch=5), commit=True)  # fmt: skip
    assert (report.created, report.unchanged) == (25 - 5 * after, 5 * after)
    check_written(graph_db, plan, run.id)
    rollback(connection, run.id, commit=True)
    assert dump(graph_db) == before


@pytest.mark.slow
def test_killed_at_twenty_random_moments_a_rerun_writes_each_edge_once(
    connection: Connection, graph_db: neo4j.Driver, plan: Plan, run: Run, start: Start
) -> None:
    before = dump(graph_db)
    chance = random.Random(0)
    for _ in range(20):
        process = start(real=True)
        while process.poll() is None and not query(
            graph_db, "MATCH (l:__KgsyncLock) WHERE l.owner CONTAINS $pid RETURN l",
            pid=f"/{process.pid}/",
        ):  # fmt: skip
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.4))
        process.kill()
        finish(process)
        check_whole_batches(graph_db)
        if chance.random() < 0.3:  # give the next one something to do
            query(graph_db, "MATCH ()-[e:PREDICTED]->() DELETE e")
            query(graph_db, "MATCH (b:__KgsyncBatch) DELETE b")
    assert finish(start(real=True)) == (0, "")
    check_written(graph_db, plan, run.id)
    rollback(connection, run.id, commit=True)
    assert dump(graph_db) == before


def test_a_killed_rollback_goes_on_to_the_exact_prior_graph(
    connection: Connection, graph_db: neo4j.Driver, start: Start
) -> None:
    before = dump(graph_db)
    assert finish(start())[0] == 0
    for _ in range(2):
        assert finish(start("rollback", kill=signal.SIGKILL, after=2))[0] == -signal.SIGKILL
        check_whole_batches(graph_db)
    assert finish(start("rollback"))[0] == 0
    assert dump(graph_db) == before


@pytest.mark.parametrize("drop", ["commit", "reply"])
def test_a_connection_cut_during_commit_is_decided_by_the_database(
    connection: Connection,
    graph_db: neo4j.Driver,
    server: LocalServer,
    plan: Plan,
    run: Run,
    drop: Literal["commit", "reply"],
) -> None:
    proxy = Proxy(server.uri, drop, lambda transaction: b"CREATE (:__KgsyncBatch" in transaction)
    settings = ConnectionSettings(proxy.uri, server.username, Secret(server.password()), "neo4j")
    try:
        with Connection.open(settings) as through:
            report = write(through, plan, run_id=run.id, folder=run.folder, started_at=run.started_at,
                           config=WriteConfig(batch=5), commit=True)  # fmt: skip
    finally:
        proxy.close()
    assert proxy.cut
    assert (report.created, report.problems) == (25, ())
    check_written(graph_db, plan, run.id)


@pytest.mark.parametrize("writers", [2, 4])
def test_of_several_writers_at_once_each_edge_is_written_once(
    graph_db: neo4j.Driver, plan: Plan, run: Run, start: Start, writers: int
) -> None:
    results = [finish(process) for process in [start() for _ in range(writers)]]
    codes = [code for code, _ in results]
    assert 0 in codes
    assert set(codes) <= {0, TransientError.exit_code}
    assert all(f"run {run.id} (process" in errors for code, errors in results if code)
    check_written(graph_db, plan, run.id)


def test_a_paused_writer_that_was_taken_over_does_nothing_when_it_wakes(
    connection: Connection, graph_db: neo4j.Driver, plan: Plan, run: Run, start: Start
) -> None:
    process = start(kill=signal.SIGSTOP, after=2, timeout=1.0)
    while len(predicted(graph_db)) < 10:
        time.sleep(0.05)
    deadline = time.monotonic() + 60
    while True:
        try:
            write(connection, plan, run_id=run.id, folder=run.folder, started_at=run.started_at,
                  config=WriteConfig(batch=5, lock_timeout=1.0), commit=True)  # fmt: skip
            break
        except TransientError:
            assert time.monotonic() < deadline, "a stale lock is not taken over"
            time.sleep(0.2)
    check_written(graph_db, plan, run.id)
    after = dump(graph_db)
    process.send_signal(signal.SIGCONT)
    code, errors = finish(process)
    assert code == TransientError.exit_code
    assert "took over the write lock" in errors
    assert dump(graph_db) == after


def test_ctrl_c_finishes_the_batch_and_the_rerun_goes_on(
    connection: Connection, graph_db: neo4j.Driver, plan: Plan, run: Run, start: Start
) -> None:
    assert finish(start(kill=signal.SIGINT, after=2))[0] != 0
    assert check_whole_batches(graph_db) == 10
    assert not query(graph_db, "MATCH (l:__KgsyncLock) WHERE l.owner IS NOT NULL RETURN l")
    assert finish(start()) == (0, "")
    check_written(graph_db, plan, run.id)
