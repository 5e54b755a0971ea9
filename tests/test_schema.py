"""The schema: what a real graph teaches, the file that a person edits, and the command that compares the two."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import click
import neo4j
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from predicted import LABELS, assert_edge, make_clean_world, predict, query

from kgsync import schema_file
from kgsync.checks import load_checks
from kgsync.cli.schema import schema as schema_command
from kgsync.cli.validate import validate as validate_command
from kgsync.errors import DataError, FindingsError, NotFoundError, StorageError
from kgsync.graph import statements, traits
from kgsync.graph.connection import Connection
from kgsync.graph.disagreement import exceptions
from kgsync.graph.ends import End
from kgsync.graph.graph import connect
from kgsync.graph.literals import literal
from kgsync.graph.server import LocalServer
from kgsync.junit import junit
from kgsync.schema import DECLARED, KINDS, SEVERAL, Least, Order, Schema, Trait, compare
from kgsync.shacl import shapes
from kgsync.validate import CheckResult, Finding, ValidationReport, validate

COUNTRIES = ("Country",)


@pytest.fixture
def connection(graph_db: neo4j.Driver) -> Connection:
    return Connection.wrap(graph_db, "neo4j")


def make_graph(driver: neo4j.Driver) -> None:
    """Create the clean world with dates of birth and an inverse."""
    make_clean_world(driver)
    query(driver, "MATCH (n:Person) SET n.born = date({year: 1900 + toInteger(substring(n.key, 6))})")
    query(driver, "MATCH (a)-[:PARENT]->(b) CREATE (b)-[:CHILD_OF]->(a)")


def said(schema: Schema, relation: str) -> dict[str, object]:
    return {trait.kind: trait.value for trait in schema.of(relation)}


# ---- what the graph teaches


@pytest.mark.newest
def test_the_graph_teaches_what_its_relations_mean(graph_db: neo4j.Driver, connection: Connection) -> None:
    make_graph(graph_db)
    learned = traits.learn(connection)
    assert (learned.common, learned.relations) == (
        ("Entity",), ("AUDITS", "BORDERS", "CAPITAL", "CHILD_OF", "PARENT", "SPEAKS"),
    )  # fmt: skip
    capital = {"domain": COUNTRIES, "range": ("City",), "max_tails": 1, "max_heads": 1, "asymmetric": True}
    assert said(learned, "CAPITAL") == capital | {"loops": False}
    borders = {"domain": COUNTRIES, "range": COUNTRIES, "usual_tails": 3, "usual_heads": 3, "symmetric": True}
    assert said(learned, "BORDERS") == borders | {"loops": False}
    assert "loops" not in said(learned, "AUDITS")  # some are known
    assert said(learned, "PARENT")["order"] == Order("born", True, "born")
    assert (said(learned, "PARENT")["inverse"], said(learned, "CHILD_OF")["inverse"]) == ("CHILD_OF", "PARENT")
    assert said(learned, "SPEAKS")["usual_heads"] == 2
    assert [trait.value for trait in learned.of("")] == [("City", "Country", "Language", "Person")]
    (symmetric,) = [trait for trait in learned.of("BORDERS") if trait.kind == "symmetric"]
    assert (symmetric.support, symmetric.confidence) == (81, 0.9877)  # the accepted one leads one way


def test_years_and_texts_are_dates_and_other_numbers_are_none(graph_db: neo4j.Driver, connection: Connection) -> None:
    make_graph(graph_db)
    query(graph_db, "CREATE CONSTRAINT no FOR (n:Person) REQUIRE n.number IS UNIQUE")
    number = "1000 + toInteger(substring(n.key, 6))"
    query(
        graph_db,
        f"MATCH (n:Person) SET n.number = {number}, n.size = 100 * ({number}), n.code = 'P' + ({number}), n.age = 30",
    )
    for form in (
        "n.born.year",
        "toString(date({year: n.born}))",
        "left(n.born, 7)",
        "localdatetime(n.born + '-01T10')",
    ):
        query(graph_db, f"MATCH (n:Person) SET n.born = {form}")
        orders = [trait.value for trait in traits.learn(connection, ["PARENT"]).of("PARENT") if trait.kind == "order"]
        assert orders == [Order("born", True, "born")], form
    query(graph_db, "MATCH (n:Person) SET n.born = n.born.year")
    query(graph_db, "MATCH (a {key: 'person0'}) SET a.born = '1950-05'")
    (order,) = (trait for trait in traits.learn(connection, ["PARENT"]).of("PARENT") if trait.kind == "order")
    (against,) = exceptions(connection, order)
    assert [str(end) for end in against] == ["Person 0", "Person 1"]


def test_too_little_teaches_nothing_and_nothing_teaches_nothing(graph_db: neo4j.Driver, connection: Connection) -> None:
    assert traits.learn(connection) == Schema()
    make_graph(graph_db)
    query(graph_db, "MATCH ()-[r:CAPITAL]->() WITH r LIMIT 20 DELETE r")
    assert said(traits.learn(connection, ["CAPITAL"]), "CAPITAL") == {"loops": False}
    query(graph_db, "MATCH (n:Entity) REMOVE n:Country:City:Language:Person")
    assert "domain" not in said(traits.learn(connection), "SPEAKS")


def test_exceptions_are_the_known_edges_that_do_not_agree(graph_db: neo4j.Driver, connection: Connection) -> None:
    make_graph(graph_db)
    assert_edge(graph_db, "country30", "CAPITAL", "city38")
    assert_edge(graph_db, "country30", "CAPITAL", "city39")
    learned = traits.learn(connection, ["CAPITAL", "BORDERS"])
    found = {
        (trait.relation, trait.kind): [(str(head), str(tail)) for head, tail in exceptions(connection, trait)]
        for trait in learned.traits
        if trait.relation
    }
    assert sorted(found.pop(("CAPITAL", "max_tails"))) == [("Country 30", "City 38"), ("Country 30", "City 39")]
    assert found.pop(("BORDERS", "symmetric")) == [("Country 4", "Country 6")]
    assert not any(found.values())


# ---- what the checks take from a person's schema


def test_a_persons_schema_rules_where_it_names_a_relation(graph_db: neo4j.Driver, connection: Connection) -> None:
    make_clean_world(graph_db)
    predict(graph_db, "country1", "CAPITAL", "city36")

    def found(schema: Schema | None) -> dict[str, int]:
        report = validate(connection, labels=LABELS, quarantine=False, schema=schema)
        return {check.name: check.count for check in report.checks if check.count}

    assert found(None) == {"functional": 1}
    assert found(Schema(relations=("CAPITAL",))) == {}
    assert found(Schema((Trait("CAPITAL", "max_tails", 2),), relations=("CAPITAL",))) == {}
    assert found(Schema((Trait("SPEAKS", "range", ("City",)),), relations=("SPEAKS",))) == {
        "functional": 1, "domain-range": 1,
    }  # fmt: skip
    assert found(Schema((Trait("CAPITAL", "domain", ("Entity",)),), relations=("CAPITAL",))) == {}


def test_fix_touches_only_what_kgsync_wrote_and_nobody_reviewed(graph_db: neo4j.Driver, connection: Connection) -> None:
    make_clean_world(graph_db)
    bad = predict(graph_db, "country8", "SPEAKS", "language20", score=2.0)
    kept = predict(graph_db, "country9", "SPEAKS", "language20", score=2.0, status="accepted")
    assert_edge(graph_db, "country9", "SPEAKS", "language20")
    loop = predict(graph_db, "country7", "BORDERS", "country7")
    query(graph_db, "CREATE (:__KgsyncRun {id: 'run9', status: 'finished', created: 3})")
    query(graph_db, "CREATE (:__KgsyncBatch {runId: 'run9', n: 0})")
    count = "MATCH (n) WHERE NOT n:__KgsyncRun AND NOT n:__KgsyncBatch RETURN count(n) AS n, COUNT { ()-[]->() } AS r"
    before = query(graph_db, count)
    report = validate(connection, labels=LABELS, fix=True)
    left = {check.name: (check.count, check.left) for check in report.checks if check.count}
    assert left == {"score-range": (2, 1), "orphan-run": (1, 0), "self-loop": (1, 1)}
    assert (report.expired, report.forgotten, report.quarantined, report.failed) == (1, 1, 1, True)
    rows = query(graph_db, "MATCH ()-[p:PREDICTED]->() RETURN p.id AS id, p.status AS status")
    status = {row["id"]: row["status"] for row in rows}
    assert (status[bad], status[kept], status[loop]) == ("expired", "accepted", "quarantined")
    assert query(graph_db, count) == before
    assert query(graph_db, "MATCH (n) WHERE n.id = 'run9' OR n.runId = 'run9' RETURN n") == []
    assert validate(connection, labels=LABELS, fix=True).expired == 0


# ---- the file

names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)
evidence = st.one_of(
    st.just((None, None)),
    st.tuples(st.integers(1, 10**6), st.floats(0, 1).map(lambda x: round(x, 4))),
    st.tuples(st.none(), st.none(), st.sampled_from(DECLARED)),
)


@st.composite
def schemas(draw: st.DrawFn) -> Schema:
    relations = draw(st.lists(names, max_size=3, unique=True))
    found: list[Trait] = []
    for relation in relations:
        for kind in draw(st.lists(st.sampled_from([kind for kind in KINDS if kind != "disjoint"]), unique=True)):
            value = draw(
                st.lists(names, min_size=1, max_size=3).map(tuple) if kind in ("domain", "range")
                else st.integers(1, 99) if kind.startswith(("max", "usual"))
                else st.builds(Least, names, st.integers(1, 99)) if kind.startswith("min")
                else st.just(Order("born", draw(st.booleans()), "died")) if kind == "order"
                else names if kind == "inverse" else st.booleans()
            )  # fmt: skip
            found.append(Trait(relation, kind, value, *draw(evidence)))
    for labels in draw(st.lists(st.lists(names, min_size=2, max_size=3, unique=True), max_size=2)):
        found.append(Trait("", "disjoint", tuple(labels), *draw(evidence)))
    return Schema(tuple(found), tuple(draw(st.lists(names, max_size=2))), ("updatedAt",), tuple(relations))


@given(schemas())
@settings(max_examples=60, deadline=None)
def test_a_schema_comes_back_from_its_file_as_it_was(tmp_path_factory: pytest.TempPathFactory, schema: Schema) -> None:
    path = tmp_path_factory.mktemp("schema") / "schema.yml"
    schema_file.save(schema, path)
    again = schema_file.load(path)
    last = {kind: place for place, kind in enumerate(SEVERAL, start=1)}
    expected = sorted(schema.traits, key=lambda t: (t.relation == "", schema.relations.index(t.relation)
                                                    if t.relation else 0, last.get(t.kind, 0)))  # fmt: skip
    assert list(again.traits) == expected
    assert (again.common, again.changed, again.relations) == (schema.common, schema.changed, schema.relations)
    assert compare(again, schema) == []


def test_a_person_writes_it_short_and_words_stay_words(tmp_path: Path) -> None:
    path = tmp_path / "schema.yml"
    path.write_text(
        "relations:\n  'NO':\n    domain: NO\n    range: [yes, 1]\n    loops: true\n    max_tails: 2\n"
        "    order: head.born in <= tail.died\n  EMPTY:\ndisjoint:\n  - [on, off]\n"
    )
    schema = schema_file.load(path)
    assert said(schema, "NO") == {
        "domain": ("NO",), "range": ("yes", "1"), "loops": True, "max_tails": 2,
        "order": Order("born in", True, "died"),
    }  # fmt: skip
    assert schema.relations == ("NO", "EMPTY")
    assert not any(trait.learned for trait in schema.traits)
    assert schema.of("")[0].value == ("on", "off")


WRONG = [
    ("relations:\n  R:\n    domian: [A]\n", "line 3: 'domian' is unknown; did you mean domain?"),
    ("relations:\n  R: {}\n  R: {}\n", "line 3: 'R' is there twice"),
    ("relations:\n  R:\n    loops: maybe\n", "line 3: loops is 'maybe'; write true or false"),
    ("relations:\n  R:\n    max_tails: many\n", "line 3: 'many' is no whole number"),
    ("relations:\n  R:\n    max_tails: 0\n", "line 3: max_tails is 0"),
    ("relations:\n  R:\n    order: born before died\n", "line 3: order is 'born before died'; write it as"),
    ("relations:\n  R:\n    domain: {support: 3}\n", "line 3: domain does not say what holds"),
    ("relations:\n  R:\n    domain: []\n", "line 3: domain names too few labels"),
    ("relations:\n  R:\n    domain: {is: [A], confidence: high}\n", "line 3: 'high' is no number"),
    ("disjoint: [City, Country]\n", "line 1: disjoint names too few labels"),
    ("relations: 3\n", "line 1: there should be lines `name: value`"),
    ("relations:\n  R: [\n", "is not YAML"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "says"), WRONG)
def test_a_mistake_in_the_file_is_told_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "schema.yml"
    path.write_text(text)
    with pytest.raises(DataError) as error:
        schema_file.load(path)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_there_is_a_persons_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "schema.yml"
    assert schema_file.find(tmp_path) is None
    with pytest.raises(NotFoundError, match="kgsync schema save"):
        schema_file.load(path)
    path.write_text("")
    assert schema_file.find(tmp_path) == Schema()
    with pytest.raises(StorageError, match="it is yours"):
        schema_file.save(Schema(), path)
    schema_file.save(Schema(relations=("R",)), path, force=True)
    assert schema_file.load(path).relations == ("R",)


def test_what_differs_is_what_is_said_and_not_how_often_it_was_seen() -> None:
    file = Schema((Trait("R", "domain", ("A", "B")), Trait("R", "loops", True), Trait("S", "max_tails", 1)))
    graph = Schema((Trait("R", "domain", ("B", "A"), 9, 1.0), Trait("R", "loops", False, 9, 1.0),
                    Trait("", "disjoint", ("A", "B"), 20, 1.0)))  # fmt: skip
    found = [(difference.change, difference.relation, difference.kind) for difference in compare(file, graph)]
    assert found == [("added", "", "disjoint"), ("changed", "R", "loops"), ("removed", "S", "max_tails")]


# ---- what leaves kgsync


def parsed(xml: str) -> ElementTree.Element:
    return ElementTree.fromstring(xml)  # noqa: S314 (we wrote it)


def test_every_parameter_of_a_check_is_explained_in_its_header_and_given() -> None:
    given_ = {*Schema().parameters(), "known", "changed", "names", "runId", "wrong"}
    for check in load_checks():
        taken = set(check.parameters(dict.fromkeys(given_)))
        header = (statements.folder() / "validate" / f"{check.name}.cypher").read_text(encoding="utf-8")
        assert check.text.count("$") == 0 or taken, check.name
        for name in taken:
            assert f":param {name} =>" in header, f"{check.name}: {name}"


def test_values_are_written_as_cypher_reads_them(connection: Connection) -> None:
    values = {"a b`": ["it's", "back\\slash", "\U0001f600\u200b", None], "c": {"d": True, "e": -1.5, "f": 3}, "g": "\n"}
    assert connection.read(f"RETURN {literal(values)} AS v") == [{"v": values}]


def test_junit_has_a_case_per_check_and_a_failure_where_one_failed() -> None:
    end = End("Country", "x", "A\x00 <b>")
    row = Finding("id1", end, "R", None, "is 'wrong' & <so>", end, 0.5)
    checks = (
        CheckResult("bad", "error", "why", 30, (row,), "MATCH", "COUNT", seconds=0.5),
        CheckResult("mild", "warning", "why", 1, (row,), "MATCH", "COUNT"),
        CheckResult("good", "error", "why", 0, (), "MATCH", "COUNT"),
    )
    suite = parsed(junit(ValidationReport(checks)))
    assert (suite.get("tests"), suite.get("failures"), suite.get("time")) == ("3", "1", "0.500")
    assert [(case.get("name"), [part.tag for part in case]) for case in suite] == [
        ("bad", ["failure"]), ("mild", ["system-out"]), ("good", []),
    ]  # fmt: skip
    assert "29 more" in (suite[0][0].text or "")
    assert parsed(junit(ValidationReport(checks), "warning")).get("failures") == "2"


def test_shapes_say_what_shacl_can_say() -> None:
    schema = Schema(
        (Trait("BORN IN", "domain", ("Person",)), Trait("BORN IN", "range", ("City", "Town")),
         Trait("BORN IN", "max_tails", 1), Trait("BORN IN", "asymmetric", True),
         Trait("", "disjoint", ("City", "Person"))),
        relations=("BORN IN",),
    )  # fmt: skip
    turtle = shapes(schema)
    for part in ("# 1 traits", "sh:targetSubjectsOf <neo4j://graph.schema#BORN%20IN>", "sh:maxCount 1",
                 "sh:or ( [ sh:class <neo4j://graph.schema#City> ] [ sh:class <neo4j://graph.schema#Town> ] )",
                 "sh:not [ sh:class <neo4j://graph.schema#Person> ]"):  # fmt: skip
        assert part in turtle


# ---- the commands


@pytest.fixture
def run_command(any_server: LocalServer, tmp_path: Path) -> Callable[..., tuple[str, Exception | None]]:
    password = tmp_path / "password"
    password.touch(mode=0o600)
    password.write_text(any_server.password())
    (tmp_path / "kgsync.toml").write_text('[graph.labels.Entity]\nkey = "key"\nname = "name"\n')
    where = ["--uri", any_server.uri, "--password-file", str(password), "--config", str(tmp_path / "kgsync.toml")]

    def command(which: click.Command, *arguments: str) -> tuple[str, Exception | None]:
        result = CliRunner().invoke(which, [*arguments, *where])
        error = result.exception
        return result.output, error if isinstance(error, Exception) else None

    return command


def test_a_schema_is_shown_kept_compared_and_explained_and_rules_the_gate(
    graph_db: neo4j.Driver, run_command: Callable[..., tuple[str, Exception | None]], tmp_path: Path
) -> None:
    make_clean_world(graph_db)
    out, error = run_command(schema_command, "show", "CAPITAL")
    assert error is None
    assert "Country" in out
    assert "100.0% of 31" in out
    learned = json.loads(run_command(schema_command, "show", "--json")[0])
    assert {trait["kind"] for trait in learned["traits"]} >= {"domain", "range", "max_tails", "disjoint"}
    assert isinstance(run_command(schema_command, "show", "NOWHERE")[1], NotFoundError)

    assert run_command(schema_command, "save")[1] is None
    assert isinstance(run_command(schema_command, "save")[1], StorageError)
    out, error = run_command(schema_command, "compare")
    assert (error, "say the same" in out) == (None, True)
    path = tmp_path / "schema.yml"
    one_tail = "max_tails: {is: 1, source: learned, support: 31, confidence: 1.0}"
    path.write_text(path.read_text().replace(one_tail, "max_tails: 2"))
    out, error = run_command(schema_command, "compare")
    assert isinstance(error, FindingsError)
    assert "max_tails" in out
    out, _ = run_command(schema_command, "explain", "CAPITAL")
    assert "as your file has it" in out
    assert "a head has at most 2 of its tails (written by a person)" in out
    assert "but Country 4 BORDERS Country 6" in run_command(schema_command, "explain", "BORDERS")[0]
    assert "sh:NodeShape" in run_command(schema_command, "shapes")[0]

    predict(graph_db, "country1", "CAPITAL", "city36")
    report = tmp_path / "junit.xml"
    options = ("--fail-on", "warning", "--junit", str(report))
    assert run_command(validate_command, *options)[1] is None  # two capitals are fine, says the file
    settings = tmp_path / "kgsync.toml"
    default = settings.read_text()
    settings.write_text(default + '[validate]\nschema = "mine.yml"\nfolder = "checks"\n')
    (tmp_path / "checks").mkdir()
    path.rename(tmp_path / "mine.yml")
    assert run_command(validate_command, *options)[1] is None  # and so it does under a name of its own
    assert "as your file has it" in run_command(schema_command, "explain", "CAPITAL")[0]
    with connect(driver=graph_db, database="neo4j", config=settings) as graph:  # in Python, too
        assert "functional" not in {check.name for check in graph.validate(quarantine=False).failing()}
    settings.write_text(default)
    out, error = run_command(validate_command, *options)
    assert isinstance(error, FindingsError)
    assert ":params {maxTails: {" in out
    suite = parsed(report.read_text())
    assert [case.get("name") for case in suite if case.find("failure") is not None] == ["functional"]
