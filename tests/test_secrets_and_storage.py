"""Through the whole story: no command shows the password, and a full disk leaves nothing half-written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import neo4j
import psutil
import pytest

from kgsync.graph.server import LocalServer

PEOPLE = """
UNWIND range(1, 60) AS i CREATE (:Person {id: 'p' + i, name: 'Person ' + i})
WITH count(*) AS _
MATCH (a:Person), (b:Person)
WHERE a <> b AND toInteger(substring(a.id, 1)) % 6 = toInteger(substring(b.id, 1)) % 6
CREATE (a)-[:KNOWS]->(b)
"""
SMALL = "[train]\nrank = 16\nepochs = 5\n[predict]\nmin_score = 0.0\ntop_k = 20\n"


@pytest.fixture
def story(graph_db: neo4j.Driver, server: LocalServer) -> dict[str, str]:
    """Return the environment of commands in a folder with a configuration, over a graph that can be learned from."""
    graph_db.execute_query(PEOPLE, database_="neo4j")
    Path("small.toml").write_text(SMALL, encoding="utf-8")
    return {**os.environ, "NEO4J_URI": server.uri, "NEO4J_PASSWORD": server.password()}


def kgsync(environment: dict[str, str], *arguments: str, largest_file: int = 0) -> tuple[int, str, list[str]]:
    """Run a command; return its code, what it printed, and every command line seen while it ran."""
    command = [sys.executable, "-m", "kgsync", *arguments]
    if largest_file:  # KiB; what comes after is refused by the operating system, as by a full disk
        command = ["bash", "-c", f'ulimit -f {largest_file}; exec "$@"', "bash", *command]
    lines: list[str] = []
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        while process.poll() is None:
            for one in psutil.process_iter(["cmdline"]):
                lines += one.info["cmdline"] or []
            try:
                process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
        assert process.stdout is not None
        return process.returncode, process.stdout.read(), lines


def test_the_password_appears_nowhere(story: dict[str, str], server: LocalServer) -> None:
    secret = server.password()
    config = ("--config", "small.toml")
    shown = ""
    for arguments in (
        ("doctor",),
        ("init", "--yes"),
        ("sync", "--yes", *config),
        ("pull", *config),
        ("train", *config),
        ("predict", *config),
        ("validate",),
        ("review", "list"),
        ("runs", "--json"),
        ("status",),
        ("uninstall",),
        ("pull", "--relations", "NOWHERE"),
        ("doctor", "--uri", "bolt://127.0.0.1:1"),
    ):
        _, text, lines = kgsync(story, *arguments)
        assert "Traceback" not in text, text
        assert not any(secret in line for line in lines), f"{arguments}: in the process list"
        shown += text
    assert "proposed" in shown
    assert secret not in shown
    holding = [path for path in Path().rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert holding == []


def test_the_local_server_keeps_its_password_in_one_file(server: LocalServer) -> None:
    secret = server.password().encode()
    files = [path for path in server.home.rglob("*") if path.is_file() and not path.is_symlink()]
    assert [path for path in files if secret in path.read_bytes()] == [server.password_file]
    assert server.password_file.stat().st_mode & 0o777 == 0o600
    assert not any(secret.decode() in part for part in psutil.Process(server.pid).cmdline())


@pytest.mark.parametrize("step", ["pull", "train", "predict", "sync"])
def test_a_disk_that_fills_up_is_one_clear_line_and_the_next_try_is_whole(story: dict[str, str], step: str) -> None:
    config = ("--config", "small.toml")
    for before in {"train": ["pull"], "predict": ["pull", "train"]}.get(step, []):
        assert kgsync(story, before, *config)[0] == 0
    code, text, _ = kgsync(story, step, *config, largest_file=2)
    assert code == 74, text
    assert "Traceback" not in text
    assert text.splitlines()[-1].startswith("Error: ")
    work = Path(".kgsync")
    assert not [path for path in work.rglob("*.tmp") if path.is_file() and path.stat().st_size]
    for manifest in work.rglob("manifest.json"):
        assert manifest.read_text(encoding="utf-8").rstrip().endswith("}")
    code, text, _ = kgsync(story, step, *config)
    assert code == 0, text
