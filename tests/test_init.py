"""Init, on the real server: a proposal that can be trusted, a file that explains itself, and no surprise."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import neo4j
import pytest

from kgsync.cli import main
from kgsync.config import Config, LabelConfig
from kgsync.errors import NotFoundError
from kgsync.graph import inspect, schema
from kgsync.graph.connection import Connection
from kgsync.graph.init import add_key, propose
from kgsync.graph.init_text import toml
from kgsync.graph.server import LocalServer

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def connection(graph_db: neo4j.Driver) -> Connection:
    return Connection.wrap(graph_db, "neo4j")


@pytest.fixture
def command(any_server: LocalServer, capfd: pytest.CaptureFixture[str]) -> Command:
    def run(*arguments: str) -> tuple[int, str, str]:
        where = ["--uri", any_server.uri, "--password-file", str(any_server.password_file)]
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main([*arguments, *where])
        out, err = capfd.readouterr()
        return int(str(end.value)), out, err

    return run


def write(driver: neo4j.Driver, text: str) -> None:
    driver.execute_query(text, database_="neo4j")  # type: ignore[arg-type]


@pytest.mark.newest
def test_a_constraint_makes_the_best_key_and_names_and_texts_are_found(
    graph_db: neo4j.Driver, connection: Connection
) -> None:
    write(graph_db, "CREATE CONSTRAINT FOR (n:City) REQUIRE n.zip IS UNIQUE")
    write(
        graph_db,
        "UNWIND range(1, 30) AS i CREATE (:City {id: i, zip: 'z' + i, title: 'c' + i, population: i * 1000,"
        " homepage_url: 'http://' + reduce(s = '', x IN range(1, 90) | s + 'x'),"
        " story: reduce(s = '', x IN range(1, 90) | s + i), description: 'short'})",
    )
    proposal = propose(connection)
    assert proposal.config.labels == {"City": LabelConfig("zip", "title", ("description", "story"))}
    assert proposal.labels[0].key.constrained
    assert (proposal.keyless, proposal.unlabelled) == ((), 0)


def test_a_label_that_every_node_has_is_proposed_alone(graph_db: neo4j.Driver, connection: Connection) -> None:
    write(graph_db, "UNWIND range(1, 9) AS i CREATE (:Entity:City {id: i})")
    write(graph_db, "MATCH (n:City) WHERE n.id < 4 SET n:Capital")
    write(graph_db, "CREATE (:Entity:River {id: 'r'}), (:__KgsyncRun {id: 'run'})")
    proposal = propose(connection)
    assert list(proposal.config.labels) == ["Entity"]
    assert proposal.labels[0].covers == ("Capital", "City", "River")


def test_a_key_is_checked_on_every_node_not_only_on_the_sample(graph_db: neo4j.Driver, connection: Connection) -> None:
    write(graph_db, f"UNWIND range(1, {inspect.SAMPLE}) AS i CREATE (:P {{id: i, email: 'e' + i}})")
    write(graph_db, "CREATE (:P {id: 1, email: 'last'})")
    assert propose(connection).config.labels["P"].key == "email"


@pytest.mark.parametrize(
    ("nodes", "why"),
    [
        ("(:P {id: 1}), (:P {name: 'x'})", "1 of 2 nodes have no id"),
        ("(:P {id: 1}), (:P {id: 1})", "id is not unique: 2 nodes, 1 different values"),
        ("(:P {id: 1.5}), (:P {id: 'x'})", "1 values of id are neither strings nor integers"),
        ("(:P {id: reduce(s = '', i IN range(1, 4001) | s + 'ä')})", "a value of id has 8,002 bytes"),
        ("(:P {year: 1950}), (:P {year: 1951})", "no property that is on every node and different on each"),
    ],
)
def test_labels_without_a_key_are_left_out_with_the_reason(
    graph_db: neo4j.Driver, connection: Connection, nodes: str, why: str
) -> None:
    write(graph_db, f"CREATE {nodes}, ()")
    proposal = propose(connection)
    assert proposal.config.labels == {}
    assert [(keyless.label, why in keyless.why) for keyless in proposal.keyless] == [("P", True)]
    assert proposal.unlabelled == 1


@pytest.mark.newest
def test_the_file_says_what_was_proposed_whatever_the_names(
    graph_db: neo4j.Driver, connection: Connection, tmp_path: Path
) -> None:
    write(graph_db, "CREATE (:`we\"ird` {`key ``id`: 'k', name: 'n'})-[:`r '☃`]->(:`ש` {id: 1}), (:`a\nb` {id: 2})")
    proposal = propose(connection)
    text = toml(proposal, inspect.relation_counts(connection), None)
    (tmp_path / "kgsync.toml").write_text(text, encoding="utf-8")
    assert Config.load(tmp_path / "kgsync.toml").graph == proposal.config
    assert set(tomllib.loads(text)["graph"]["labels"]) == {'we"ird', "ש"}
    assert "a\N{REPLACEMENT CHARACTER}b (nodes: 1): its name cannot be used in Cypher" in text


def test_an_added_key_is_on_every_node_unique_and_repeatable(graph_db: neo4j.Driver, connection: Connection) -> None:
    write(graph_db, "UNWIND range(1, 25) AS i CREATE (:P {year: 1950})")
    assert add_key(connection, "P") == 25
    write(graph_db, "CREATE (:P)")
    assert add_key(connection, "P") == 1
    assert add_key(connection, "P") == 0
    proposal = propose(connection)
    assert proposal.config.labels["P"].key == "kgsyncId"
    assert proposal.labels[0].key.constrained
    with pytest.raises(NotFoundError, match="no node is labelled Absent"):
        add_key(connection, "Absent")


@pytest.mark.newest
def test_the_command_changes_the_database_only_with_yes_and_never_a_file_unasked(
    graph_db: neo4j.Driver, connection: Connection, command: Command
) -> None:
    code, _, err = command("init")
    assert code == 65
    assert "has no nodes with a label and a key" in err
    write(graph_db, "CREATE (:P {id: 1})-[:KNOWS]->(:P {id: 2}), (:Blank)")
    bookmark = connection.read_bookmark()
    code, out, _ = command("init", "--add-key", "Blank")
    assert code == 0
    assert "With --yes, every node labelled Blank would get a property kgsyncId" in out
    assert "With --yes, kgsync's own constraints and indexes would be created" in out
    assert connection.read_bookmark() == bookmark
    Path("kgsync.toml").write_text("# mine\n", encoding="utf-8")
    assert "stays as it is" in command("init")[1]
    assert Path("kgsync.toml").read_text(encoding="utf-8") == "# mine\n"
    code, out, _ = command("init", "--add-key", "Blank", "--yes", "--force")
    assert (code, schema.missing(connection)) == (0, ())
    assert set(Config.load().graph.labels) == {"P", "Blank"}
