"""How fast kgsync moves graphs in and out of Neo4j, beside the statements that a person would write for it.

    python benchmarks/database.py ../shared/data/fb15k-237 [--runs 3]

Starts a server of its own. Loads the benchmark folder, pulls it, writes 50,000 predicted edges, again, and rolls
them back; then validates 100,000 predicted edges in a graph of a million. The peers, interleaved in the same run:

- load: UNWIND of 1,000 rows per transaction, nodes first, then one MERGE per relationship type.
- pull: MATCH (h)-[r]->(t) RETURN h.id, type(r), t.id, record by record.
- write: UNWIND … MERGE … SET e += row, 1,000 rows per transaction; no fence, no before-images, no report.

Prints medians of wall-clock seconds, and keeps them in results/database.json.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import neo4j
from results import save

from kgsync.config import Config, GraphConfig, LabelConfig
from kgsync.graph import server
from kgsync.graph.connection import Connection
from kgsync.graph.load import load
from kgsync.graph.pull import pull
from kgsync.graph.rollback import rollback
from kgsync.graph.write import write
from kgsync.identity import Entity
from kgsync.plan import Plan, PlannedEdge, Scope, sort_edges
from kgsync.validate import validate

WRITTEN = 50_000
LARGE = 1_000_000
LARGE_WRITTEN = 100_000
PEOPLE = 50_000
TYPES = 20

Triples = list[list[str]]
seconds: dict[str, list[float]] = defaultdict(list)


def timed(name: str, work: Callable[[], Any]) -> Any:
    start = time.perf_counter()
    result = work()
    seconds[name].append(time.perf_counter() - start)
    print(f"{name:24} {seconds[name][-1]:8.2f} s", flush=True)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    rows = {"triples": sum(len(read(path)) for path in arguments.folder.glob("t*.tsv"))}
    rows["triples"] += len(read(arguments.folder / "valid.tsv"))
    with tempfile.TemporaryDirectory() as home:
        os.environ["KGSYNC_HOME"] = home
        local = server.up("benchmark", memory="4G")
        try:
            with neo4j.GraphDatabase.driver(local.uri, auth=(local.username, local.password())) as driver:
                connection = Connection.wrap(driver, local.database)
                for number in range(arguments.runs + 1):
                    run(connection, arguments.folder, Path(home) / f"run-{number}", number)
                    if number == 0:
                        seconds.clear()  # Java has warmed up
                empty(driver)
                large(connection, Path(home) / "large")
        finally:
            server.down("benchmark")
    medians = {name: round(statistics.median(values), 2) for name, values in seconds.items()}
    ratios = {
        name: round(medians[f"{name}, peer"] / medians[name], 2) for name in medians if f"{name}, peer" in medians
    }
    rates = {
        "load": round(rows["triples"] / medians["load"]),
        "pull": round(rows["triples"] / medians["pull"]),
        "write new": round(WRITTEN / medians["write new"]),
        "write again": round(WRITTEN / medians["write again"]),
        "rollback": round(WRITTEN / medians["rollback"]),
    }
    print(f"\nrows per second: {rates}\ntimes faster than the peer: {ratios}")
    found = {"seconds": medians, "rows_per_second": rates, "times_faster_than_peer": ratios, "runs": arguments.runs}
    print(save("database", found | {"graph": arguments.folder.name, **rows}))


def run(connection: Connection, folder: Path, scratch: Path, seed: int) -> None:
    driver = connection.driver
    empty(driver)
    timed("load, peer", lambda: peer_load(driver, folder))
    empty(driver)
    timed("load", lambda: load(connection, folder))
    graph = GraphConfig(labels={"Entity": LabelConfig(key="id")})
    timed("pull, peer", lambda: peer_pull(driver))
    snapshot = timed("pull", lambda: pull(connection, graph, folder=scratch / "snapshots"))
    keys = sorted(str(entity.key) for entity in snapshot.identities)
    plan = make_plan(connection, "Entity", keys, WRITTEN, seed)
    timed("write new, peer", lambda: peer_write(driver, plan))
    timed("write again, peer", lambda: peer_write(driver, plan))
    with driver.session() as session:
        session.run("MATCH ()-[e:PREDICTED]->() CALL (e) { DELETE e } IN TRANSACTIONS OF 10000 ROWS").consume()
    started = "2026-01-01T00:00:00+00:00"
    options: dict[str, Any] = {"folder": scratch, "started_at": started, "config": Config().write, "commit": True}
    report = timed("write new", lambda: write(connection, plan, run_id="run-1", **options))
    assert report.created == WRITTEN, report
    report = timed("write again", lambda: write(connection, plan, run_id="run-2", **options))
    assert report.unchanged == WRITTEN, report
    timed("rollback", lambda: rollback(connection, "run-1", commit=True, config=Config().write))


def large(connection: Connection, scratch: Path) -> None:
    """Validate many predictions in a graph of a million edges."""
    driver = connection.driver
    with driver.session() as session:
        session.run("CREATE CONSTRAINT FOR (n:Person) REQUIRE n.id IS UNIQUE").consume()
        session.run("UNWIND range(0, $n - 1) AS i CREATE (:Person {id: 'p' + i})", n=PEOPLE).consume()
        for kind in range(TYPES):
            session.run(
                "UNWIND range(1, $n) AS i CALL (i) { "
                "MATCH (h:Person {id: 'p' + toInteger(rand() * $people)}) "
                "MATCH (t:Person {id: 'p' + toInteger(rand() * $people)}) "
                f"CREATE (h)-[:KNOWS_{kind}]->(t) }} IN TRANSACTIONS OF 20000 ROWS",
                n=LARGE // TYPES,
                people=PEOPLE,
            ).consume()
    plan = make_plan(connection, "Person", [f"p{i}" for i in range(PEOPLE)], LARGE_WRITTEN, 0)
    scratch.mkdir()
    options: dict[str, Any] = {"folder": scratch, "started_at": "2026-01-01T00:00:00+00:00", "commit": True}
    timed("write 100,000", lambda: write(connection, plan, run_id="large", config=Config().write, **options))
    timed("validate", lambda: validate(connection))
    timed("validate again", lambda: validate(connection))


def make_plan(connection: Connection, label: str, keys: Sequence[str], count: int, seed: int) -> Plan:
    """Return a plan of random edges."""
    draw = random.Random(seed)
    edges: dict[str, PlannedEdge] = {}
    relations = [f"KNOWS_{kind}" for kind in range(TYPES)]
    while len(edges) < count:
        head, tail = (Entity(label, "id", draw.choice(keys)) for _ in range(2))
        score = round(draw.random(), 4)
        edge = PlannedEdge(
            head, draw.choice(relations), tail, score=score, score_low=score / 2, rank=draw.randrange(1, 100),
            kge_score=10 * score,
        )  # fmt: skip
        if head != tail:
            edges[edge.id] = edge
    return Plan(
        edges=sort_edges(edges.values()),
        scope=Scope(tuple(relations), (label,), (), ()),
        model={"id": "model-1", "kind": "kge"},
        snapshot_id="snapshot-1",
        database=connection.identity(),
    )


def read(path: Path) -> Triples:
    return [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]


def empty(driver: neo4j.Driver) -> None:
    with driver.session() as session:
        for name in session.run("SHOW CONSTRAINTS YIELD name").value():
            session.run(f"DROP CONSTRAINT `{name}`").consume()
        session.run("MATCH ()-[r]->() CALL (r) { DELETE r } IN TRANSACTIONS OF 10000 ROWS").consume()
        session.run("MATCH (n) CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 10000 ROWS").consume()


def peer_load(driver: neo4j.Driver, folder: Path) -> None:
    with driver.session() as session:
        session.run("CREATE CONSTRAINT FOR (n:Entity) REQUIRE n.id IS UNIQUE").consume()
        nodes = read(folder / "entities.tsv")[1:]
        for start in range(0, len(nodes), 1000):
            rows = [{"id": row[0], "name": row[1]} for row in nodes[start : start + 1000]]
            session.run("UNWIND $rows AS row MERGE (n:Entity {id: row.id}) SET n.name = row.name", rows=rows).consume()
        by_type: dict[str, Triples] = defaultdict(list)
        for part in ("train", "valid", "test"):
            for triple in read(folder / f"{part}.tsv"):
                by_type[triple[1]].append(triple)
        for relation, triples in by_type.items():
            for start in range(0, len(triples), 1000):
                pairs = [{"h": row[0], "t": row[2]} for row in triples[start : start + 1000]]
                session.run(
                    "UNWIND $rows AS row MATCH (h:Entity {id: row.h}) MATCH (t:Entity {id: row.t}) "
                    f"MERGE (h)-[:`{relation}`]->(t)",
                    rows=pairs,
                ).consume()


def peer_pull(driver: neo4j.Driver) -> list[tuple[str, str, str]]:
    with driver.session() as session:
        return [tuple(row) for row in session.run("MATCH (h)-[r]->(t) RETURN h.id, type(r), t.id")]


def peer_write(driver: neo4j.Driver, plan: Plan) -> None:
    rows = [
        {"h": e.head.key, "t": e.tail.key, "e": {"id": e.id, "modelId": "m", "runId": "r", **e.properties()}}
        for e in plan.edges
    ]  # fmt: skip
    with driver.session() as session:
        session.run("CREATE CONSTRAINT IF NOT EXISTS FOR ()-[e:PREDICTED]-() REQUIRE e.id IS UNIQUE").consume()
        for start in range(0, len(rows), 1000):
            session.run(
                "UNWIND $rows AS row MATCH (h:Entity {id: row.h}) MATCH (t:Entity {id: row.t}) "
                "MERGE (h)-[e:PREDICTED {id: row.e.id}]->(t) SET e += row.e, e.status = 'proposed', "
                "e.updatedAt = datetime()",
                rows=rows[start : start + 1000],
            ).consume()


if __name__ == "__main__":
    main()
