"""Embed, on the real server: Cypher answers what the model says, and the vectors come and go without a trace."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import neo4j
import numpy as np
import pytest
import torch
from example_graphs import made_up_model
from planned import dump, facts, make_plan, make_world, person, query, town, write_plan
from planned import edge as planned_edge

from kgsync import sample
from kgsync.cli import main
from kgsync.config import Config, GraphConfig, LabelConfig, WriteConfig
from kgsync.errors import DataError
from kgsync.graph import statements
from kgsync.graph.connection import Connection
from kgsync.graph.embed import EmbedReport, embed, remove
from kgsync.graph.graph import Graph
from kgsync.graph.server import LocalServer
from kgsync.kge.config import TrainConfig
from kgsync.kge.models import create
from kgsync.kge.train import train
from kgsync.kge.vectors import EUCLIDEAN, PRODUCTS
from kgsync.model import Model
from kgsync.snapshot import Snapshot
from kgsync.triple_files import find, read_triples

ODD = "Odd`Label"
CONFIG = Config(
    graph=GraphConfig(
        labels={"Person": LabelConfig(key="id"), "Town": LabelConfig(key="code"), ODD: LabelConfig(key="odd`key")}
    )
)
SERVED = PRODUCTS + EUCLIDEAN


@pytest.fixture
def connection(graph_db: neo4j.Driver) -> Connection:
    """The world of `planned`, and people who like odd things; some of those are people, too."""
    make_world(graph_db)
    query(graph_db, "UNWIND range(0, 19) AS i CREATE (:`Odd``Label` {`odd``key`: 'o' + i})")
    query(
        graph_db,
        "UNWIND range(0, 59) AS i MATCH (p:Person {id: 'p' + i}), (o:`Odd``Label` {`odd``key`: 'o' + i % 20}) "
        "CREATE (p)-[:LIKES]->(o), (p)-[:LIKES]->(p)",
    )
    query(graph_db, "MATCH (p:Person {id: 'p3'}) SET p:`Odd``Label`, p.`odd``key` = 'p3'")
    return Connection.wrap(graph_db, "neo4j")


@pytest.fixture
def snapshot(connection: Connection, tmp_path: Path) -> Snapshot:
    return Graph(connection, CONFIG, tmp_path / "workspace").pull()


def write_vectors(connection: Connection, model: Model, **more: Any) -> EmbedReport:
    """Embed in batches of 25 entities."""
    return embed(connection, model, commit=True, config=WriteConfig(batch=25), **more)


def answers(
    driver: neo4j.Driver, which: str, label: str, key: str, value: str | int, relation: str, k: int
) -> list[tuple[str | int, float]]:
    """Return the keys and scores that a query for Browser returns."""
    path = statements.folder() / "browse" / "live" / f"{which}.cypher"
    text, parameters = path.read_text(encoding="utf-8"), {"label": label, "key": key, "value": value}
    rows = query(driver, text, **parameters, relation=relation, k=k)
    end = "h" if which == "best-heads" else "t"
    found = [(next(row[end][k] for k in ("id", "code", "odd`key") if k in row[end]), row["kgeScore"]) for row in rows]
    return found


def expected(model: Model, row: int, relation: str, *, heads: bool) -> list[tuple[str | int, float]]:
    """Return every admissible answer of the model with its exact score, best first."""
    snapshot = model.snapshot
    number = snapshot.relations.index(relation)
    triples = snapshot.triples[snapshot.triples[:, 1] == number]
    mine, others = (2, 0) if heads else (0, 2)
    known = set(triples[triples[:, mine] == row][:, others].tolist()) | {row}
    labels = snapshot.entities["label"].to_pylist()
    fitting = {labels[other] for other in triples[:, others].tolist()}
    directed = number + len(snapshot.relations) if heads else number
    kge = model.kge
    scores = kge.scores(torch.tensor([row]), torch.tensor([directed]))[0].double().numpy()
    return [
        (snapshot.identities[other].key, float(scores[other]))
        for other in np.argsort(-scores).tolist()
        if other not in known and labels[other] in fitting
    ]


def assert_same(found: list[tuple[str | int, float]], wanted: list[tuple[str | int, float]]) -> None:
    assert [key for key, _ in found] == [key for key, _ in wanted]
    np.testing.assert_allclose([s for _, s in found], [s for _, s in wanted], rtol=1e-3, atol=1e-3)


@pytest.mark.newest
@pytest.mark.parametrize("scoring", SERVED)
def test_cypher_answers_what_the_model_says_for_tails_and_for_heads(
    connection: Connection, graph_db: neo4j.Driver, snapshot: Snapshot, scoring: str
) -> None:
    model = made_up_model(snapshot, scoring=scoring, rank=5)
    write_vectors(connection, model)
    for person_key in ("p0", "p3", "p47"):
        row = snapshot.find(f"Person:{person_key}")
        for relation in ("LIKES", "LIVES_IN"):
            found = answers(graph_db, "best-tails", "Person", "id", person_key, relation, 200)
            assert_same(found, expected(model, row, relation, heads=False))
    found = answers(graph_db, "best-heads", "Town", "code", 4, "LIVES_IN", 7)
    assert_same(found, expected(model, snapshot.find("Town:4"), "LIVES_IN", heads=True)[:7])
    found = answers(graph_db, "best-heads", ODD, "odd`key", "o7", "LIKES", 200)
    assert_same(found, expected(model, snapshot.find("o7"), "LIKES", heads=True))


def learned(snapshot: Snapshot, scoring: Any) -> Model:
    """Return a model that was trained, a little: random embeddings are far harder to search than any real ones."""
    config = TrainConfig(model=scoring, rank=32, epochs=2, threads=1)
    triples, nothing = snapshot.triples, snapshot.triples[:0]
    trained = train(triples, nothing, snapshot.entities.num_rows, len(snapshot.relations), config)
    return replace(made_up_model(snapshot), kge=trained.model, config=trained.config)


def load_sample(driver: neo4j.Driver) -> None:
    """Put the sample graph into the database, all under one label: the hardest case for its index."""
    query(driver, "CREATE CONSTRAINT entity IF NOT EXISTS FOR (n:Entity) REQUIRE n.id IS UNIQUE")
    edges: dict[str, list[list[str]]] = defaultdict(list)
    for triple in read_triples(find(sample.folder()).triples[0], lambda _: None):
        edges[triple.relation].append([triple.head, triple.tail])
    ends = {end for pairs in edges.values() for pair in pairs for end in pair}
    query(driver, "UNWIND $ends AS end CREATE (:Entity {id: end})", ends=sorted(ends))
    for relation, pairs in edges.items():
        text = f"MATCH (h:Entity {{id: pair[0]}}), (t:Entity {{id: pair[1]}}) CREATE (h)-[:`{relation}`]->(t)"
        query(driver, f"UNWIND $pairs AS pair {text}", pairs=pairs)


@pytest.mark.slow
def test_ten_best_of_three_thousand_are_found_by_the_index(graph_db: neo4j.Driver, tmp_path: Path) -> None:
    load_sample(graph_db)
    connection = Connection.wrap(graph_db, "neo4j")
    config = Config(graph=GraphConfig(labels={"Entity": LabelConfig(key="id")}))
    snapshot = Graph(connection, config, tmp_path).pull()
    questions = snapshot.triples[:: len(snapshot.triples) // 30].tolist()
    for scoring in SERVED:
        model = learned(snapshot, scoring)
        embed(connection, model, commit=True)
        hits = total = 0
        for head, number, tail in questions:
            for which, row in (("best-tails", head), ("best-heads", tail)):
                relation = snapshot.relations[number]
                wanted = expected(model, row, relation, heads=which == "best-heads")[:10]
                found = answers(graph_db, which, "Entity", "id", snapshot.identities[row].key, relation, 10)
                hits += len({key for key, _ in found} & {key for key, _ in wanted})
                total += len(wanted)
        assert hits / total >= 0.95, scoring


@pytest.mark.parametrize("any_server", ["newest_server"], indirect=True)
def test_search_answers_the_same_on_a_server_that_has_it(
    connection: Connection, graph_db: neo4j.Driver, snapshot: Snapshot
) -> None:
    model = made_up_model(snapshot, rank=5)
    write_vectors(connection, model)
    path = statements.folder() / "browse" / "live" / "best-tails-search.cypher"
    text = path.read_text(encoding="utf-8")
    changed = text.replace("(t:Entity)", "(t:Town)").replace("kgsync_vector_Entity", "kgsync_vector_Town")
    rows = query(graph_db, changed, label="Person", key="id", value="p9", relation="LIVES_IN", k=20)
    found = [(row["t"]["code"], row["kgeScore"]) for row in rows]
    assert_same(found, expected(model, snapshot.find("Person:p9"), "LIVES_IN", heads=False))


def test_a_rejected_edge_is_not_answered(connection: Connection, graph_db: neo4j.Driver, snapshot: Snapshot) -> None:
    write_vectors(connection, made_up_model(snapshot))
    best, second, *_ = answers(graph_db, "best-tails", "Person", "id", "p0", "LIVES_IN", 5)
    query(
        graph_db,
        "MATCH (h:Person {id: 'p0'}), (t:Town {code: $code}) "
        "CREATE (h)-[:PREDICTED {relation: 'LIVES_IN', status: 'rejected'}]->(t)",
        code=best[0],
    )
    assert answers(graph_db, "best-tails", "Person", "id", "p0", "LIVES_IN", 5)[0] == second


def test_without_commit_nothing_changes_and_a_second_embed_writes_nothing(
    connection: Connection, snapshot: Snapshot
) -> None:
    model = made_up_model(snapshot)
    bookmark = connection.read_bookmark()
    look = embed(connection, model)
    assert connection.read_bookmark() == bookmark
    assert (look.written, look.unchanged, look.relations, look.dimension) == (90, 0, 2, 9)
    assert look.megabytes == pytest.approx(90 * 9 * 4e-6)
    first = write_vectors(connection, model)
    assert not first.complete
    assert replace(first, committed=False) == look
    bookmark = connection.read_bookmark()
    second = write_vectors(connection, model)
    assert connection.read_bookmark() == bookmark
    assert (second.written, second.unchanged, second.complete) == (0, 90, True)


@pytest.mark.parametrize("step", ["vectors", "indexing"])
def test_an_interrupted_embed_answers_nothing_and_goes_on_where_it_stopped(
    connection: Connection, graph_db: neo4j.Driver, snapshot: Snapshot, step: str
) -> None:
    model, earlier = made_up_model(snapshot, seed=1), made_up_model(snapshot, seed=2)
    write_vectors(connection, earlier)

    def stop(now: str, done: int, _: int | None) -> None:
        if now == step and done >= 50:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_vectors(connection, model, progress=stop)
    assert answers(graph_db, "best-tails", "Person", "id", "p0", "LIVES_IN", 5) == []
    assert (
        answers(graph_db, "best-heads", "Town", "code", 4, "LIVES_IN", 5) == []
    )  # its vector is still the earlier one
    assert embed(connection, model).written < 90
    assert not embed(connection, model).complete
    assert write_vectors(connection, model).unchanged >= 50
    found = answers(graph_db, "best-tails", "Person", "id", "p0", "LIVES_IN", 5)
    assert_same(found, expected(model, snapshot.find("Person:p0"), "LIVES_IN", heads=False)[:5])


@pytest.mark.newest
def test_another_model_takes_the_place_of_the_first(
    connection: Connection, graph_db: neo4j.Driver, snapshot: Snapshot, tmp_path: Path
) -> None:
    first = made_up_model(snapshot, scoring="complex")
    write_vectors(connection, first)
    towns = replace(
        CONFIG, graph=GraphConfig(labels={"Person": LabelConfig(key="id"), "Town": LabelConfig(key="code")})
    )
    fewer = Graph(connection, towns, tmp_path / "fewer").pull(relations=["LIVES_IN"])
    second = made_up_model(fewer, scoring="transe-l2", rank=7)
    report = write_vectors(connection, second)
    assert report.removed == 20
    rows = query(
        graph_db,
        "MATCH (n) WHERE n.kgsyncVector IS NOT NULL "
        "RETURN n.kgsyncModelId AS m, size(n.kgsyncVector) AS s, count(*) AS n",
    )
    assert rows == [{"m": second.id, "s": 7, "n": 70}]
    assert query(graph_db, "MATCH (m:__KgsyncModel) RETURN m.id AS id") == [{"id": second.id}]
    assert query(graph_db, "MATCH (r:__KgsyncRelationVector) RETURN r.modelId AS m, r.relation AS r") == [
        {"m": second.id, "r": "LIVES_IN"}
    ]
    names = query(graph_db, "SHOW VECTOR INDEXES YIELD name RETURN name ORDER BY name")
    assert [row["name"] for row in names] == ["kgsync_vector_Person", "kgsync_vector_Town"]
    found = answers(graph_db, "best-tails", "Person", "id", "p0", "LIVES_IN", 5)
    assert_same(found, expected(second, fewer.find("Person:p0"), "LIVES_IN", heads=False)[:5])


def test_entities_that_are_gone_are_counted_and_those_that_came_back_get_their_vector(
    connection: Connection, graph_db: neo4j.Driver, snapshot: Snapshot
) -> None:
    model = made_up_model(snapshot)
    query(graph_db, "MATCH (p:Person {id: 'p9'}) DETACH DELETE p")
    report = write_vectors(connection, model)
    assert (report.written, report.unmatched) == (89, 1)
    query(graph_db, "CREATE (:Person {id: 'p9'})")
    again = write_vectors(connection, model)
    assert (again.written, again.unchanged, again.unmatched) == (1, 89, 0)
    assert write_vectors(connection, model).complete


@pytest.mark.newest
def test_remove_takes_everything_out_and_leaves_a_model_that_a_run_has_used(
    connection: Connection, graph_db: neo4j.Driver, snapshot: Snapshot, tmp_path: Path
) -> None:
    model = made_up_model(snapshot)
    before = facts(graph_db)
    write_plan(
        connection, make_plan(connection, [planned_edge(person(1), "LIVES_IN", town(5))], model=model.id), tmp_path
    )
    written = dump(graph_db)
    card = query(graph_db, "MATCH (m:__KgsyncModel) RETURN properties(m) AS card")
    write_vectors(connection, model)
    look = remove(connection)
    assert (look.committed, look.vectors, look.relations, len(look.indexes)) == (False, 90, 2, 3)
    assert remove(connection, commit=True) == replace(look, committed=True)
    assert dump(graph_db) == written
    assert facts(graph_db) == before
    assert query(graph_db, "MATCH (m:__KgsyncModel) RETURN properties(m) AS card") == card
    assert not query(graph_db, "MATCH (r:__KgsyncRelationVector) RETURN r")
    assert not query(graph_db, "SHOW VECTOR INDEXES YIELD name")
    bookmark = connection.read_bookmark()
    assert remove(connection, commit=True).empty
    assert connection.read_bookmark() == bookmark


def test_a_model_of_another_database_or_with_too_long_vectors_is_refused(
    connection: Connection, snapshot: Snapshot
) -> None:
    elsewhere = replace(snapshot, origin={"database": {"id": "other", "name": "theirs"}})
    with pytest.raises(DataError, match="was trained on theirs, with another id than neo4j"):
        embed(connection, made_up_model(elsewhere))
    long = replace(made_up_model(snapshot), kge=create("complex", snapshot.entities.num_rows, 2, 2_048, 0))
    with pytest.raises(DataError, match="vectors of 4,097 numbers; an index holds 4,096 at most"):
        embed(connection, long)
    with pytest.raises(DataError, match="cannot rank as transe-l1 does"):
        embed(connection, made_up_model(snapshot, scoring="transe-l1"))


def test_the_command_shows_writes_and_removes(
    connection: Connection,
    graph_db: neo4j.Driver,
    snapshot: Snapshot,
    any_server: LocalServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    snapshot.save(Path(".kgsync/snapshots"))
    model = made_up_model(snapshot)
    model.save(Path(".kgsync/models"))
    before = dump(graph_db)

    def kgsync(*arguments: str) -> str:
        where = ["--uri", any_server.uri, "--password-file", str(any_server.password_file)]
        with pytest.raises(SystemExit) as end:
            main(["embed", *arguments, *where])
        shown = capsys.readouterr()
        assert end.value.code == 0, shown.err
        return shown.out

    assert "Nothing was changed; --yes does it." in kgsync()
    assert dump(graph_db) == before
    assert ':params {label: "' in kgsync("--yes")
    assert "It was all there already." in kgsync(model.id, "--yes")
    assert '"complete": true' in kgsync("--json")
    assert "Would remove the vectors of 90 entities and 2 relations, and 3 indexes." in kgsync("--remove")
    kgsync("--remove", "--yes")
    assert dump(graph_db) == before
    assert "no vectors" in kgsync("--remove")
