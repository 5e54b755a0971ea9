"""Vectors for Neo4j Graph Data Science: the real library, in a real server, ranks with them exactly as kgsync does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import neo4j
import numpy as np
import pytest
import torch
from example_graphs import made_up_model

from kgsync.export import of_model, write
from kgsync.graph import server as local
from kgsync.graph import server_config as configuration
from kgsync.graph.connection import Connection
from kgsync.graph.embed import embed
from kgsync.graph.jars import jars
from kgsync.graph.server import LocalServer
from kgsync.identity import Entity
from kgsync.model import Model
from kgsync.snapshot import Snapshot

GDS = "2.13.9"
PEOPLE, TOWNS, TOP = 60, 25, 8
ODD = ('p "0", \\ \\" and\nmore \\', "q\\", '\\"', '"', "a,\\\\b", " ")  # keys with all that CSV must quote

pytestmark = pytest.mark.slow


def gds_jars(cache: Path) -> list[Path]:
    """Return the jars of GDS that the server does not have, in whatever version."""
    coordinates = [f"org.neo4j.gds:{artifact}:{GDS}" for artifact in ("proc", "opengds-extension")]
    servers = jars(
        f"neo4j-{local.LTS}", [f"org.neo4j:neo4j:{local.LTS}", f"org.neo4j.app:neo4j-server:{local.LTS}"], cache
    )
    there = {jar.parents[1] for jar in servers}  # the folder of the artifact
    return [jar for jar in jars(f"gds-{GDS}", coordinates, cache) if jar.parents[1] not in there]


@pytest.fixture(scope="module")
def gds(tmp_path_factory: pytest.TempPathFactory, jar_cache: Path) -> Iterator[LocalServer]:
    """A server with GDS among its plugins."""
    home = tmp_path_factory.mktemp("gds")
    plugins = home / "servers" / "gds" / "plugins"
    plugins.mkdir(parents=True)
    for jar in gds_jars(jar_cache):
        (plugins / jar.name).symlink_to(jar)
    (plugins.parent / configuration.OWN).write_text("dbms.security.procedures.unrestricted=gds.*\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KGSYNC_HOME", str(home))
        patch.setenv("KGSYNC_JARS", str(jar_cache))
        patch.setenv("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")
        server = local.up("gds", version=local.LTS, memory="1G")
        yield server
        local.down("gds")


@pytest.fixture(scope="module")
def driver(gds: LocalServer) -> Iterator[neo4j.Driver]:
    with neo4j.GraphDatabase.driver(gds.uri, auth=(gds.username, gds.password())) as driver:
        yield driver


@pytest.fixture(scope="module")
def snapshot(driver: neo4j.Driver) -> Snapshot:
    """People (keys are text) and towns (keys are numbers), in the database as well."""
    people = [Entity("Person", "id", ODD[i] if i < len(ODD) else f"p{i}") for i in range(PEOPLE)]
    towns = [Entity("Town in `X`", "code", i) for i in range(TOWNS)]
    rng = np.random.default_rng(0)
    pairs = rng.integers(0, PEOPLE, (300, 2)).tolist()
    triples = [(people[i], "KNOWS", people[j]) for i, j in pairs[:200]]
    triples += [(people[i], "LIVES IN", towns[j % TOWNS]) for i, j in pairs[200:]]
    for label, key, entities in (("Person", "id", people), ("`Town in ``X```", "code", towns)):
        driver.execute_query(f"UNWIND $keys AS key CREATE (:{label} {{{key}: key}})", keys=[e.key for e in entities])
    driver.execute_query("CREATE (:Person {id: 'unknown to the model'})-[:KNOWS]->(:Other)")
    for relation, key in (("KNOWS", "id"), ("LIVES IN", "code")):
        driver.execute_query(
            f"UNWIND $pairs AS pair MATCH (h {{id: pair[0]}}), (t {{{key}: pair[1]}}) CREATE (h)-[:`{relation}`]->(t)",
            pairs=[[head.key, tail.key] for head, kind, tail in triples if kind == relation],
        )
    identity = Connection.wrap(driver, "neo4j").identity()
    return replace(Snapshot.from_names(triples), origin={"database": identity})


def statements(path: Path) -> list[str]:
    """Return the statements of a file, without its comments."""
    text = "\n".join(line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("//"))
    return [statement for statement in text.split(";\n") if statement.strip()]


def best(model: Model, number: int) -> dict[int, list[tuple[int, float]]]:
    """Return by anchor the best entities for relation row `number`: not itself, and none that is joined already."""
    n_relations = len(model.snapshot.relations)
    anchors = torch.arange(model.kge.n_entities)
    scores = model.kge.scores(anchors, torch.full_like(anchors, number))
    scores[anchors, anchors] = -torch.inf
    known = model.snapshot.triples[model.snapshot.triples[:, 1] == number % n_relations]
    sources, targets = (known[:, 0], known[:, 2]) if number < n_relations else (known[:, 2], known[:, 0])
    scores[sources, targets] = -torch.inf
    values, entities = scores.topk(TOP, dim=1)
    return {row: list(zip(entities[row].tolist(), values[row].tolist(), strict=True)) for row in range(len(scores))}


def ranked(
    driver: neo4j.Driver, model: Model, call: str, source: str, target: str, **parameters: Any
) -> dict[int, list[tuple[int, float]]]:
    """Return what GDS ranks, by source, with the entities' rows instead of nodes."""
    rows: dict[int, list[tuple[int, float]]] = {}
    numbers = {(entity.label, entity.key): row for entity, row in model.snapshot.rows.items()}

    def row_of(node: Any) -> int:
        (label,) = node.labels
        return numbers[label, node["id"] if label == "Person" else node["code"]]

    for record in driver.execute_query(call.replace("topK: 10", f"topK: {TOP}"), **parameters).records:
        rows.setdefault(row_of(record[source]), []).append((row_of(record[target]), record["score"]))
    return rows


@pytest.mark.parametrize("scoring", ["transe-l2", "distmult"])
def test_gds_ranks_tails_and_heads_as_kgsync_does(
    driver: neo4j.Driver, snapshot: Snapshot, tmp_path: Path, scoring: str
) -> None:
    model = made_up_model(snapshot, scoring=scoring, rank=12)
    folder = write(of_model(model), "gds", tmp_path / "export").path
    with driver.session() as session:
        for statement in statements(folder / "load.cypher"):
            session.run(statement, {"from": f"{folder.as_uri()}/"}).consume()
    count = "MATCH (n) WHERE n.kgsyncGdsVector IS NOT NULL RETURN count(*) AS n"
    assert driver.execute_query(count).records[0]["n"] == model.kge.n_entities

    vectors = json.loads((folder / "relations.json").read_text(encoding="utf-8"))
    tails, ask_tails, heads, ask_heads = statements(folder / "predict.cypher")
    for projection in (tails, heads):
        driver.execute_query(projection)
    sign = -1 if scoring == "transe-l2" else 1
    for number, relation in enumerate(snapshot.relations):
        for call, side, row, ends in (
            (ask_tails, "tails", number, ("head", "tail")),
            (ask_heads, "heads", number + len(snapshot.relations), ("tail", "head")),
        ):
            theirs = ranked(driver, model, call, *ends, relation=relation, vector=vectors[relation][side])
            ours = best(model, row)
            assert theirs.keys() == ours.keys()
            for source, ranking in ours.items():
                assert [entity for entity, _ in theirs[source]] == [entity for entity, _ in ranking], source
                np.testing.assert_allclose(
                    [sign * score for _, score in theirs[source]], [score for _, score in ranking], rtol=1e-4, atol=1e-5
                )
    for side in ("tails", "heads"):
        driver.execute_query("CALL gds.graph.drop($name)", name=f"kgsync-{side}")


@pytest.mark.parametrize("scoring", ["transe-l2", "distmult"])
def test_the_property_that_embed_writes_serves_gds_as_well(
    driver: neo4j.Driver, snapshot: Snapshot, tmp_path: Path, scoring: str
) -> None:
    model = made_up_model(snapshot, scoring=scoring, rank=12)
    embed(Connection.wrap(driver, "neo4j"), model, commit=True)
    folder = write(of_model(model), "gds", tmp_path / "export").path
    projection, call, *_ = (
        statement.replace("kgsyncGdsVector", "kgsyncVector") for statement in statements(folder / "predict.cypher")
    )
    driver.execute_query(projection)
    vectors = json.loads((folder / "relations.json").read_text(encoding="utf-8"))
    theirs = ranked(driver, model, call, "head", "tail", relation="KNOWS", vector=vectors["KNOWS"]["tails"])
    driver.execute_query("CALL gds.graph.drop('kgsync-tails')")
    ours = best(model, snapshot.relations.index("KNOWS"))
    assert {s: [e for e, _ in r] for s, r in theirs.items()} == {s: [e for e, _ in r] for s, r in ours.items()}
