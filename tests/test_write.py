"""Write, on the real server: what it changes, what it leaves alone, and what it says."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import neo4j
import pytest
from planned import (
    PEOPLE,
    counts,
    dump,
    edge,
    facts,
    knows,
    lives_in,
    make_plan,
    make_world,
    person,
    predicted,
    query,
    save_run,
    town,
    write_plan,
)

from kgsync import files
from kgsync.cli import main
from kgsync.config import Config, WriteConfig
from kgsync.errors import AccessError, DataError, TransientError
from kgsync.graph import batches, ledger, schema, statements
from kgsync.graph.connection import Connection
from kgsync.graph.diff import fill
from kgsync.graph.lock import locked
from kgsync.graph.review import accept, reject
from kgsync.graph.rollback import rollback
from kgsync.graph.server import LocalServer
from kgsync.identity import Entity
from kgsync.plan import DETAILS, Plan
from kgsync.runs import Workspace

T = TypeVar("T")


@pytest.fixture
def connection(graph_db: neo4j.Driver) -> Connection:
    make_world(graph_db)
    return Connection.wrap(graph_db, "neo4j")


def reasons(report: Any) -> dict[str, str]:
    return {problem.id: problem.reason for problem in report.problems}


@pytest.mark.newest
def test_a_new_plan_is_written_with_its_provenance(
    connection: Connection, graph_db: neo4j.Driver, tmp_path: Path
) -> None:
    before = facts(graph_db)
    plan = make_plan(connection, knows(12) + lives_in(3))
    report = write_plan(connection, plan, tmp_path, config_hash="c0ffee")

    assert counts(report) == {"created": 15}
    assert report.installed == tuple(sorted(schema._definitions()))
    assert facts(graph_db) == before
    edges = predicted(graph_db)
    planned = plan.edges[0]
    written = edges[planned.id]
    assert written.pop("createdAt") == written.pop("updatedAt")
    assert written == planned.properties() | {
        "id": planned.id,
        "status": "proposed",
        "modelId": "model-1",
        "runId": "run-1",
        "firstRunId": "run-1",
    }
    [run] = query(graph_db, "MATCH (r:__KgsyncRun) RETURN properties(r) AS r")
    assert run["r"] | {"startedAt": None, "finishedAt": None} == {
        "id": "run-1",
        "status": "finished",
        "startedAt": None,
        "finishedAt": None,
        "kgsyncVersion": run["r"]["kgsyncVersion"],
        "configHash": "c0ffee",
        "snapshotHash": "snapshot-1",
        "planHash": plan.id,
        "database": "neo4j",
        "created": 15,
        "updated": 0,
        "expired": 0,
        "unchanged": 0,
        "unmatched": 0,
        "conflict": 0,
        "alreadyTrue": 0,
        "reviewed": 0,
    }
    [model] = query(graph_db, "MATCH (:__KgsyncRun)-[:USED_MODEL]->(m:__KgsyncModel) RETURN properties(m) AS m")
    assert model["m"] == {
        "id": "model-1",
        "kind": "kge",
        "baseRate": 0.01,
        "metrics": '{"mrr": 0.3}',
        "knowledgeLevel": "prediction",
        "agentType": "computational_model",
    }
    assert json.loads((tmp_path / "run-1" / "bookmarks.json").read_text()) == connection.bookmarks()
    assert not (tmp_path / "run-1" / "rejected.jsonl").exists()


@pytest.mark.newest
def test_writing_the_same_plan_again_touches_nothing(
    connection: Connection, graph_db: neo4j.Driver, tmp_path: Path
) -> None:
    plan = make_plan(connection, knows(12) + lives_in(3))
    write_plan(connection, plan, tmp_path)
    before = dump(graph_db)
    runs = ledger.runs(connection)
    for run_id in ("run-1", "run-2"):
        report = write_plan(connection, plan, tmp_path, run_id=run_id)
        assert counts(report) == {"unchanged": 15}
        assert not report.installed
        assert dump(graph_db) == before
    assert ledger.runs(connection)[0].created == 0
    assert runs[0] in ledger.runs(connection)
    assert not query(graph_db, "MATCH (b:__KgsyncBatch {runId: 'run-2'}) RETURN b")


def test_without_commit_nothing_is_written_and_the_report_is_the_same(
    connection: Connection, graph_db: neo4j.Driver, tmp_path: Path
) -> None:
    write_plan(connection, make_plan(connection, knows(10)), tmp_path)
    plan = make_plan(connection, [*knows(8, score=0.7), *lives_in(3), edge(person(999), "KNOWS", person(1))])
    before, bookmark = dump(graph_db), connection.read_bookmark()
    look = write_plan(connection, plan, tmp_path, run_id="run-2", commit=False)
    assert (dump(graph_db), connection.read_bookmark()) == (before, bookmark)
    assert not (tmp_path / "run-2").exists()
    done = write_plan(connection, plan, tmp_path, run_id="run-2")
    assert counts(look) == counts(done) == {"created": 3, "updated": 8, "expired": 2, "unmatched": 1}
    assert look.problems == done.problems
    assert (look.committed, done.committed) == (False, True)


def test_only_what_differs_is_touched_and_the_first_run_is_remembered(
    connection: Connection, graph_db: neo4j.Driver, tmp_path: Path
) -> None:
    write_plan(connection, make_plan(connection, knows(6)), tmp_path)
    old = predicted(graph_db)
    plan = make_plan(connection, [*knows(6)[:4], *knows(6, score=0.8)[4:]])
    report = write_plan(connection, plan, tmp_path, run_id="run-2")
    assert counts(report) == {"unchanged": 4, "updated": 2}
    new = predicted(graph_db)
    for planned in plan.edges:
        if planned.score == 0.5:
            assert new[planned.id] == old[planned.id]
        else:
            assert new[planned.id]["score"] == 0.8
            assert (new[planned.id]["runId"], new[planned.id]["firstRunId"]) == ("run-2", "run-1")
            assert new[planned.id]["updatedAt"] > old[planned.id]["updatedAt"]
            assert new[planned.id]["createdAt"] == old[planned.id]["createdAt"]


def test_another_model_with_the_same_scores_is_noted_on_the_edge(
    connection: Connection, graph_db: neo4j.Driver, tmp_path: Path
) -> None:
    write_plan(connection, make_plan(connection, knows(3)), tmp_path)
    report = write_plan(connection, make_plan(connection, knows(3), model="model-2"), tmp_path, run_id="run-2")
    assert counts(report) == {"updated": 3}
    assert {e["modelId"] for e in predicted(graph_db).values()} == {"model-2"}


@pytest.mark.parametrize(
    ("scope", "expired"),
    [
        ({}, {("KNOWS", "p1"), ("KNOWS", "p2"), ("LIVES_IN", "p1")}),
        ({"relations": ["LIVES_IN"]}, {("LIVES_IN", "p1")}),
        ({"labels": ["Person"]}, {("KNOWS", "p1"), ("KNOWS", "p2")}),
        ({"heads": [person(1)]}, {("KNOWS", "p1"), ("LIVES_IN", "p1")}),
        ({"heads": [person(1)], "tails": [town(2)]}, {("LIVES_IN", "p1")}),
        ({"tails": [Entity("Town", "code", "2")]}, set()),
        ({"relations": []}, set()),
        ({"labels": []}, set()),
    ],
)
def test_what_is_in_the_scope_and_no_longer_predicted_expires(
    connection: Connection, graph_db: neo4j.Driver, tmp_path: Path, scope: dict[str, Any], expired: set[Any]
) -> None:
    kept = edge(person(0), "KNOWS", person(1))
    dropped = [
        edge(person(1), "KNOWS", person(2)),
        edge(person(2), "KNOWS", person(3)),
        edge(person(1), "LIVES_IN", town(2)),
    ]
    write_plan(connection, make_plan(connection, [kept, *dropped]), tmp_path)
    report = write_plan(connection, make_plan(connection, [kept], **scope), tmp_path, run_id="run-2")
    assert counts(report) == {"unchanged": 1} | ({"expired": len(expired)} if expired else {})
    edges = predicted(graph_db)
    assert {(e.relation, e.head.key) for e in dropped if edges[e.id]["status"] == "expired"} == expired
    assert edges[kept.id]["status"] == "proposed"


def test_an_expired_edge_that_is_predicted_again_is_proposed_again(
    connection: Connection, graph_db: neo4j.Driver, tmp_path: Path
) -> None:
    write_plan(connection, make_plan(connection, knows(4)), tmp_path)
    query(graph_db, "MATCH ()-[e:PREDICTED]->() SET e.status = 'quarantined', e.reasons = ['functional']")
    write_plan(connection, make_plan(connection, []), tmp_path, run_id="run-2")
    assert {e["status"] for e in predicted(graph_db).values()} == {"expired"}
    report = write_plan(connection, make_plan(connection, knows(4)), tmp_path, run_id="run-3")
    assert counts(report) == {"updated": 4}
    assert {(e["status"], "reasons" in e) for e in predicted(graph_db).values()} == {("proposed", False)}


def test_a_quarantined_edge_gets_new_values_and_stays_quarantined(
    connection: Connection, graph_db: neo4j.Driver, tmp_path: Path
) -> None:
    write_plan(connection, make_plan(connection, knows(4)), tmp_path)
    query(graph_db, "MATCH ()-[e:PREDICTED]->() SET e.status = 'quarantined', e.reasons = ['functional']")
    report = write_plan(connection, make_plan(connection, knows(4, score=0.9)), tmp_path, run_id="run-2")
    assert counts(report) == {"updated": 4}
    for e in predicted(graph_db).values():
        assert (e["status"], e["reasons"], e["score"]) == ("quarantined", ["functional"], 0.9)


def test_reviewed_edges_are_left_alone_planned_or_not(
    connection: Connection, graph_db: neo4j.Driver, tmp_path: Path
) -> None:
    edges = knows(4)
    write_plan(connection, make_plan(connection, edges), tmp_path)
    accept(connection, [edges[0].id, edges[1].id], by="ada")
    reject(connection, [edges[2].id, edges[3].id], by="ada")
    before = dump(graph_db)
    plan = make_plan(connection, [knows(1, score=0.9)[0], knows(3, score=0.9)[2]])
    report = write_plan(connection, plan, tmp_path, run_id="run-2")
    assert counts(report) == {"reviewed": 2}
    assert reasons(report) == {edges[0].id: "accepted", edges[2].id: "rejected"}
    assert not report.needs_attention
    assert dump(graph_db) == before


def test_edges_whose_ends_are_gone_are_reported_and_no_node_is_made(
    connection: Connection, graph_db: neo4j.Driver, tmp_path: Path
) -> None:
    plan = make_plan(connection, [*knows(6), edge(person(7), "LIVES_IN", town(3))])
    query(graph_db, "MATCH (n:Person {id: 'p0'}) DETACH DELETE n")  # missing
    query(graph_db, "MATCH (n:Person {id: 'p3'}) REMOVE n:Person SET n:Town")  # other label; key property `id`
    query(graph_db, "MATCH (n:Town {code: 3}) REMOVE n:Town SET n:Village")  # a label the plan does not know
    query(graph_db, "MATCH (n:Person {id: 'p5'}) DETACH DELETE n CREATE (:Town {code: 'p5'})")
    before = dump(graph_db)
    report = write_plan(connection, plan, tmp_path)
    by_head = {problem.head + problem.relation: problem.reason for problem in report.problems}
    assert by_head == {
        "Person:p0KNOWS": "endpoint_missing",
        "Person:p2KNOWS": "endpoint_missing",  # the key is under `id`, where nobody looks for towns
        "Person:p3KNOWS": "endpoint_missing",
        "Person:p4KNOWS": "endpoint_changed",
        "Person:p5KNOWS": "endpoint_changed",
        "Person:p7LIVES_IN": "endpoint_missing",
    }
    assert counts(report) == {"created": 1, "unmatched": 6}
    assert report.needs_attention
    assert facts(graph_db) == before
    lines = (tmp_path / "run-1" / "rejected.jsonl").read_text().splitlines()
    assert [json.loads(line)["reason"] for line in lines] == [problem.reason for problem in report.problems]
    assert report.to_arrow().num_rows == len(report.to_pandas()) == 6


def test_a_key_that_two_nodes_have_is_reported(connection: Connection, graph_db: neo4j.Driver, tmp_path: Path) -> None:
    query(graph_db, "DROP CONSTRAINT person")
    query(graph_db, "CREATE (:Person {id: 'p1'})")
    report = write_plan(connection, make_plan(connection, knows(3)), tmp_path)
    assert counts(report) == {"created": 1, "unmatched": 2}
    assert set(reasons(report).values()) == {"endpoint_ambiguous"}


def test_what_became_true_is_reported_and_the_known_edge_untouched(
    connection: Connection, graph_db: neo4j.Driver, tmp_path: Path
) -> None:
    edges = lives_in(4)
    write_plan(connection, make_plan(connection, edges[:2]), tmp_path)
    query(graph_db, "MATCH (p:Person {id: 'p1'}), (t:Town {code: 2}) CREATE (p)-[:LIVES_IN {mine: true}]->(t)")
    query(graph_db, "MATCH (p:Person {id: 'p2'}), (t:Town {code: 3}) CREATE (p)-[:LIVES_IN {mine: true}]->(t)")
    before = facts(graph_db)
    report = write_plan(connection, make_plan(connection, lives_in(4, score=0.9)), tmp_path, run_id="run-2")
    assert counts(report) == {"created": 1, "updated": 1, "already_true": 2}
    assert set(reasons(report)) == {edges[1].id, edges[2].id}
    assert not report.needs_attention
    assert facts(graph_db) == before
    assert predicted(graph_db)[edges[1].id]["score"] == 0.6


def test_an_id_between_other_ends_is_a_conflict_and_the_rest_is_written(
    connection: Connection, graph_db: neo4j.Driver, tmp_path: Path
) -> None:
    edges = knows(12)
    query(
        graph_db,
        "MATCH (h:Person {id: 'p40'}), (t:Town {code: 1}) CREATE (h)-[:PREDICTED {id: $id, relation: 'OTHER'}]->(t)",
        id=edges[3].id,
    )
    report = write_plan(connection, make_plan(connection, edges), tmp_path)
    assert counts(report) == {"created": 11, "conflict": 1}
    assert reasons(report) == {edges[3].id: "conflict"}
    assert predicted(graph_db)[edges[3].id] == {"id": edges[3].id, "relation": "OTHER"}


class Meddling:
    """Does something to the graph once, just before the batches are written."""

    def __init__(self, driver: neo4j.Driver, statement: str, **parameters: Any) -> None:
        self.driver, self.statement, self.parameters = driver, statement, parameters
        self.done = False

    def __call__(self, step: str, done: int, total: int | None) -> None:
        if step == "writing" and not self.done:
            self.done = True
            query(self.driver, self.statement, **self.parameters)


@pytest.mark.newest
def test_a_conflict_that_appears_while_writing_leaves_out_one_edge_alone(
    connection: Connection, graph_db: neo4j.Driver, tmp_path: Path
) -> None:
    edges = knows(20)
    meddling = Meddling(
        graph_db,
        "MATCH (h:Person {id: 'p40'}), (t:Town {code: 1}) CREATE (h)-[:PREDICTED {id: $id}]->(t)",
        id=edges[13].id,
    )
    config = WriteConfig(batch=20)
    report = write_plan(connection, make_plan(connection, edges), tmp_path, progress=meddling, config=config)
    assert counts(report) == {"created": 19, "conflict": 1}
    assert reasons(report) == {edges[13].id: "conflict"}
    assert len(predicted(graph_db)) == 20


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("MATCH (p:Person {id: 'p1'}), (t:Town {code: 2}) CREATE (p)-[:LIVES_IN]->(t)", "already_true"),
        ("MATCH (n:Person {id: 'p1'}) DETACH DELETE n", "endpoint_missing"),
        ("MATCH (n:Person {id: 'p1'}) REMOVE n:Person SET n:Human", "endpoint_missing"),
    ],
)
def test_what_happens_between_the_look_and_the_write_is_seen_in_the_batch(
    connection: Connection, graph_db: neo4j.Driver, tmp_path: Path, statement: str, expected: str
) -> None:
    edges = lives_in(5)
    meddling = Meddling(graph_db, statement)
    report = write_plan(connection, make_plan(connection, edges), tmp_path, progress=meddling)
    assert reasons(report) == {edges[1].id: expected}
    assert report.created == 4
    assert edges[1].id not in predicted(graph_db)


def test_an_edge_that_is_reviewed_between_the_look_and_the_write_is_not_overwritten(
    connection: Connection, graph_db: neo4j.Driver, tmp_path: Path
) -> None:
    edges = knows(6)
    write_plan(connection, make_plan(connection, edges), tmp_path)
    reviewed, edited, unplanned = edges[0].id, edges[1].id, edges[5].id

    def meddle(step: str, done: int, total: int | None) -> None:
        if step == "writing" and done == 0:
            accept(connection, [reviewed, unplanned], by="ada")
            query(graph_db, "MATCH ()-[e:PREDICTED {id: $id}]->() SET e.score = 0.123", id=edited)

    report = write_plan(
        connection, make_plan(connection, knows(5, score=0.9)), tmp_path, run_id="run-2", progress=meddle
    )
    assert counts(report) == {"updated": 3, "conflict": 2, "reviewed": 1}
    assert reasons(report) == {
        reviewed: "accepted",
        edited: "changed_meanwhile",
        unplanned: "changed_meanwhile",
    }
    now = predicted(graph_db)
    assert (now[reviewed]["status"], now[reviewed]["score"]) == ("accepted", 0.5)
    assert (now[edited]["status"], now[edited]["score"]) == ("proposed", 0.123)
    assert now[unplanned]["status"] == "accepted"


@pytest.mark.newest
def test_a_review_that_commits_while_the_batch_waits_for_it_is_not_overwritten(
    connection: Connection, graph_db: neo4j.Driver, tmp_path: Path
) -> None:
    edges = knows(3)
    write_plan(connection, make_plan(connection, edges), tmp_path)
    with graph_db.session(database="neo4j") as session:
        review = session.begin_transaction()
        review.run("MATCH ()-[e:PREDICTED {id: $id}]->() SET e.status = 'rejected'", id=edges[0].id).consume()
        reports: list[Any] = []
        plan = make_plan(connection, knows(3, score=0.9))
        writing = threading.Event()

        def note(step: str, done: int, total: int | None) -> None:
            if step == "writing":
                writing.set()

        def work() -> None:
            reports.append(write_plan(connection, plan, tmp_path, run_id="run-2", progress=note))

        writer = threading.Thread(target=work)
        writer.start()
        assert writing.wait(30)
        writer.join(0.5)
        assert writer.is_alive(), "the batch does not wait for the review"
        review.commit()
        writer.join(30)
    assert counts(reports[0]) == {"updated": 2, "reviewed": 1}
    assert predicted(graph_db)[edges[0].id]["status"] == "rejected"


def test_edges_that_are_not_kgsyncs_are_never_touched(
    connection: Connection, graph_db: neo4j.Driver, tmp_path: Path
) -> None:
    query(
        graph_db,
        "MATCH (h:Person {id: 'p1'}), (t:Person {id: 'p9'}) "
        "CREATE (h)-[:PREDICTED {id: 1, relation: 'KNOWS', status: 'proposed'}]->(t), (h)-[:PREDICTED]->(t)",
    )
    before = dump(graph_db)
    write_plan(connection, make_plan(connection, []), tmp_path)
    assert dump(graph_db) == before


def test_properties_that_the_user_put_on_a_predicted_edge_survive(
    connection: Connection, graph_db: neo4j.Driver, tmp_path: Path
) -> None:
    write_plan(connection, make_plan(connection, knows(2)), tmp_path)
    query(graph_db, "MATCH ()-[e:PREDICTED]->() SET e.note = 'mine', e.place = point({x: 1, y: 2})")
    report = write_plan(connection, make_plan(connection, knows(1, score=0.9)), tmp_path, run_id="run-2")
    assert counts(report) == {"updated": 1, "expired": 1}
    assert {e["note"] for e in predicted(graph_db).values()} == {"mine"}


def test_a_plan_of_another_database_is_refused(connection: Connection, graph_db: neo4j.Driver, tmp_path: Path) -> None:
    here = make_plan(connection, knows(2))
    before, bookmark = dump(graph_db), connection.read_bookmark()
    for database in ({"id": "E" * 64, "name": "neo4j"}, {}):
        plan = Plan(here.edges, here.scope, here.model, here.snapshot_id, database)
        with pytest.raises(DataError, match="made for"):
            write_plan(connection, plan, tmp_path)
    assert (dump(graph_db), connection.read_bookmark()) == (before, bookmark)
    assert not schema.is_installed(connection)


def test_a_run_writes_one_plan(connection: Connection, tmp_path: Path) -> None:
    write_plan(connection, make_plan(connection, knows(2)), tmp_path)
    for commit in (False, True):
        with pytest.raises(
            DataError, match=r"has written plan .*; repeat the command as it was then, with the same --max-false"
        ):
            write_plan(connection, make_plan(connection, knows(3)), tmp_path, commit=commit)


@pytest.mark.parametrize("damage", ["flip", "truncate", "manifest"])
def test_a_damaged_plan_is_refused_before_anything_is_written(
    connection: Connection,
    graph_db: neo4j.Driver,
    server: LocalServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    damage: str,
) -> None:
    run = save_run(tmp_path, make_plan(connection, knows(2)))
    name = "manifest.json" if damage == "manifest" else "plan.parquet"
    file = run.plan_folder / name
    data = bytearray(file.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
    elif damage == "truncate":
        del data[-10:]
    else:
        data = bytearray(file.read_text().replace('"baseRate": 0.01', '"baseRate": 0.99').encode())
    file.write_bytes(bytes(data))
    bookmark = connection.read_bookmark()
    with pytest.raises(SystemExit) as stop:
        main(["write", "--yes", "--workspace", str(tmp_path), *options(server)])
    assert stop.value.code == 65
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert connection.read_bookmark() == bookmark


def test_without_an_index_a_look_is_one_pass_and_a_long_write_is_refused_with_the_statement_that_mends_it(
    connection: Connection, graph_db: neo4j.Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    query(graph_db, "DROP CONSTRAINT person")
    plan = make_plan(connection, [*knows(60), *lives_in(5), edge(person(404), "KNOWS", person(0))])

    def hits(profile: Any) -> int:
        return int(profile["args"]["DbHits"]) + sum(map(hits, profile.get("children", [])))

    everybody = [entity.key for entity in map(person, range(PEOPLE))]
    ends_ = statements.load("write/ends").fill(label="Person", key="id")
    asserted = fill("write/asserted", plan.edges[0])
    for text, parameters in (
        (ends_, {"keys": everybody}),
        (asserted, {"heads": everybody, "relations": ["KNOWS"], "tails": everybody}),
    ):
        summary = graph_db.execute_query(f"PROFILE {text}", parameters, database_="neo4j").summary
        assert hits(summary.profile) < 10 * PEOPLE

    monkeypatch.setattr("kgsync.graph.write._MOST_READ", 1_000)
    before = dump(graph_db)
    assert counts(write_plan(connection, plan, tmp_path, commit=False)) == {"created": 65, "unmatched": 1}
    config = WriteConfig(batch=50)
    with pytest.raises(DataError, match="the key id of Person has no index, and every edge would read all 60") as error:
        write_plan(connection, plan, tmp_path, config=config)
    assert dump(graph_db) == before
    assert counts(write_plan(connection, plan, tmp_path)) == {"created": 65, "unmatched": 1}  # in small batches
    rollback(connection, "run-1", commit=True)
    query(graph_db, error.value.fix[error.value.fix.index("CREATE") : error.value.fix.index(", then")])
    assert counts(write_plan(connection, plan, tmp_path, run_id="run-2", config=config)) == {
        "created": 65,
        "unmatched": 1,
    }


class ReadOnly(Connection):
    """A connection whose every transaction the server runs as a read, as it does for a reader."""

    def write_with(self, work: Callable[[neo4j.ManagedTransaction], T]) -> T:
        return self.read_with(work)


def test_a_user_who_may_only_read_sees_the_report_and_a_clear_refusal(
    connection: Connection, graph_db: neo4j.Driver, tmp_path: Path
) -> None:
    reader = ReadOnly(graph_db, "neo4j", connection.uri)
    plan = make_plan(connection, knows(2))
    assert counts(write_plan(reader, plan, tmp_path, commit=False)) == {"created": 2}
    with pytest.raises(AccessError, match="does not allow"):
        write_plan(reader, plan, tmp_path)
    assert not schema.is_installed(connection)
    schema.install(connection)
    with pytest.raises(AccessError, match="does not allow"):
        write_plan(reader, plan, tmp_path)
    assert not predicted(graph_db)


def test_who_holds_the_lock_is_told(connection: Connection, tmp_path: Path) -> None:
    schema.install(connection)
    plan = make_plan(connection, knows(2))
    with locked(connection, run_id="run-0", timeout=60), pytest.raises(TransientError) as refusal:
        write_plan(connection, plan, tmp_path)
    assert "run run-0 (process " in str(refusal.value)
    assert "last sign of life 0 s ago" in str(refusal.value)
    assert counts(write_plan(connection, plan, tmp_path)) == {"created": 2}


def test_installing_twice_or_at_once_does_no_harm(connection: Connection, graph_db: neo4j.Driver) -> None:
    failures: list[BaseException] = []

    def install() -> None:
        try:
            schema.install(Connection.wrap(graph_db, "neo4j"))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=install) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert schema.is_installed(connection)
    assert schema.install(connection) == ()
    rows = query(graph_db, "SHOW INDEXES YIELD name, state WHERE name STARTS WITH 'kgsync_' RETURN state")
    assert [row["state"] for row in rows] == ["ONLINE"] * 7


def test_every_property_of_a_plan_is_read_and_written() -> None:
    properties = knows(1)[0].columns()
    from kgsync.graph import diff, statements

    create = statements.load("write/create").text
    columns = re.findall(r"row\[(\d+)\] AS (\w+)", create)
    assert columns == [(str(n), name) for n, name in enumerate(("id", "head", "tail", *properties))]
    assert list(properties)[-1] == DETAILS
    assert "v.content = content" in create  # the one column that is kept beside the edge
    for name in set(properties) - {DETAILS}:
        assert name in diff.SEEN
        assert f"e.{name} = {name}" in create
        assert name in ledger.OWNED
    assert batches.SEEN is diff.SEEN


def options(server: LocalServer) -> list[str]:
    return ["--uri", server.uri, "--password-file", str(server.password_file), "--database", "neo4j"]


def test_the_command_shows_first_and_writes_with_yes(
    connection: Connection,
    graph_db: neo4j.Driver,
    server: LocalServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan = make_plan(connection, [*knows(3), edge(person(0), "KNOWS", person(404))])
    run = save_run(tmp_path, plan)
    command = ["write", "--workspace", str(tmp_path), *options(server)]

    def call(*more: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main([*command, *more])
        return (stop.value.code, *capsys.readouterr())  # type: ignore[return-value]

    code, out, err = call()
    assert code == 3
    assert f"Plan {plan.id} of run {run.id}: 4 edges" in out
    assert "Nothing was changed; --yes writes it." in out
    assert "endpoint missing" in out
    assert err.startswith("Error: 1 edges could not be matched")
    assert not predicted(graph_db)

    code, out, err = call("--yes")
    assert code == 3
    assert "Created in the database: kgsync_batch_number" in out
    assert "rejected.jsonl" in err
    assert len(predicted(graph_db)) == 3

    query(graph_db, "CREATE (:Person {id: 'p404'})")
    code, out, err = call("--yes", "--json", run.id[:10])
    assert (code, err) == (0, "")
    report = json.loads(out)
    assert (report["created"], report["unchanged"], report["run_id"]) == (1, 3, run.id)
    assert (run.folder / "rejected.jsonl").read_text() == ""

    with pytest.raises(SystemExit) as stop:
        main(["runs", *options(server)])
    assert stop.value.code == 0
    assert run.id in capsys.readouterr().out
    with pytest.raises(SystemExit) as stop:
        main(["runs", "--json", *options(server)])
    (told,) = json.loads(capsys.readouterr().out)["runs"]
    assert (told["id"], told["status"], told["created"], told["plan"]) == (run.id, "finished", 4, plan.id)

    with pytest.raises(SystemExit) as stop:
        main(["rollback", run.id, "--yes", *options(server)])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert f"Deleted 4 edges and restored 0 of run {run.id}." in out
    assert "Run `kgsync validate`" in out


def test_a_run_without_a_plan_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Workspace(tmp_path).new_run(Config())
    with pytest.raises(SystemExit) as stop:
        main(["write", "--workspace", str(tmp_path)])
    assert stop.value.code == 66
    expected = f"Error: run {run.id} has no plan yet; finish it with `kgsync sync`, or run `kgsync predict`\n"
    assert capsys.readouterr().err == expected


def test_bookmarks_of_the_newest_write_are_found(tmp_path: Path) -> None:
    place = Workspace(tmp_path)
    assert place.bookmarks() == []
    first = place.new_run(Config())
    files.write_json(first.folder / "bookmarks.json", ["a", "b"])
    place.new_run(Config())
    assert place.bookmarks() == place.bookmarks(first) == ["a", "b"]
