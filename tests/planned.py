"""A small world, plans for it, and what the database holds before and after, for the tests of writing.

People have string keys, towns have integer keys. Plans predict KNOWS between people and LIVES_IN to towns.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import neo4j

from kgsync.config import Config, WriteConfig
from kgsync.graph.connection import Connection
from kgsync.graph.write import WriteReport, write
from kgsync.identity import Entity
from kgsync.plan import Plan, PlannedEdge, Scope, sort_edges
from kgsync.runs import Run, Workspace

PEOPLE = 60
TOWNS = 10
STARTED = "2026-11-24T12:00:00+00:00"
RELATIONS = ("KNOWS", "LIVES_IN")


def query(driver: neo4j.Driver, text: str, **parameters: Any) -> list[dict[str, Any]]:
    """Run a statement and return its rows."""
    records, _, _ = driver.execute_query(text, parameters, database_="neo4j")  # type: ignore[arg-type]
    return [dict(record) for record in records]


def make_world(driver: neo4j.Driver) -> None:
    """Create people, towns, and what is known about them."""
    query(driver, "CREATE CONSTRAINT person IF NOT EXISTS FOR (n:Person) REQUIRE n.id IS UNIQUE")
    query(driver, "CREATE CONSTRAINT town IF NOT EXISTS FOR (n:Town) REQUIRE n.code IS UNIQUE")
    query(driver, "UNWIND range(0, $last) AS i CREATE (:Person {id: 'p' + i, since: date()})", last=PEOPLE - 1)
    query(driver, "UNWIND range(0, $last) AS i CREATE (:Town {code: i, name: 'Town ' + i})", last=TOWNS - 1)
    query(
        driver,
        "MATCH (p:Person), (t:Town) WHERE toInteger(substring(p.id, 1)) % 10 = t.code "
        "CREATE (p)-[:LIVES_IN {since: 2001}]->(t)",
    )


def person(number: int) -> Entity:
    return Entity("Person", "id", f"p{number}")


def town(number: int) -> Entity:
    return Entity("Town", "code", number)


def edge(head: Entity, relation: str, tail: Entity, score: float = 0.5, **more: Any) -> PlannedEdge:
    values = {"score_low": score / 2, "rank": 1, "kge_score": 10 * score} | more
    return PlannedEdge(head, relation, tail, score=score, **values)


def knows(count: int = 20, score: float = 0.5) -> list[PlannedEdge]:
    """Return `count` edges KNOWS."""
    return [edge(person(i % PEOPLE), "KNOWS", person((i + 1 + i // PEOPLE) % PEOPLE), score) for i in range(count)]


def lives_in(count: int = 5, score: float = 0.6) -> list[PlannedEdge]:
    """Return `count` edges LIVES_IN, none of which is known."""
    return [edge(person(i), "LIVES_IN", town((i + 1) % TOWNS), score) for i in range(count)]


def make_plan(
    connection: Connection,
    edges: Iterable[PlannedEdge],
    *,
    model: str = "model-1",
    relations: Sequence[str] = RELATIONS,
    labels: Sequence[str] = ("Person", "Town"),
    heads: Sequence[Entity] = (),
    tails: Sequence[Entity] = (),
) -> Plan:
    return Plan(
        edges=sort_edges(edges),
        scope=Scope(tuple(relations), tuple(labels), tuple(heads), tuple(tails)),
        model={"id": model, "kind": "kge", "baseRate": 0.01, "metrics": {"mrr": 0.3}, "none": None},
        snapshot_id="snapshot-1",
        database=connection.identity(),
    )


def write_plan(connection: Connection, plan: Plan, folder: Path, *, run_id: str = "run-1", **more: Any) -> WriteReport:
    """Write `plan` in batches of five edges."""
    options: dict[str, Any] = {"commit": True, "config": WriteConfig(batch=5, lock_timeout=60.0)} | more
    return write(connection, plan, run_id=run_id, folder=folder / run_id, started_at=STARTED, **options)


def save_run(workspace: Path, plan: Plan) -> Run:
    """Make a run with `plan`, as `kgsync predict` does."""
    run = Workspace(workspace).new_run(Config())
    plan.save(run.plan_folder)
    return run


def dump(driver: neo4j.Driver) -> list[str]:
    """Return the whole graph apart from kgsync's own nodes: every node and relationship with its properties."""
    own = "any(label IN labels(n) WHERE label STARTS WITH '__Kgsync')"
    nodes = query(driver, f"MATCH (n) WHERE NOT {own} RETURN labels(n) AS labels, properties(n) AS properties")
    edges = query(
        driver,
        f"MATCH (n)-[e]->(t) WHERE NOT {own} RETURN type(e) AS type, properties(e) AS properties, "
        "labels(n) AS head_labels, properties(n) AS head, labels(t) AS tail_labels, properties(t) AS tail",
    )
    return sorted(json.dumps(row, sort_keys=True, default=str) for row in [*nodes, *edges])


def facts(driver: neo4j.Driver) -> list[str]:
    """Return `dump` without the predicted edges: what the user knows."""
    return [row for row in dump(driver) if '"type": "PREDICTED"' not in row]


def predicted(driver: neo4j.Driver) -> dict[str, dict[str, Any]]:
    """Return the properties of every predicted edge by its id, after checking that no id is there twice."""
    rows = query(driver, "MATCH ()-[e:PREDICTED]->() RETURN properties(e) AS e")
    edges = {row["e"]["id"]: row["e"] for row in rows}
    assert len(edges) == len(rows), "an id is there twice"
    return edges


def counts(report: Any) -> dict[str, int]:
    """Return the numbers of a write report that are not zero."""
    names = ("created", "updated", "unchanged", "expired", "unmatched", "conflict", "already_true", "reviewed")
    return {name: getattr(report, name) for name in names if getattr(report, name)}


def check_written(driver: neo4j.Driver, plan: Plan, run_id: str) -> None:
    """Check that the graph holds each planned edge once, between its ends, whole, and that the ledger agrees."""
    edges = predicted(driver)
    assert set(edges) == {edge.id for edge in plan.edges}
    for planned in plan.edges:
        assert {key: edges[planned.id][key] for key in planned.properties()} == planned.properties()
        found = query(
            driver,
            f"MATCH (h:{planned.head.label})-[:PREDICTED {{id: $id}}]->(t:{planned.tail.label}) "
            f"RETURN h.{planned.head.key_property} AS head, t.{planned.tail.key_property} AS tail",
            id=planned.id,
        )
        assert found == [{"head": planned.head.key, "tail": planned.tail.key}]
    batches = query(driver, "MATCH (b:__KgsyncBatch {runId: $id}) RETURN b.createdIds AS ids", id=run_id)
    noted = [id_ for batch in batches for id_ in batch["ids"]]
    assert sorted(noted) == sorted(edges), "the ledger does not say what was done"
