"""Pull, on the real server: what is copied, what never is, and what happens when it is interrupted."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import neo4j
import pytest

from kgsync.config import GraphConfig, LabelConfig, PullConfig
from kgsync.errors import AccessError, DataError, KgsyncError, NotFoundError, TransientError
from kgsync.graph.connection import Connection
from kgsync.graph.load import load
from kgsync.graph.pull import Selection, pull
from kgsync.graph.server import LocalServer
from kgsync.identity import Entity
from kgsync.snapshot import Snapshot

CITIES = GraphConfig(labels={"City": LabelConfig(key="id", name="name", text=("about",))})
TWO = GraphConfig(labels={"Capital": LabelConfig(key="code"), "City": LabelConfig(key="id", name="name")})


def run(driver: neo4j.Driver, text: str, **parameters: object) -> None:
    driver.execute_query(text, parameters, database_="neo4j")  # type: ignore[arg-type]


def triples(snapshot: Snapshot) -> set[tuple[Entity, str, Entity]]:
    ids = snapshot.identities
    return {(ids[h], snapshot.relations[r], ids[t]) for h, r, t in snapshot.triples.tolist()}


@pytest.fixture
def connection(graph_db: neo4j.Driver) -> Connection:
    return Connection.wrap(graph_db, "neo4j")


@pytest.mark.newest
def test_a_pull_copies_entities_with_their_texts_and_every_triple_once(
    graph_db: neo4j.Driver, connection: Connection, tmp_path: Path
) -> None:
    run(
        graph_db,
        "CREATE (a:City {id: 'a', name: 'Ä', about: 'old'}), (b:City {id: 7, name: 'B'}), (c:City {id: '7'}),"
        "(a)-[:ROAD]->(b), (a)-[:ROAD]->(b), (b)-[:ROAD]->(a), (a)-[:RAIL]->(c), (c)-[:RAIL]->(c)",
    )
    snapshot = pull(connection, CITIES, folder=tmp_path)
    a, b, c = Entity("City", "id", "a"), Entity("City", "id", 7), Entity("City", "id", "7")
    assert triples(snapshot) == {(a, "ROAD", b), (b, "ROAD", a), (a, "RAIL", c), (c, "RAIL", c)}
    row = snapshot.entities.to_pylist()[snapshot.rows[a]]
    assert (row["name"], row["text"], row["labels"]) == ("Ä", "old", ["City"])
    told = {(r["head"], r["relation"], r["tail"]) for r in snapshot.to_pandas().to_dict("records")}
    assert told == {("a", "ROAD", "7"), ("7", "ROAD", "a"), ("a", "RAIL", "7"), ("7", "RAIL", "7")}
    assert set(snapshot.to_arrow()["head_label"].to_pylist()) == {"City"}
    assert Snapshot.load(tmp_path / snapshot.id).id == snapshot.id


@pytest.mark.newest
def test_chunks_and_pages_do_not_change_the_snapshot(
    graph_db: neo4j.Driver, connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(
        graph_db,
        "UNWIND range(0, 99) AS i CREATE (:City {id: CASE i % 3 WHEN 0 THEN i ELSE 'k' + i END, n: i, name: 'c' + i})",
    )
    run(graph_db, "MATCH (a:City), (b:City) WHERE (a.n * 7 + b.n) % 11 = 0 CREATE (a)-[:ROAD]->(b)")
    whole = pull(connection, CITIES, folder=tmp_path / "whole")
    monkeypatch.setattr("kgsync.graph.pull._PAGE", 7)
    small = pull(connection, CITIES, config=PullConfig(chunk=3), folder=tmp_path / "small")
    assert len(whole.triples) > 500
    assert small.id == whole.id
    assert triples(small) == triples(whole)


def test_keys_beyond_the_basic_plane_are_asked_for_in_lists(
    graph_db: neo4j.Driver, connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the key has no index, each range is a pass over all nodes of the label."""
    run(graph_db, "UNWIND range(0, 99) AS i CREATE (:City {id: '😀' + i})-[:ROAD]->(:City {id: 'k' + i})")
    asked: list[dict[str, Any]] = []

    def noting(tx: neo4j.ManagedTransaction, text: str, parameters: dict[str, Any]) -> neo4j.Result:
        asked.extend(parameters.get("bounds", ()))
        return tx.run(text, parameters)  # type: ignore[arg-type]

    monkeypatch.setattr("kgsync.graph.pull.run", noting)
    assert len(pull(connection, CITIES, config=PullConfig(chunk=25), folder=tmp_path).triples) == 100
    assert [sorted(bound) for bound in asked] == [["hi", "lo"]] * 4 + [["keys"]] * 4


def test_keys_beyond_the_basic_plane_keep_their_ranges_whole(
    graph_db: neo4j.Driver, connection: Connection, tmp_path: Path
) -> None:
    keys = [
        "z",
        "é",
        "e\u0301",
        "\uffff",
        "\U0001f600",
        "\U00010000",
        "ﬀ",
        "שלום",
        "",
        " ",
        "A\nB",
        "`",
        "\\u0060",
        "'",
        '"',
    ]
    run(graph_db, "UNWIND $keys AS k CREATE (:City {id: k})", keys=keys)
    run(graph_db, "MATCH (a:City), (b:City) CREATE (a)-[:ROAD]->(b)")
    snapshot = pull(connection, CITIES, config=PullConfig(chunk=2), folder=tmp_path)
    assert {entity.key for entity in snapshot.identities} == set(keys)
    assert len(snapshot.triples) == len(keys) ** 2


@pytest.mark.newest
def test_predictions_are_never_pulled_and_rejected_ones_are_noted(
    graph_db: neo4j.Driver, connection: Connection, tmp_path: Path
) -> None:
    run(
        graph_db,
        "CREATE (a:City {id: 'a'})-[:ROAD]->(b:City {id: 'b'}),"
        "(a)-[:PREDICTED {relation: 'ROAD', status: 'proposed'}]->(b),"
        "(b)-[:PREDICTED {relation: 'ROAD', status: 'rejected'}]->(a)",
    )
    snapshot = pull(connection, CITIES, folder=tmp_path)
    assert snapshot.relations == ("ROAD",)
    assert len(snapshot.triples) == 1
    ids = snapshot.identities
    assert [(ids[h].key, ids[t].key) for h, _, t in snapshot.rejected.tolist()] == [("b", "a")]
    assert "audit" not in snapshot.origin, "nothing was drawn by chance"


def test_what_the_random_audit_found_is_pulled(graph_db: neo4j.Driver, connection: Connection, tmp_path: Path) -> None:
    """Of all edges up to the last that was drawn, whoever decided them; not those after it, or that still wait."""
    run(
        graph_db,
        "CREATE (a:City {id: 'a'})-[:ROAD]->(b:City {id: 'b'}), (:__KgsyncModel {id: 'm', missingShare: 0.2}) "
        "WITH a, b UNWIND [['1', 'accepted', 0.501, true], ['2', 'rejected', 0.499, null], "
        "['3', 'proposed', 0.5, null], ['4', 'accepted', 0.9, true], ['5', 'accepted', 0.9, null]] AS row "
        "CREATE (a)-[:PREDICTED {id: row[0], relation: 'ROAD', status: row[1], score: row[2], reviewAudit: row[3],"
        " modelId: 'm'}]->(b)",
    )
    snapshot = pull(connection, CITIES, folder=tmp_path)
    assert snapshot.origin["audit"] == [[0.5, 0.2, 2, 1], [0.9, 0.2, 1, 1]]
    assert Snapshot.load(tmp_path / snapshot.id).origin["audit"] == snapshot.origin["audit"]
    run(graph_db, "CREATE (:__KgsyncReview {action: 'skip', predictionId: '3'})")
    again = pull(connection, CITIES, folder=tmp_path)
    assert again.origin["audit"] == [[0.5, 0.2, 2, 1]], "who skips chooses"


def test_the_first_configured_label_of_a_node_is_its_identity(
    graph_db: neo4j.Driver, connection: Connection, tmp_path: Path
) -> None:
    run(graph_db, "CREATE (:City:Capital {id: 'p', code: 'PAR'})-[:ROAD]->(:City {id: 'l', name: 'Lyon'})")
    snapshot = pull(connection, TWO, folder=tmp_path)
    capital, city = Entity("Capital", "code", "PAR"), Entity("City", "id", "l")
    assert triples(snapshot) == {(capital, "ROAD", city)}
    only = pull(connection, TWO, selection=Selection(labels=("City",)), folder=tmp_path)
    assert only.identities == [city]  # the capital keeps its identity, so it is not selected as a City


def test_a_query_chooses_the_triples(graph_db: neo4j.Driver, connection: Connection, tmp_path: Path) -> None:
    run(graph_db, "CREATE (:City {id: 'a'})-[:ROAD {km: 5}]->(:City {id: 'b'})-[:ROAD {km: 50}]->(:City {id: 'c'})")
    query = "MATCH ()-[r:ROAD]->() WHERE r.km > 10 RETURN r;"
    snapshot = pull(connection, CITIES, selection=Selection(cypher=query), folder=tmp_path)
    assert [entity.key for entity in snapshot.identities] == ["b", "c"]


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("MATCH (n) RETUR n", DataError),
        ("MATCH (n) RETURN n", DataError),
        ("CREATE ()-[r:X]->() RETURN r", AccessError),
    ],
)
def test_a_bad_query_is_refused_and_a_writing_one_writes_nothing(
    query: str, error: type[KgsyncError], graph_db: neo4j.Driver, connection: Connection, tmp_path: Path
) -> None:
    with pytest.raises(error):
        pull(connection, CITIES, selection=Selection(cypher=query), folder=tmp_path)
    assert graph_db.execute_query("MATCH (n) RETURN count(n) AS n", database_="neo4j").records[0]["n"] == 0


def test_seeds_and_hops_choose_a_neighbourhood(graph_db: neo4j.Driver, connection: Connection, tmp_path: Path) -> None:
    run(graph_db, "UNWIND range(0, 9) AS i CREATE (:City {id: i})")
    run(graph_db, "MATCH (a:City), (b:City) WHERE b.id = a.id + 1 CREATE (a)-[:ROAD]->(b)")
    snapshot = pull(connection, CITIES, selection=Selection(seeds=("City:5",), hops=2), folder=tmp_path)
    assert [entity.key for entity in snapshot.identities] == [3, 4, 5, 6, 7]
    assert len(snapshot.triples) == 4


@pytest.mark.parametrize(
    "selection",
    [
        Selection(labels=("Town",)),
        Selection(relations=("NOPE",)),
        Selection(seeds=("City:none",)),
        Selection(seeds=("x",)),
        Selection(seeds=("City",)),
        Selection(seeds=("City:--5",)),
        Selection(seeds=("City:²",)),
        Selection(seeds=("City:99999999999999999999",)),
    ],
)
def test_what_does_not_exist_is_named(
    selection: Selection, graph_db: neo4j.Driver, connection: Connection, tmp_path: Path
) -> None:
    run(graph_db, "CREATE (:City {id: 'a'})-[:ROAD]->(:City {id: 'b'})")
    with pytest.raises(NotFoundError):
        pull(connection, CITIES, selection=selection, folder=tmp_path)


def test_a_label_that_identifies_nothing_chooses_among_the_entities(
    graph_db: neo4j.Driver, connection: Connection, tmp_path: Path
) -> None:
    run(
        graph_db,
        "CREATE (a:Place:City {id: 'a'}), (b:Place:Town {id: 'b'}), (c:Place:Lake {id: 'c'}), (d:Person:City {id: 'd'})"
        ", "
        "(:City {name: 'without a key'}), (a)-[:ROAD]->(b), (b)-[:ROAD]->(c), (d)-[:ROAD]->(a), (d)-[:ROAD]->(b)",
    )
    labels = {"Place": LabelConfig("id"), "Person": LabelConfig("id")}
    place = {name: Entity("Place", "id", name) for name in "abc"}
    person = Entity("Person", "id", "d")

    def chosen(*names: str, **more: Any) -> Snapshot:
        return pull(connection, GraphConfig(labels), selection=Selection(names, **more), folder=tmp_path)

    cities = chosen("City")
    assert set(cities.identities) == {place["a"], person}
    assert triples(cities) == {(person, "ROAD", place["a"])}
    assert set(chosen("Town", "Lake").identities) == {place["b"], place["c"]}
    assert set(chosen("Town", "Person").identities) == {place["b"], person}
    assert set(chosen("City", seeds=("Place:a",)).identities) == {place["a"], person}
    with pytest.raises(NotFoundError, match=r"no entity is labelled Sea; entities are found as Place, Person; correct"):
        chosen("Sea")


def test_a_damaged_part_of_an_interrupted_pull_is_read_again(
    graph_db: neo4j.Driver, connection: Connection, tmp_path: Path
) -> None:
    run(graph_db, "CREATE (:City {id: 'a'})-[:ROAD]->(:City {id: 'b'})")
    whole = pull(connection, CITIES, folder=tmp_path / "whole")

    def stop(name: str, done: int, total: int | None) -> None:
        if name == "pull: ranges of entities":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull(connection, CITIES, folder=tmp_path / "parts", progress=stop)
    found = list((tmp_path / "parts").rglob("*.parquet"))
    assert len(found) == 2
    for part in found:
        part.write_bytes(b"PAR1")
    assert pull(connection, CITIES, folder=tmp_path / "parts").id == whole.id


@pytest.mark.parametrize("key", ["true", "1.5", "date('2026-01-01')", "[1]"])
def test_keys_that_cannot_identify_are_refused(
    key: str, graph_db: neo4j.Driver, connection: Connection, tmp_path: Path
) -> None:
    run(graph_db, f"CREATE (:City {{id: {key}}})")
    with pytest.raises(DataError, match=r"City\.id are of type"):
        pull(connection, CITIES, folder=tmp_path)


def test_a_key_that_two_nodes_share_is_refused_across_pages(
    graph_db: neo4j.Driver, connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(graph_db, "UNWIND ['a', 'b', 'b', 'c'] AS k CREATE (:City {id: k})")
    for page in (1, 2, 3, 100):
        monkeypatch.setattr("kgsync.graph.pull._PAGE", page)
        with pytest.raises(DataError, match="several City nodes have the key id = 'b'"):
            pull(connection, CITIES, folder=tmp_path)


@pytest.mark.parametrize("selection", [Selection(cypher="MATCH ()-[r]->() RETURN r"), Selection(seeds=("City:a",))])
def test_a_key_that_two_nodes_share_is_refused_in_a_part_of_the_graph_too(
    selection: Selection, graph_db: neo4j.Driver, connection: Connection, tmp_path: Path
) -> None:
    run(graph_db, "CREATE (a:City {id: 'a'})-[:ROAD]->(:City {id: 'b'}), (a)-[:ROAD]->(:City {id: 'b'})")
    with pytest.raises(DataError, match="several City nodes have the key id = 'b'"):
        pull(connection, CITIES, selection=selection, folder=tmp_path)


def test_an_empty_graph_gives_an_empty_snapshot(connection: Connection, tmp_path: Path) -> None:
    snapshot = pull(connection, CITIES, folder=tmp_path)
    assert (snapshot.entities.num_rows, len(snapshot.triples), snapshot.relations) == (0, 0, ())
    assert Snapshot.load(tmp_path / snapshot.id).id == snapshot.id


def test_an_interrupted_pull_goes_on_where_it_stopped(
    graph_db: neo4j.Driver, connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(graph_db, "UNWIND range(1, 60) AS i CREATE (:City {id: i})")
    run(graph_db, "MATCH (a:City), (b:City) WHERE (a.id + b.id) % 5 = 0 CREATE (a)-[:ROAD]->(b)")
    undisturbed = pull(connection, CITIES, folder=tmp_path / "undisturbed")
    monkeypatch.setattr("kgsync.graph.pull._RANGES", 1)
    config = PullConfig(chunk=10)
    asked: list[str] = []

    def interrupt(step: str, done: int, total: int | None) -> None:
        asked.append(step)
        if step.startswith("pull: ranges") and done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull(connection, CITIES, config=config, folder=tmp_path / "resumed", progress=interrupt)
    [partial] = (tmp_path / "resumed").glob(".pull-*")
    times = {file.name: file.stat().st_mtime_ns for file in partial.glob("triples-*")}
    assert len(times) == 3
    kept = {}

    def look(step: str, done: int, total: int | None) -> None:
        if done == 6:
            kept.update({f.name: f.stat().st_mtime_ns for f in partial.glob("triples-*")})

    resumed = pull(connection, CITIES, config=config, folder=tmp_path / "resumed", progress=look)
    assert resumed.id == undisturbed.id
    assert times.items() <= kept.items()
    assert resumed.origin["drift"] == {"changed": False}
    assert not partial.exists()


def test_a_change_between_the_parts_of_an_interrupted_pull_is_drift(
    graph_db: neo4j.Driver, connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(graph_db, "UNWIND range(1, 30) AS i CREATE (:City {id: i})")
    run(graph_db, "MATCH (a:City), (b:City) WHERE b.id = a.id + 1 CREATE (a)-[:ROAD]->(b)")
    monkeypatch.setattr("kgsync.graph.pull._RANGES", 1)

    def interrupt(step: str, done: int, total: int | None) -> None:
        if step.startswith("pull: ranges") and done == 1:
            raise KeyboardInterrupt

    def interrupted() -> None:
        with pytest.raises(KeyboardInterrupt):
            pull(connection, CITIES, config=PullConfig(chunk=10), folder=tmp_path, progress=interrupt)

    interrupted()
    bookmark = connection.read_bookmark()
    pull(connection, CITIES, selection=Selection(seeds=("City:1",)), folder=tmp_path)  # has no part in it
    run(graph_db, "MATCH (:City {id: 1})-[r:ROAD]->() DELETE r")
    interrupted()
    snapshot = pull(connection, CITIES, config=PullConfig(chunk=10), folder=tmp_path)
    assert len(snapshot.triples) == 29  # the one that is gone was read before
    assert snapshot.origin["drift"] == {"changed": True, "counts": {"ROAD": [29, 28]}}
    assert snapshot.origin["bookmark"] == bookmark


ROAD_OF_KM = "MATCH ()-[r:ROAD]->() WHERE r.km > 10 RETURN r"


@pytest.mark.parametrize(
    ("selection", "step"),
    [
        (Selection(cypher=ROAD_OF_KM), "pull: entities"),
        (Selection(seeds=("City:5", "City:x5"), hops=3), "pull: hops"),
        (Selection(seeds=("City:5", "City:x5"), hops=3), "pull: entities"),
    ],
    ids=["query", "seeds while they hop", "seeds"],
)
def test_a_killed_pull_of_a_part_of_the_graph_goes_on_where_it_stopped_and_tells_of_drift(
    selection: Selection,
    step: str,
    graph_db: neo4j.Driver,
    any_server: LocalServer,
    connection: Connection,
    tmp_path: Path,
) -> None:
    run(graph_db, "UNWIND range(0, 19) AS i CREATE (:City {id: i, n: i}), (:City {id: 'x' + i, n: 100 + i})")
    run(graph_db, "MATCH (a:City), (b:City) WHERE b.n = a.n + 1 CREATE (a)-[:ROAD {km: 20}]->(b)")
    config = PullConfig(chunk=2)
    undisturbed = pull(connection, CITIES, selection=selection, config=config, folder=tmp_path / "undisturbed")
    again = pull(connection, CITIES, selection=selection, folder=tmp_path / "undisturbed")
    assert again.id == undisturbed.id, "chunks change nothing"
    script = f"""
import os, signal
from pathlib import Path
import neo4j
from kgsync.config import GraphConfig, LabelConfig, PullConfig
from kgsync.graph.connection import Connection
from kgsync.graph.pull import Selection, pull

def kill(step, done, total):
    if step == {step!r}:
        os.kill(os.getpid(), signal.SIGKILL)

with neo4j.GraphDatabase.driver({any_server.uri!r}, auth=({any_server.username!r}, os.environ["SECRET"])) as driver:
    pull(Connection.wrap(driver, "neo4j"), {CITIES!r}, selection={selection!r}, config={config!r},
         folder=Path({str(tmp_path)!r}), progress=kill)
"""
    killed = subprocess.run([sys.executable, "-c", script], env={"SECRET": any_server.password()}, check=False)
    assert killed.returncode == -signal.SIGKILL
    [partial] = tmp_path.glob(".pull-*")
    assert list(partial.glob("*.parquet"))
    run(graph_db, "MATCH (:City {id: 5})-[r:ROAD]->() DELETE r")
    snapshot = pull(connection, CITIES, selection=selection, config=config, folder=tmp_path)
    assert triples(snapshot) == triples(undisturbed), "the one that is gone was read before"
    assert snapshot.id == undisturbed.id
    assert snapshot.origin["drift"] == {"changed": True, "counts": {"ROAD": [38, 37]}}
    assert not partial.exists()
    assert len(pull(connection, CITIES, selection=selection, folder=tmp_path).triples) < len(undisturbed.triples)


def test_a_query_that_does_not_run_leaves_no_parts(connection: Connection, tmp_path: Path) -> None:
    with pytest.raises(DataError):
        pull(connection, CITIES, selection=Selection(cypher="MATCH (n) RETUR n"), folder=tmp_path)
    assert not list(tmp_path.glob(".pull-*"))


def test_relations_may_be_named_as_the_loaded_files_had_them(
    graph_db: neo4j.Driver, connection: Connection, tmp_path: Path
) -> None:
    file = tmp_path / "facts.tsv"
    file.write_text("a\t/location/country/capital\tb\na\t/location/country/contains\tc\n", encoding="utf-8")
    load(connection, file)
    graph = GraphConfig(labels={"Entity": LabelConfig(key="id")})
    by_id = Selection(relations=("/location/country/capital",))
    snapshot = pull(connection, graph, selection=by_id, folder=tmp_path)
    assert snapshot.relations == ("LOCATION_COUNTRY_CAPITAL",)
    assert snapshot.relation_ids == {"LOCATION_COUNTRY_CAPITAL": "/location/country/capital"}
    assert Snapshot.load(tmp_path / snapshot.id).relation_ids == snapshot.relation_ids
    fix = r"did you mean LOCATION_COUNTRY_CAPITAL \(/location/country/capital\)"
    with pytest.raises(NotFoundError, match=f"the graph has no relation '/location/country/captial'; {fix}"):
        pull(connection, graph, selection=Selection(relations=("/location/country/captial",)), folder=tmp_path)


def test_labels_in_another_order_do_not_go_on_with_an_interrupted_pull(
    graph_db: neo4j.Driver, connection: Connection, tmp_path: Path
) -> None:
    run(graph_db, "CREATE (:City:Capital {id: 'p', code: 'PAR'})-[:ROAD]->(:City {id: 'l', name: 'Lyon'})")
    turned = GraphConfig(labels=dict(reversed(TWO.labels.items())))

    def interrupt(step: str, done: int, total: int | None) -> None:
        if step.startswith("pull: ranges"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull(connection, TWO, folder=tmp_path, progress=interrupt)
    assert pull(connection, turned, folder=tmp_path).identities == [
        Entity("City", "id", "l"),
        Entity("City", "id", "p"),
    ]


def test_two_pulls_of_the_same_do_not_mix_and_the_second_says_so(
    graph_db: neo4j.Driver, connection: Connection, tmp_path: Path
) -> None:
    run(graph_db, "CREATE (:City {id: 'a'})-[:ROAD]->(:City {id: 'b'})-[:RAIL]->(:City {id: 'c'})")
    refused: list[str] = []

    def meanwhile(step: str, done: int, total: int | None) -> None:
        with pytest.raises(TransientError) as caught:
            pull(connection, CITIES, folder=tmp_path)
        refused.append(str(caught.value))
        other = pull(connection, CITIES, selection=Selection(relations=("RAIL",)), folder=tmp_path)
        assert len(other.triples) == 1

    assert len(pull(connection, CITIES, folder=tmp_path, progress=meanwhile).triples) == 2
    assert {f"another process is busy with the same pull in {tmp_path}; wait for it" in line for line in refused} == {
        True
    }


def test_a_graph_that_changes_during_the_pull_is_reported_as_drifted(
    graph_db: neo4j.Driver, connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(graph_db, "UNWIND range(1, 40) AS i CREATE (:City {id: i})")
    run(graph_db, "MATCH (a:City), (b:City) WHERE b.id = a.id + 1 CREATE (a)-[:ROAD]->(b)")
    monkeypatch.setattr("kgsync.graph.pull._RANGES", 1)

    def edit(step: str, done: int, total: int | None) -> None:
        if step.startswith("pull: ranges") and done == 1:
            run(graph_db, "MATCH (a:City {id: 40}) CREATE (a)-[:ROAD]->(:City {id: 41}) DETACH DELETE a")
            run(graph_db, "MATCH (a:City {id: 30}), (b:City {id: 10}) CREATE (a)-[:ROAD]->(b), (b)-[:RAIL]->(a)")

    snapshot = pull(connection, CITIES, config=PullConfig(chunk=10), folder=tmp_path, progress=edit)
    drift = snapshot.origin["drift"]
    assert drift["changed"]
    assert drift["counts"] == {"RAIL": [0, 1]}  # one ROAD gone, another one new
    again = pull(connection, CITIES, folder=tmp_path)
    assert again.origin["drift"] == {"changed": False}


def test_odd_labels_and_keys_are_pulled_or_refused_and_a_canary_survives(
    graph_db: neo4j.Driver, connection: Connection, tmp_path: Path
) -> None:
    names = [
        "a`b",
        "MATCH",
        "naïve 😀",
        "שלום",
        'it\'s "x"',
        "x) DETACH DELETE n //",
        "x\\u0060) DETACH DELETE n //",
        "a\nb",
    ]
    run(graph_db, "CREATE (:Canary)")
    for name in names:
        run(
            graph_db,
            "CREATE (n:$($name)), (m:$($name)) SET n[$name] = '1', m[$name] = '2' CREATE (n)-[:$($name)]->(m)",
            name=name,
        )
        config = GraphConfig(labels={name: LabelConfig(key=name, name=name, text=(name,))})
        if "\\" in name or "\n" in name:
            with pytest.raises(DataError, match="cannot be used in Cypher"):
                pull(connection, config, folder=tmp_path)
        else:
            snapshot = pull(connection, config, folder=tmp_path)
            one, two = Entity(name, name, "1"), Entity(name, name, "2")
            assert triples(snapshot) == {(one, name, two)}
            assert triples(Snapshot.load(tmp_path / snapshot.id)) == {(one, name, two)}
    assert graph_db.execute_query("MATCH (n:Canary) RETURN count(n) AS n", database_="neo4j").records[0]["n"] == 1


def test_a_damaged_snapshot_is_refused_by_name(graph_db: neo4j.Driver, connection: Connection, tmp_path: Path) -> None:
    run(graph_db, "CREATE (:City {id: 'a'})-[:ROAD]->(:City {id: 'b'})")
    path = tmp_path / pull(connection, CITIES, folder=tmp_path).id
    for file in path.iterdir():
        whole = file.read_bytes()
        flipped = bytearray(whole)
        flipped[len(whole) // 2] ^= 1
        for damage in (bytes(flipped), whole[: len(whole) // 2], b""):
            file.write_bytes(damage)
            with pytest.raises(KgsyncError) as caught:
                Snapshot.load(path)
            assert str(path) in str(caught.value)
        file.write_bytes(whole)
    assert len(Snapshot.load(path).triples) == 1
