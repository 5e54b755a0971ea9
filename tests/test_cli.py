"""The command line as a person meets it: help, and one clear line for everything that can go wrong."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import neo4j
import pytest

from kgsync.cli import SECTIONS, main
from kgsync.cli.options import print_json
from kgsync.errors import ConfigError
from kgsync.graph.ledger import RunInfo
from kgsync.graph.server import LocalServer
from kgsync.graph.settings import resolve

COMMANDS = [name for section in SECTIONS.values() for name in section]


def kgsync(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kgsync", *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )


def env(server: LocalServer) -> dict[str, str]:
    return {"NEO4J_URI": server.uri, "NEO4J_USERNAME": "neo4j", "NEO4J_PASSWORD": server.password()}


def expect_one_line(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_the_help_lists_every_command_and_imports_nothing_heavy() -> None:
    heavy = "print(*[m for m in ('torch', 'pyarrow', 'neo4j', 'jgo', 'numpy') if m in sys.modules])"
    code = f"import sys; from kgsync.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n{heavy}"
    code += "\nimport kgsync.graph.graph, kgsync.report.kept\nprint('torch' in sys.modules)"  # as `kgsync write` does
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-2:] == ["", "False"]
    for command in COMMANDS:
        assert command in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    done = kgsync(command, "--help")
    assert done.returncode == 0, done.stderr
    assert "Usage: kgsync " + command in done.stdout


def test_an_unknown_command_is_a_usage_error() -> None:
    done = kgsync("synk")
    assert done.returncode == 2
    assert "No such command" in done.stderr


def test_without_any_database_the_next_step_is_named() -> None:
    expect_one_line(kgsync("pull"), 78, "kgsync up")


def test_a_server_that_is_not_there_is_named() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        uri = f"bolt://127.0.0.1:{free.getsockname()[1]}"
    expect_one_line(kgsync("pull", NEO4J_URI=uri, NEO4J_PASSWORD="x"), 69, uri, "does not answer")


def test_a_wrong_password_is_not_shown(server: LocalServer) -> None:
    done = kgsync("pull", **env(server) | {"NEO4J_PASSWORD": "wrong-canary"})
    expect_one_line(done, 77, "refused the user name or password")
    assert "wrong-canary" not in done.stderr + done.stdout


def test_a_password_in_the_uri_is_refused_and_not_shown(server: LocalServer) -> None:
    uri = server.uri.replace("bolt://", "bolt://neo4j:canary@")
    done = kgsync("pull", NEO4J_URI=uri)
    expect_one_line(done, 78, "take it out")
    assert "canary" not in done.stderr


def test_an_unknown_database_is_named(server: LocalServer) -> None:
    expect_one_line(kgsync("pull", "--database", "nowhere", **env(server)), 66, "NEO4J_DATABASE")


@pytest.mark.parametrize("command", ["train", "predict", "write"])
def test_a_step_without_the_one_before_names_that(command: str, server: LocalServer) -> None:
    expect_one_line(kgsync(command, **env(server)), 66, "run `kgsync p" if command != "predict" else "kgsync train")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("MATCH (n) RETURN 1", ["no entities", "kgsync"]),
        ("CREATE (:City {id: 1})", ["1 entities and no triples"]),
        ("CREATE (:City {id: 1})-[:ROAD]->(:City {id: 2})-[:ROAD]->(:City {id: 3})", ["too few to learn from"]),
        ("UNWIND range(1, 30) AS i CREATE (n:City {id: i})-[:ROAD]->(n)", ["30 more are self-loops"]),
    ],
    ids=["empty", "one-node", "two-triples", "only-loops"],
)
def test_a_graph_that_is_too_small_says_so_in_one_line(
    data: str, words: list[str], server: LocalServer, graph_db: neo4j.Driver
) -> None:
    graph_db.execute_query(data, database_="neo4j")  # type: ignore[arg-type]
    expect_one_line(kgsync("sync", **env(server)), 65, *words)


def test_a_damaged_configuration_is_refused_before_anything_else(tmp_path: Path) -> None:
    Path("kgsync.toml").write_text("[split]\nvalid = 2\n", encoding="utf-8")
    expect_one_line(kgsync("sync"), 78, "split.valid")


def test_a_workspace_that_cannot_be_written_is_a_storage_error(server: LocalServer, graph_db: neo4j.Driver) -> None:
    graph_db.execute_query("CREATE (:City {id: 1})-[:ROAD]->(:City {id: 2})", database_="neo4j")
    Path("file").write_text("not a folder", encoding="utf-8")
    expect_one_line(kgsync("pull", "--workspace", "file/below", **env(server)), 74, "file/below")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["sync", "--each-relation"], "--each-relation is about the promise of --max-false"),
        (["write", "--each-relation"], "--each-relation is about the promise of --max-false"),
        (["pull", "--hops", "2"], "--hops are counted from a --seed"),
        (["review", "--port", "1234"], "--port is that of the page"),
    ],
)
def test_an_option_that_would_have_no_effect_is_refused(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert says in capsys.readouterr().err


def test_json_is_json_whatever_the_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": [float("nan"), 1.5], "b": RunInfo("r", "finished", "", None, 1, 0, 0, "p", ("m",))})
    found = json.loads(capsys.readouterr().out)
    assert found["a"] == [None, 1.5]
    assert found["b"]["models"] == ["m"]


def test_a_password_that_nobody_types_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr("getpass.getpass", ended)
    with pytest.raises(ConfigError, match=r"no password was typed; .*--password-file"):
        resolve(uri="bolt://a:1", prompt=True, environment={})
