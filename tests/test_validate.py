"""Validation, on the real server: what happens to an edge that fails a check, a user's own checks, and the command."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import neo4j
import pytest
from predicted import LABELS, edge_id, make_clean_world, make_world, predict, query

from kgsync.cli import main
from kgsync.config import Config
from kgsync.errors import DataError, NotFoundError
from kgsync.graph.connection import Connection
from kgsync.graph.ends import End
from kgsync.graph.server import LocalServer
from kgsync.report import kept
from kgsync.runs import Run, Workspace
from kgsync.validate import ValidationReport, load_checks, validate

OWN = "RETURN h, p, t, p.id AS id, p.relation AS path, p.score AS value, 'too sure' AS message"


@pytest.fixture
def connection(graph_db: neo4j.Driver) -> Connection:
    return Connection.wrap(graph_db, "neo4j")


def found(report: ValidationReport) -> dict[str, int]:
    """Return what was found, notes aside: most of these tests propose edges of one relation alone."""
    return {check.name: check.count for check in report.checks if check.count and check.severity != "info"}


def state(driver: neo4j.Driver) -> dict[str, tuple[str, list[str] | None]]:
    rows = query(driver, "MATCH ()-[p:PREDICTED]->() RETURN p.id AS id, p.status AS status, p.reasons AS reasons")
    return {row["id"]: (row["status"], row["reasons"]) for row in rows}


def test_a_second_validation_writes_nothing_and_a_mended_edge_is_released(
    graph_db: neo4j.Driver, connection: Connection
) -> None:
    make_clean_world(graph_db)
    clean = state(graph_db)
    loop = predict(graph_db, "country7", "BORDERS", "country7", score=2.0)
    assert validate(connection).quarantined == 1
    assert state(graph_db)[loop] == ("quarantined", ["score-range", "self-loop"])
    bookmark = connection.read_bookmark()
    again = validate(connection)
    assert (again.quarantined, again.released, again.failed) == (0, 0, True)
    assert connection.read_bookmark() == bookmark

    query(graph_db, "MATCH ()-[p:PREDICTED {id: $id}]->() SET p.score = 0.9", id=loop)
    assert validate(connection).quarantined == 1  # for one reason less
    assert state(graph_db)[loop] == ("quarantined", ["self-loop"])
    query(graph_db, "MATCH (n:Country {key: 'country20'}) CREATE (n)-[:BORDERS]->(n)")  # BORDERS may have loops now
    report = validate(connection)
    assert (report.quarantined, report.released) == (0, 1)
    assert state(graph_db) == {**clean, loop: ("proposed", None)}


def test_reading_only_reports_and_changes_nothing(graph_db: neo4j.Driver, connection: Connection) -> None:
    make_clean_world(graph_db)
    predict(graph_db, "country7", "BORDERS", "country7")
    bookmark = connection.read_bookmark()
    report = validate(connection, quarantine=False)
    assert (found(report), report.quarantined) == ({"self-loop": 1}, 0)
    assert connection.read_bookmark() == bookmark


def test_a_run_is_judged_alone(graph_db: neo4j.Driver, connection: Connection) -> None:
    make_clean_world(graph_db)
    query(graph_db, "CREATE (:__KgsyncRun {id: 'run2'})")
    old = predict(graph_db, "country7", "BORDERS", "country7")
    new = predict(graph_db, "country8", "BORDERS", "country8", runId="run2")
    report = validate(connection, run_id="run2")
    assert (found(report), report.quarantined) == ({"self-loop": 1}, 1)
    assert (state(graph_db)[old][0], state(graph_db)[new][0]) == ("proposed", "quarantined")
    query(
        graph_db, "MATCH (:Country {key: 'country7'})-[p:PREDICTED]->() SET p.status = 'quarantined', p.reasons = ['x']"
    )
    assert validate(connection, run_id="run2").released == 0
    with pytest.raises(NotFoundError, match="the graph knows no run run"):
        validate(connection, run_id="run")


def test_what_is_about_no_edge_is_told_for_a_run_too_unless_another_run_made_it(
    graph_db: neo4j.Driver, connection: Connection
) -> None:
    make_clean_world(graph_db)
    query(graph_db, "CREATE (:__KgsyncRun {id: 'run2'}), (:__KgsyncRun {id: 'run9', status: 'finished', created: 3})")
    query(
        graph_db,
        "MATCH (h {key: 'country8'}), (t {key: 'language20'}) "
        "CREATE (h)-[:SPEAKS {kgsyncPredictionId: 'gone', kgsyncRunId: 'run2'}]->(t)",
    )
    assert found(validate(connection, run_id="run2")) == {"leakage": 1, "orphan-run": 1}
    assert found(validate(connection, run_id="run1", fix=True)) == {"orphan-run": 1}
    assert query(graph_db, "MATCH (r:__KgsyncRun {id: 'run9'}) RETURN r.id AS id"), "not a note of run1"


def test_what_fix_lets_expire_stands_in_no_other_edge_s_way(graph_db: neo4j.Driver, connection: Connection) -> None:
    make_world(graph_db)
    gone = predict(graph_db, "country33", "CAPITAL", "city34", score=0.9, modelId="gone")
    kept = predict(graph_db, "country33", "CAPITAL", "city32", score=0.8)
    both = predict(graph_db, "person1", "SPEAKS", "city20", modelId="gone")  # a wrong head, and a wrong tail
    report = validate(connection, quarantine=False)
    assert found(report) == {"provenance": 2, "functional": 1, "domain-range": 2}
    report = validate(connection, fix=True)
    assert found(report) == {"provenance": 2, "functional": 1, "domain-range": 2}
    assert not any(check.left for check in report.checks)
    assert (report.expired, report.quarantined, report.fails("warning")) == (2, 0, False)
    assert {id_: status for id_, (status, _) in state(graph_db).items()} == {
        gone: "expired", kept: "proposed", both: "expired",
    }  # fmt: skip


def test_fix_keeps_the_notes_of_a_run_to_which_a_rollback_may_give_edges_back(
    graph_db: neo4j.Driver, connection: Connection
) -> None:
    make_clean_world(graph_db)
    made = "CREATE (:__KgsyncRun {id: $id, status: 'finished', created: 1, updated: $updated, expired: $expired})"
    query(graph_db, made, id="changed", updated=500, expired=0)
    query(graph_db, made, id="ended", updated=0, expired=5)
    query(graph_db, made, id="orphan", updated=0, expired=0)
    assert validate(connection, fix=True).forgotten == 1
    left = query(graph_db, "MATCH (r:__KgsyncRun) RETURN r.id AS id ORDER BY id")
    assert [row["id"] for row in left] == ["changed", "ended", "run1"]


def test_of_duplicates_the_one_without_a_usable_score_goes(graph_db: neo4j.Driver, connection: Connection) -> None:
    make_world(graph_db)
    good = predict(graph_db, "country5", "SPEAKS", "language9")
    for id_, score in (("null", None), ("nan", float("nan"))):
        predict(graph_db, "country5", "SPEAKS", "language9", id=id_, score=score)
    report = validate(connection, fix=True)
    assert found(report) == {"duplicate-prediction": 2, "score-range": 2}
    assert [id_ for id_, (status, _) in state(graph_db).items() if status == "proposed"] == [good]


def test_known_edges_that_cannot_all_be_right_are_told_by_their_sources(
    graph_db: neo4j.Driver, connection: Connection
) -> None:
    make_world(graph_db)
    predict(graph_db, "country30", "CAPITAL", "city30")
    for city, property_, source in (("city37", "source", "atlas"), ("city38", "primary_knowledge_source", "infores:x")):
        query(
            graph_db,
            f"MATCH (h {{key: 'country30'}}), (t {{key: $city}}) CREATE (h)-[:CAPITAL {{{property_}: $source}}]->(t)",
            city=city,
            source=source,
        )

    def told() -> str:
        (check,) = (one for one in validate(connection).checks if one.name == "conflicting-sources")
        return (check.rows[0].message or "").rpartition(": ")[2]

    assert told() == "atlas and infores:x say different things"
    query(graph_db, "MATCH ({key: 'country30'})-[r:CAPITAL]->() SET r.source = 'atlas'")
    assert told() == "atlas contradicts itself"
    query(graph_db, "MATCH ({key: 'country30'})-[r:CAPITAL]->() REMOVE r.source, r.primary_knowledge_source")
    assert told() == "they have no source"


def test_of_ten_deciles_one_that_is_off_by_chance_is_no_finding(graph_db: neo4j.Driver, connection: Connection) -> None:
    make_world(graph_db)
    for i in range(25):  # the scores promise 22.5, with a standard deviation of 1.5
        predict(graph_db, f"country{i}", "AUDITS", f"country{i + 1}", status="accepted" if i < 18 else "rejected")

    def shares() -> int:
        (check,) = (one for one in validate(connection).checks if one.name == "accepted-share")
        return check.count

    assert shares() == 0
    query(graph_db, "MATCH ({key: 'country0'})-[p:PREDICTED]->() SET p.status = 'rejected'")
    assert shares() == 1


def test_a_relationship_of_the_user_s_own_that_is_called_predicted_is_no_finding(
    graph_db: neo4j.Driver, connection: Connection
) -> None:
    make_clean_world(graph_db)
    query(graph_db, "MATCH (a {key: 'city1'}), (b {key: 'city2'}) CREATE (a)-[:PREDICTED {id: 7, relation: 8}]->(b)")
    assert found(validate(connection)) == {}


def test_what_somebody_else_made_is_told_and_left_alone(graph_db: neo4j.Driver, connection: Connection) -> None:
    make_clean_world(graph_db)
    before = state(graph_db)
    query(graph_db, "MATCH (a {key: 'country7'}) CREATE (a)-[:PREDICTED {id: 'own', relation: 'BORDERS', "
                    "status: 'proposed', score: 0.5}]->(a)")  # fmt: skip
    report = validate(connection, fix=True)
    assert found(report)["self-loop"] == 1
    assert (report.quarantined, report.expired) == (0, 0)
    assert state(graph_db) == {**before, "own": ("proposed", None)}


def test_without_a_configuration_entities_are_found_as_the_latest_run_found_them(
    graph_db: neo4j.Driver, connection: Connection
) -> None:
    make_clean_world(graph_db)
    query(
        graph_db,
        "MATCH (r:__KgsyncRun) SET r.startedAt = datetime(), r.keyLabels = ['Entity'], r.keyProperties = ['key']",
    )
    query(graph_db, "CREATE (:__KgsyncRun {id: 'old', startedAt: datetime('2020-01-01'), keyLabels: ['City'], "
                    "keyProperties: ['code']}), (:__KgsyncRun {id: 'older'})")  # fmt: skip
    query(graph_db, "MATCH (n {key: 'language9'}) REMOVE n.key")
    report = validate(connection)
    assert found(report) == {"missing-key": 1}
    (check,) = report.failing("error")
    assert (check.rows[0].focus, str(check.rows[0].tail)) == (End("Entity", "country5", "Country 5"), "Language 9")


def test_reviewed_and_expired_edges_are_never_quarantined(graph_db: neo4j.Driver, connection: Connection) -> None:
    make_clean_world(graph_db)
    query(graph_db, "MATCH ()-[p:PREDICTED]->() WHERE p.status <> 'proposed' SET p.score = 2")
    before = state(graph_db)
    report = validate(connection)
    accepted = sum(status == "accepted" for status, _ in before.values())
    assert found(report) == {"score-range": accepted}  # told, as it is in use, but a person has decided
    assert (report.quarantined, state(graph_db)) == (0, before)


def test_of_two_rivals_the_better_one_stays_whichever_is_in_quarantine(
    graph_db: neo4j.Driver, connection: Connection
) -> None:
    make_world(graph_db)
    ids = [
        predict(graph_db, "country33", "CAPITAL", f"city{30 + i}", score=0.9 - i / 10, scoreLow=0.1) for i in (4, 2, 3)
    ]
    for _ in range(2):
        validate(connection)
        assert [state(graph_db)[id_][0] for id_ in ids] == ["quarantined", "proposed", "quarantined"]


def test_a_rival_with_a_fault_of_its_own_gives_way(graph_db: neo4j.Driver, connection: Connection) -> None:
    make_world(graph_db)
    wrong = predict(graph_db, "country33", "CAPITAL", "language1", score=0.9)  # no city
    taken = predict(graph_db, "country33", "CAPITAL", "city5", score=0.8, scoreLow=0.1)  # the capital of country5
    good = predict(graph_db, "country33", "CAPITAL", "city33", score=0.75, scoreLow=0.1)
    worse = predict(graph_db, "country33", "CAPITAL", "city34", score=0.7, scoreLow=0.1)
    before = state(graph_db)
    look = validate(connection, quarantine=False)
    assert state(graph_db) == before
    report = validate(connection)
    assert found(report) == found(look) == {"domain-range": 1, "functional": 3, "inverse-functional": 1}
    expected = {
        wrong: ("quarantined", ["domain-range", "functional"]),
        taken: ("quarantined", ["functional", "inverse-functional"]),
        good: ("proposed", None),
        worse: ("quarantined", ["functional"]),
    }
    assert state(graph_db) == expected
    again = validate(connection)
    assert (again.quarantined, again.released, state(graph_db)) == (0, 0, expected)
    (functional,) = (check for check in again.checks if check.name == "functional")
    assert functional.parameters["wrong"] == sorted([wrong, taken])
    assert connection.read(functional.count_query, **functional.parameters) == [{"findings": 3}]


def test_a_rival_of_another_run_that_is_wrong_gives_way_too(graph_db: neo4j.Driver, connection: Connection) -> None:
    make_world(graph_db)
    query(graph_db, "CREATE (:__KgsyncRun {id: 'run2'})")
    predict(graph_db, "country33", "CAPITAL", "language1", score=0.9, runId="run2")
    good = predict(graph_db, "country33", "CAPITAL", "city33", score=0.8, scoreLow=0.1)
    for run_id in ("run1", None, "run1", "run2"):
        validate(connection, run_id=run_id)
        assert state(graph_db)[good] == ("proposed", None), run_id


def test_a_wrong_rival_gives_way_in_each_check_that_weighs(graph_db: neo4j.Driver, connection: Connection) -> None:
    make_world(graph_db)
    bad = {"score": 0.95, "scoreLow": 0.99}  # a bound above the score
    predict(graph_db, "country34", "CAPITAL", "city33", **bad)
    sources = predict(graph_db, "country33", "CAPITAL", "city33", score=0.8, scoreLow=0.1)
    predict(graph_db, "person36", "PARENT", "person35", **bad)
    parent = predict(graph_db, "person35", "PARENT", "person36", score=0.8, scoreLow=0.1)
    for i in range(11):
        more = bad if i == 10 else {"score": 0.8, "scoreLow": 0.1}
        predict(graph_db, f"country{10 + i}", "SPEAKS", "language39", **more)
    report = validate(connection)
    assert found(report) == {
        "score-range": 3, "inverse-functional": 1, "asymmetric": 1, "hub-flooding": 1,
    }  # fmt: skip
    assert all(reasons is None or "score-range" in reasons for _, reasons in state(graph_db).values())
    assert state(graph_db)[sources] == state(graph_db)[parent] == ("proposed", None)


@pytest.mark.parametrize("status", ["rejected", "expired", "accepted"])
def test_a_reviewed_or_expired_edge_is_a_rival_only_by_its_relationship(
    graph_db: neo4j.Driver, connection: Connection, status: str
) -> None:
    make_world(graph_db)
    other = predict(graph_db, "country33", "CAPITAL", "city32", score=0.95, status=status)
    good = predict(graph_db, "country33", "CAPITAL", "city33", score=0.8)

    def rivals() -> dict[str, int]:
        validate(connection)
        assert state(graph_db)[other] == (status, None)
        return found(validate(connection))

    gone = {"accepted-gone": 1} if status == "accepted" else {}
    assert rivals() == gone
    query(
        graph_db,
        "MATCH (h {key: 'country33'}), (t {key: 'city32'}) CREATE (h)-[:CAPITAL {kgsyncPredictionId: $id}]->(t)",
        id=other,
    )
    if status == "accepted":
        assert rivals() == {"functional": 1}
    else:  # what came of the edge stands in the graph although nobody accepts it
        told = {"leakage": 1}
        assert rivals() == told
        query(graph_db, "MATCH ()-[r:CAPITAL]->() REMOVE r.kgsyncPredictionId")  # it is the user's own
        also = {"conflicting-sources": 1} if status == "rejected" else {}
        assert rivals() == {"functional": 1} | also
    assert state(graph_db)[good][0] == "quarantined"


def test_one_label_or_none_gives_no_domain_and_no_range(graph_db: neo4j.Driver, connection: Connection) -> None:
    make_world(graph_db)
    predict(graph_db, "person1", "SPEAKS", "city20")
    assert found(validate(connection)) == {"domain-range": 2}
    query(graph_db, "MATCH (n:Entity) REMOVE n:Country:City:Language:Person")
    assert found(validate(connection)) == {}
    query(graph_db, "MATCH (n:Entity) REMOVE n:Entity")
    assert found(validate(connection)) == {}


def test_an_entity_without_any_telling_label_is_a_kind_of_its_own(
    graph_db: neo4j.Driver, connection: Connection
) -> None:
    make_world(graph_db)
    query(graph_db, "MATCH (n:Language) WHERE n.key IN ['language20', 'language21'] REMOVE n:Language")
    predict(graph_db, "country0", "SPEAKS", "language21")
    assert found(validate(connection)) == {}  # two languages without label, of 70 known edges, are usual
    predict(graph_db, "country0", "CAPITAL", "language20", score=0.1, scoreLow=0)
    assert found(validate(connection)) == {"domain-range": 1, "functional": 1}


def test_too_few_known_edges_teach_nothing(graph_db: neo4j.Driver, connection: Connection) -> None:
    make_world(graph_db)
    query(graph_db, "MATCH (h)-[r:CAPITAL]->() WITH r ORDER BY h.key LIMIT 15 DELETE r")
    query(graph_db, "MATCH (h)-[r:PARENT]->() WITH r ORDER BY h.key LIMIT 15 DELETE r")
    (head,) = query(graph_db, "MATCH (h)-[:CAPITAL]->() RETURN h.key AS key ORDER BY key LIMIT 1")
    (edge,) = query(graph_db, "MATCH (h)-[:PARENT]->(t) RETURN h.key AS h, t.key AS t ORDER BY h LIMIT 1")
    predict(graph_db, head["key"], "CAPITAL", "language3")
    predict(graph_db, edge["t"], "PARENT", edge["h"])
    assert found(validate(connection)) == {}


def test_an_empty_graph_has_no_findings(connection: Connection) -> None:
    assert found(validate(connection)) == {}


# ---- a user's own checks


def write_check(folder: Path, text: str, name: str = "sure.cypher") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_a_users_own_check_runs_like_the_others(graph_db: neo4j.Driver, connection: Connection, tmp_path: Path) -> None:
    make_clean_world(graph_db)
    predict(graph_db, "country9", "SPEAKS", "language20", score=0.99)
    query_ = f"// why: nobody is that sure\nMATCH (h)-[p:PREDICTED]->(t) WHERE p.score > 0.95\n{OWN} // the end;\n"
    report = validate(connection, folder=write_check(tmp_path / "own", query_), labels=LABELS)
    (check,) = report.failing()
    assert (check.name, check.severity, check.why, check.count) == ("sure", "warning", "nobody is that sure", 1)
    assert (str(check.rows[0].focus), check.rows[0].value, check.rows[0].message) == ("Country 9", 0.99, "too sure")
    assert (check.rows[0].focus.label, check.rows[0].focus.key) == ("Entity", "country9")
    assert state(graph_db)[edge_id("country9", "SPEAKS", "language20")] == ("quarantined", ["sure"])
    assert validate(connection).released == 1


def test_a_check_of_severity_info_never_quarantines(
    graph_db: neo4j.Driver, connection: Connection, tmp_path: Path
) -> None:
    make_clean_world(graph_db)
    folder = write_check(tmp_path / "own", f"// severity: info\nMATCH (h)-[p:PREDICTED]->(t)\n{OWN}")
    report = validate(connection, folder=folder, limit=2)
    (check,) = report.failing()
    assert (check.count, len(check.rows), report.quarantined, report.fails("warning")) == (11, 2, 0, False)


def test_a_finding_need_not_be_about_an_edge(graph_db: neo4j.Driver, connection: Connection, tmp_path: Path) -> None:
    make_clean_world(graph_db)
    columns = "null AS p, null AS t, null AS id, null AS path, 1 AS value, 'm' AS message"
    text = f"// severity: error\nMATCH (h:__KgsyncRun) RETURN h, {columns}"
    report = validate(connection, folder=write_check(tmp_path / "own", text))
    (row,) = report.failing()[0].rows
    assert (row.id, row.focus.label, row.focus.name) == (None, "__KgsyncRun", "run1")
    assert (report.failed, report.quarantined) == (True, 0)


BROKEN = [
    ("MATCH (h) RETRUN h", "does not run: Invalid input 'RETRUN'"),
    ("MATCH (h) SET h.canary = true RETURN h", "the check writes"),
    ("MATCH (h)-[p:PREDICTED]->(t) RETURN h, p, t", "returns no id, path, value, message"),
    (f"MATCH (h)-[p:PREDICTED]->(t) WHERE p.score > $least {OWN}", "does not run: Expected parameter(s): least"),
    (f"MATCH (h)-[p:PREDICTED]->(t) WHERE 1 / 0 = 1 {OWN}", "does not run: / by zero"),
    (f"// severity: fatal\nMATCH (h)-[p:PREDICTED]->(t) {OWN}", "the severity 'fatal' is unknown"),
    (f"// name: self-loop\nMATCH (h)-[p:PREDICTED]->(t) {OWN}", "there is another check named self-loop"),
    ("// name: empty", "holds no statement"),
    (f"MATCH (h)-[p:PREDICTED]->(t) {OWN} }} DETACH DELETE h //", "does not run: Invalid input '}'"),
    ("CREATE INDEX nobody_wants FOR (n:X) ON (n.y)", "the check writes"),
]


@pytest.mark.newest
def test_a_broken_check_is_one_clear_line_that_names_its_file(
    graph_db: neo4j.Driver, connection: Connection, tmp_path: Path
) -> None:
    query(graph_db, "CREATE (n)-[:PREDICTED {id: 'loop', relation: 'R', status: 'proposed', score: 0.5}]->(n)")
    for text, says in BROKEN:
        with pytest.raises(DataError) as error:
            validate(connection, folder=write_check(tmp_path / "own", text))
        assert "sure.cypher" in str(error.value), text
        assert says in str(error.value)
        assert "\n" not in str(error.value), text
    assert state(graph_db)["loop"] == ("proposed", None)
    assert query(graph_db, "MATCH (n) WHERE n.canary RETURN n") == []


def test_a_missing_folder_of_checks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no folder"):
        load_checks(tmp_path / "nowhere")


# ---- the command


@pytest.fixture
def run_command(any_server: LocalServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple]:  # type: ignore[type-arg]
    password = tmp_path / "password"
    password.touch(mode=0o600)
    password.write_text(any_server.password())
    (tmp_path / "kgsync.toml").write_text('[graph.labels.Entity]\nkey = "key"\nname = "name"\n')

    def command(*arguments: str) -> tuple[int, str, str]:
        where = ["--uri", any_server.uri, "--password-file", str(password), "--config", str(tmp_path / "kgsync.toml")]
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main([*arguments, *where])
        out, err = capfd.readouterr()
        return int(str(end.value)), out, err

    return command


def test_the_command_tells_what_failed_and_exits_with_3(
    graph_db: neo4j.Driver, run_command: Callable[..., tuple]
) -> None:  # type: ignore[type-arg]
    make_clean_world(graph_db)
    assert run_command("validate")[0] == 0
    predict(graph_db, "country30", "CAPITAL", "city33", score=0.8)
    code, out, _ = run_command("validate")
    assert code == 0, "a warning alone does not fail"
    assert "Quarantined 1, released 0." in out
    assert run_command("validate", "--fail-on", "warning", "--read-only")[0] == 3
    predict(graph_db, "country7", "BORDERS", "country7")
    code, out, err = run_command("validate", "--read-only")
    assert (code, "Country 7" in out, "CALL () {" in out) == (3, True, True)
    assert err.startswith("Error: checks failed: self-loop; ")
    predict(graph_db, "country8", "BORDERS", "country10", score=float("nan"))
    code, out, _ = run_command("validate", "--json")
    report = json.loads(out, parse_constant=pytest.fail)  # of what JSON does not know, as NaN
    assert (code, report["failed"], report["quarantined"]) == (3, True, 2)
    (check,) = [check for check in report["checks"] if check["name"] == "self-loop"]
    assert check["browser"].endswith(check["query"])
    assert check["rows"][0]["focus"] == {"label": "Entity", "key": "country7", "name": "Country 7"}


def clean_world_with_a_run(driver: neo4j.Driver, folder: Path) -> tuple[Workspace, Run]:
    """Make the world, and a run that it knows, whose folder is here."""
    make_clean_world(driver)
    workspace = Workspace(folder / "work")
    run = workspace.new_run(Config())
    query(driver, "CREATE (:__KgsyncRun {id: $id})", id=run.id)
    return workspace, run


def test_what_a_run_s_edges_fail_is_kept_for_its_report_where_its_folder_is(
    graph_db: neo4j.Driver,
    run_command: Callable[..., tuple],  # type: ignore[type-arg]
    tmp_path: Path,
) -> None:
    workspace, run = clean_world_with_a_run(graph_db, tmp_path)
    predict(graph_db, "country7", "BORDERS", "country7", runId=run.id)
    here = ("--workspace", str(workspace.root))
    assert run_command("validate", "--run", run.id, *here)[0] == 3
    findings = kept.found(run)
    assert findings is not None
    assert [check.name for check in findings.failing if check.severity == "error"] == ["self-loop"]
    assert run_command("validate", "--run", "run1", *here)[0] == 0
    (run.folder / kept.VALIDATION).unlink()
    assert run_command("validate", "--run", run.id[:-1], *here)[0] == 3, "its beginning means the same run"
    again = kept.found(run)
    assert again is not None
    assert again.checks == findings.checks
    code, _, err = run_command("validate", "--run", "run", *here)
    assert (code, "the graph knows no run run" in err) == (66, True)
    assert [found.name for found in workspace.runs.iterdir()] == [run.id]


def test_long_parameters_fill_no_pages(graph_db: neo4j.Driver, connection: Connection) -> None:
    make_clean_world(graph_db)
    result = next(check for check in validate(connection).checks if check.name == "functional")
    assert result.shown == result.browser
    long = replace(result, parameters={"wrong": ["x" * 64] * 100})
    assert long.shown == f"// its parameters are long: `kgsync validate --json` has them\n{long.query}"
    assert long.browser.startswith(":params")


def test_a_report_after_a_fix_tells_what_is_left(
    graph_db: neo4j.Driver,
    run_command: Callable[..., tuple],  # type: ignore[type-arg]
    tmp_path: Path,
) -> None:
    workspace, run = clean_world_with_a_run(graph_db, tmp_path)
    predict(graph_db, "country1", "BORDERS", "country2", runId=run.id)
    assert run_command("validate", "--run", run.id, "--fix", "--workspace", str(workspace.root))[0] == 0
    findings = kept.found(run)
    assert findings is not None
    assert (findings.expired, [check.name for check in findings.failing if check.severity != "info"]) == (1, [])


def test_checks_in_the_folder_that_the_configuration_names_run_too(
    graph_db: neo4j.Driver,
    run_command: Callable[..., tuple],  # type: ignore[type-arg]
    tmp_path: Path,
) -> None:
    make_clean_world(graph_db)
    write_check(tmp_path / "mine", f"// severity: error\nMATCH (h)-[p:PREDICTED]->(t) WHERE p.score > 0.8 {OWN}")
    assert run_command("validate", "--read-only")[0] == 0
    with (tmp_path / "kgsync.toml").open("a") as file:
        file.write('[validate]\nfolder = "mine"\n')
    code, _, err = run_command("validate", "--read-only")
    assert (code, "checks failed: sure" in err) == (3, True)
    (tmp_path / "none").mkdir()
    assert run_command("validate", "--read-only", "--checks", str(tmp_path / "none"))[0] == 0
