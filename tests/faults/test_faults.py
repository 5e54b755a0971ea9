"""Writing under fire, on the real server: killed, cut off, paused, and against each other.

The plan is that of a second run: it creates edges, changes some of the first run's, and lets others expire.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import neo4j
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from faults import writer
from faults.proxy import Proxy
from faults.writer import Place, Started
from planned import dump, knows, make_plan, make_world, predicted, query, save_run, write_plan

from kgsync.config import WriteConfig
from kgsync.errors import TransientError
from kgsync.graph.connection import Connection, ConnectionSettings, Secret
from kgsync.graph.ledger import decode_images
from kgsync.graph.rollback import rollback
from kgsync.graph.server import LocalServer
from kgsync.graph.write import WriteReport, write
from kgsync.plan import Plan
from kgsync.runs import Run

pytestmark = pytest.mark.fault

CREATED, UPDATED, EXPIRED = 10, 10, 5  # edges that the plan makes, changes, and no longer holds
CONCERNED = CREATED + UPDATED + EXPIRED
BATCHES = CONCERNED // 5

Start = Callable[..., Started]


@pytest.fixture
def connection(graph_db: neo4j.Driver, tmp_path: Path) -> Connection:
    """A world in which a first run has predicted edges."""
    make_world(graph_db)
    connection = Connection.wrap(graph_db, "neo4j")
    write_plan(connection, make_plan(connection, knows(UPDATED + EXPIRED)), tmp_path, run_id="first")
    return connection


@pytest.fixture
def plan(connection: Connection) -> Plan:
    edges = knows(UPDATED + EXPIRED + CREATED, score=0.7)
    return make_plan(connection, edges[:UPDATED] + edges[UPDATED + EXPIRED :])


@pytest.fixture
def run(plan: Plan, tmp_path: Path) -> Run:
    return save_run(tmp_path, plan)


@pytest.fixture
def place(server: LocalServer, tmp_path: Path) -> Place:
    return Place.of(server, tmp_path)


@pytest.fixture
def start(place: Place, run: Run) -> Iterator[Start]:
    """Return what starts a process on the run, as `writer.start` does."""
    started: list[Started] = []

    def begin(step: str = "write", **options: float) -> Started:
        started.append(writer.start(place, run.id, step, **options))  # type: ignore[arg-type]
        return started[-1]

    yield begin
    for each in started:
        each.kill()


def write_run(connection: Connection, run: Run, batch: int = 5, timeout: float = 60.0) -> WriteReport:
    """Write the plan of `run` in this process."""
    return write(connection, Plan.load(run.plan_folder), run_id=run.id, folder=run.folder, started_at=run.started_at,
                 config=WriteConfig(batch=batch, lock_timeout=timeout), commit=True)  # fmt: skip


def check_whole_batches(driver: neo4j.Driver, run: Run) -> int:
    """Check that the ledger names exactly the edges that the run has made or changed, and return how many."""
    rows = query(
        driver, "MATCH (b:__KgsyncBatch {runId: $id}) RETURN b.createdIds AS ids, b.before AS before", id=run.id
    )
    created = [id_ for row in rows for id_ in row["ids"]]
    before = [image for row in rows for image in decode_images(row["before"])]
    mine = {id_: edge for id_, edge in predicted(driver).items() if edge["runId"] == run.id}
    assert sorted(created) == sorted(id_ for id_, edge in mine.items() if edge["firstRunId"] == run.id)
    assert sorted(image["id"] for image in before) == sorted(
        id_ for id_, edge in mine.items() if edge["firstRunId"] != run.id
    )
    assert all((image["runId"], image["score"], image["status"]) == ("first", 0.5, "proposed") for image in before)
    return len(mine)


def check_written(driver: neo4j.Driver, plan: Plan, run: Run) -> None:
    """Check that each planned edge is there once, between its ends, the others have expired, and the ledger agrees."""
    rows = query(driver, "MATCH (h)-[e:PREDICTED]->(t) RETURN h.id AS head, t.id AS tail, properties(e) AS e")
    edges = {row["e"]["id"]: row for row in rows}
    assert len(edges) == len(rows) == CONCERNED
    for planned in plan.edges:
        row = edges.pop(planned.id)
        assert (row["head"], row["tail"], row["e"]["status"]) == (planned.head.key, planned.tail.key, "proposed")
        assert {key: row["e"][key] for key in planned.properties()} == planned.properties()
    assert [row["e"]["status"] for row in edges.values()] == ["expired"] * EXPIRED
    assert check_whole_batches(driver, run) == CONCERNED


def batches(driver: neo4j.Driver, run: Run) -> int:
    """Return how many batches of the run the ledger holds."""
    [row] = query(driver, "MATCH (b:__KgsyncBatch {runId: $id}) RETURN count(b) AS n", id=run.id)
    return int(row["n"])


def holds_lock(driver: neo4j.Driver, pid: int) -> bool:
    return bool(query(driver, "MATCH (l:__KgsyncLock) WHERE l.owner CONTAINS $pid RETURN l", pid=f"/{pid}/"))


def wait_for_the_rest(driver: neo4j.Driver) -> None:
    """Wait until the server is done with what a killed process asked of it last: that may still be committed."""
    while len(query(driver, "SHOW TRANSACTIONS YIELD transactionId")) > 1:  # this one
        time.sleep(0.01)


@pytest.mark.parametrize("after", range(BATCHES + 1))
def test_killed_at_a_batch_boundary_a_rerun_does_each_edge_once(
    connection: Connection, graph_db: neo4j.Driver, plan: Plan, run: Run, start: Start, after: int
) -> None:
    before = dump(graph_db)
    assert start(signal=signal.SIGKILL, after=after).finish()[0] == -signal.SIGKILL
    assert check_whole_batches(graph_db, run) == 5 * after
    report = write_run(connection, run)
    assert report.created + report.updated + report.expired == 5 * (BATCHES - after)
    check_written(graph_db, plan, run)
    rollback(connection, run.id, commit=True)
    assert dump(graph_db) == before


@pytest.mark.slow
def test_killed_at_twenty_random_moments_a_write_and_a_rollback_lose_nothing(
    connection: Connection, graph_db: neo4j.Driver, plan: Plan, place: Place
) -> None:
    before = dump(graph_db)
    chance = random.Random(0)
    amid = {"write": 0, "rollback": 0}  # kills that hit between the first batch and the last

    def kill_during(step: str, run: Run, total: int, done: Callable[[], int]) -> None:
        """Start the real command with a batch for each edge, and kill it a while after a random number of them."""
        more = ["--workspace", str(place.workspace)] if step == "write" else []
        process = writer.command(place, step, run.id, "--yes", *more, batch=1)
        least = chance.randrange(total)
        while process.runs and (done() < least or not holds_lock(graph_db, process.pid)):
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.02))
        process.kill()
        wait_for_the_rest(graph_db)
        amid[step] += 0 < done() < total

    for number in range(20):
        run = save_run(place.workspace, plan)
        kill_during("write", run, CONCERNED, lambda: batches(graph_db, run))  # noqa: B023 (called at once)
        check_whole_batches(graph_db, run)
        if number % 2:  # else the rollback meets what the kill has left
            write_run(connection, run, batch=1)
            check_written(graph_db, plan, run)
        if written := batches(graph_db, run):
            kill_during("rollback", run, written, lambda: written - batches(graph_db, run))  # noqa: B023
            check_whole_batches(graph_db, run)
            rollback(connection, run.id, commit=True)
        assert dump(graph_db) == before
    assert min(amid.values()) >= 5, amid


def test_a_killed_rollback_goes_on_to_the_exact_prior_graph(
    connection: Connection, graph_db: neo4j.Driver, run: Run, start: Start
) -> None:
    before = dump(graph_db)
    write_run(connection, run)
    for left in (15, 5):
        assert start("rollback", signal=signal.SIGKILL, after=2).finish()[0] == -signal.SIGKILL
        assert check_whole_batches(graph_db, run) == left
    assert start("rollback").finish() == (0, "")
    assert dump(graph_db) == before


@pytest.mark.parametrize("batch", [b"MERGE (h)-[e:PREDICTED", b"SET e += new"])
@pytest.mark.parametrize("drop", ["commit", "reply"])
def test_a_connection_cut_during_commit_is_decided_by_the_database(
    connection: Connection,
    graph_db: neo4j.Driver,
    server: LocalServer,
    plan: Plan,
    run: Run,
    drop: Literal["commit", "reply"],
    batch: bytes,
) -> None:
    proxy = Proxy(server.uri, drop, lambda transaction: batch in transaction)
    settings = ConnectionSettings(proxy.uri, server.username, Secret(server.password()), "neo4j")
    try:
        with Connection.open(settings) as through:
            report = write_run(through, run)
    finally:
        proxy.close()
    assert proxy.cut
    assert (report.created, report.updated, report.expired, report.problems) == (CREATED, UPDATED, EXPIRED, ())
    check_written(graph_db, plan, run)


@pytest.mark.parametrize("writers", [2, 4])
def test_of_several_writers_at_once_each_edge_is_written_once(
    graph_db: neo4j.Driver, plan: Plan, run: Run, start: Start, writers: int
) -> None:
    results = [process.finish() for process in [start() for _ in range(writers)]]
    codes = [code for code, _ in results]
    assert 0 in codes
    assert set(codes) <= {0, TransientError.exit_code}
    assert all(f"run {run.id} (process" in errors for code, errors in results if code)
    check_written(graph_db, plan, run)


def test_a_paused_writer_that_was_taken_over_does_nothing_when_it_wakes(
    connection: Connection, graph_db: neo4j.Driver, plan: Plan, run: Run, start: Start
) -> None:
    paused = start(signal=signal.SIGSTOP, after=2, timeout=1.0)
    while batches(graph_db, run) < 2:
        time.sleep(0.05)
    deadline = time.monotonic() + 60
    while True:
        try:
            write_run(connection, run, timeout=1.0)
            break
        except TransientError:
            assert time.monotonic() < deadline, "a stale lock is not taken over"
            time.sleep(0.2)
    check_written(graph_db, plan, run)
    after = dump(graph_db)
    os.kill(paused.pid, signal.SIGCONT)
    code, errors = paused.finish()
    assert code == TransientError.exit_code
    assert "took over the write lock" in errors
    assert dump(graph_db) == after


@pytest.mark.parametrize("after", [2, BATCHES])
def test_ctrl_c_finishes_the_batch_and_the_rerun_goes_on(
    graph_db: neo4j.Driver, plan: Plan, run: Run, start: Start, after: int
) -> None:
    code, errors = start(signal=signal.SIGINT, after=after).finish()
    assert code
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert check_whole_batches(graph_db, run) == 5 * after
    assert not query(graph_db, "MATCH (l:__KgsyncLock) WHERE l.owner IS NOT NULL RETURN l")
    assert start().finish() == (0, "")
    check_written(graph_db, plan, run)
