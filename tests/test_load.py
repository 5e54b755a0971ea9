"""Load, on the real server: every triple once, nothing that was there is changed, or a clear refusal."""

from __future__ import annotations

import random
import threading
from pathlib import Path
from typing import Any

import neo4j
import pytest

from kgsync import sample
from kgsync.errors import DataError, NotFoundError
from kgsync.graph.connection import Connection
from kgsync.graph.load import LoadReport, load


@pytest.fixture
def connection(graph_db: neo4j.Driver) -> Connection:
    return Connection.wrap(graph_db, "neo4j")


def query(driver: neo4j.Driver, text: str, **parameters: Any) -> list[Any]:
    records = driver.execute_query(text, parameters, database_="neo4j").records  # type: ignore[arg-type]
    return [record.values() if len(record) > 1 else record[0] for record in records]


def edges(driver: neo4j.Driver) -> list[tuple[str, str, str]]:
    rows = query(driver, "MATCH (h)-[r]->(t) RETURN h.id, type(r), t.id ORDER BY h.id, type(r), t.id")
    return [tuple(row) for row in rows]


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def folder(path: Path, **texts: str) -> Path:
    path.mkdir(exist_ok=True)
    for name, text in texts.items():
        write(path / f"{name}.tsv", text)
    return path


@pytest.mark.newest
def test_a_benchmark_folder_becomes_a_graph_with_names_labels_and_readable_types(
    graph_db: neo4j.Driver, connection: Connection, tmp_path: Path
) -> None:
    source = folder(
        tmp_path / "data",
        train="Q1\tP36\tQ2\nQ1\tP36\tQ2\nQ1\tP47\tQ1\n",
        test="Q3\tP36\tQ4\n",
        entities="id\tname\tdescription\ttypes\n"
        "Q1\tFrance\ta country\tcountry|sovereign state\nQ2\tParis\t\t\nQ5\tAlone\t\tcity\n",
        relations="id\tname\tdescription\nP36\tcapital\tseat of government\nP99\tunused\t\n",
    )
    report = load(connection, source)
    assert edges(graph_db) == [("Q1", "CAPITAL", "Q2"), ("Q1", "P47", "Q1"), ("Q3", "CAPITAL", "Q4")]
    assert query(graph_db, "MATCH (n {id: 'Q1'}) RETURN labels(n), n.name, n.description") == [
        [["Entity", "country", "sovereign state"], "France", "a country"]
    ]
    assert query(graph_db, "MATCH (n:Entity) RETURN n.id, size(keys(n)) ORDER BY n.id") == [
        ["Q1", 3], ["Q2", 2], ["Q3", 1], ["Q4", 1], ["Q5", 2],
    ]  # fmt: skip
    relations = query(graph_db, "MATCH (r:__KgsyncRelation) RETURN r.type, r.id, r.name, r.description ORDER BY r.id")
    assert relations == [
        ["CAPITAL", "P36", "capital", "seat of government"],
        ["P47", "P47", None, None],
        ["UNUSED", "P99", "unused", None],
    ]
    assert (report.triples, report.entities_created, report.relationships_created) == (4, 5, 3)
    assert (report.relationships_present, report.labels) == (1, {"Entity": 5})
    assert report.relation_types == {"P36": "CAPITAL", "P47": "P47", "P99": "UNUSED"}
    constraints = query(graph_db, "SHOW CONSTRAINTS YIELD labelsOrTypes, properties RETURN labelsOrTypes + properties")
    assert sorted(constraints) == [["Entity", "id"], ["__KgsyncRelation", "type"]]


def test_a_second_load_creates_nothing_and_keeps_what_a_person_changed(
    graph_db: neo4j.Driver, connection: Connection, tmp_path: Path
) -> None:
    source = folder(tmp_path / "data", triples="a\tr\tb\n", entities="id\tname\ttypes\na\tA\tX\nb\tB\tY\n")
    load(connection, source)
    query(graph_db, "MATCH (n {id: 'a'}) SET n.name = 'my own', n.note = 'keep' REMOVE n:X")
    query(graph_db, "MATCH (n {id: 'b'}) REMOVE n.name")
    report = load(connection, source)
    assert (report.entities_created, report.relationships_created, report.differing) == (0, 0, 1)
    assert query(graph_db, "MATCH (n:Entity) RETURN n.id, n.name, n.note ORDER BY n.id") == [
        ["a", "my own", "keep"],
        ["b", "B", None],
    ]


def test_the_sample_graph_carries_plain_labels_with_a_key_for_each(
    graph_db: neo4j.Driver, connection: Connection
) -> None:
    first = load(connection, sample.folder(), label_from_type=True, batch=700)
    second = load(connection, sample.folder(), label_from_type=True)
    assert first.relationships_created > 5_000
    assert first.relationships_present == 0
    assert (second.entities_created, second.relationships_created) == (0, 0)
    assert second.labels == first.labels
    assert sum(first.labels.values()) == first.entities_created
    assert query(graph_db, "MATCH (n:Entity) RETURN count(n)") == [0]
    france = "MATCH (c:Country {id: 'country:FR'})-[:HAS_CAPITAL]->(p:City) RETURN c.name, p.name"
    assert query(graph_db, france) == [["France", "Paris"]]


def test_entities_without_a_type_get_the_common_label(
    graph_db: neo4j.Driver, connection: Connection, tmp_path: Path
) -> None:
    source = folder(tmp_path / "data", triples="a\tr\tb\n", entities="id\ttypes\na\tX|Z\n")
    load(connection, source, label="Thing", key="code", label_from_type=True)
    assert query(graph_db, "MATCH (h)-[:R]->(t) RETURN labels(h), h.code, labels(t), t.code") == [
        [["X", "Z"], "a", ["Thing"], "b"]
    ]


def test_interrupted_anywhere_a_load_is_finished_by_repeating_it(
    graph_db: neo4j.Driver, connection: Connection, tmp_path: Path
) -> None:
    rows = [(f"e{i % 60}", f"r{i % 7}", f"e{(i * 7) % 59}") for i in range(400)]
    source = folder(
        tmp_path / "data",
        triples="".join("\t".join(row) + "\n" for row in rows),
        entities="id\tname\n" + "".join(f"e{i}\tE {i}\n" for i in range(60)),
    )
    expected = sorted({(head, relation.upper(), tail) for head, relation, tail in rows})
    generator = random.Random(7)
    for stop in [1, 2, *(generator.randrange(3, 20) for _ in range(4))]:
        query(graph_db, "MATCH (n) DETACH DELETE n")
        calls = iter(range(1_000))

        def interrupt(step: str, done: int, total: int | None, calls: Any = calls, stop: int = stop) -> None:
            if next(calls) == stop:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            load(connection, source, batch=13, progress=interrupt)
        assert len(edges(graph_db)) < len(expected)
        load(connection, source, batch=13)
        assert edges(graph_db) == expected
        assert query(graph_db, "MATCH (n:Entity) WHERE n.name IS NOT NULL RETURN count(n)") == [60]


def test_two_loads_at_once_make_each_edge_once(graph_db: neo4j.Driver, connection: Connection, tmp_path: Path) -> None:
    rows = [(f"e{i % 40}", "r", f"e{(i * 3) % 41}") for i in range(500)]
    source = write(tmp_path / "a.tsv", "".join("\t".join(row) + "\n" for row in rows))
    load(connection, write(tmp_path / "first.tsv", "x\tr\ty\n"))  # two at once may not settle the types
    reports: list[LoadReport] = []
    threads = [threading.Thread(target=lambda: reports.append(load(connection, source, batch=50))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(report.relationships_created for report in reports) == len(set(rows))
    assert len(edges(graph_db)) == len(set(rows)) + 1


def test_a_bad_line_stops_the_load_before_anything_is_written(
    graph_db: neo4j.Driver, connection: Connection, tmp_path: Path
) -> None:
    source = folder(tmp_path / "data", train="a\tr\tb\n" * 20 + "a\tr\n", test="\tr\tb\na\tr\tc\n")
    with pytest.raises(DataError, match=r"train\.tsv, line 21: 2 columns instead of 3.*and 1 more such lines.*nothing"):
        load(connection, source)
    assert query(graph_db, "MATCH (n) RETURN count(n)") == [0]
    assert query(graph_db, "SHOW CONSTRAINTS YIELD name RETURN count(*)") == [0]
    report = load(connection, source, skip_bad_lines=True)
    assert report.skipped == 2
    assert "line 1: the head is empty" in report.skipped_lines[1]
    assert edges(graph_db) == [("a", "R", "b"), ("a", "R", "c")]


@pytest.mark.parametrize("type_", ["__KgsyncRun", "a\\b", "bell\a"])
def test_types_that_cannot_be_labels_are_bad_lines(connection: Connection, tmp_path: Path, type_: str) -> None:
    source = folder(tmp_path / "data", triples="a\tr\tb\n", entities=f"id\ttypes\na\tX|{type_}\n")
    with pytest.raises(DataError, match=r"entities\.tsv, line 2: the type .* is no label"):
        load(connection, source)


@pytest.mark.newest
def test_the_strangest_names_round_trip_and_a_canary_survives(
    graph_db: neo4j.Driver, connection: Connection, tmp_path: Path
) -> None:
    query(graph_db, "CREATE (:Canary {id: 'canary'})")
    strange = [
        "`) DETACH DELETE n //",
        "\\u0060) DETACH DELETE n //",
        "'\"; MATCH (n) DETACH DELETE n",
        "two\nlines",
        "\N{RIGHT-TO-LEFT OVERRIDE}שלום",
        "👩‍🚀",
        "MATCH",
        " spaces ",
        "ä" * 4_000,
    ]
    rows = [f'"{a}","{a[:300]}","{b}"' for a, b in zip(quoted(strange), quoted(strange[1:] + strange[:1]), strict=True)]
    report = load(connection, write(tmp_path / "a.csv", "\n".join(rows)), label="`weird` label", key="the `key`")
    assert report.relationships_created == len(strange)
    keys = query(graph_db, "MATCH (n:```weird`` label`) RETURN n.`the ``key```")
    assert sorted(keys) == sorted(strange)
    mapped = query(
        graph_db, "MATCH (r:__KgsyncRelation) MATCH (h)-[e]->() WHERE type(e) = r.type RETURN r.id, h.`the ``key```"
    )
    assert sorted(mapped) == sorted([name[:300], name] for name in strange)
    assert query(graph_db, "MATCH (n:Canary) RETURN n.id") == ["canary"]


def quoted(names: list[str]) -> list[str]:
    return [name.replace('"', '""') for name in names]


@pytest.mark.parametrize("label", ["a\\u0060b", "", "__KgsyncRun", "x\ny"])
def test_labels_and_keys_that_cannot_be_named_are_refused(connection: Connection, tmp_path: Path, label: str) -> None:
    source = write(tmp_path / "a.tsv", "a\tr\tb\n")
    with pytest.raises(DataError):
        load(connection, source, label=label)
    if not label.startswith("__"):
        with pytest.raises(DataError):
            load(connection, source, key=label)


def test_later_loads_keep_the_type_of_a_relation(
    graph_db: neo4j.Driver, connection: Connection, tmp_path: Path
) -> None:
    load(connection, write(tmp_path / "a.tsv", "a\tborn in\tb\na\tpredicted\tb\n"))
    report = load(connection, write(tmp_path / "b.tsv", "c\tBORN_IN\td\nc\tborn in\td\n"))
    assert report.relation_types == {"born in": "BORN_IN", "BORN_IN": "BORN_IN_2"}
    assert edges(graph_db) == [
        ("a", "BORN_IN", "b"), ("a", "PREDICTED_2", "b"), ("c", "BORN_IN", "d"), ("c", "BORN_IN_2", "d"),
    ]  # fmt: skip


def test_a_key_that_is_not_unique_is_refused_and_nothing_is_written(
    graph_db: neo4j.Driver, connection: Connection, tmp_path: Path
) -> None:
    query(graph_db, "CREATE (:Entity {id: 'a'}), (:Entity {id: 'a'})")
    with pytest.raises(DataError, match="id cannot be made unique among the nodes labelled Entity"):
        load(connection, write(tmp_path / "a.tsv", "a\tr\tb\n"))
    assert query(graph_db, "MATCH (n) RETURN count(n)") == [2]


def test_a_constraint_of_the_user_serves_as_it_is(
    graph_db: neo4j.Driver, connection: Connection, tmp_path: Path
) -> None:
    query(graph_db, "CREATE CONSTRAINT mine FOR (n:Entity) REQUIRE n.id IS UNIQUE")
    load(connection, write(tmp_path / "a.tsv", "a\tr\tb\n"))
    assert query(graph_db, "SHOW CONSTRAINTS YIELD name WHERE name <> 'kgsync_relation_type' RETURN name") == ["mine"]


def test_files_without_a_triple_or_without_relations_are_refused(connection: Connection, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no triple"):
        load(connection, write(tmp_path / "empty.tsv", "\n"))
    with pytest.raises(NotFoundError, match="there is no"):
        load(connection, tmp_path / "absent.tsv")
    text = "".join(f"a\tr{i}\tb\n" for i in range(20_001))
    with pytest.raises(DataError, match=r"line 20001: more than 20,000 different relations"):
        load(connection, write(tmp_path / "swapped.tsv", text))
