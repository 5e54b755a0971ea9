"""The server plugin: its procedures on both real servers, its jar, and how it comes into a home."""

from __future__ import annotations

import json
import re
import runpy
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import neo4j
import numpy as np
import planned
import psutil
import pytest
from example_graphs import made_up_model
from neo4j.exceptions import ClientError, Neo4jError
from predicted import assert_edge, edge_id, make_clean_world, make_schema, make_world, predict, query

from kgsync.cli import main
from kgsync.config import Config, GraphConfig, LabelConfig
from kgsync.errors import ConfigError, NotFoundError, StorageError
from kgsync.graph import plugin, review, server_files, statements
from kgsync.graph import server as local
from kgsync.graph.connection import Connection
from kgsync.graph.embed import embed
from kgsync.graph.graph import Graph
from kgsync.graph.server import LocalServer
from kgsync.validate import validate

BUILD: dict[str, Any] = runpy.run_path(str(Path(__file__).parents[1] / "plugin" / "build.py"))
CAPITAL = edge_id("country30", "CAPITAL", "city30")
SPEAKS = edge_id("country5", "SPEAKS", "language9")
ACCEPT = "CALL kgsync.accept($ids, $by, $reason) YIELD id, outcome, message RETURN id, outcome, message"
REJECT = ACCEPT.replace("accept", "reject")
UNDO = "CALL kgsync.undo($ids, $by) YIELD id, outcome, message RETURN id, outcome, message"
ASK = "MATCH (n:Person {id: $key}) CALL kgsync.predict(n, $relation, $k) YIELD h, t, kgeScore RETURN h, t, kgeScore"


@pytest.fixture
def connection(graph_db: neo4j.Driver) -> Connection:
    return Connection.wrap(graph_db, "neo4j")


def decide(driver: neo4j.Driver, text: str, *ids: str, by: str = "ana", reason: str = "") -> list[tuple[str, str]]:
    rows = query(driver, text, ids=list(ids), by=by, reason=reason)
    return [(row["outcome"], row["message"]) for row in rows]


def refusal(driver: neo4j.Driver, text: str, **parameters: Any) -> str:
    """Return what the server says when it refuses a call, without what Neo4j puts before it: one line."""
    with pytest.raises(ClientError) as caught:
        query(driver, text, **parameters)
    message = str(caught.value.message)
    assert "\n" not in message
    return message.partition("Exception: ")[2]


def dump(driver: neo4j.Driver) -> list[str]:
    """Return the whole graph, the times in it made alike."""
    nodes = query(driver, "MATCH (n) RETURN labels(n) AS labels, properties(n) AS p")
    edges = query(driver, "MATCH (h)-[e]->(t) RETURN h.key AS h, type(e) AS e, t.key AS t, properties(e) AS p")
    for row in nodes + edges:
        row["p"] = {
            k: "a time" if k in ("at", "reviewedAt", "createdAt", "updatedAt") else row["p"][k]
            for k in sorted(row["p"])  # the server gives them in any order
        }
    return sorted(repr(sorted((key, repr(value)) for key, value in row.items())) for row in nodes + edges)


def known(driver: neo4j.Driver) -> list[str]:
    """Return the graph without the notes of reviewers."""
    return [row for row in dump(driver) if "__KgsyncReview" not in row]


def plain(value: Any) -> Any:
    """Return a value of a row so that it compares with one of another row: entities as their ids."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if isinstance(value, neo4j.graph.Path):
        return [plain(value.start_node), plain(list(value.relationships))]
    return value.element_id if isinstance(value, neo4j.graph.Entity) else value


# --- the procedures ---------------------------------------------------------------------------------------


@pytest.mark.newest
def test_every_procedure_argument_and_column_explains_itself(graph_db: neo4j.Driver) -> None:
    rows = query(
        graph_db,
        "SHOW PROCEDURES YIELD name, mode, description, argumentDescription, returnDescription "
        "WHERE name STARTS WITH 'kgsync.' RETURN * ORDER BY name",
    )
    modes = {row["name"].partition(".")[2]: row["mode"] for row in rows}
    assert modes == {"explain": "READ", "predict": "READ", "validate": "READ"} | dict.fromkeys(
        ("accept", "reject", "undo"), "WRITE"
    )
    assert tuple(sorted(row["name"] for row in rows)) == plugin.PROCEDURES
    for row in rows:
        assert re.fullmatch(r"[A-Z].*\.", row["description"]), row["name"]
        for field in row["argumentDescription"] + row["returnDescription"]:
            assert re.fullmatch(r"[A-Z].*\.", field["description"]), (row["name"], field["name"])


Decide = Callable[[neo4j.Driver, Connection, str], object]
BOTH_WAYS: dict[str, tuple[Decide, Decide]] = {
    "accept": (
        lambda driver, _, id_: decide(driver, ACCEPT, id_, reason="seen"),
        lambda _, connection, id_: review.accept(connection, [id_], by="ana", reason="seen"),
    ),
    "reject": (
        lambda driver, _, id_: decide(driver, REJECT, id_),
        lambda _, connection, id_: review.reject(connection, [id_], by="ana"),
    ),
}


@pytest.mark.newest
@pytest.mark.parametrize("how", BOTH_WAYS)
def test_a_decision_leaves_in_the_graph_what_the_command_leaves_and_undo_too(
    graph_db: neo4j.Driver, connection: Connection, how: str
) -> None:
    make_schema(graph_db)
    make_world(graph_db)
    id_ = predict(graph_db, "country1", "NEVER SEEN", "city2")  # the type is new to the database
    true = predict(graph_db, "country1", "SPEAKS", "language1")  # and this is known
    by_plugin, by_kgsync = BOTH_WAYS[how]
    before = known(graph_db)

    for one in (id_, true):
        by_plugin(graph_db, connection, one)
    of_plugin = dump(graph_db)
    assert known(graph_db) != before
    decide(graph_db, UNDO, id_, true)
    assert known(graph_db) == before
    undone = dump(graph_db)

    query(graph_db, "MATCH (n:__KgsyncReview) DELETE n")
    for one in (id_, true):
        by_kgsync(graph_db, connection, one)
    assert dump(graph_db) == of_plugin
    review.undo(connection, [id_, true], by="ana")
    assert dump(graph_db) == undone


@pytest.mark.newest
def test_another_reviewers_decision_is_told_and_not_overwritten(graph_db: neo4j.Driver) -> None:
    make_clean_world(graph_db)
    assert decide(graph_db, ACCEPT, CAPITAL) == [("done", "is now a CAPITAL")]
    before = dump(graph_db)
    assert decide(graph_db, ACCEPT, CAPITAL, by="bob")[0][0] == "unchanged"
    for text in (REJECT, UNDO):
        ((outcome, message),) = decide(graph_db, text, CAPITAL, by="bob")
        assert (outcome, message.startswith("was accepted by ana on ")) == ("refused", True)
    expired = edge_id("country32", "CAPITAL", "city2")
    assert decide(graph_db, REJECT, expired) == [("refused", "is expired")]
    assert dump(graph_db) == before


@pytest.mark.newest
def test_of_two_decisions_at_the_same_moment_one_wins_and_the_other_is_told(graph_db: neo4j.Driver) -> None:
    make_clean_world(graph_db)
    told: list[tuple[str, str]] = []
    other = threading.Thread(target=lambda: told.extend(decide(graph_db, ACCEPT, SPEAKS, by="bob")))
    with graph_db.session(database="neo4j") as session, session.begin_transaction() as transaction:
        transaction.run(REJECT, ids=[SPEAKS], by="ana", reason="").consume()
        other.start()
        blocked = "SHOW TRANSACTIONS YIELD status WHERE status STARTS WITH 'Blocked' RETURN count(*) AS n"
        while query(graph_db, blocked) == [{"n": 0}] and other.is_alive():
            threading.Event().wait(0.05)
        transaction.commit()
    other.join()
    assert [outcome for outcome, _ in told] == ["refused"]
    (row,) = query(
        graph_db, "MATCH (:Entity {key: 'country5'})-[p:PREDICTED]->() RETURN p.status AS s, p.reviewedBy AS b"
    )
    assert row == {"s": "rejected", "b": "ana"}


@pytest.mark.newest
def test_one_wrong_id_of_several_leaves_everything_as_it_was(graph_db: neo4j.Driver) -> None:
    make_clean_world(graph_db)
    before = dump(graph_db)
    why = refusal(graph_db, ACCEPT, ids=[CAPITAL, "nowhere"], by="ana", reason="")
    assert why.startswith("no predicted edge has the id nowhere; look with MATCH ")
    assert "; give 4 characters or more" in refusal(graph_db, REJECT, ids=["cou"], by="ana", reason="")
    assert "; give 4 characters or more" in refusal(graph_db, "CALL kgsync.explain(null)")
    assert refusal(graph_db, UNDO, ids=None, by="ana") == "the ids are null; give a list of them"
    assert refusal(graph_db, UNDO, ids=["country3"], by="ana").startswith("several predicted edges have ids that start")
    assert refusal(graph_db, ACCEPT, ids=[CAPITAL], by=" ", reason="").endswith("; give your name as the argument by")
    assert dump(graph_db) == before


@pytest.mark.newest
def test_all_is_decided_however_few_rows_are_asked_for_and_for_every_row_that_asks(graph_db: neo4j.Driver) -> None:
    make_clean_world(graph_db)

    def count(status: str) -> int:
        text = "MATCH ()-[p:PREDICTED {reviewedBy: 'ana', status: $status}]->() RETURN count(p) AS n"
        return int(query(graph_db, text, status=status)[0]["n"])

    query(graph_db, "CALL kgsync.reject($ids, 'ana') YIELD id RETURN id LIMIT 1", ids=[CAPITAL, SPEAKS])
    assert count("rejected") == 2
    each = "MATCH ()-[p:PREDICTED {status: 'proposed'}]->() CALL kgsync.accept([p.id], 'ana') YIELD outcome "
    assert query(graph_db, each + "RETURN outcome, count(*) AS n") == [{"outcome": "done", "n": 4}]
    assert count("accepted") == 4


@pytest.mark.newest
def test_a_read_transaction_may_ask_and_not_decide(graph_db: neo4j.Driver) -> None:
    make_clean_world(graph_db)
    before = dump(graph_db)
    with graph_db.session(database="neo4j", default_access_mode=neo4j.READ_ACCESS) as session:
        assert len(session.run("CALL kgsync.explain($id)", id=CAPITAL).data()) == 1
        session.run("CALL kgsync.validate()").consume()
        with pytest.raises(Neo4jError, match=r"(?i)write|read"):
            session.run(ACCEPT, ids=[CAPITAL], by="ana", reason="").consume()
    assert dump(graph_db) == before


@pytest.mark.newest
def test_explain_gives_what_the_statement_gives(graph_db: neo4j.Driver) -> None:
    make_clean_world(graph_db)
    assert_edge(graph_db, "country5", "BORDERS", "language9")
    (wanted,) = query(graph_db, statements.load("browse/why").text, id=SPEAKS)
    (found,) = query(graph_db, "CALL kgsync.explain($id)", id=SPEAKS[:14])
    assert found["h"]["key"] == "country5"
    assert {"h", "p", "t"} | found["why"].keys() == wanted.keys()
    assert plain({key: found[key] for key in "hpt"} | found["why"]) == plain(wanted)


@pytest.mark.newest
def test_validate_reports_what_the_command_finds_and_says_which_checks_lack_something(
    graph_db: neo4j.Driver, connection: Connection
) -> None:
    make_clean_world(graph_db)
    predict(graph_db, "country7", "BORDERS", "country7")  # a loop
    predict(graph_db, "country1", "SPEAKS", "language1")  # is known
    predict(graph_db, "country2", "SPEAKS", "language20", score=7.0)
    predict(graph_db, "country2", "INVENTED", "language20")
    query(graph_db, "MATCH (h {key: 'country3'}), (t {key: 'language20'}) "
                    "CREATE (h)-[:PREDICTED {id: 7, relation: 8, status: 'proposed'}]->(t)")  # fmt: skip
    before = dump(graph_db)
    report = validate(connection, quarantine=False, limit=1_000)
    wanted = sorted(
        (check.name, check.severity, str(row.id or ""), str(row.path or ""), row.message or "")
        for check in report.checks
        for row in check.rows
    )
    assert {name for name, *_ in wanted} >= {"self-loop", "duplicate-asserted", "score-range", "unknown-relation"}
    assert any(id_ == "7" for _, _, id_, _, _ in wanted)
    parameters: dict[str, Any] = {"names": []}
    for check in report.checks:
        parameters |= {name: value for name, value in check.parameters.items() if name != "known"}
    call = "CALL kgsync.validate($check, $parameters)"

    def found(check: str, given: dict[str, Any]) -> list[tuple[str, str, str, str, str]]:
        rows = query(graph_db, call, check=check, parameters=given)
        keys = ("check", "severity", "id", "path", "message")
        return sorted((*(row[key] or "" for key in keys),) for row in rows)  # type: ignore[misc]

    assert found("", parameters) == wanted
    assert found("self-loop", parameters) == [row for row in wanted if row[0] == "self-loop"]
    bare = found("", {})
    skipped = {row[0] for row in bare if row[4].startswith("did not run: it needs $")}
    assert skipped == {c.name for c in report.checks if c.parameters.keys() - {"known"}}
    assert [row for row in bare if row[0] not in skipped] == [row for row in wanted if row[0] not in skipped]
    assert {row[1] for row in bare if row[0] in skipped} == {"info"}
    assert refusal(graph_db, call, check="nothing", parameters={}).startswith("there is no check nothing; take one of ")
    assert dump(graph_db) == before


@pytest.mark.newest
def test_predict_answers_what_the_statements_for_browser_answer(
    graph_db: neo4j.Driver, connection: Connection, tmp_path: Path
) -> None:
    planned.make_world(graph_db)
    config = Config(graph=GraphConfig(labels={"Person": LabelConfig(key="id"), "Town": LabelConfig(key="code")}))
    model = made_up_model(Graph(connection, config, tmp_path / "workspace").pull(), rank=5)
    embed(connection, model, commit=True)

    def assert_same(found: list[dict[str, Any]], which: str, label: str, key: str, value: str | int) -> None:
        text = statements.load(f"browse/live/{which}").text
        wanted = query(graph_db, text, label=label, key=key, value=value, relation="LIVES_IN", k=7)
        assert len(found) == 7
        assert [plain([row["h"], row["t"]]) for row in found] == [plain([row["h"], row["t"]]) for row in wanted]
        np.testing.assert_allclose([row["kgeScore"] for row in found], [row["kgeScore"] for row in wanted])

    assert_same(query(graph_db, ASK, key="p3", relation="LIVES_IN", k=7), "best-tails", "Person", "id", "p3")
    heads = "MATCH (n:Town {code: 4}) CALL kgsync.predict(n, 'LIVES_IN', 7, true) YIELD h, t, kgeScore RETURN *"
    assert_same(query(graph_db, heads), "best-heads", "Town", "code", 4)


@pytest.mark.newest
def test_predict_says_what_is_missing(graph_db: neo4j.Driver, connection: Connection, tmp_path: Path) -> None:
    planned.make_world(graph_db)
    ask: dict[str, Any] = {"key": "p3", "relation": "LIVES_IN", "k": 7}
    assert refusal(graph_db, ASK, **ask).endswith("; put them there with `kgsync embed --yes`")

    config = Config(graph=GraphConfig(labels={"Person": LabelConfig(key="id"), "Town": LabelConfig(key="code")}))
    model = made_up_model(Graph(connection, config, tmp_path / "workspace").pull(), rank=5)
    embed(connection, model, commit=True)
    assert refusal(graph_db, ASK, **ask | {"relation": "EATS"}).endswith(
        "knows no relation EATS; ask for one of LIVES_IN"
    )
    query(graph_db, "CREATE (:Person {id: 'new'})")
    assert refusal(graph_db, ASK, **ask | {"key": "new"}).startswith("the entity has no vector of the model ")
    assert "a k of 1 or more" in refusal(graph_db, ASK, **ask | {"k": 0})
    assert "a k of 1 or more" in refusal(graph_db, "CALL kgsync.predict(null, 'LIVES_IN')")

    query(graph_db, "MATCH (p:Person {id: 'p3'}), (t:Town) MERGE (p)-[:LIVES_IN]->(t)")
    assert query(graph_db, ASK, **ask) == []  # all are known: nothing is wrong


# --- the jar ----------------------------------------------------------------------------------------------


def test_the_jar_carries_the_statements_as_they_are_in_cypher() -> None:
    with ZipFile(plugin.jar()) as archive:
        copies = {name: archive.read(name) for name in archive.namelist() if not name.endswith((".class", ".MF"))}
    assert copies == {f"kgsync/{path}": data for path, data in BUILD["resources"]().items()}, "run `make plugin`"


def test_its_classes_run_on_the_oldest_java_that_runs_neo4j() -> None:
    assert {data[6:8] for data in BUILD["packed"](plugin.jar()).values()} == {bytes([0, 61])}  # Java 17


def test_building_it_anew_gives_the_same_bytes() -> None:
    javac = BUILD["compiler"]()
    if javac is None:
        pytest.skip("this machine has no JDK 17")
    compiled = BUILD["classes"](javac)
    assert compiled == BUILD["packed"](plugin.jar()), "run `make plugin`"
    assert BUILD["pack"](compiled) == plugin.jar().read_bytes(), "run `make plugin`"


# --- in a home --------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with the folders of one, as the archive of Neo4j unpacks it."""
    home = tmp_path / "neo4j"
    for folder in ("conf", "lib", "plugins"):
        (home / folder).mkdir(parents=True)
    (home / "lib" / "neo4j-procedure-api-5.26.30.jar").touch()
    (home / "plugins" / "README.txt").write_text("of somebody else")
    return home


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    return int(caught.value.code or 0)


def test_the_plugin_comes_into_a_home_and_leaves_no_trace(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = home / "plugins" / plugin.NAME
    assert run("plugin", "status", "--home", home) == 0
    assert "holds no plugin of kgsync" in capsys.readouterr().out
    assert run("plugin", "install", "--home", home) == 0
    assert capsys.readouterr().out.startswith(f"Wrote {place}\nRestart the server")
    assert place.read_bytes() == plugin.jar().read_bytes()
    assert run("plugin", "install", "--home", home) == 0
    assert capsys.readouterr().out.startswith(f"It is there already: {place}\n")

    place.write_bytes(b"an older one")
    assert plugin.look(home).state == "another"
    assert plugin.install(home)
    assert plugin.look(home).state == "current"
    assert run("plugin", "remove", "--home", home) == 0
    assert not plugin.remove(home)
    assert [path.name for path in (home / "plugins").iterdir()] == ["README.txt"]


def test_what_is_no_home_or_an_old_one_is_refused_and_stays_as_it_is(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("plugin", "install", "--home", tmp_path) == NotFoundError.exit_code
    assert re.fullmatch(r"Error: \S+ is no Neo4j home: .*; .*\n", capsys.readouterr().err)
    (home / "lib" / "neo4j-procedure-api-5.26.30.jar").rename(home / "lib" / "neo4j-procedure-api-4.4.40.jar")
    with pytest.raises(ConfigError, match=r"of Neo4j 4\.4\.40; the plugin needs Neo4j 5\.26 or newer"):
        plugin.install(home)
    assert plugin.NAME not in [path.name for path in home.rglob("*")]


def test_the_folder_and_the_allowlist_of_neo4j_conf_count(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "conf" / "neo4j.conf").write_text(
        "#server.directories.plugins=nowhere\nserver.directories.plugins = added\n"
        "dbms.security.procedures.allowlist=gds.*, kgsync.ex*\n"
    )
    assert plugin.install(home)
    assert (home / "added" / plugin.NAME).is_file()
    assert plugin.look(home).refused == tuple(name for name in plugin.PROCEDURES if name != "kgsync.explain")
    assert run("plugin", "status", "--home", home, "--json") == 0
    assert json.loads(capsys.readouterr().out)["state"] == "current"
    assert run("plugin", "status", "--home", home) == 0
    assert "add kgsync.* to dbms.security.procedures.allowlist" in capsys.readouterr().out


@pytest.mark.fault
def test_a_home_that_cannot_be_written_is_one_clear_line(home: Path) -> None:
    (home / "plugins" / "README.txt").unlink()
    (home / "plugins").rmdir()
    (home / "plugins").write_text("a file")
    with pytest.raises(StorageError, match="cannot write"):
        plugin.install(home)


def test_status_shows_what_the_server_offers(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KGSYNC_HOME", str(server.home.parents[1]))
    assert run("plugin", "status") == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in plugin.PROCEDURES)
    assert run("plugin", "status", "--json") == 0
    told = json.loads(capsys.readouterr().out)["procedures"]
    assert tuple(one["name"] for one in told) == plugin.PROCEDURES


@pytest.mark.slow
def test_up_replaces_another_kgsyncs_plugin_but_not_under_a_server_that_runs(
    environment: None, capsys: pytest.CaptureFixture[str]
) -> None:
    place = server_files.home("old") / "plugins" / plugin.NAME
    place.parent.mkdir(parents=True)
    place.write_bytes(b"an older one")
    running = local.up("old", memory="768M")
    try:
        assert place.read_bytes() == plugin.jar().read_bytes()
        assert local.up("old").notes == ()
        place.unlink()
        assert run("plugin", "status", "--home", running.home) == 0
        assert run("up", "--name", "old") == 0
        assert "Its plugin is not that of this kgsync" in capsys.readouterr().out
        assert psutil.pid_exists(running.pid)
        assert not place.exists()
        with Connection.wrap(neo4j.GraphDatabase.driver(running.uri, auth=(running.username, running.password()))) as c:
            assert len(plugin.offered(c)) == len(plugin.PROCEDURES)  # what it loaded when it started
            c.driver.close()
    finally:
        local.down("old")
