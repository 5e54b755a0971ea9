"""Rollback, on the real server: the exact prior graph, except what a person or a later run has changed."""

from __future__ import annotations

from pathlib import Path

import neo4j
import pytest
from planned import dump, facts, knows, lives_in, make_plan, make_world, predicted, query, write_plan

from kgsync.errors import DataError, NotFoundError
from kgsync.graph import ledger
from kgsync.graph.connection import Connection
from kgsync.graph.review import accept, reject
from kgsync.graph.rollback import rollback


@pytest.fixture
def connection(graph_db: neo4j.Driver) -> Connection:
    make_world(graph_db)
    return Connection.wrap(graph_db, "neo4j")


@pytest.mark.newest
def test_rollback_gives_back_the_exact_prior_graph(
    connection: Connection, graph_db: neo4j.Driver, tmp_path: Path
) -> None:
    empty = dump(graph_db)
    write_plan(connection, make_plan(connection, knows(12)), tmp_path)
    query(
        graph_db,
        "MATCH ()-[e:PREDICTED]->() WITH e ORDER BY e.id LIMIT 3 "
        "SET e.status = 'quarantined', e.reasons = ['functional'], "
        "e.updatedAt = datetime('2026-07-01T10:00:00.123456789[Europe/Berlin]')",
    )
    first = dump(graph_db)
    write_plan(connection, make_plan(connection, knows(8, score=0.9) + lives_in(7)), tmp_path, run_id="run-2")
    assert dump(graph_db) != first

    look = rollback(connection, "run-2")
    assert (look.deleted, look.restored, look.left) == (7, 12, ())
    done = rollback(connection, "run-2", commit=True)
    assert (done.deleted, done.restored, done.left) == (7, 12, ())
    assert dump(graph_db) == first
    assert rollback(connection, "run-1", commit=True).deleted == 12
    assert dump(graph_db) == empty
    assert {info.status for info in ledger.runs(connection)} == {"rolled_back"}
    assert rollback(connection, "run-1", commit=True).deleted == 0


def test_a_rolled_back_run_is_not_written_again(connection: Connection, tmp_path: Path) -> None:
    plan = make_plan(connection, knows(3))
    write_plan(connection, plan, tmp_path)
    rollback(connection, "run-1", commit=True)
    with pytest.raises(DataError, match="was rolled back; make a new plan"):
        write_plan(connection, plan, tmp_path)


def test_reviewed_edges_stay_and_a_rejected_edge_does_not_return(
    connection: Connection, graph_db: neo4j.Driver, tmp_path: Path
) -> None:
    edges = knows(5)
    write_plan(connection, make_plan(connection, edges), tmp_path)
    accept(connection, [edges[0].id], by="ada")
    reject(connection, [edges[1].id], by="ada")
    known = facts(graph_db)
    report = rollback(connection, "run-1", commit=True)
    assert report.deleted == 3
    assert {left.id: left.reason for left in report.left} == {
        edges[0].id: "was accepted by ada",
        edges[1].id: "was rejected by ada",
    }
    assert report.to_arrow().to_pylist() == [vars(left) for left in report.left]
    assert facts(graph_db) == known
    again = write_plan(connection, make_plan(connection, edges[1:2]), tmp_path, run_id="run-2")
    assert (again.created, again.reviewed) == (0, 1)


def test_what_a_later_run_changed_goes_when_that_run_is_rolled_back_too(
    connection: Connection, graph_db: neo4j.Driver, tmp_path: Path
) -> None:
    empty = dump(graph_db)
    write_plan(connection, make_plan(connection, knows(4)), tmp_path)
    write_plan(connection, make_plan(connection, knows(2, score=0.9)), tmp_path, run_id="run-2")
    report = rollback(connection, "run-1", commit=True)
    assert (report.deleted, {left.reason for left in report.left}) == (0, {"was changed by run run-2"})
    rollback(connection, "run-2", commit=True)
    assert rollback(connection, "run-1", commit=True).deleted == 4
    assert dump(graph_db) == empty


def test_what_the_user_put_on_an_edge_survives(connection: Connection, graph_db: neo4j.Driver, tmp_path: Path) -> None:
    write_plan(connection, make_plan(connection, knows(1)), tmp_path)
    write_plan(connection, make_plan(connection, knows(1, score=0.9)), tmp_path, run_id="run-2")
    query(graph_db, "MATCH ()-[e:PREDICTED]->() SET e.note = 'mine'")
    rollback(connection, "run-2", commit=True)
    [edge] = predicted(graph_db).values()
    assert (edge["note"], edge["score"], edge["runId"]) == ("mine", 0.5, "run-1")


def test_a_rollback_that_stops_half_way_goes_on(connection: Connection, graph_db: neo4j.Driver, tmp_path: Path) -> None:
    empty = dump(graph_db)
    write_plan(connection, make_plan(connection, knows(20)), tmp_path)

    def stop(step: str, done: int, total: int | None) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rollback(connection, "run-1", commit=True, progress=stop)
    assert len(predicted(graph_db)) == 10
    assert ledger.runs(connection)[0].status == "rolling_back"
    assert rollback(connection, "run-1", commit=True).deleted == 10
    assert dump(graph_db) == empty


def test_a_run_that_the_graph_does_not_know_is_named_with_those_it_knows(
    connection: Connection, tmp_path: Path
) -> None:
    write_plan(connection, make_plan(connection, knows(1)), tmp_path)
    with pytest.raises(NotFoundError, match="no run run-7; known runs: run-1"):
        rollback(connection, "run-7")
