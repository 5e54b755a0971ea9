"""The mutation test of validation, on real servers: into a clean graph with accepted predictions one fault at a time.

Each fault is caught by its own check, as often as it is there, and by no other one of severity error.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import neo4j
import pytest
from planned import edge, make_plan
from predicted import LABELS, assert_edge, keep_evidence, make_clean_world, predict, query
from test_write_names import HOSTILE_VALUES, ODD_NAMES

from kgsync.config import Config, GraphConfig, LabelConfig
from kgsync.graph.connection import Connection
from kgsync.graph.graph import Graph
from kgsync.graph.review import Filter
from kgsync.identity import Entity
from kgsync.validate import ValidationReport, load_checks, validate

CHECKS = {
    "accepted-gone": "warning",
    "accepted-share": "info",
    "asymmetric": "warning",
    "conflicting-sources": "warning",
    "coverage": "info",
    "disjoint-labels": "warning",
    "domain-range": "warning",
    "duplicate-asserted": "error",
    "duplicate-prediction": "error",
    "false-share": "warning",
    "functional": "warning",
    "hub-flooding": "warning",
    "inverse": "warning",
    "inverse-functional": "warning",
    "leakage": "error",
    "missing-key": "error",
    "orphan-run": "warning",
    "provenance": "error",
    "score-range": "error",
    "self-loop": "error",
    "stale": "warning",
    "status": "error",
    "temporal-order": "warning",
    "unknown-relation": "error",
}
REPORT = ("focus", "p", "t", "id", "path", "value", "check", "severity", "message")


def make_graph(driver: neo4j.Driver) -> None:
    """Create the clean world with dates of birth, children, and when the run began.

    Without constraints: making and dropping them throws away the server's plans, which takes longer than the checks.
    """
    make_clean_world(driver)
    query(driver, "MATCH (n:Person) SET n.born = date({year: 1900 + toInteger(substring(n.key, 6))})")
    query(driver, "MATCH (a)-[:PARENT]->(b) CREATE (b)-[:CHILD_OF]->(a)")
    predict(driver, "person36", "CHILD_OF", "person35")
    query(driver, "MATCH (run:__KgsyncRun) SET run.startedAt = datetime() - duration('PT1H')")


def clear(driver: neo4j.Driver) -> None:
    query(driver, "MATCH (n) DETACH DELETE n")


def state(driver: neo4j.Driver) -> dict[str, tuple[str, list[str] | None]]:
    rows = query(driver, "MATCH ()-[p:PREDICTED]->() RETURN p.id AS id, p.status AS status, p.reasons AS reasons")
    return {row["id"]: (row["status"], row["reasons"]) for row in rows}


def found(report: ValidationReport) -> dict[str, int]:
    return {check.name: check.count for check in report.checks if check.count}


@pytest.fixture
def connection(graph_db: neo4j.Driver) -> Connection:
    return Connection.wrap(graph_db, "neo4j")


def run_cypher(text: str) -> Callable[[neo4j.Driver], object]:
    return lambda driver: query(driver, text)


def flood(driver: neo4j.Driver) -> None:
    for i in range(12):
        predict(driver, f"country{10 + i}", "SPEAKS", "language39", score=0.8 - i / 100, scoreLow=0.1)


def against_a_rejected_one(driver: neo4j.Driver) -> None:
    predict(driver, "country10", "BORDERS", "country12", status="rejected")
    predict(driver, "country12", "BORDERS", "country10")


def two_capitals(driver: neo4j.Driver) -> None:
    assert_edge(driver, "country30", "CAPITAL", "city37")
    assert_edge(driver, "country30", "CAPITAL", "city38")


def reject_many(driver: neo4j.Driver) -> None:
    for i in range(25):
        predict(driver, f"country{i}", "SPEAKS", f"language{(i + 5) % 40}", status="rejected")


def trade(driver: neo4j.Driver) -> None:
    assert_edge(driver, "country1", "TRADES", "country2")
    for i in range(5, 26):
        predict(driver, f"country{i}", "TRADES", f"country{i + 1}")


def withdraw(text: str) -> Callable[[neo4j.Driver], object]:
    """Return what keeps evidence with a proposal and then runs a statement."""

    def inject(driver: neo4j.Driver) -> None:
        keep_evidence(driver, "country5-SPEAKS-language9", ["country5 BORDERS country6", "country6 SPEAKS language7"])
        assert_edge(driver, "country6", "SPEAKS", "language9")
        facts = ["country5 BORDERS country6", "country6 SPEAKS language9"]
        keep_evidence(driver, "country5-SPEAKS-language9", facts, run="run2")
        query(driver, "MATCH ()-[p:PREDICTED {id: 'country5-SPEAKS-language9'}]->() SET p.runId = 'run2'")
        query(driver, "CREATE (:__KgsyncRun {id: 'run2'})")
        query(driver, text)

    return inject


def predicted(*edge: str, **more: Any) -> Callable[[neo4j.Driver], object]:
    return lambda driver: predict(driver, *edge, **more)


# the check, what is wrong, how it is made, how many findings
SPEAKS = ("country8", "SPEAKS", "language20")
FAULTS: list[tuple[str, str, Callable[[neo4j.Driver], object], int]] = [
    ("accepted-gone", "deleted by somebody", run_cypher("MATCH ({key: 'country4'})-[r:BORDERS]->({key: 'country6'}) "
                                                        "DELETE r"), 1),
    ("accepted-share", "none accepted", reject_many, 1),
    ("asymmetric", "against a known edge", predicted("person2", "PARENT", "person1"), 1),
    ("asymmetric", "against a proposal", predicted("person36", "PARENT", "person35", score=0.8), 1),
    ("conflicting-sources", "rejected and known", lambda d: assert_edge(d, "country32", "CAPITAL", "city1"), 1),
    ("conflicting-sources", "rejected and accepted",
     predicted("country32", "CAPITAL", "city1", id="other", status="accepted"), 1),
    ("conflicting-sources", "two known capitals", two_capitals, 1),
    ("coverage", "nothing proposed", run_cypher("MATCH ()-[p:PREDICTED {relation: 'AUDITS'}]->() DELETE p"), 1),
    ("coverage", "more proposed than known", trade, 1),
    ("disjoint-labels", "a language that is a city", run_cypher("MATCH (n {key: 'language9'}) SET n:City"), 1),
    ("domain-range", "a wrong head", predicted("person1", "SPEAKS", "language20"), 1),
    ("domain-range", "a wrong tail", predicted("country35", "CAPITAL", "language20"), 1),
    ("duplicate-asserted", "a known edge", predicted("country1", "SPEAKS", "language1"), 1),
    ("duplicate-prediction", "proposed twice", predicted("country5", "SPEAKS", "language9", id="other"), 1),
    ("false-share", "nearly all rejected", reject_many, 1),
    ("functional", "beside a known target", predicted("country1", "CAPITAL", "city36"), 1),
    ("functional", "beside a proposal", predicted("country30", "CAPITAL", "city33", score=0.8), 1),
    ("hub-flooding", "twelve proposals at one tail", flood, 2),
    ("inverse", "a reviewer said no to the reverse", against_a_rejected_one, 1),
    ("inverse", "a child is no parent", predicted("person5", "PARENT", "person4"), 1),
    ("inverse-functional", "beside a known source", predicted("country33", "CAPITAL", "city5"), 1),
    ("inverse-functional", "beside a proposal", predicted("country33", "CAPITAL", "city30", score=0.8), 1),
    ("leakage", "the relationship of a proposal", run_cypher("MATCH (h {key: 'country5'}), (t {key: 'language9'}) "
     "CREATE (h)-[:SPEAKS {kgsyncPredictionId: 'country5-SPEAKS-language9'}]->(t)"), 1),
    ("leakage", "without any prediction", run_cypher("MATCH (h {key: 'country8'}), (t {key: 'language20'}) "
     "CREATE (h)-[:SPEAKS {kgsyncPredictionId: 'gone'}]->(t)"), 1),
    ("leakage", "learned from proposals", predicted("country8", "PREDICTED", "language20"), 1),
    ("missing-key", "a key that went", run_cypher("MATCH (n {key: 'language9'}) REMOVE n.key"), 1),
    ("missing-key", "a key of another type", run_cypher("MATCH (n {key: 'language9'}) SET n.key = 1.5"), 1),
    ("orphan-run", "a run without edges", run_cypher("CREATE (:__KgsyncRun "
     "{id: 'run9', status: 'finished', created: 3})"), 1),
    ("orphan-run", "a batch without a run", run_cypher("CREATE (:__KgsyncBatch {runId: 'run9', n: 0})"), 1),
    ("orphan-run", "a model without a run", run_cypher("CREATE (:__KgsyncModel {id: 'model9'})"), 1),
    ("orphan-run", "evidence of no edge", run_cypher("CREATE (:__KgsyncEvidence "
     "{predictionId: 'gone', runId: 'run1'})"), 1),
    ("provenance", "no such run", predicted(*SPEAKS, runId="gone"), 1),
    ("provenance", "no such model", predicted(*SPEAKS, modelId="gone"), 1),
    ("provenance", "no run at all", predicted(*SPEAKS, runId=None), 1),
    ("score-range", "no score", predicted(*SPEAKS, score=None), 1),
    ("score-range", "a NaN", predicted(*SPEAKS, score=float("nan")), 1),
    ("score-range", "a NaN bound", predicted(*SPEAKS, scoreLow=float("nan")), 1),
    ("score-range", "below 0", predicted(*SPEAKS, score=-0.1, scoreLow=-0.2), 1),
    ("score-range", "above 1", predicted(*SPEAKS, score=1.1), 1),
    ("score-range", "a high bound", predicted(*SPEAKS, scoreLow=0.95), 1),
    ("score-range", "text", predicted(*SPEAKS, score="0.9"), 1),
    ("self-loop", "a loop", predicted("country7", "BORDERS", "country7"), 1),
    ("stale", "the evidence stands", withdraw("RETURN 1"), 0),
    ("stale", "a fact of the evidence was deleted", withdraw("MATCH ({key: 'country6'})-[r:SPEAKS]->"
     "({key: 'language9'}) DELETE r"), 1),
    ("stale", "all of the evidence was deleted", withdraw("MATCH ({key: 'country6'})-[r]-() "
     "WHERE type(r) <> 'PREDICTED' DELETE r"), 1),
    ("stale", "it leads the other way now", withdraw("MATCH (a {key: 'country6'})-[r:SPEAKS]->(b {key: 'language9'}) "
     "DELETE r CREATE (b)-[:SPEAKS]->(a)"), 1),
    ("stale", "changed between the pull and the run", run_cypher("MATCH (run:__KgsyncRun) SET run.pulledAt = "
     "run.startedAt, run.startedAt = datetime() WITH * MATCH (n {key: 'language9'}) "
     "SET n.updatedAt = datetime() - duration('PT30M')"), 1),
    ("stale", "an end changed", run_cypher("MATCH (n {key: 'language9'}) SET n.updatedAt = datetime()"), 1),
    ("stale", "an end changed, in local time", run_cypher("MATCH (n {key: 'language9'}) "
     "SET n.updatedAt = localdatetime() + duration('PT1M')"), 1),
    ("stale", "an end changed, as a text says", run_cypher("MATCH (n {key: 'language9'}) "
     "SET n.updatedAt = toString(datetime() + duration('PT1M'))"), 1),
    ("stale", "no end changed, as texts say", run_cypher("MATCH (n {key: 'language9'}), (m {key: 'country5'}) "
     "SET n.updatedAt = toString(datetime() - duration('P2D')), m.updatedAt = '9999: not a date'"), 0),
    ("stale", "a known edge changed", run_cypher("MATCH ({key: 'country5'})-[r:SPEAKS]->({key: 'language5'}) "
     "SET r.lastModified = timestamp()"), 1),
    ("status", "a status of nobody", predicted(*SPEAKS, status="open"), 1),
    ("status", "no status", predicted(*SPEAKS, status=None), 1),
    ("temporal-order", "born before the parent", run_cypher("MATCH (n {key: 'person36'}) "
     "SET n.born = date('1800-01-01')"), 2),  # as a tail of PARENT, and as a head of CHILD_OF
    ("temporal-order", "by years", run_cypher("MATCH (n:Person) "
     "SET n.born = CASE n.key WHEN 'person36' THEN 1800 ELSE n.born.year END"), 2),
    ("temporal-order", "by texts, some of them vague", run_cypher("MATCH (n:Person) SET n.born = CASE n.key "
     "WHEN 'person36' THEN '1800-05' WHEN 'person37' THEN '1936' ELSE toString(n.born) END"), 2),
    ("unknown-relation", "nobody knows it", predicted("country8", "TRADES_WITH", "country20"), 1),
    ("unknown-relation", "none at all", predicted("country8", "SPEAKS", "language20", relation=None), 1),
]  # fmt: skip


@pytest.mark.newest
def test_a_clean_graph_with_accepted_predictions_has_no_findings(
    graph_db: neo4j.Driver, connection: Connection
) -> None:
    make_graph(graph_db)
    before = state(graph_db)
    report = validate(connection, labels=LABELS)
    assert {check.name: check.severity for check in report.checks} == CHECKS
    assert found(report) == {}
    assert (report.quarantined, report.released, report.failed) == (0, 0, False)
    assert state(graph_db) == before


@pytest.mark.newest
def test_each_fault_is_caught_by_its_own_check_and_by_no_other_error(
    graph_db: neo4j.Driver, connection: Connection, request: pytest.FixtureRequest
) -> None:
    one_of_each = list({fault[0]: fault for fault in FAULTS}.values())
    assert {name for name, _, _, _ in one_of_each} == set(CHECKS)
    for name, what, inject, count in one_of_each if request.node.name.endswith("[newest]") else FAULTS:
        clear(graph_db)
        make_graph(graph_db)
        inject(graph_db)
        before = state(graph_db)
        report = validate(connection, limit=3, labels=LABELS)
        errors = {check.name for check in report.failing("error")} - {name}
        assert (found(report).get(name, 0), errors) == (count, set()), f"{name}: {what}: {found(report)}"
        assert report.failed == (CHECKS[name] == "error"), what
        for row in next(check for check in report.checks if check.name == name).rows:
            assert row.message, what
            if row.id and CHECKS[name] != "info" and before[row.id][0] == "proposed":
                status, reasons = state(graph_db)[row.id]
                assert (status, name in (reasons or [])) == ("quarantined", True), what


@pytest.mark.newest
def test_a_proposal_expires_with_a_fact_that_it_rests_on(graph_db: neo4j.Driver, connection: Connection) -> None:
    make_graph(graph_db)
    withdraw("RETURN 1")(graph_db)
    assert found(validate(connection, labels=LABELS)) == {}
    query(graph_db, "MATCH ({key: 'country6'})-[r:SPEAKS]->({key: 'language9'}) DELETE r")
    report = validate(connection, fix=True, labels=LABELS)
    check = next(check for check in report.checks if check.name == "stale")
    assert (check.count, check.fixed, report.expired) == (1, 1, 1)
    fact = "Entity:country6 SPEAKS Entity:language9"
    assert (check.rows[0].value, check.rows[0].path) == (fact, "SPEAKS")
    assert check.rows[0].message == f"rests on {fact}, which is not in the graph any more"
    assert state(graph_db)["country5-SPEAKS-language9"][0] == "expired"


def test_the_count_form_counts_and_the_rows_form_shows_what_was_found(
    graph_db: neo4j.Driver, connection: Connection
) -> None:
    make_graph(graph_db)
    for inject in dict.fromkeys({name: inject for name, _, inject, _ in FAULTS}.values()):  # one of each
        inject(graph_db)
    report = validate(connection, quarantine=False, labels=LABELS)
    assert set(found(report)) >= set(CHECKS) - {"coverage"}
    for check, source in zip(report.checks, load_checks(), strict=True):
        assert connection.read(check.count_query, **check.parameters) == [{"findings": check.count}]
        rows = connection.read(check.query, **check.parameters)
        assert [tuple(row) for row in rows] == [REPORT] * check.count
        assert {(row["check"], row["severity"]) for row in rows} <= {(check.name, check.severity)}
        assert [row["id"] for row in connection.read(source.text, **check.parameters)][:25] == [
            row["id"] for row in rows
        ]


def test_odd_names_go_through_load_pull_write_and_validate_and_a_canary_survives(
    graph_db: neo4j.Driver, connection: Connection, tmp_path: Path
) -> None:
    query(graph_db, "CREATE (:Canary {alive: true})-[:SINGS]->(:Canary)")
    labels = ODD_NAMES[1:-1:2]  # key properties and relations, too
    values = [value for value in HOSTILE_VALUES if value.strip()]  # a file cannot name an entity by spaces
    graph = Graph(connection, Config(graph=GraphConfig({name: LabelConfig(key=name) for name in labels})), tmp_path)
    types = {}
    for name in labels:
        with (tmp_path / "odd.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([value, name, values[0]] for value in values[1:])
        types |= graph.load(tmp_path / "odd.csv", label=name, key=name).relation_types
    snapshot = graph.pull()
    assert set(snapshot.identities) == {Entity(name, name, value) for name in labels for value in values}
    assert set(snapshot.relations) == set(types.values())
    loops = [edge(entity, types[entity.label], entity) for entity in snapshot.identities]
    others = [*snapshot.identities[1:], snapshot.identities[0]]
    strange = [edge(head, f"no {head.label}", tail) for head, tail in zip(snapshot.identities, others, strict=True)]
    plan = make_plan(connection, loops + strange, labels=labels)
    assert graph.write(plan).created == len(plan)

    report = graph.validate()
    faults = {edge.id: "self-loop" for edge in loops} | {edge.id: "unknown-relation" for edge in strange}
    reasons = {id_: reasons for id_, (status, reasons) in state(graph_db).items() if status == "quarantined"}
    assert {id_: next(r for r in reasons[id_] or () if r in faults.values()) for id_ in reasons} == faults
    shown = report.to_arrow().to_pylist()
    keys = {planned.id: planned.head.key for planned in plan.edges}
    assert {row["check"] for row in shown} >= set(faults.values())
    assert all(row["head_key"] == keys[row["id"]] for row in shown if row["id"])
    assert query(graph_db, "MATCH (n:Canary {alive: true})-[:SINGS]->(:Canary) RETURN count(*) AS n") == [{"n": 1}]

    one = Filter(relation=strange[0].relation)
    assert graph.proposals(one).to_pandas()["head_key"].tolist() == [edge.head.key for edge in graph.proposals(one)]
    assert graph.accept(one, by=labels[0]).done == 0
    done = graph.accept(one, by=labels[0], include_quarantined=True)
    assert (done.done + done.left, done.to_arrow().num_rows) == (len(values), 0)
    assert done.done == len(graph.proposals(replace(one, statuses=("accepted",))))


@pytest.mark.newest
def test_no_plan_of_a_check_multiplies_or_reads_every_node(graph_db: neo4j.Driver) -> None:
    make_graph(graph_db)
    # more proposals than nodes, as in a graph that is worth it: the planner would rather begin with the nodes there
    query(
        graph_db, "MATCH (a:Country), (b:City) CREATE (a)-[:PREDICTED {status: 'proposed', relation: 'CAPITAL'}]->(b)"
    )

    def operators(plan: dict[str, Any]) -> set[str]:
        below = [operators(child) for child in plan.get("children", [])]
        return {plan["operatorType"].split("@")[0]}.union(*below)

    for check in load_checks():
        text = f"EXPLAIN {check.form('findings')}"
        _, summary, _ = graph_db.execute_query(text, database_="neo4j")  # type: ignore[arg-type]
        assert summary.plan is not None
        assert operators(summary.plan).isdisjoint({"CartesianProduct", "AllNodesScan"}), check.name
