"""What is declared of a schema, by SHACL files, a real n10s and graph types, beside what the graph teaches."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import neo4j
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from predicted import LABELS, make_clean_world, predict, query

import kgsync
from kgsync import schema_file, shacl_reader
from kgsync.claims import Claim, combine
from kgsync.cli.schema import schema as schema_command
from kgsync.errors import ConfigError, DataError, FindingsError, NotFoundError
from kgsync.graph import declared, disagreement, statements, traits
from kgsync.graph import server as local
from kgsync.graph.connection import Connection
from kgsync.graph.jars import jars
from kgsync.graph.server import LocalServer
from kgsync.schema import Least, Schema, Trait, Value
from kgsync.shacl import shapes
from kgsync.validate import validate

PREFIXES = "@prefix sh: <http://www.w3.org/ns/shacl#> .\n@prefix : <neo4j://graph.schema#> .\n"
N10S = "5.1.0.0"  # the newest that Maven Central has


@pytest.fixture
def connection(graph_db: neo4j.Driver) -> Connection:
    return Connection.wrap(graph_db, "neo4j")


def turtle(folder: Path, text: str) -> Path:
    path = folder / "shapes.ttl"
    path.write_text(PREFIXES + text, encoding="utf-8")
    return path


def said(found: Schema, relation: str) -> dict[str, tuple[Value, str]]:
    return {trait.kind: (trait.value, trait.source) for trait in found.of(relation)}


# ---- a file of shapes

names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)
sets = st.lists(names, min_size=1, max_size=3, unique=True).map(tuple)
numbers = st.integers(1, 99)


@st.composite
def sayable(draw: st.DrawFn) -> Schema:
    found: list[Trait] = []
    relations = draw(st.lists(names, max_size=3, unique=True))
    for relation in relations:
        values = {"domain": sets, "range": sets, "max_tails": numbers, "max_heads": numbers}
        for kind in draw(st.lists(st.sampled_from(sorted(values)), unique=True)):
            found.append(Trait(relation, kind, draw(values[kind])))  # type: ignore[arg-type]
        least = draw(st.dictionaries(names, numbers, max_size=2))
        found += [Trait(relation, "min_tails", Least(label, number)) for label, number in least.items()]
        least = draw(st.dictionaries(names, numbers, max_size=2))
        found += [Trait(relation, "min_heads", Least(label, number)) for label, number in least.items()]
    if apart := draw(st.one_of(st.none(), st.lists(names, min_size=2, max_size=4, unique=True))):
        found.append(Trait("", "disjoint", tuple(apart)))
    return Schema(tuple(found), relations=tuple(relations))


def comparable(relation: str, kind: str, value: Value) -> tuple[str, str, object]:
    return relation, kind, tuple(sorted(value)) if isinstance(value, tuple) else value


@given(sayable())
@settings(max_examples=60, deadline=None)
def test_what_is_exported_is_read_again(tmp_path_factory: pytest.TempPathFactory, schema: Schema) -> None:
    path = tmp_path_factory.mktemp("shapes") / "shapes.ttl"
    path.write_text(shapes(schema), encoding="utf-8")
    read = shacl_reader.read(path)
    found = combine(read.claims)
    assert read.left_out == found.left_out == ()
    assert not any(claim.among for claim in found.claims)
    assert {comparable(it.relation, it.kind, it.value) for it in found.claims} == {
        comparable(it.relation, it.kind, it.value) for it in schema.traits
    }


SAID = [
    (":S a sh:NodeShape ; sh:targetClass :A ; "
     "sh:property [ sh:path :R ; sh:class :B ; sh:maxCount 2 ; sh:minCount 1 ] .",
     {("R", "range", ("B",), ("A",)), ("R", "max_tails", 2, ("A",)), ("R", "min_tails", Least("A", 1), ())}),
    (":S sh:targetClass :A ; sh:property [ sh:path [ sh:inversePath :R ] ; sh:class :B ; sh:maxCount 2 ] .",
     {("R", "domain", ("B",), ("A",)), ("R", "max_heads", 2, ("A",))}),
    (":S sh:targetSubjectsOf :R ; sh:class :A . :T sh:targetObjectsOf :R ; sh:or ( [ sh:class :B ] [ sh:class :C ] ) .",
     {("R", "domain", ("A",), ()), ("R", "range", ("B", "C"), ())}),
    (":P sh:path :R ; sh:class :B ; sh:targetClass :A .", {("R", "range", ("B",), ("A",))}),
    (":S sh:targetClass :A ; sh:node :T . :T sh:and ( [ sh:property [ sh:path :R ; sh:class :B ] ] :S ) .",
     {("R", "range", ("B",), ("A",))}),
    ("@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> . "
     ":A a rdfs:Class , sh:NodeShape ; sh:property [ sh:path :R ; sh:class :B ] .", {("R", "range", ("B",), ("A",))}),
    (":S sh:targetClass :B ; sh:not [ sh:class :A ] . :T sh:targetClass :C ; sh:class [ sh:not :A ] .",
     {("", "disjoint", ("A", "B"), ()), ("", "disjoint", ("A", "C"), ())}),
    (":S sh:targetClass :A ; sh:deactivated true ; sh:property [ sh:path :R ; sh:class :B ] .", set()),
    (":S sh:targetClass <http://x.org/a/A%20b> ; sh:property [ sh:path <urn:R> ; sh:class <http://x.org/B> ] .",
     {("R", "range", ("B",), ("A b",))}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "claims"), SAID)
def test_shapes_are_read_as_what_they_say(tmp_path: Path, text: str, claims: set[Any]) -> None:
    read = shacl_reader.read(turtle(tmp_path, text))
    assert {(it.relation, it.kind, it.value, it.among) for it in read.claims} == claims
    assert read.left_out == ()


LEFT_OUT = [
    (":S sh:targetClass :A ; sh:property [ sh:path ( :R :S ) ; sh:class :B ] .", "sh:path of several steps (1)"),
    (":S sh:targetClass :A ; sh:property [ sh:path :name ; sh:datatype :string ; sh:maxCount 1 ] .",
     "constraints of a property (1)"),
    (":S sh:targetClass :A ; sh:closed true ; "
     "sh:property [ sh:path :R ; sh:pattern 'x' ] , [ sh:path :T ; sh:in () ] .",
     "sh:closed (1)|sh:in (1)|sh:pattern (1)"),
    (":S sh:targetClass :A , :B ; sh:property [ sh:path :R ; sh:maxCount 0 ] .", "sh:maxCount 0 (1)"),
    (":S sh:targetSubjectsOf :Q ; sh:property [ sh:path :R ; sh:class :B ] .",
     "paths from the ends of another relation (1)"),
    (":S sh:targetNode :a ; sh:property [ sh:path :R ; sh:class :B ] .", "sh:targetNode (1)"),
    (":S sh:targetClass :A ; sh:class :B ; sh:or ( [ sh:class :B ] [ sh:pattern 'x' ] ) .",
     "sh:class of a class (1)|sh:or (1)"),
    (":S sh:targetClass :A ; sh:or :loop . :loop <http://www.w3.org/1999/02/22-rdf-syntax-ns#rest> :loop .",
     "sh:or (1)"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "told"), LEFT_OUT)
def test_what_kgsync_has_no_rule_for_is_left_out_and_told(tmp_path: Path, text: str, told: str) -> None:
    read = shacl_reader.read(turtle(tmp_path, text))
    assert (read.claims, "|".join(read.left_out)) == ((), told)


def test_a_mistake_in_the_shapes_is_told_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"shapes.ttl, line 4 is not Turtle: .*nowhere"):
        shacl_reader.read(turtle(tmp_path, "\n:S nowhere:p :o .\n"))
    (tmp_path / "latin.ttl").write_bytes(b"\xff")
    with pytest.raises(DataError, match="UTF-8"):
        shacl_reader.read(tmp_path / "latin.ttl")
    with pytest.raises(NotFoundError, match="--shapes"):
        shacl_reader.read(tmp_path / "none.ttl")


def test_claims_about_one_relation_become_one() -> None:
    def one(*claims: Claim) -> Any:
        found = combine(claims)
        return [(it.value, it.among) for it in found.claims] or found.left_out[0]

    a, b = ("A",), ("B",)
    assert one(Claim("R", "max_tails", 3), Claim("R", "max_tails", 2), Claim("R", "max_tails", 1, a)) == [(2, ())]
    assert one(Claim("R", "max_tails", 3, a), Claim("R", "max_tails", 2, a), Claim("R", "max_tails", 1, b)) == [
        (2, ("A", "B"))
    ]
    assert one(Claim("R", "range", ("X",), a), Claim("R", "range", ("Y",), b)) == [(("X", "Y"), ("A", "B"))]
    assert "several classes at once" in one(Claim("R", "range", ("X",), a), Claim("R", "range", ("Y",), a))
    pairs = [Claim("", "disjoint", pair) for pair in (("A", "B"), ("A", "C"), ("B", "C"), ("C", "D"))]
    assert one(*pairs) == [(("A", "B", "C"), ()), (("C", "D"), ())]


def test_a_declared_trait_goes_before_a_learned_one_and_a_persons_before_both() -> None:
    learned = Schema(
        (Trait("R", "domain", ("A",), 30, 1.0), Trait("R", "usual_tails", 7, 30, 0.99), Trait("R", "max_heads", 4)),
        relations=("R",),
    )
    new = [Trait("R", "max_tails", 2, declared="shape"), Trait("R", "max_heads", 1, declared="shape"),
           Trait("S", "range", ("B",), declared="graph type"),
           Trait("", "disjoint", ("A", "B"), declared="shape")]  # fmt: skip
    found = learned.declaring(new)
    assert said(found, "R") == {"domain": (("A",), "learned"), "max_tails": (2, "shape"), "max_heads": (4, "person")}
    assert (said(found, "S"), found.relations) == ({"range": (("B",), "graph type")}, ("R", "S"))
    assert found.of("") == (new[3],)
    assert learned.declaring([]) is learned


def test_the_source_of_a_trait_stands_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "schema.yml"
    found = (Trait("R", "domain", ("A",), 30, 1.0), Trait("R", "max_tails", 2, declared="graph type"),
             Trait("R", "min_tails", Least("A b", 1), declared="shape"), Trait("R", "loops", False))  # fmt: skip
    schema_file.save(Schema(found, relations=("R",)), path)
    text = path.read_text()
    for line in ("domain: {is: [A], source: learned, support: 30, confidence: 1.0}", "loops: false",
                 "max_tails: {is: 2, source: graph type}", "- {is: A b >= 1, source: shape}"):  # fmt: skip
        assert line in text
    assert {trait.source for trait in schema_file.load(path).traits} == {"learned", "graph type", "shape", "person"}
    for wrong, says in (("{is: 2, source: shacl}", "line 3: the source 'shacl' is unknown; it may be learned, shape"),
                        ("{is: 2, source: learned}", "line 3: max_tails is said to be learned")):  # fmt: skip
        path.write_text(f"relations:\n  R:\n    max_tails: {wrong}\n")
        with pytest.raises(DataError, match=says):
            schema_file.load(path)
    path.write_text("relations:\n  R:\n    min_tails: one\n")
    with pytest.raises(DataError, match="line 3: min_tails is 'one'; write it as LABEL >= NUMBER"):
        schema_file.load(path)


# ---- a file beside a real graph

WORLD = """
:Country sh:targetClass :Country ; sh:property
  [ sh:path :CAPITAL ; sh:class :City ; sh:minCount 1 ; sh:maxCount 2 ] , [ sh:path :SPEAKS ; sh:maxCount 1 ] ,
  [ sh:path :name ; sh:maxCount 1 ] .
:Person sh:targetClass :Person ; sh:property [ sh:path :AUDITS ; sh:class :Country ] .
:Parent sh:targetSubjectsOf :PARENT ; sh:class :Father .
:City sh:targetClass :City ; sh:not [ sh:class :Language ] ; sh:not [ sh:class :Entity ] .
"""


def test_shapes_go_before_what_the_graph_shows(graph_db: neo4j.Driver, connection: Connection, tmp_path: Path) -> None:
    make_clean_world(graph_db)
    path = turtle(tmp_path, WORLD)
    meant, declarations = declared.meant(connection, shapes=path)
    assert said(meant, "CAPITAL") == {
        "domain": (("Country",), "learned"), "range": (("City",), "shape"), "max_tails": (2, "shape"),
        "min_tails": (Least("Country", 1), "shape"), "max_heads": (1, "learned"), "asymmetric": (True, "learned"),
        "loops": (False, "learned"),
    }  # fmt: skip
    assert said(meant, "SPEAKS")["max_tails"] == (1, "shape")
    assert "usual_tails" not in said(meant, "SPEAKS")
    assert {trait.source for trait in (*meant.of("AUDITS"), *meant.of("PARENT"))} == {"learned"}
    (note,) = [note for note in declarations.notes if "left out" in note]
    for part in ("the range of AUDITS, said of Person only", "no relations here: name", "no labels here: Father"):
        assert part in note
    only, _ = declared.meant(connection, ["SPEAKS"], shapes=path)
    assert only.relations == ("SPEAKS",)
    assert declared.read(connection, [], shapes=path) == declared.Declarations()


def test_where_graph_and_shapes_disagree_is_counted(
    graph_db: neo4j.Driver, connection: Connection, tmp_path: Path
) -> None:
    make_clean_world(graph_db)
    query(
        graph_db, "MATCH (c:City {key: 'city3'}), (l:Language {key: 'language3'}) SET c:Language CREATE (c)-[:IS]->(l)"
    )
    mine = Schema().declaring(declared.read(connection, shapes=turtle(tmp_path, WORLD)).traits)
    found = disagreement.compared(connection, mine, traits.learn(connection))
    assert {(it.change, it.relation, it.kind, it.against, it.of) for it in found if it.file} == {
        ("removed", "CAPITAL", "min_tails", 9, "entities"),
        ("removed", "SPEAKS", "max_tails", 30, "heads"),
        ("removed", "", "disjoint", 40, "entities"),  # City and Entity
        ("removed", "", "disjoint", 1, "entities"),  # City and Language
    }
    shown = {(it.relation, it.kind): disagreement.exceptions(connection, it.file, limit=99) for it in found if it.file}
    assert ("Country 39", None) in [(str(head), tail) for head, tail in shown["CAPITAL", "min_tails"]]
    assert len(shown["CAPITAL", "min_tails"]) == 9


@pytest.fixture
def command(any_server: LocalServer, tmp_path: Path) -> Callable[..., tuple[str, str, BaseException | None]]:
    password = tmp_path / "password"
    password.touch(mode=0o600)
    password.write_text(any_server.password())
    (tmp_path / "kgsync.toml").write_text('[graph.labels.Entity]\nkey = "key"\nname = "name"\n')
    where = ["--uri", any_server.uri, "--password-file", str(password), "--config", str(tmp_path / "kgsync.toml")]

    def run(*arguments: str) -> tuple[str, str, BaseException | None]:
        result = CliRunner().invoke(schema_command, [*arguments, *where])
        return result.stdout, result.stderr, result.exception

    return run


def test_the_command_shows_keeps_compares_and_explains_what_shapes_say(
    graph_db: neo4j.Driver, command: Callable[..., tuple[str, str, BaseException | None]], tmp_path: Path
) -> None:
    make_clean_world(graph_db)
    query(graph_db, "CREATE CONSTRAINT entity_key FOR (n:Entity) REQUIRE n.key IS UNIQUE")
    path = turtle(tmp_path, WORLD)
    out, told, error = command("show", "CAPITAL", "--shapes", str(path))
    assert error is None
    assert "declared by a shape" in out
    assert "left out: " in told
    assert "1 constraints are on properties" in told

    assert isinstance(command("compare")[2], NotFoundError)
    out, _, error = command("compare", "--shapes", str(path))
    assert isinstance(error, FindingsError)
    assert "30 heads" in out
    rows = json.loads(command("compare", "--shapes", str(path), "--json")[0])["differences"]
    assert {row["change"] for row in rows} == {"removed"}
    out, _, _ = command("explain", "CAPITAL", "--shapes", str(path))
    assert "min_tails: each Country has 1 or more of its tails (declared by a shape)" in out
    assert "CAPITAL nothing" in out
    assert "in all, 9 entities are against it" in out

    path = turtle(tmp_path, ":S sh:targetClass :Country ; sh:property [ sh:path :CAPITAL ; sh:maxCount 2 ] .")
    assert command("save", "--shapes", str(path))[2] is None
    kept = tmp_path / "schema.yml"
    assert "max_tails: {is: 2, source: shape}" in kept.read_text()
    predict(graph_db, "country1", "CAPITAL", "city36")
    bound = Connection.wrap(graph_db, "neo4j")
    report = validate(bound, labels=LABELS, quarantine=False, schema=schema_file.load(kept))
    assert not any(check.count for check in report.checks)  # two capitals are fine, says the shape
    kept.write_text("relations:\n  CAPITAL:\n    max_tails: 3\n")
    out, told, error = command("compare", "--shapes", str(path))
    assert isinstance(error, FindingsError)
    assert "CAPITAL max_tails: your file says 3, a shape 2; the file counts" in told
    mild = turtle(tmp_path, ":S sh:targetSubjectsOf :CAPITAL ; sh:class :Country .")
    kept.unlink()
    out, _, error = command("compare", "--shapes", str(mild))
    assert (out, error) == ("Nothing is against what is declared.\n", None)


def test_without_the_library_the_command_says_what_to_install(
    graph_db: neo4j.Driver,
    command: Callable[..., tuple[str, str, BaseException | None]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "kgsync.shacl_reader")
    monkeypatch.delattr(kgsync, "shacl_reader")
    monkeypatch.setitem(sys.modules, "rdflib", None)
    error = command("show", "--shapes", str(turtle(tmp_path, "")))[2]
    assert isinstance(error, ConfigError)
    assert "pip install 'kgsync[shacl]'" in str(error)


# ---- graph types


@pytest.mark.newest
def test_a_server_without_a_graph_type_declares_nothing(graph_db: neo4j.Driver, connection: Connection) -> None:
    make_clean_world(graph_db)
    assert declared.read(connection) == declared.Declarations()
    assert declared.property_constraints(connection) == 0


def test_the_newest_community_server_refuses_graph_types_and_knows_their_constraints(
    newest_server: LocalServer,
) -> None:
    auth = (newest_server.username, newest_server.password())
    with neo4j.GraphDatabase.driver(newest_server.uri, auth=auth) as driver:
        with pytest.raises(neo4j.exceptions.Neo4jError, match="not supported in community edition"):
            query(driver, "CYPHER 25 ALTER CURRENT GRAPH TYPE SET { (:A)-[:R => {x :: STRING}]->(:B) }")
        assert query(driver, statements.load("inspect/graph_type").text) == []


def test_constraints_of_a_graph_type_tell_domain_and_range() -> None:
    rows = [{"relation": "LIVES_IN", "end": "source", "label": "Resident"},
            {"relation": "LIVES_IN", "end": "target", "label": "City"}]  # fmt: skip
    found = declared.of_constraints(rows)
    assert [(it.relation, it.kind, it.value) for it in found.claims] == [
        ("LIVES_IN", "domain", ("Resident",)), ("LIVES_IN", "range", ("City",)),
    ]  # fmt: skip


# ---- n10s


@pytest.fixture(scope="module")
def n10s(tmp_path_factory: pytest.TempPathFactory, jar_cache: Path) -> Iterator[LocalServer]:
    """A server with n10s among its plugins."""
    home = tmp_path_factory.mktemp("n10s")
    plugins = home / "servers" / "n10s" / "plugins"
    plugins.mkdir(parents=True)
    for jar in jars(f"n10s-{N10S}", [f"org.neo4j:neosemantics:{N10S}"], jar_cache):
        (plugins / jar.name).symlink_to(jar)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KGSYNC_HOME", str(home))
        patch.setenv("KGSYNC_JARS", str(jar_cache))
        patch.setenv("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")
        yield local.up("n10s", version=local.LTS, memory="768M")
        local.down("n10s")


@pytest.mark.slow
def test_shapes_that_n10s_has_loaded_are_read(n10s: LocalServer, tmp_path: Path) -> None:
    with neo4j.GraphDatabase.driver(n10s.uri, auth=(n10s.username, n10s.password())) as driver:
        make_clean_world(driver)
        connection = Connection.wrap(driver, "neo4j")
        assert declared.read(connection) == declared.Declarations()
        learned = traits.learn(connection)
        text = (
            PREFIXES
            + """
:S a sh:NodeShape ; sh:targetClass :Country ; sh:property
  [ sh:path :CAPITAL ; sh:class :City ; sh:minCount 1 ; sh:maxCount 2 ] , [ sh:path :name ; sh:minLength 2 ] ,
  [ sh:path :BORDERS ; sh:maxCount 5 ] .
:T a sh:NodeShape ; sh:targetClass :Language ; sh:property
  [ sh:path [ sh:inversePath :SPEAKS ] ; sh:class :Country ; sh:maxCount 3 ] .
"""
        )
        load = "CALL n10s.validation.shacl.import.inline($shapes, 'Turtle') YIELD param RETURN param"
        query(driver, load, shapes=text)
        meant, declarations = declared.meant(connection)
        assert said(meant, "CAPITAL") == said(learned, "CAPITAL") | {
            "range": (("City",), "shape"), "max_tails": (2, "shape"), "min_tails": (Least("Country", 1), "shape"),
        }  # fmt: skip
        assert said(meant, "SPEAKS")["domain"] == (("Country",), "shape")
        assert said(meant, "SPEAKS")["max_heads"] == (3, "shape")
        assert meant.of("BORDERS") == learned.of("BORDERS")
        (note,) = [note for note in declarations.notes if "left out" in note]
        assert "BORDERS of Country, whose direction n10s does not tell" in note
        assert "sh:minLength" in note

        predict(driver, "country1", "CAPITAL", "city36")
        report = validate(connection, labels=LABELS, quarantine=False)
        assert not any(check.count for check in report.checks)  # two capitals are fine, says n10s

        query(driver, "CALL n10s.validation.shacl.dropShapes()")
        query(driver, load, shapes=shapes(learned))
        again = declared.read(connection)
        assert {(it.relation, it.kind, it.value) for it in again.traits} == {
            ("CAPITAL", "range", ("City",)), ("CAPITAL", "max_tails", 1), ("CAPITAL", "max_heads", 1),
            ("SPEAKS", "range", ("Language",)),
        }  # fmt: skip
