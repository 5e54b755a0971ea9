"""A small world with predicted edges, for the tests of validation and review.

Every entity is an `Entity` with a `key`, and one of Country, City, Language, Person. CAPITAL has one target,
BORDERS holds both ways, PARENT one way only, SPEAKS has several targets, AUDITS has loops.
"""

from __future__ import annotations

from typing import Any

import neo4j

from kgsync.config import LabelConfig
from kgsync.evidence import Evidence, Opinion, Rule

LABELS = {"Entity": LabelConfig(key="key", name="name")}

_ENTITIES = """
UNWIND range(0, 39) AS i
CREATE (:Entity:Country {key: 'country' + i, name: 'Country ' + i}),
       (:Entity:City {key: 'city' + i, name: 'City ' + i}),
       (:Entity:Language {key: 'language' + i, name: 'Language ' + i}),
       (:Entity:Person {key: 'person' + i, name: 'Person ' + i})
"""
_ASSERTED = [
    ("country", "CAPITAL", "city", "i", range(0, 30)),
    ("country", "BORDERS", "country", "(i + 1) % 40", range(0, 40)),
    ("country", "BORDERS", "country", "(i + 39) % 40", range(0, 40)),
    ("country", "SPEAKS", "language", "i", range(0, 40)),
    ("country", "SPEAKS", "language", "(i + 1) % 40", range(0, 30)),
    ("person", "PARENT", "person", "i + 1", range(0, 30)),
    ("country", "AUDITS", "country", "i", range(0, 25)),
]
_CREATE = """
UNWIND $rows AS row
MATCH (h:Entity {key: row.head}), (t:Entity {key: row.tail})
CREATE (h)-[p:PREDICTED {id: row.id, relation: row.relation, score: 0.9, scoreLow: 0.7, status: 'proposed', rank: 1,
                         kgeScore: 3.5, modelId: 'model1', runId: 'run1', firstRunId: 'run1',
                         createdAt: datetime(), updatedAt: datetime()}]->(t)
SET p += row.more
"""
_SCHEMA = [
    "CREATE CONSTRAINT kgsync_prediction_id IF NOT EXISTS FOR ()-[p:PREDICTED]-() REQUIRE p.id IS UNIQUE",
    "CREATE INDEX kgsync_prediction_run IF NOT EXISTS FOR ()-[p:PREDICTED]-() ON (p.runId)",
    "CREATE CONSTRAINT entity_key IF NOT EXISTS FOR (n:Entity) REQUIRE n.key IS UNIQUE",
]
CLEAN = [  # head, relation, tail, status
    ("country30", "CAPITAL", "city30", "proposed"),
    ("country31", "CAPITAL", "city31", "accepted"),
    ("country32", "CAPITAL", "city1", "rejected"),
    ("country32", "CAPITAL", "city2", "expired"),
    ("country1", "BORDERS", "country3", "proposed"),
    ("country3", "BORDERS", "country1", "proposed"),
    ("country4", "BORDERS", "country6", "accepted"),
    ("country5", "SPEAKS", "language9", "proposed"),
    ("person35", "PARENT", "person36", "proposed"),
    ("person37", "PARENT", "person38", "accepted"),
    ("country30", "AUDITS", "country30", "proposed"),
]


def query(driver: neo4j.Driver, text: str, **parameters: Any) -> list[dict[str, Any]]:
    """Run a statement and return its rows."""
    records, _, _ = driver.execute_query(text, parameters, database_="neo4j")  # type: ignore[arg-type]
    return [dict(record) for record in records]


def edge_id(head: str, relation: str, tail: str) -> str:
    """Return the id that `predict` gives to an edge."""
    return f"{head}-{relation}-{tail}"


def predict(driver: neo4j.Driver, head: str, relation: str, tail: str, /, **more: Any) -> str:
    """Create a predicted edge and return its id; `more` are its properties that differ from the usual."""
    id_: str = more.get("id", edge_id(head, relation, tail))
    row = {"head": head, "relation": relation, "tail": tail, "id": id_, "more": more}
    query(driver, _CREATE, rows=[row])
    return id_


def assert_edge(driver: neo4j.Driver, head: str, relation: str, tail: str) -> None:
    """Create a known edge."""
    pattern = f"MATCH (h:Entity {{key: $head}}), (t:Entity {{key: $tail}}) CREATE (h)-[:{relation}]->(t)"
    query(driver, pattern, head=head, tail=tail)


def keep_evidence(driver: neo4j.Driver, id_: str, facts: list[str], /, run: str = "run1", rules: int = 2) -> None:
    """Keep evidence with an edge: some rules that all rest on `facts`, each written as HEAD RELATION TAIL."""
    triples = [fact.split() for fact in facts]
    named = tuple((f"Entity:{head}", relation, f"Entity:{tail}") for head, relation, tail in triples)
    path = ('A "quoted","name"]],', *(tail for _, _, tail in triples))
    rule = Rule("path", tuple(relation for _, relation, _ in triples), path, named, 10, 12, 0.7, 1)
    opinion = Opinion("kge", 1.0, 1, 40, 'The "facts":[["other"', None, None)
    query(
        driver,
        "CREATE (:__KgsyncEvidence {predictionId: $id, runId: $run, modelId: 'model1', content: $content})",
        id=id_,
        run=run,
        content=Evidence((opinion,), (rule,) * rules).to_json(),
    )


def make_schema(driver: neo4j.Driver) -> None:
    """Create the constraints and the index that kgsync works with."""
    for statement in _SCHEMA:
        query(driver, statement)


def make_world(driver: neo4j.Driver) -> None:
    """Create the entities, the known edges, a run and its model, and no predicted edge."""
    query(driver, _ENTITIES)
    for head, relation, tail, number, heads in _ASSERTED:
        query(
            driver,
            f"UNWIND $heads AS i MATCH (h:Entity {{key: '{head}' + i}}), (t:Entity {{key: '{tail}' + ({number})}}) "
            f"CREATE (h)-[:{relation}]->(t)",
            heads=list(heads),
        )
    query(driver, "CREATE (:__KgsyncRun {id: 'run1'})-[:USED_MODEL]->(:__KgsyncModel {id: 'model1'})")


def make_clean_world(driver: neo4j.Driver) -> None:
    """Create the world with predicted edges of every status, none of which is at fault."""
    make_world(driver)
    for head, relation, tail, status in CLEAN:
        predict(driver, head, relation, tail, status=status)
        if status == "accepted":
            assert_edge(driver, head, relation, tail)
