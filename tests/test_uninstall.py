"""Uninstall, on the real server: no trace of kgsync, and what the user knows untouched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import neo4j
import pytest
from example_graphs import made_up_model
from planned import dump, facts, knows, make_plan, make_world, query, write_plan

from kgsync.cli import main
from kgsync.config import Config, GraphConfig, LabelConfig
from kgsync.graph.connection import Connection
from kgsync.graph.graph import Graph
from kgsync.graph.review import accept, reject
from kgsync.graph.server import LocalServer
from kgsync.graph.uninstall import uninstall


@pytest.fixture
def connection(graph_db: neo4j.Driver) -> Connection:
    make_world(graph_db)
    return Connection.wrap(graph_db, "neo4j")


def schema_names(driver: neo4j.Driver) -> list[str]:
    rows = query(driver, "SHOW INDEXES YIELD name, type WHERE type <> 'LOOKUP' RETURN name ORDER BY name")
    return [row["name"] for row in rows]


@pytest.mark.newest
def test_no_trace_stays_and_what_the_user_knows_is_unchanged(
    connection: Connection, graph_db: neo4j.Driver, tmp_path: Path
) -> None:
    query(graph_db, "MATCH (h:Person {id: 'p50'}), (t:Town {code: 1}) CREATE (h)-[:PREDICTED {by: 'me'}]->(t)")
    schema = schema_names(graph_db)
    (tmp_path / "more.tsv").write_text("a\tr\tb\n")
    graph = Graph(connection)
    graph.load(tmp_path / "more.tsv")
    before = dump(graph_db)
    edges = knows(12)
    write_plan(connection, make_plan(connection, edges), tmp_path)
    reject(connection, [edges[1].id], by="ada")
    query(graph_db, "CREATE CONSTRAINT kgsync_key IF NOT EXISTS FOR (n:Town) REQUIRE n.kgsyncId IS UNIQUE")
    query(graph_db, "MATCH (n:Town) SET n.kgsyncId = randomUUID()")
    written = dump(graph_db)

    look = graph.uninstall()
    assert dump(graph_db) == written
    assert "kgsync_key_Entity(id)" in look.schema
    assert (look.committed, look.predictions, look.foreign, look.keys) == (False, 12, 1, 10)
    done = graph.uninstall(commit=True)
    assert done.committed
    assert dump(graph_db) == before
    assert schema_names(graph_db) == schema
    assert not query(graph_db, "MATCH (n) WHERE any(l IN labels(n) WHERE l STARTS WITH '__Kgsync') RETURN n")
    assert uninstall(connection, commit=True).empty


@pytest.mark.parametrize("delete", [False, True])
def test_accepted_relationships_stay_without_kgsyncs_properties_or_go_when_asked(
    connection: Connection, graph_db: neo4j.Driver, tmp_path: Path, delete: bool
) -> None:
    before = facts(graph_db)
    edges = knows(3)
    write_plan(connection, make_plan(connection, edges), tmp_path)
    accept(connection, [edges[0].id], by="ada")
    report = uninstall(connection, commit=True, delete_accepted=delete)
    assert report.accepted == {"KNOWS": 1}
    rows = query(graph_db, "MATCH (h)-[e:KNOWS]->() RETURN h.id AS head, properties(e) AS properties")
    assert rows == ([] if delete else [{"head": "p0", "properties": {}}])
    query(graph_db, "MATCH ()-[e:KNOWS]->() DELETE e")
    assert facts(graph_db) == before


@pytest.mark.newest
def test_the_vectors_of_a_model_go_too(connection: Connection, graph_db: neo4j.Driver, tmp_path: Path) -> None:
    before, schema = dump(graph_db), schema_names(graph_db)
    labels = {"Person": LabelConfig(key="id"), "Town": LabelConfig(key="code")}
    with Graph(connection, Config(graph=GraphConfig(labels=labels)), tmp_path) as graph:
        graph.embed(made_up_model(graph.pull()))
    embedded = dump(graph_db)
    assert embedded != before
    assert uninstall(connection).vectors == 70
    assert dump(graph_db) == embedded
    uninstall(connection, commit=True)
    assert dump(graph_db) == before
    assert schema_names(graph_db) == schema
    assert not query(graph_db, "MATCH (n) WHERE any(l IN labels(n) WHERE l STARTS WITH '__Kgsync') RETURN n")
    assert uninstall(connection, commit=True).empty


def test_an_empty_graph_has_nothing_to_uninstall(connection: Connection) -> None:
    bookmark = connection.read_bookmark()
    assert uninstall(connection, commit=True).empty
    assert connection.read_bookmark() == bookmark


def test_the_command_shows_first_and_takes_out_with_yes(
    connection: Connection,
    graph_db: neo4j.Driver,
    server: LocalServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    edges = knows(3)
    write_plan(connection, make_plan(connection, edges), tmp_path)
    accept(connection, [edges[0].id], by="ada")
    written, options = dump(graph_db), ["--uri", server.uri, "--password-file", str(server.password_file)]

    def call(*more: str) -> dict[str, Any]:
        with pytest.raises(SystemExit) as stop:
            main(["uninstall", "--json", "--database", "neo4j", *options, *more])
        assert stop.value.code == 0
        report: dict[str, Any] = json.loads(capsys.readouterr().out)
        return report

    look = call()
    assert (look["committed"], look["predictions"], look["accepted"]) == (False, 3, {"KNOWS": 1})
    assert dump(graph_db) == written
    assert call("--yes")["committed"]
    assert query(graph_db, "MATCH ()-[e:KNOWS]->() RETURN keys(e) AS keys") == [{"keys": []}]
    assert not query(graph_db, "MATCH ()-[p:PREDICTED]->() RETURN p")

    write_plan(connection, make_plan(connection, edges[1:]), tmp_path, run_id="run-2")
    accept(connection, [edges[1].id], by="ada")
    assert call("--yes", "--delete-accepted")["committed"]
    assert len(query(graph_db, "MATCH ()-[e:KNOWS]->() RETURN e")) == 1, "what stayed the first time is the user's"
