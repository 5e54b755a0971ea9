"""The bridge to py2neo, against the real server and the real py2neo."""

from __future__ import annotations

import sys
from pathlib import Path

import neo4j
import py2neo
import pytest

from kgsync.config import Config, GraphConfig, LabelConfig
from kgsync.errors import ConfigError
from kgsync.graph.server import LocalServer
from kgsync.identity import Entity
from kgsync.plan import Plan, PlannedEdge, Scope
from kgsync.py2neo import graph_of, subgraph
from kgsync.snapshot import Snapshot

CONFIG = Config(graph=GraphConfig(labels={"City": LabelConfig(key="id"), "Capital": LabelConfig(key="id")}))
CITIES = "CREATE (a:City:Capital {id: 'a', name: 'A'}), (b:City {id: 7}), (a)-[:ROAD]->(b), (a)-[:RAIL]->(b)"
A, B = Entity("City", "id", "a"), Entity("City", "id", 7)


@pytest.fixture
def theirs(graph_db: neo4j.Driver, any_server: LocalServer) -> py2neo.Graph:
    graph_db.execute_query(CITIES, database_="neo4j")
    return py2neo.Graph(any_server.uri, auth=(any_server.username, any_server.password()))


def plan(*relations: str) -> Plan:
    edges = tuple(PlannedEdge(A, r, B, 0.9, 0.5, 1, 2.5, "A", "B") for r in relations)
    return Plan(edges, Scope(relations, ("City",)), {"id": "model"}, "snapshot")


def everything(driver: neo4j.Driver) -> list[object]:
    text = "MATCH (n) RETURN labels(n), properties(n), COLLECT { MATCH (n)-[r]->(m) RETURN type(r) + m.id }"
    return [record.data() for record in driver.execute_query(text, database_="neo4j").records]


@pytest.mark.newest
def test_a_py2neo_graph_is_pulled_with_its_own_address_user_and_password(theirs: py2neo.Graph, tmp_path: Path) -> None:
    with graph_of(theirs, config=CONFIG, workspace=tmp_path) as graph:
        snapshot = graph.pull()
        assert graph.connection.database == "neo4j"
    assert {(str(h), r, str(t)) for h, r, t in _named(snapshot)} == {
        ("City:a", "ROAD", "City:7"),
        ("City:a", "RAIL", "City:7"),
    }
    assert subgraph(snapshot).types() == {"ROAD", "RAIL"}


def test_merging_a_snapshot_through_py2neo_finds_its_nodes_and_changes_nothing(
    theirs: py2neo.Graph, graph_db: neo4j.Driver, tmp_path: Path
) -> None:
    before = everything(graph_db)
    with graph_of(theirs, config=CONFIG, workspace=tmp_path) as graph:
        pulled = subgraph(graph.pull())
    assert {(frozenset(n.labels), n["id"]) for n in pulled.nodes} == {
        (frozenset({"City", "Capital"}), "a"),
        (frozenset({"City"}), 7),
    }
    theirs.merge(pulled)
    assert everything(graph_db) == before
    for node in pulled.nodes:  # compared one by one: py2neo hashes a node whose internal id is 0 by its place in memory
        assert theirs.nodes.match("City", id=node["id"]).first() == node


def test_a_plan_keeps_every_edge_also_several_between_the_same_two_nodes() -> None:
    proposed = subgraph(plan("FERRY", "BUS"))
    assert len(proposed.nodes) == 2
    assert {(type(e).__name__, e["relation"], e["score"]) for e in proposed.relationships} == {
        ("PREDICTED", "FERRY", 0.9),
        ("PREDICTED", "BUS", 0.9),
    }
    assert {e["id"] for e in proposed.relationships} == {edge.id for edge in plan("FERRY", "BUS").edges}
    assert [(e.start_node["id"], e.end_node["id"]) for e in proposed.relationships] == [("a", 7)] * 2


def test_subgraphs_of_a_snapshot_take_part_in_py2neos_set_operations() -> None:
    both = subgraph(Snapshot.from_names([(A, "ROAD", B), (B, "ROAD", A)]))
    one = py2neo.Subgraph(both.nodes, [next(iter(both.relationships))])
    assert len((both - one).relationships) == 1
    assert (both | one) == both


def test_without_py2neo_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "py2neo", None)
    with pytest.raises(ConfigError, match=r"py2neo is not installed; run `pip install kgsync\[py2neo\]`"):
        subgraph(plan("FERRY"))


def _named(snapshot: Snapshot) -> list[tuple[Entity, str, Entity]]:
    ids = snapshot.identities
    return [(ids[h], snapshot.relations[r], ids[t]) for h, r, t in snapshot.triples.tolist()]
