"""Embed of new nodes, on the real server: plain Cypher ranks their links, and nobody else notices.

The world: people live in towns, know people of their town, and speak the language of its country. A person's
text names the town.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import neo4j
import numpy as np
import pytest
import torch
from example_graphs import made_up_model
from hypothesis import given, settings
from hypothesis import strategies as st
from planned import dump, query

from kgsync.cli import main
from kgsync.config import Config, GraphConfig, LabelConfig, VoicesConfig, WriteConfig
from kgsync.errors import DataError, NotFoundError
from kgsync.graph import embed_new as module
from kgsync.graph import statements
from kgsync.graph.connection import Connection
from kgsync.graph.embed import embed, remove
from kgsync.graph.embed_new import NewReport, embed_new
from kgsync.graph.graph import Graph
from kgsync.graph.server import LocalServer
from kgsync.graph.uninstall import uninstall
from kgsync.kge.config import TrainConfig
from kgsync.kge.foldin import fold_in
from kgsync.kge.models import create
from kgsync.kge.vectors import EUCLIDEAN, PRODUCTS, further, vectors
from kgsync.learn import train
from kgsync.model import Model
from kgsync.newcomers import Group, alike, expect
from kgsync.snapshot import Snapshot

SPOKEN = {
    "Norwegian": ("Bergen", "Tromsø", "Stavanger"),
    "French": ("Lyon", "Nantes", "Toulouse"),
    "Portuguese": ("Porto", "Braga", "Coimbra"),
    "Polish": ("Kraków", "Gdańsk", "Poznań"),
    "Japanese": ("Kyoto", "Osaka", "Nagoya"),
    "Spanish": ("Cusco", "Arequipa", "Trujillo"),
    "Swahili": ("Mombasa", "Kisumu", "Nakuru"),
    "Turkish": ("Izmir", "Bursa", "Antalya"),
}
LANGUAGES, TOWNS = list(SPOKEN), [town for towns in SPOKEN.values() for town in towns]
NAMES = ["Ada", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gil", "Hana", "Ivo", "Jon"]  # of the people of each town
TRADES = ["baker", "potter", "tailor", "sailor", "teacher"]
ENTRY = LabelConfig(key="id", name="name", text=("about",))
CONFIG = Config(graph=GraphConfig(labels={"Person": ENTRY, "Town": ENTRY, "Language": ENTRY}))
LEARNED: dict[tuple[str, bool], Model] = {}


def make_world(driver: neo4j.Driver) -> None:
    for label in CONFIG.graph.labels:
        query(driver, f"CREATE CONSTRAINT FOR (n:{label}) REQUIRE n.id IS UNIQUE")
    languages = [{"id": name.lower(), "name": name} for name in LANGUAGES]
    query(driver, "UNWIND $rows AS row CREATE (n:Language) SET n = row", rows=languages)
    towns = [
        {"id": place, "name": name, "about": f"A town where people speak {LANGUAGES[place // 3]}."}
        for place, name in enumerate(TOWNS)
    ]
    query(
        driver,
        "UNWIND $rows AS row MATCH (l:Language {id: $languages[row.id / 3]}) "
        "CREATE (n:Town)-[:SPOKEN {since: 1}]->(l) SET n = row",
        rows=towns,
        languages=[language["id"] for language in languages],
    )
    people = [
        {"id": f"p{number}", "name": name, "about": about(town, TRADES[(number + town) % 5]), "town": town, "n": number}
        for number, (town, name) in enumerate((town, name) for town in range(len(TOWNS)) for name in NAMES)
    ]
    query(
        driver,
        "UNWIND $rows AS row MATCH (t:Town {id: row.town})-[:SPOKEN]->(l) "
        "CREATE (p:Person {id: row.id, name: row.name, about: row.about})-[:LIVES_IN]->(t) CREATE (p)-[:SPEAKS]->(l)",
        rows=people,
    )
    query(
        driver,
        "UNWIND $rows AS row UNWIND [1, 2, 3] AS far MATCH (p:Person {id: row.id}), "
        "(q:Person {id: 'p' + (10 * row.town + (row.n + far) % 10)}) CREATE (p)-[:KNOWS]->(q)",
        rows=people,
    )


def about(town: int, trade: str) -> str:
    return f"A {trade} from {TOWNS[town]}."


@pytest.fixture
def connection(graph_db: neo4j.Driver) -> Connection:
    make_world(graph_db)
    return Connection.wrap(graph_db, "neo4j")


@pytest.fixture
def snapshot(connection: Connection, tmp_path: Path) -> Snapshot:
    return Graph(connection, CONFIG, tmp_path / "workspace").pull()


def learned(snapshot: Snapshot, *, text: bool = False) -> Model:
    """Return a model that was trained, a little, with or without a text voice."""
    key = (snapshot.id, text)
    if key not in LEARNED:
        config = TrainConfig(rank=32, epochs=40, threads=1)
        LEARNED[key] = train(snapshot, config=config, voices=VoicesConfig(rules=False, text=text))
    return replace(LEARNED[key], snapshot=snapshot)  # the same entities, but of the database at hand


def newcomers(driver: neo4j.Driver, edges: int, *, text: bool = False) -> dict[str, int]:
    """Create a new person for each town, of whom so many edges are known (none says where), and return the towns."""
    prefix = f"new{edges}{'t' * text}-"
    for town in range(len(TOWNS)):
        own: dict[str, Any] = {"id": f"{prefix}{town}"} | (
            {"name": "Zoe", "about": about(town, "lawyer")} if text else {}
        )
        query(driver, "CREATE (p:Person) SET p = $own", own=own)
        for number in range(edges):
            text_ = "MATCH (p:Person {id: $id}), (q:Person {id: $other}) CREATE (p)-[:KNOWS]->(q)"
            query(driver, text_, id=own["id"], other=f"p{10 * town + 2 * number}")
    return {f"{prefix}{town}": town for town in range(len(TOWNS))}


def write_new(connection: Connection, model: Model, **more: Any) -> NewReport:
    """Embed the new ones in batches of 5."""
    config = replace(CONFIG, write=WriteConfig(batch=5))
    return embed_new(connection, model, CONFIG.graph.labels, commit=True, config=config, **more)


def ask(driver: neo4j.Driver, which: str, label: str, value: Any, relation: str, k: int) -> list[Any]:
    """Return the keys that a query for Browser returns, best first."""
    text = (statements.folder() / "browse" / "live" / f"{which}.cypher").read_text(encoding="utf-8")
    rows = query(driver, text, label=label, key="id", value=value, relation=relation, k=k)
    return [row["h" if which == "best-heads" else "t"]["id"] for row in rows]


def mrr_of_towns(driver: neo4j.Driver, people: dict[str, int]) -> float:
    """Return the mean reciprocal rank of where new people live, of 24 towns; by chance it is 0.16."""
    found = 0.0
    for person, town in people.items():
        answers = ask(driver, "best-tails", "Person", person, "LIVES_IN", len(TOWNS))
        found += 1 / (1 + answers.index(town)) if town in answers else 0.0
    return found / len(people)


def all_vectors(driver: neo4j.Driver) -> dict[tuple[str, Any], Any]:
    rows = query(
        driver,
        "MATCH (n) WHERE n.kgsyncVector IS NOT NULL "
        "RETURN labels(n)[0] AS label, n.id AS id, n.kgsyncVector AS vector, n.kgsyncVectorFrom AS made",
    )
    return {(row["label"], row["id"]): (tuple(row["vector"]), row["made"]) for row in rows}


@pytest.mark.newest
@pytest.mark.slow
def test_cypher_ranks_the_links_of_nodes_that_came_after_the_training(
    connection: Connection, graph_db: neo4j.Driver, snapshot: Snapshot
) -> None:
    model = learned(snapshot, text=True)
    embed(connection, model, commit=True)
    before = all_vectors(graph_db)
    people = {
        (n, text): newcomers(graph_db, n, text=text) for n, text in ((0, True), (0, False), (1, False), (3, True))
    }
    assert mrr_of_towns(graph_db, people[3, True]) == 0
    report = write_new(connection, model)
    assert report.made == {"text": 24, "labels": 24, "edges": 24, "text and edges": 24}
    assert (report.found, report.written, report.unread) == (96, 96, "")
    ranked = {which: mrr_of_towns(graph_db, own) for which, own in people.items()}
    assert ranked[0, True] > 0.5
    assert ranked[1, False] > 0.5
    assert ranked[3, True] > 0.7
    assert ranked[0, False] < 0.4  # nothing is known, so nothing can be
    found = {town: ask(graph_db, "best-heads", "Town", town, "LIVES_IN", 5) for town in range(len(TOWNS))}
    came = Counter(people[3, True].get(str(who)) == town for town, answers in found.items() for who in answers)
    assert came[True] > len(TOWNS) / 3  # new people are found as answers, too
    after = all_vectors(graph_db)
    assert {key: after[key] for key in before} == before
    assert len(after) == len(before) + 96


@pytest.mark.newest
def test_edges_alone_serve_a_model_that_reads_no_text(
    connection: Connection, graph_db: neo4j.Driver, snapshot: Snapshot
) -> None:
    model = learned(snapshot)
    embed(connection, model, commit=True)
    people = newcomers(graph_db, 1, text=True) | newcomers(graph_db, 3)
    report = write_new(connection, model)
    assert report.made == {"edges": 48}
    assert report.unread == "the model has no text voice"
    assert mrr_of_towns(graph_db, people) > 0.5


@pytest.mark.parametrize("scoring", PRODUCTS + EUCLIDEAN)
def test_the_vector_is_what_fold_in_finds_beside_the_models_own(
    connection: Connection, graph_db: neo4j.Driver, snapshot: Snapshot, scoring: str
) -> None:
    model = made_up_model(snapshot, scoring=scoring)
    embed(connection, model, commit=True)
    query(
        graph_db,
        "MATCH (t:Town {id: 4}), (q:Person {id: 'p1'}) CREATE (q)<-[:KNOWS]-(:Person {id: 'x'})-[:LIVES_IN]->(t)",
    )
    write_new(connection, model)
    kge, n = model.embeddings(), len(snapshot.identities)
    number = snapshot.relations.index
    edges = [(n, number("KNOWS"), snapshot.find("p1")), (n, number("LIVES_IN"), snapshot.find("Town:4"))]
    row = fold_in(kge, np.array(edges), 1, trained_on=snapshot.triples.astype(np.int64)).numpy()
    wanted, _ = further(scoring, row, kge.entities.detach().numpy())
    found, made = all_vectors(graph_db)["Person", "x"]
    np.testing.assert_allclose(found, wanted[0], rtol=1e-3, atol=1e-3)
    assert made.startswith("2 edges #")


def test_without_commit_nothing_changes_and_a_second_time_nothing_is_written(
    connection: Connection, graph_db: neo4j.Driver, snapshot: Snapshot
) -> None:
    model = made_up_model(snapshot)
    embed(connection, model, commit=True)
    newcomers(graph_db, 1)
    written = dump(graph_db)
    look = embed_new(connection, model, CONFIG.graph.labels)
    assert dump(graph_db) == written
    assert (look.found, look.made, look.unchanged) == (24, {"edges": 24}, 0)
    assert replace(write_new(connection, model), committed=False, shortened=0) == look
    bookmark = connection.read_bookmark()
    again = write_new(connection, model)
    assert connection.read_bookmark() == bookmark
    assert (again.found, again.written, again.unchanged) == (24, 0, 24)
    assert embed(connection, model).complete  # for those of the training nothing is left to do either


def test_a_node_gets_another_vector_when_its_edges_change_and_others_keep_theirs(
    connection: Connection, graph_db: neo4j.Driver, snapshot: Snapshot
) -> None:
    model = made_up_model(snapshot)
    embed(connection, model, commit=True)
    newcomers(graph_db, 1)
    write_new(connection, model)
    before = all_vectors(graph_db)
    query(graph_db, "MATCH (p:Person {id: 'new1-3'}), (t:Town {id: 3}) CREATE (p)-[:LIVES_IN]->(t)")
    query(graph_db, "MATCH (p:Person {id: 'new1-5'}) CREATE (p)-[:KNOWS]->(:Person {id: 'friend'})")
    query(graph_db, "MATCH (p:Person {id: 'new1-7'}) CREATE (p)-[:PREDICTED {relation: 'SPEAKS'}]->(p)")
    assert write_new(connection, model).written == 3
    after = all_vectors(graph_db)
    changed = {key for key in after if after[key] != before.get(key)}
    assert changed == {("Person", "new1-3"), ("Person", "new1-5"), ("Person", "friend")}
    assert after["Person", "friend"][1].startswith("1 edge #")


def test_an_interrupted_one_goes_on_where_it_stopped(
    connection: Connection, graph_db: neo4j.Driver, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = made_up_model(snapshot)
    embed(connection, model, commit=True)
    newcomers(graph_db, 1)
    monkeypatch.setattr(module, "_TOGETHER", 10)

    def stop(step: str, done: int, _: int | None) -> None:
        if step == "vectors" and done >= 15:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_new(connection, model, progress=stop)
    assert ask(graph_db, "best-tails", "Person", "p0", "LIVES_IN", 3)  # the model's own go on answering
    report = write_new(connection, model)
    assert (report.written, report.unchanged) == (9, 15)


def test_a_node_that_came_back_gets_the_models_own_vector(
    connection: Connection, graph_db: neo4j.Driver, snapshot: Snapshot
) -> None:
    model = made_up_model(snapshot)
    embed(connection, model, commit=True)
    before = all_vectors(graph_db)
    query(graph_db, "MATCH (p:Person {id: 'p9'}) DETACH DELETE p")
    query(graph_db, "CREATE (:Person {id: 'p9'})")
    report = write_new(connection, model)
    assert (report.returned, report.found, report.written) == (1, 0, 1)
    assert all_vectors(graph_db) == before


@pytest.mark.newest
@pytest.mark.parametrize("way", ["remove", "uninstall", "another model"])
def test_they_go_with_the_others(
    connection: Connection, graph_db: neo4j.Driver, snapshot: Snapshot, tmp_path: Path, way: str
) -> None:
    model = made_up_model(snapshot)
    newcomers(graph_db, 1)
    before = dump(graph_db)
    embed(connection, model, commit=True)
    write_new(connection, model)
    if way == "remove":
        assert remove(connection, commit=True).vectors == len(snapshot.identities) + 24
    elif way == "uninstall":
        assert uninstall(connection).vectors == len(snapshot.identities) + 24
    else:
        grown = Graph(connection, CONFIG, tmp_path / "grown").pull()
        embed(connection, made_up_model(grown), commit=True)
        assert not query(graph_db, "MATCH (n) WHERE n.kgsyncVectorFrom IS NOT NULL RETURN n")
    uninstall(connection, commit=True)
    assert dump(graph_db) == before


def test_what_cannot_be_done_is_said(connection: Connection, graph_db: neo4j.Driver, snapshot: Snapshot) -> None:
    model, other = made_up_model(snapshot), made_up_model(snapshot, seed=1)
    with pytest.raises(NotFoundError, match=r"no model is embedded in neo4j at .*; run `kgsync embed --yes` first"):
        write_new(connection, model)
    embed(connection, other, commit=True)
    with pytest.raises(DataError, match=f"the graph holds the vectors of model {other.id}, not of {model.id}"):
        write_new(connection, model)
    query(graph_db, "MATCH (p:Person {id: 'p1'}) CREATE (:Person)-[:KNOWS]->(p), (:Person {id: 1.5})-[:KNOWS]->(p)")
    query(graph_db, "CREATE (:Town:Person {id: 'both'}), (:Stranger {id: 1})")
    report = write_new(connection, other)
    assert report.without_key == {"Person.id": 2}
    assert (report.found, report.made) == (1, {"labels": 1})
    without = embed_new(connection, other, {}, commit=True)
    assert (without.written, without.labels) == (0, ("Person", "Town", "Language"))
    query(graph_db, "SHOW CONSTRAINTS YIELD name RETURN name")
    for row in query(
        graph_db, "SHOW CONSTRAINTS YIELD name, labelsOrTypes WHERE labelsOrTypes = ['Person'] RETURN name"
    ):
        query(graph_db, f"DROP CONSTRAINT {row['name']}")
    query(graph_db, "CREATE (:Person {id: 'twin'}), (:Person {id: 'twin'})")
    with pytest.raises(DataError, match="several new Person nodes have the key id = 'twin'"):
        write_new(connection, other)


def test_the_command_shows_and_writes(
    connection: Connection,
    graph_db: neo4j.Driver,
    snapshot: Snapshot,
    any_server: LocalServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("kgsync.toml").write_text(
        "".join(
            f'[graph.labels.{label}]\nkey = "id"\nname = "name"\ntext = ["about"]\n' for label in CONFIG.graph.labels
        )
    )

    def kgsync(*arguments: str, code: int = 0) -> str:
        where = ["--uri", any_server.uri, "--password-file", str(any_server.password_file)]
        with pytest.raises(SystemExit) as end:
            main(["embed", *arguments, *where])
        shown = capsys.readouterr()
        assert end.value.code == code, shown.err
        return shown.err if code else shown.out

    assert "no model is embedded" in kgsync("--new", code=66)
    assert "give one of the two" in kgsync("--new", "--remove", code=2)
    model = made_up_model(snapshot)
    embed(connection, model, commit=True)
    assert f"the graph holds the vectors of model {model.id}, which is not in" in kgsync("--new", code=66)
    snapshot.save(Path(".kgsync/snapshots"))
    model.save(Path(".kgsync/models"))
    assert f"Nothing to do: all nodes of Person, Town, Language have a vector of model {model.id}." in kgsync("--new")
    newcomers(graph_db, 1)
    query(graph_db, "CREATE (:Person)")
    written = dump(graph_db)
    shown = kgsync("--new")
    assert dump(graph_db) == written
    assert f"Model {model.id}: 24 nodes came after its training." in shown
    assert "1 Person nodes have no id to be found by" in shown
    assert "Texts are not read: the model has no text voice." in shown
    assert "Nothing was changed; --yes does it." in shown
    assert ':params {label: "Person", key: "id", value: "new1-0", relation: "KNOWS", k: 10}' in kgsync("--new", "--yes")
    assert "24 new ones among them" in kgsync("--new", "--yes")
    assert '"unchanged": 24' in kgsync("--new", "--json")


# without a server


@pytest.mark.parametrize("scoring", PRODUCTS + EUCLIDEAN)
def test_a_further_vector_lies_among_the_others(scoring: str) -> None:
    rng = np.random.default_rng(0)
    known = rng.normal(size=(20, 6)).astype(np.float32)
    rows = np.concatenate([known[:3], 0.5 * known[3:4], 100 * known[4:5]])
    index = vectors(scoring, known, known[:2])
    found, shortened = further(scoring, rows, known)
    np.testing.assert_allclose(found[:3], index.entities[:3], rtol=1e-5)
    if scoring in EUCLIDEAN:
        np.testing.assert_array_equal(found, rows)
        assert shortened == 0
        return
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), np.linalg.norm(index.entities[0]), rtol=1e-5)
    assert shortened == 1
    assert found[4, -1] == pytest.approx(0, abs=1e-3)
    np.testing.assert_allclose(found[4, :6] / np.linalg.norm(found[4]), known[4] / np.linalg.norm(known[4]), rtol=1e-5)


def test_entities_stand_for_new_ones_of_the_same_types() -> None:
    known = [("City",)] * 6 + [("City", "Port")] * 5 + [("Lake",)] * 2
    new = [("City", "Port"), ("City", "Spa"), ("Lake",), ("City", "Port"), ()]
    groups = {tuple(group.new.tolist()): group.known.tolist() for group in alike(known, new)}
    assert groups == {
        (0, 3): [6, 7, 8, 9, 10],
        (1,): list(range(11)),
        (2,): list(range(13)),
        (4,): list(range(13)),
    }


class Sure:
    """A voice that is sure of one answer to each relation."""

    name = "sure"

    def __init__(self, answers: Callable[[int], int], n: int) -> None:
        self.answers, self.n = answers, n

    def scores(
        self, anchors: torch.Tensor, relations: torch.Tensor, candidates: torch.Tensor | None = None
    ) -> torch.Tensor:
        scores = torch.zeros(len(anchors), self.n)
        for row, relation in enumerate(relations.tolist()):
            scores[row, self.answers(relation)] = 50.0
        return scores if candidates is None else scores[:, candidates]

    def exact(self) -> Sure:
        return self

    def tensors(self) -> dict[str, torch.Tensor]:
        return {}


def test_as_many_edges_are_expected_as_others_have_and_are_not_known_yet() -> None:
    triples = np.array([(0, 0, 5), (1, 0, 5), (2, 0, 6), (3, 0, 6), (0, 1, 1), (1, 1, 2)])  # 4 have r0, 2 have r1
    group = Group(new=np.array([0, 1]), known=np.array([0, 1, 2, 3]))
    voice = Sure(lambda relation: 5 + relation % 2, 10)
    edges = np.array([(9, 0, 6)])  # the second new one has its r0 already
    found, shares = expect(voice, [group], triples, edges, 8, 2)
    expected = {tuple(edge): round(share, 3) for edge, share in zip(found.tolist(), shares.tolist(), strict=True)}
    assert expected == {(8, 0, 5): 0.9, (8, 1, 6): 0.5, (9, 1, 6): 0.5, (6, 1, 8): 0.5, (6, 1, 9): 0.5}


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 100))
def test_an_edge_counts_as_much_as_its_weight(seed: int) -> None:
    model = create("complex", 30, 3, 6, seed)
    with torch.no_grad():
        for table in (model.entities, model.relations):
            table *= 0.7 / table.std()
    edges = np.array([(30, 0, 1), (2, 1, 30)])
    whole = fold_in(model, edges, 1)
    assert torch.equal(fold_in(model, edges, 1, weights=np.ones(2)), whole)
    first = fold_in(model, edges[:1], 1)
    rows = [fold_in(model, edges, 1, weights=np.array([1.0, weight])) for weight in (1e-6, 0.5)]
    torch.testing.assert_close(rows[0], first, rtol=1e-2, atol=1e-2)
    assert (rows[1] - first).norm() > (rows[0] - first).norm()
    other = torch.full((1, 12), 0.25)
    torch.testing.assert_close(fold_in(model, edges[:0], 1, otherwise=other), other)
