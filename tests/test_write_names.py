"""Names that could become Cypher, through write: written whole and taken back, or refused; a canary survives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import neo4j
import pytest
from planned import counts, dump, edge, knows, make_plan, make_world, person, query, write_plan

from kgsync.config import WriteConfig
from kgsync.errors import DataError
from kgsync.graph.connection import Connection
from kgsync.graph.rollback import rollback
from kgsync.identity import Entity
from kgsync.plan import Plan

ODD_NAMES = [
    "a`b",
    "`) DETACH DELETE n //",
    'it\'s "quoted"',
    "MATCH",
    "A|B",
    "$(row)",
    "{{head_label}}",
    "naïve 😀",
    "\N{RIGHT-TO-LEFT OVERRIDE}שלום",
    " ",
]
HOSTILE_VALUES = [
    *ODD_NAMES,
    "x\\u0060) DETACH DELETE n //",
    "two\nlines",
    "'); MATCH (n) DETACH DELETE n //",
    "x" * 5_000,
]


@pytest.fixture
def connection(graph_db: neo4j.Driver) -> Connection:
    make_world(graph_db)
    return Connection.wrap(graph_db, "neo4j")


@pytest.mark.newest
def test_odd_names_are_written_and_taken_back_whole_and_a_canary_survives(
    connection: Connection, graph_db: neo4j.Driver, tmp_path: Path
) -> None:
    query(graph_db, "CREATE (:Canary {alive: true})-[:SINGS]->(:Canary)")
    for name in ODD_NAMES:  # as label and as key property
        query(graph_db, "UNWIND $keys AS key CREATE (n:$($name)) SET n[$name] = key", name=name, keys=HOSTILE_VALUES)
    before = dump(graph_db)
    ends = [Entity(name, name, value) for name in ODD_NAMES for value in HOSTILE_VALUES]
    edges = [
        edge(head, HOSTILE_VALUES[number % len(HOSTILE_VALUES)], tail)
        for number, (head, tail) in enumerate(zip(ends, [*ends[1:], ends[0]], strict=True))
    ]
    plan = make_plan(connection, edges, relations=HOSTILE_VALUES, labels=ODD_NAMES)
    plan.save(tmp_path / "plan")
    plan = Plan.load(tmp_path / "plan")
    config = WriteConfig(batch=50)
    assert counts(write_plan(connection, plan, tmp_path, config=config)) == {"created": len(edges)}
    rows = query(
        graph_db,
        "MATCH (h)-[e:PREDICTED]->(t) "
        "RETURN e.id AS id, e.relation AS relation, h[labels(h)[0]] AS head, t[labels(t)[0]] AS tail",
    )
    assert {row["id"]: (row["head"], row["relation"], row["tail"]) for row in rows} == {
        e.id: (e.head.key, e.relation, e.tail.key) for e in plan.edges
    }
    assert counts(write_plan(connection, plan, tmp_path, config=config)) == {"unchanged": len(edges)}
    less = replace(plan, edges=plan.edges[:100])
    assert counts(write_plan(connection, less, tmp_path, run_id="run-2", config=config)) == {
        "unchanged": 100,
        "expired": len(edges) - 100,
    }
    rollback(connection, "run-2", commit=True)
    rollback(connection, "run-1", commit=True)
    assert dump(graph_db) == before


@pytest.mark.parametrize("name", ["x\\u0060y", "two\nlines", ""])
@pytest.mark.parametrize("place", ["label", "key"])
def test_names_that_cypher_cannot_carry_are_refused_before_anything_is_written(
    connection: Connection, graph_db: neo4j.Driver, tmp_path: Path, name: str, place: str
) -> None:
    before = dump(graph_db)
    odd = Entity(name, "id", "x") if place == "label" else Entity("Person", name, "x")
    plan = make_plan(connection, [*knows(3), edge(person(0), "KNOWS", odd)], labels=[name, "Person"])
    with pytest.raises(DataError):
        write_plan(connection, plan, tmp_path)
    assert dump(graph_db) == before
