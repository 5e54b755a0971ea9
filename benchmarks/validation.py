"""How long the validation of 100,000 predicted edges in a graph of a million edges takes, check by check.

    python benchmarks/validation.py [--edges 1000000] [--predictions 100000]

Starts a server of its own. The graph has people, towns, companies and languages, with dates, a hub, and relations of
many kinds: with one target, one way, inverse to each other, at random. Each prediction rests on two known facts; a
twentieth is accepted, another rejected, and a part of the rest is at fault. Prints wall-clock seconds of each check and
of the whole on a server that has just started, of learning the schema, and of the whole again with nothing left to
write; keeps them in results/validation.json, with the names of checks whose plan reads every node.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from typing import Any

import neo4j
from results import save

from kgsync.config import LabelConfig
from kgsync.evidence import Evidence, Opinion, Rule
from kgsync.graph import schema, server, traits
from kgsync.graph.connection import Connection
from kgsync.validate import ValidationReport, load_checks, validate

LABELS = {label: LabelConfig(key="id") for label in ("Person", "Town", "Company", "Language")}
NODES = {"Person": 50_000, "Town": 5_000, "Company": 10_000, "Language": 200}
# relation, head, tail, share of the edges, tail as a function of the head `i`, or at random
KNOWN = [
    ("KNOWS", "Person", "Person", 0.40, ""),
    ("LIKES", "Person", "Person", 0.20, ""),
    ("SPEAKS", "Person", "Language", 0.10, ""),
    ("WORKS_FOR", "Person", "Company", 0.10, ""),
    ("BORN_IN", "Person", "Town", 0.05, "i / 10"),
    ("PARENT_OF", "Person", "Person", 0.025, "(i + 7) % 50000"),
    ("CHILD_OF", "Person", "Person", 0.025, "(i + 49993) % 50000"),
    ("LIVES_IN", "Person", "Town", 0.05, "0"),
    ("SUPPLIES", "Company", "Company", 0.05, ""),
]
PLACE = '["HEAD","RELATION","TAIL"]'
RULE = Rule("path", ("KNOWS", "KNOWS"), ("A", "B", "C"), (("HEAD", "RELATION", "TAIL"),), 10, 12, 0.7, 1)
EMPTY = Evidence((Opinion("complex", 1.0, 1, 40, "another", "Person:1", 0.5),), (RULE,)).to_json()
EVIDENCE = """
MATCH (h)-[p:PREDICTED]->()
CALL (h, p) {
  MATCH (h)-[r]->(m) WHERE type(r) <> 'PREDICTED'
  WITH h, r, m, p LIMIT 2
  WITH p, labels(h)[0] + ':' + h.id AS head, type(r) AS relation, labels(m)[0] + ':' + m.id AS tail
  WITH p, collect('["' + head + '","' + relation + '","' + tail + '"]') AS facts
  CREATE (:__KgsyncEvidence {predictionId: p.id, runId: 'run', modelId: 'model', content:
    replace($content, $place, reduce(all = facts[0], fact IN facts[1..] | all + ',' + fact))})
} IN TRANSACTIONS OF 20000 ROWS
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edges", type=int, default=1_000_000)
    parser.add_argument("--predictions", type=int, default=100_000)
    parser.add_argument("--version", help="of Neo4j; the long-term one without it")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["KGSYNC_HOME"] = home
        local = server.up("benchmark", version=arguments.version, memory="3G")
        try:
            with neo4j.GraphDatabase.driver(local.uri, auth=(local.username, local.password())) as driver:
                make(driver, arguments.edges, arguments.predictions)
                found = measure(Connection.wrap(driver, local.database))
        finally:
            server.down("benchmark")
    print(save("validation", found | {"edges": arguments.edges, "predictions": arguments.predictions}))


def make(driver: neo4j.Driver, edges: int, predictions: int) -> None:
    """Fill the empty database."""
    start = time.perf_counter()
    with driver.session() as session:
        for label, count in NODES.items():
            session.run(f"CREATE CONSTRAINT FOR (n:{label}) REQUIRE n.id IS UNIQUE").consume()
            more = ", updatedAt: datetime() - duration('P1D')"
            more += ", born: date('1900-01-01') + duration({days: i})" if label == "Person" else ""
            session.run(f"UNWIND range(0, $last) AS i CREATE (:{label} {{id: i{more}}})", last=count - 1).consume()
        for relation, head, tail, share, target in KNOWN:
            session.run(
                "UNWIND range(0, $last) AS e CALL (e) { "
                f"WITH {'e % $heads' if target else 'toInteger(rand() * $heads)'} AS i "
                f"MATCH (h:{head} {{id: i}}) MATCH (t:{tail} {{id: {target or 'toInteger(rand() * $tails)'}}}) "
                f"CREATE (h)-[:{relation}]->(t) }} IN TRANSACTIONS OF 20000 ROWS",
                last=min(int(edges * share), NODES[head] * (1 if target else edges)) - 1,
                heads=NODES[head],
                tails=NODES[tail],
            ).consume()
        schema.install(Connection.wrap(driver, "neo4j"))
        session.run(
            "CREATE (:__KgsyncRun {id: 'run', startedAt: datetime()})-[:USED_MODEL]->(:__KgsyncModel {id: 'model'})"
        ).consume()
        for relation, head, tail, share, _ in KNOWN:
            session.run(
                "UNWIND range(0, $last) AS e CALL (e) { "
                f"MATCH (h:{head} {{id: toInteger(rand() * $heads)}}) "
                f"MATCH (t:{tail} {{id: toInteger(rand() * $tails)}}) "
                "CREATE (h)-[:PREDICTED {id: $relation + e, relation: $relation, score: e % 1000 / 1000.0, "
                "scoreLow: e % 1000 / 2000.0, rank: 1, kgeScore: 1.0, modelId: 'model', runId: 'run', "
                "firstRunId: 'run', createdAt: datetime(), updatedAt: datetime(), "
                "status: CASE e % 20 WHEN 0 THEN 'rejected' WHEN 1 THEN 'accepted' ELSE 'proposed' END}]->(t) } "
                "IN TRANSACTIONS OF 20000 ROWS",
                last=int(predictions * share) - 1,
                heads=NODES[head],
                tails=NODES[tail],
                relation=relation,
            ).consume()
            session.run(
                "MATCH (h)-[p:PREDICTED]->(t) WHERE p.relation = $relation AND p.status = 'accepted' "
                f"CREATE (h)-[:{relation} {{kgsyncPredictionId: p.id, kgsyncRunId: 'run'}}]->(t)",
                relation=relation,
            ).consume()
        session.run(EVIDENCE, content=EMPTY, place=PLACE).consume()
        counted = session.run("MATCH ()-[r]->() RETURN count(r)").single(strict=True)[0]
    print(f"made {counted:,} relationships in {time.perf_counter() - start:.0f} s", flush=True)


def measure(connection: Connection) -> dict[str, Any]:
    """Validate twice, and say how long each part took."""
    first, seconds = timed(connection)  # as a person sees it, with every plan still to be made
    start = time.perf_counter()
    learned = traits.learn(connection)
    learning = time.perf_counter() - start
    _, again = timed(connection)
    for check in first.checks:
        print(f"{check.name:24} {check.seconds:8.2f} s {check.count:10,}")
    print(
        f"learn {learning:.1f} s ({len(learned.traits)} traits), whole {seconds:.1f} s, again {again:.1f} s", flush=True
    )
    return {
        "seconds": {"learn": round(learning, 2), "validate": round(seconds, 2), "validate again": round(again, 2)},
        "checks": {check.name: {"seconds": round(check.seconds, 2), "findings": check.count} for check in first.checks},
        "all_nodes_scans": sorted(name for name, plan in plans(connection).items() if "AllNodesScan" in plan),
    }


def timed(connection: Connection) -> tuple[ValidationReport, float]:
    start = time.perf_counter()
    report = validate(connection, labels=LABELS)
    return report, time.perf_counter() - start


def plans(connection: Connection) -> dict[str, set[str]]:
    """Return the operators of the plan of each check."""

    def operators(plan: dict[str, Any]) -> set[str]:
        below = [operators(child) for child in plan.get("children", [])]
        return {plan["operatorType"].split("@")[0]}.union(*below)

    found: dict[str, set[str]] = {}
    for check in load_checks():
        _, summary, _ = connection.driver.execute_query(f"EXPLAIN {check.form('count')}")
        assert summary.plan is not None
        found[check.name] = operators(summary.plan)
    return found


if __name__ == "__main__":
    main()
