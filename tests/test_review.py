"""Review, on the real server: what a decision does, that none is lost, and that no name does any harm."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import neo4j
import pytest
from predicted import LABELS, edge_id, make_clean_world, make_schema, make_world, predict, query

from kgsync.cli import main
from kgsync.config import LabelConfig
from kgsync.errors import DataError, NotFoundError
from kgsync.graph import ends, review, statements
from kgsync.graph.connection import Connection
from kgsync.graph.review import EndFilter, Filter, ReviewReport, accept, find, proposals, reject, undo
from kgsync.graph.server import LocalServer
from kgsync.validate import ValidationReport, validate

ODD_NAMES = [
    "it's",
    'say "hi"',
    "a`b",
    "a``b",
    "`]->() DETACH DELETE h //",
    "x\\u0060y",
    "new\nline",
    "tab\there",
    "MATCH",
    "NULL",
    "A|B",
    "$(p.id)",
    "😀",
    "\u202eעברית",
    "é",
    "e\u0301",
    " ",
    "x" * 5_000,
]


@pytest.fixture
def connection(graph_db: neo4j.Driver) -> Connection:
    return Connection.wrap(graph_db, "neo4j")


def edge(driver: neo4j.Driver, id_: str) -> dict[str, Any]:
    (row,) = query(driver, "MATCH ()-[p:PREDICTED {id: $id}]->() RETURN properties(p) AS p", id=id_)
    return dict(row["p"])


def made(driver: neo4j.Driver) -> list[dict[str, Any]]:
    """Return the relationships that accepting made."""
    return query(
        driver,
        "MATCH (h)-[e]->(t) WHERE e.kgsyncPredictionId IS NOT NULL "
        "RETURN h.key AS head, type(e) AS type, t.key AS tail, properties(e) AS properties ORDER BY head, type, tail",
    )


def whole(driver: neo4j.Driver) -> set[str]:
    """Return everything in the graph but the notes of what reviewers did, to compare."""
    nodes = query(
        driver, "MATCH (n) WHERE NOT n:__KgsyncReview RETURN labels(n) AS labels, properties(n) AS properties"
    )
    edges = query(driver, "MATCH (h)-[e]->(t) RETURN h.key AS h, type(e) AS e, t.key AS t, properties(e) AS properties")
    return {json.dumps(row, sort_keys=True, default=str) for row in nodes + edges}


@pytest.mark.newest
def test_accepting_makes_the_relationship_and_undo_takes_exactly_that_away(
    graph_db: neo4j.Driver, connection: Connection
) -> None:
    make_schema(graph_db)
    make_clean_world(graph_db)
    before = whole(graph_db)
    id_ = edge_id("country30", "CAPITAL", "city30")
    report = accept(connection, [id_], by="ana", reason="seen in the atlas")
    assert (report.done, report.already_true, report.unchanged, report.refused) == (1, 0, 0, ())
    assert made(graph_db) == [
        {
            "head": "country30",
            "type": "CAPITAL",
            "tail": "city30",
            "properties": {
                "kgsyncPredictionId": id_,
                "kgsyncRunId": "run1",
                "kgsyncModelId": "model1",
                "knowledgeLevel": "knowledge_assertion",
                "agentType": "manual_validation_of_automated_agent",
            },
        }
    ]
    properties = edge(graph_db, id_)
    reviewed = {key: properties[key] for key in ("status", "reviewedBy", "reviewReason")}
    assert reviewed == {"status": "accepted", "reviewedBy": "ana", "reviewReason": "seen in the atlas"}
    assert "kgsyncLock" not in properties
    assert validate(connection).failing() == []

    assert undo(connection, [id_], by="ana").done == 1
    assert whole(graph_db) == before


@pytest.mark.newest
def test_rejecting_keeps_the_edge_and_undo_gives_it_back(graph_db: neo4j.Driver, connection: Connection) -> None:
    make_clean_world(graph_db)
    before = whole(graph_db)
    id_ = edge_id("country30", "CAPITAL", "city30")
    assert reject(connection, [id_], by="ana", reason="moved in 1990").done == 1
    assert (edge(graph_db, id_)["status"], made(graph_db)) == ("rejected", [])
    assert undo(connection, [id_], by="ana").done == 1
    assert whole(graph_db) == before


@pytest.mark.newest
def test_every_decision_leaves_a_note_that_undo_adds_to(graph_db: neo4j.Driver, connection: Connection) -> None:
    make_clean_world(graph_db)
    id_ = edge_id("country30", "CAPITAL", "city30")
    reject(connection, [id_], by="ana", reason="moved in 1990")
    accept(connection, [id_], by="bob")  # refused: not a decision
    undo(connection, [id_], by="ana")
    assert query(
        graph_db,
        "MATCH (n:__KgsyncReview) RETURN n.predictionId AS id, n.action AS action, n.by AS by, n.reason AS reason, "
        "n.at IS NOT NULL AS dated ORDER BY n.at",
    ) == [
        {"id": id_, "action": "reject", "by": "ana", "reason": "moved in 1990", "dated": True},
        {"id": id_, "action": "undo", "by": "ana", "reason": None, "dated": True},
    ]


@pytest.mark.newest
def test_what_was_true_before_is_marked_and_survives_undo(graph_db: neo4j.Driver, connection: Connection) -> None:
    make_clean_world(graph_db)
    id_ = predict(graph_db, "country1", "SPEAKS", "language1")  # known
    before = whole(graph_db)
    report = accept(connection, [id_], by="ana")
    assert (report.done, report.already_true) == (1, 1)
    assert (edge(graph_db, id_)["alreadyTrue"], made(graph_db)) == (True, [])
    assert undo(connection, [id_], by="ana").done == 1
    assert whole(graph_db) == before


@pytest.mark.newest
def test_undo_leaves_a_relationship_that_somebody_has_added_to(graph_db: neo4j.Driver, connection: Connection) -> None:
    make_clean_world(graph_db)
    id_ = edge_id("country30", "CAPITAL", "city30")
    accept(connection, [id_], by="ana")
    query(graph_db, "MATCH ()-[e:CAPITAL {kgsyncPredictionId: $id}]->() SET e.since = 1990", id=id_)
    before = whole(graph_db)
    report = undo(connection, [id_], by="ana")
    assert (report.done, report.refused[0].why) == (
        0,
        "stays accepted: somebody has put more properties on its CAPITAL",
    )
    assert whole(graph_db) == before
    query(graph_db, "MATCH ()-[e:CAPITAL {kgsyncPredictionId: $id}]->() DELETE e", id=id_)  # the user may
    assert undo(connection, [id_], by="ana").done == 1


@pytest.mark.newest
def test_a_second_reviewer_is_told_and_overwrites_nothing(graph_db: neo4j.Driver, connection: Connection) -> None:
    make_clean_world(graph_db)
    yes, no = edge_id("country30", "CAPITAL", "city30"), edge_id("country5", "SPEAKS", "language9")
    expired = edge_id("country32", "CAPITAL", "city2")
    accept(connection, [yes], by="ana")
    reject(connection, [no], by="ana")
    before = whole(graph_db)
    assert accept(connection, [yes], by="bob").unchanged == 1
    assert reject(connection, [no], by="bob").unchanged == 1
    for report in (
        accept(connection, [no], by="bob"),
        reject(connection, [yes], by="bob"),
        undo(connection, [yes], by="bob"),
        undo(connection, [no], by="bob"),
    ):
        assert report.done == 0
        assert " by ana on " in report.refused[0].why
    assert [r.why for r in accept(connection, [expired, "gone"], by="bob").refused] == [
        "is expired",
        "is not in the graph",
    ]
    assert whole(graph_db) == before


@pytest.mark.newest
def test_of_decisions_at_the_same_moment_one_wins_and_the_others_are_told(
    graph_db: neo4j.Driver, connection: Connection
) -> None:
    make_schema(graph_db)
    make_clean_world(graph_db)
    id_ = predict(graph_db, "country7", "BORDERS", "country7")  # at fault, so that validate wants it too
    reports: list[Any] = []
    others = [
        threading.Thread(target=lambda: reports.append(accept(connection, [id_], by="bob"))),
        threading.Thread(target=lambda: reports.append(validate(connection))),
    ]
    with graph_db.session(database="neo4j") as session, session.begin_transaction() as transaction:
        parameters = {"ids": [id_], "by": "ana", "reason": None, "statuses": ["proposed"]}
        transaction.run(statements.load("review/reject").text, parameters).consume()  # type: ignore[arg-type]
        for other in others:
            other.start()
        wait_until(
            graph_db, "SHOW TRANSACTIONS YIELD status WHERE status STARTS WITH 'Blocked' RETURN count(*) = 2 AS done"
        )
        transaction.commit()
    for other in others:
        other.join()
    (accepting,) = [report for report in reports if isinstance(report, ReviewReport)]
    (validation,) = [report for report in reports if isinstance(report, ValidationReport)]
    assert ([r.id for r in accepting.refused], validation.quarantined) == ([id_], 0)
    assert (edge(graph_db, id_)["status"], edge(graph_db, id_)["reviewedBy"], made(graph_db)) == ("rejected", "ana", [])


def wait_until(driver: neo4j.Driver, text: str) -> None:
    for _ in range(600):
        if query(driver, text)[0]["done"]:
            return
        threading.Event().wait(0.05)
    raise AssertionError(f"never: {text}")


@pytest.mark.newest
def test_names_of_every_kind_become_relationships_and_harm_nothing(
    graph_db: neo4j.Driver, connection: Connection
) -> None:
    make_world(graph_db)
    query(graph_db, "CREATE (:Canary {alive: true})-[:SINGS]->(:Canary)")
    before = whole(graph_db)
    ids = [predict(graph_db, "country1", name, "city1", id=f"odd{i}") for i, name in enumerate(ODD_NAMES)]
    with_proposals = whole(graph_db)
    report = accept(connection, ids, by="ana`; DROP", reason="'); MATCH (n) DETACH DELETE n //")
    assert (report.done, report.refused) == (len(ODD_NAMES), ())
    assert {row["type"] for row in made(graph_db)} == set(ODD_NAMES)
    assert before < whole(graph_db)
    assert [p.relation for p in proposals(connection, Filter(relation=ODD_NAMES[4]))] == [ODD_NAMES[4]]
    assert validate(connection).failing() == []
    assert undo(connection, Filter(), by="ana`; DROP").done == len(ODD_NAMES)
    assert whole(graph_db) == with_proposals


def test_an_edge_whose_relation_cannot_be_made_is_refused_and_the_rest_is_accepted(
    graph_db: neo4j.Driver, connection: Connection
) -> None:
    make_clean_world(graph_db)
    names = ["", None, "PREDICTED", "USED_MODEL"]
    odd = [predict(graph_db, "country1", "X", "city1", id=f"odd{i}", relation=names[i]) for i in range(4)]
    report = accept(connection, [*odd, edge_id("country30", "CAPITAL", "city30")], by="ana")
    assert (report.done, [r.id for r in report.refused]) == (1, odd)
    assert {edge(graph_db, id_)["status"] for id_ in odd} == {"proposed"}


def test_a_server_that_makes_the_wrong_type_is_refused_and_nothing_is_accepted(
    graph_db: neo4j.Driver, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_clean_world(graph_db)
    before = whole(graph_db)
    right = statements.load("review/accept")
    wrong = statements.Statement(right.name, right.header, right.text.replace("$(p.relation)", "SPEAKS"))
    monkeypatch.setattr(statements, "load", lambda name: wrong)
    with pytest.raises(DataError, match="made a SPEAKS of what should become a CAPITAL"):
        accept(
            connection, [edge_id("country5", "SPEAKS", "language9"), edge_id("country30", "CAPITAL", "city30")], by="a"
        )
    assert whole(graph_db) == before


@pytest.mark.newest
def test_a_filter_takes_what_fits_and_quarantined_edges_only_when_told(
    graph_db: neo4j.Driver, connection: Connection
) -> None:
    make_clean_world(graph_db)
    bad = predict(graph_db, "country7", "BORDERS", "country7")
    low = predict(graph_db, "country8", "BORDERS", "country12", score=0.4, scoreLow=0.3)
    validate(connection)
    borders = Filter(relation="BORDERS", min_score=0.5)
    assert {p.id for p in proposals(connection, review.selected("accept", borders, by="ana"))} == {
        edge_id("country1", "BORDERS", "country3"),
        edge_id("country3", "BORDERS", "country1"),
    }
    assert accept(connection, borders, by="ana").done == 2
    assert (edge(graph_db, bad)["status"], edge(graph_db, low)["status"]) == ("quarantined", "proposed")
    assert accept(connection, borders, by="ana", include_quarantined=True).done == 1
    assert undo(connection, Filter(relation="BORDERS"), by="ana").done == 3
    assert (edge(graph_db, bad)["status"], edge(graph_db, bad)["reasons"]) == ("quarantined", ["self-loop"])
    assert accept(connection, [bad], by="ana").done == 1  # named by its id


def test_batches_of_many_are_counted_whole(
    graph_db: neo4j.Driver, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_schema(graph_db)
    make_world(graph_db)
    query(
        graph_db,
        "MATCH (h:Country), (t:Person) WITH h, t, h.key + t.key AS id "
        "CREATE (h)-[:PREDICTED {id: id, relation: 'KNOWS', status: 'proposed', score: 0.5, runId: 'run1'}]->(t)",
    )
    monkeypatch.setattr(review, "_BATCH", 300)
    seen: list[int] = []
    report = accept(
        connection, Filter(relation="KNOWS"), by="ana", progress=lambda step, done, total: seen.append(done)
    )
    assert (report.done, seen) == (1_600, [300, 600, 900, 1_200, 1_500, 1_600])
    assert query(graph_db, "MATCH ()-[e:KNOWS]->() RETURN count(e) AS n") == [{"n": 1_600}]


@pytest.mark.newest
def test_a_filter_narrows_by_score_status_run_and_ends(graph_db: neo4j.Driver, connection: Connection) -> None:
    make_clean_world(graph_db)
    predict(graph_db, "country8", "SPEAKS", "language20", score=0.3, runId="run2")
    query(graph_db, "MATCH (n:Country {key: 'country9'}) SET n.key = 9")
    predict(graph_db, "country10", "SPEAKS", "language21", score=0.95)

    def heads(which: Filter) -> list[Any]:
        return [p.head.key for p in proposals(connection, which, labels=LABELS)]

    assert heads(Filter(relation="SPEAKS")) == ["country10", "country5", "country8"]
    assert heads(Filter(relation="SPEAKS", max_score=0.5)) == ["country8"]
    assert heads(Filter(relation="/country/language")) == []
    query(graph_db, "CREATE (:__KgsyncRelation {type: 'SPEAKS', id: '/country/language'})")
    assert heads(Filter(relation="/country/language")) == heads(Filter(relation="SPEAKS"))
    assert heads(Filter(run_id="run2")) == ["country8"]
    assert heads(Filter(statuses=("rejected",))) == ["country32"]
    assert heads(Filter(head=EndFilter("Person"))) == ["person35", "person37"]
    assert heads(Filter(tail=EndFilter("Entity", "key", ("language9",)))) == ["country5"]
    assert heads(Filter(tail=EndFilter("Nobody"))) == []
    (best,) = proposals(connection, Filter(), limit=1)
    assert (best.id, best.head.label, best.head.name) == (
        edge_id("country10", "SPEAKS", "language21"),
        "Entity",
        "Country 10",
    )


def test_a_decision_made_by_hand_is_told_without_a_day(graph_db: neo4j.Driver, connection: Connection) -> None:
    make_world(graph_db)
    ids = [predict(graph_db, "country30", "CAPITAL", f"city{i}", status=("accepted", "rejected")[i]) for i in (0, 1)]
    reports = (
        accept(connection, [ids[1]], by="me"),
        reject(connection, [ids[0]], by="me"),
        undo(connection, ids, by="me"),
    )
    reasons = [refusal.why for report in reports for refusal in report.refused]
    assert len(reasons) == 4
    assert all(why.endswith("by somebody") for why in reasons), reasons


def test_names_and_texts_that_are_lists_stop_no_look(graph_db: neo4j.Driver, connection: Connection) -> None:
    make_clean_world(graph_db)
    query(graph_db, "MATCH (n:Entity) SET n.name = ['a', 'b'], n.text = ['c']")
    id_ = edge_id("country5", "SPEAKS", "language9")
    names = ends.parameter({"Entity": LabelConfig("key", "name", ("text",))})
    (look,) = connection.read(statements.load("review/desk/look").text, id=id_, names=names)
    assert {look[end][what] for end in ("head", "tail") for what in ("name", "text")} == {None}
    assert [each["name"] for each in look["heads"] + look["tails"]].count(None) > 2
    (edge_,) = connection.read(statements.load("explain/edge").text, id=id_)
    assert (edge_["head"]["name"], edge_["tail"]["name"]) == (None, None)
    (both,) = connection.read(statements.load("explain/ends").text, id=id_, names=names)
    assert (both["heads"][0]["key"], both["heads"][0]["name"]) == ("country5", None)


def test_an_id_may_be_cut_short_if_it_stays_unique(graph_db: neo4j.Driver, connection: Connection) -> None:
    make_schema(graph_db)
    make_world(graph_db)
    for id_ in ("abcdef01", "abcdef02", "abcdxx"):
        predict(graph_db, "country1", "BORDERS", "country9", id=id_)
    assert find(connection, ["abcdx", "abcdef01", "abcdef01"]) == ["abcdxx", "abcdef01"]
    for prefix, error in (("abcde", "several"), ("abc", "too short")):
        with pytest.raises(DataError, match=error):
            find(connection, [prefix])
    with pytest.raises(NotFoundError, match="no predicted edge has the id zzzz"):
        find(connection, ["abcdx", "zzzz"])


# ---- what a person runs in Browser


@pytest.mark.newest
def test_every_query_for_browser_has_a_title_and_runs(graph_db: neo4j.Driver) -> None:
    make_clean_world(graph_db)
    id_ = edge_id("country30", "CAPITAL", "city30")
    predict(graph_db, "country7", "BORDERS", "country7", status="quarantined", reasons=["self-loop"])
    files = sorted((statements.folder() / "browse").glob("*.cypher"))
    assert len(files) >= 8
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert text.startswith("// ")
        assert ":" not in text.splitlines()[0].removeprefix("// Predicted edges:"), "the title is no header field"
        columns = statements.parse(path, path.stem).header["columns"].split(" (")[0].split(", ")
        rows = query(graph_db, text, id=id_)
        assert rows, path
        assert list(rows[0]) == columns, path
    texts = [path.read_text(encoding="utf-8") for path in (statements.folder() / "review").glob("[aru]*.cypher")]
    assert {text.splitlines()[0] for text in texts} == {
        "// Accept predicted edges",
        "// Reject predicted edges",
        "// Undo your reviews",
    }


# ---- the command

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(any_server: LocalServer, tmp_path: Any, capfd: pytest.CaptureFixture[str]) -> Command:
    password = tmp_path / "password"
    password.touch(mode=0o600)
    password.write_text(any_server.password())
    (tmp_path / "kgsync.toml").write_text('[graph.labels.Entity]\nkey = "key"\nname = "name"\n')

    def run(*arguments: str) -> tuple[int, str, str]:
        where = ["--uri", any_server.uri, "--password-file", str(password), "--config", str(tmp_path / "kgsync.toml")]
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main(["review", *arguments, *where])
        out, err = capfd.readouterr()
        return int(str(end.value)), out, err

    return run


def test_the_command_reviews_by_id_and_by_filter(graph_db: neo4j.Driver, command: Command) -> None:
    make_clean_world(graph_db)
    predict(graph_db, "country9", "SPEAKS", "language20", id="f00d" * 16, score=0.97)
    query(graph_db, "MATCH (n:Country {key: 'country9'}) SET n.name = 'Evil \u001b[31m\u202e'")
    code, out, _ = command("list", "--relation", "SPEAKS")
    assert (code, "f00df00df00d" in out, "\u001b" in out.replace("\u001b[1m", "").replace("\u001b[0m", "")) == (
        0,
        True,
        False,
    )
    assert (
        json.loads(command("list", "--head", "Entity:country5", "--json")[1])["edges"][0]["tail"]["name"]
        == "Language 9"
    )

    for key in ("²", "--5", "9" * 20):
        assert json.loads(command("list", "--head", f"Entity:{key}", "--json")[1]) == {"edges": []}

    before = whole(graph_db)
    code, out, _ = command("accept", "--relation", "SPEAKS", "--min-score", "0.95")
    assert (code, "1 edges fit. Nothing is changed yet" in out, whole(graph_db) == before) == (0, True, True)
    code, out, _ = command("accept", "--relation", "SPEAKS", "--min-score", "0.95", "--by", "ana", "--yes")
    assert (code, out) == (0, "Accepted 1.\n")
    code, out, err = command("reject", "f00df", "--by", "bob", "--reason", "no")
    assert (code, "f00df00df00d was accepted by ana on" in out) == (3, True)
    assert err.startswith("Error: 1 edges stay as they were; ")
    code, out, _ = command("undo", "f00df", "--by", "ana", "--json")
    assert (code, json.loads(out)["done"]) == (0, 1)
    assert whole(graph_db) == before


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["accept"], 2, "Name the ids of edges, or a filter"),
        (["accept", "f00d", "--relation", "X"], 2, "Name the ids of edges, or a filter"),
        (["reject", "nobody"], 66, "no predicted edge has the id nobody"),
        (["list", "--head", "Nobody:1"], 78, "no key property is known for the label Nobody"),
    ],
)
def test_a_wrong_command_is_one_clear_line(
    graph_db: neo4j.Driver, command: Command, arguments: list[str], code: int, says: str
) -> None:
    result, _, err = command(*arguments)
    assert (result, says in err) == (code, True)
