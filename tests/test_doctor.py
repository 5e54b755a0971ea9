"""Doctor, on the real server: every finding has its exact fix, and looking changes nothing."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace
from typing import Any

import neo4j
import pytest

from kgsync.cli import main
from kgsync.config import Config, GraphConfig, LabelConfig
from kgsync.errors import AccessError
from kgsync.graph import schema, statements
from kgsync.graph import server as local
from kgsync.graph.connection import Connection, ConnectionSettings, Secret
from kgsync.graph.doctor import Diagnosis, Finding, _may_write, _transport, check, too_old
from kgsync.graph.graph import Graph
from kgsync.graph.server import LocalServer

PERSON = Config(graph=GraphConfig(labels={"Person": LabelConfig("id")}, relations=("KNOWS",)))


def write(driver: neo4j.Driver, text: str) -> None:
    driver.execute_query(text, database_="neo4j")  # type: ignore[arg-type]


def settings_of(server: LocalServer, *, uri: str = "", password: str = "") -> ConnectionSettings:
    sources = {"uri": "flag", "password": "environment (NEO4J_PASSWORD)"}
    secret = Secret(password or server.password())
    return ConnectionSettings(uri or server.uri, server.username, secret, server.database, sources)


def findings(diagnosis: Diagnosis, level: str) -> list[Finding]:
    return [finding for finding in diagnosis.findings if finding.level == level]


@pytest.mark.newest
def test_a_healthy_database_has_no_fault_and_looking_changes_nothing(
    graph_db: neo4j.Driver, any_server: LocalServer
) -> None:
    connection = Connection.wrap(graph_db, "neo4j")
    schema.install(connection)
    write(graph_db, "CREATE CONSTRAINT FOR (n:Person) REQUIRE n.id IS UNIQUE")
    write(graph_db, "CREATE (:Person {id: 1})-[:KNOWS]->(:Person {id: 2})")
    bookmark = connection.read_bookmark()
    diagnosis = check(settings_of(any_server), PERSON)
    assert diagnosis.exit_code == 0
    assert findings(diagnosis, "warning") + findings(diagnosis, "error") == []
    assert Finding("ok", f"address {any_server.uri}", source="flag") in diagnosis.findings
    assert Finding("ok", "this user may write") in diagnosis.findings
    assert any_server.password() not in repr(diagnosis)
    of_graph = Graph(connection, PERSON).doctor()
    assert of_graph.exit_code == 0
    assert diagnosis.findings[-len(of_graph.findings) :] == of_graph.findings
    assert connection.read_bookmark() == bookmark


def test_faults_of_the_configuration_are_errors_with_their_fix(graph_db: neo4j.Driver, server: LocalServer) -> None:
    write(graph_db, "CREATE (:Person {id: 1}), (:Person {id: 1}), (:City {name: 'a'})")
    labels = {"Person": LabelConfig("id"), "City": LabelConfig("name"), "Absent": LabelConfig("id")}
    diagnosis = check(settings_of(server), Config(graph=GraphConfig(labels, relations=("ABSENT",))))
    assert diagnosis.exit_code == 3
    assert [finding.what for finding in findings(diagnosis, "error")] == [
        "id cannot be the key of Person: id is not unique: 2 nodes, 1 different values",
        "no node is labelled Absent",
        "the graph has no relation ABSENT",
    ]
    assert findings(diagnosis, "error")[0].fix.endswith("`kgsync init --add-key 'Person' --yes` and set it to kgsyncId")
    [warning] = findings(diagnosis, "warning")
    write(graph_db, warning.fix)
    assert findings(check(settings_of(server), PERSON), "warning") == []


def test_an_unfinished_run_and_a_writer_at_work_are_told(graph_db: neo4j.Driver, server: LocalServer) -> None:
    write(
        graph_db,
        "CREATE (:__KgsyncRun {id: 'dead', status: 'running'}), (:__KgsyncRun {id: 'back', status: 'rolling_back'}),"
        " (:__KgsyncRun {id: 'live', status: 'running'}), (:__KgsyncRun {id: 'done', status: 'finished'}),"
        " (:__KgsyncLock {name: 'write', owner: 'x', runId: 'live', heartbeat: datetime.realtime()})",
    )
    diagnosis = check(settings_of(server), Config())
    fixes = {finding.fix for finding in findings(diagnosis, "warning")}
    assert fixes == {
        "run `kgsync write dead --yes` to finish it (with its --max-false, if it had one)",
        "run `kgsync rollback back --yes` to finish it",
    }
    assert any("run live is writing" in finding.what for finding in findings(diagnosis, "info"))


def test_a_server_that_does_not_answer_or_refuses_comes_first_in_the_exit_code(server: LocalServer) -> None:
    diagnosis = check(settings_of(server, uri="bolt://127.0.0.1:1"), Config())
    assert diagnosis.exit_code == 69
    assert diagnosis.findings[-1].level == "error"
    assert check(settings_of(server, password="wrong"), Config()).exit_code == 77


@pytest.mark.parametrize(
    ("uri", "fix"),
    [
        ("bolt://127.0.0.1:7687", None),
        ("neo4j://localhost", None),
        ("neo4j+s://db.example", None),
        ("neo4j://db.example", "use neo4j+s:// if the server has TLS"),
        ("bolt+ssc://db.example", "use bolt+s:// once it has a certificate of a known authority"),
    ],
)
def test_an_unprotected_way_over_the_network_is_a_warning(uri: str, fix: str | None) -> None:
    assert [finding.fix for finding in _transport(uri)] == ([fix] if fix else [])


def test_where_there_are_roles_the_one_that_suffices_is_named() -> None:
    assert _may_write("community") == Finding("ok", "this user may write")
    assert "GRANT ROLE architect TO" in _may_write("enterprise").fix


@pytest.mark.parametrize("version", ["5.26.3", "5.5.0", "4.4.40", "2025.01.0", "2025.02.1"])
def test_servers_that_mix_up_types_are_too_old(version: str) -> None:
    assert too_old(version)


@pytest.mark.parametrize("version", ["5.26.4", "5.26.30", "5.27-aura", "2025.03.0", "2026.08.1"])
def test_servers_from_the_long_term_line_on_are_not_too_old(version: str) -> None:
    assert not too_old(version)


def test_the_command_prints_json_and_exits_with_the_code(
    graph_db: neo4j.Driver, server: LocalServer, capfd: pytest.CaptureFixture[str]
) -> None:
    where = ["--uri", server.uri, "--password-file", str(server.password_file)]
    with pytest.raises(SystemExit) as end:
        main(["doctor", "--json", *where])
    out = capfd.readouterr().out
    assert end.value.code == 0
    assert {"level", "what", "fix", "source"} == set(json.loads(out)["findings"][0])
    assert server.password() not in out


def test_a_user_who_may_not_see_the_constraints_is_told_the_rest(
    graph_db: neo4j.Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(connection: Connection) -> list[str]:
        raise AccessError("SHOW INDEXES is not allowed", fix="ask")  # as Enterprise's own roles may do

    write(graph_db, "CREATE (:Person {id: 1})")
    monkeypatch.setattr(schema, "missing", refused)
    found = Graph(Connection.wrap(graph_db, "neo4j"), PERSON).doctor().findings
    assert "this user may not see which constraints there are" in [finding.what for finding in found]
    assert any(finding.what.startswith("id is unique on all 1 Person nodes") for finding in found)


def test_another_clock_several_servers_and_a_crashed_local_one_are_told(
    graph_db: neo4j.Driver, server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Connection.read

    def elsewhere(self: Connection, text: str, /, **parameters: Any) -> list[dict[str, Any]]:
        rows = read(self, text, **parameters)
        if text == statements.load("inspect/server").text:
            return [{**row, "now": row["now"] + 90_000} for row in rows]
        return 3 * rows if text == statements.load("inspect/databases").text else rows  # as a cluster of three

    monkeypatch.setattr(Connection, "read", elsewhere)
    monkeypatch.setattr(local, "status", lambda: [SimpleNamespace(name="mine", version="5", state="crashed")])
    write(graph_db, "CREATE (:Person {id: 1})")
    told = {finding.what: finding.fix for finding in findings(check(settings_of(server), PERSON), "warning")}
    clock = next(what for what in told if "clock" in what)
    assert re.fullmatch(r"the server's clock and this machine's differ by (89|90) s", clock)
    assert (
        told["3 servers host the database, and bolt:// talks to one of them alone"] == "use neo4j:// instead of bolt://"
    )
    assert told["local server mine (5) is crashed"] == "run `kgsync up --name mine`"
