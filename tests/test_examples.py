"""The scripts in `examples/` run as they are, against a real server with a part of the sample graph."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import neo4j
import pytest

from kgsync import sample
from kgsync.graph.connection import Connection
from kgsync.graph.load import load
from kgsync.graph.server import LocalServer

EXAMPLES = Path(__file__).parents[1] / "examples"
RELATIONS = ("SHARES_BORDER_WITH", "PART_OF", "SPEAKS", "MEMBER_OF", "HAS_CAPITAL")
# Without names no text has to be learned, which would take most of the time.
CONFIG = """
[graph.labels.Entity]
key = "id"

[train]
rank = 32
epochs = 12

[predict]
min_score = 0.02
"""


@pytest.fixture
def world(graph_db: neo4j.Driver, tmp_path: Path) -> neo4j.Driver:
    """A database with some relations of the sample graph, and `kgsync.toml` for it in the current folder."""
    facts = tmp_path / "facts"
    facts.mkdir()
    lines = (sample.folder() / "triples.tsv").read_text(encoding="utf-8").splitlines(keepends=True)
    triples = [line.split("\t") for line in lines if line.split("\t")[1] in RELATIONS]
    ends = {end.strip() for head, _, tail in triples for end in (head, tail)}
    header, *entities = (sample.folder() / "entities.tsv").read_text(encoding="utf-8").splitlines(keepends=True)
    (facts / "triples.tsv").write_text("".join("\t".join(triple) for triple in triples), encoding="utf-8")
    known = [line for line in entities if line.split("\t")[0] in ends]
    (facts / "entities.tsv").write_text("".join([header, *known]), encoding="utf-8")
    load(Connection.wrap(graph_db, "neo4j"), facts)
    Path("kgsync.toml").write_text(CONFIG, encoding="utf-8")
    return graph_db


def run(name: str, server: LocalServer) -> str:
    settings = {
        "NEO4J_URI": server.uri,
        "NEO4J_USERNAME": server.username,
        "NEO4J_PASSWORD": server.password(),
        "OMP_NUM_THREADS": "2",
    }
    command: list[str | Path] = [sys.executable, "-W", "error", EXAMPLES / name]
    done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def edges(driver: neo4j.Driver) -> dict[str, int]:
    text = "MATCH ()-[r]->() RETURN type(r) AS type, count(*) AS count"
    return {row["type"]: row["count"] for row in driver.execute_query(text, database_="neo4j").records}


@pytest.mark.slow
def test_the_sync_example_writes_what_it_says_and_nothing_the_second_time(
    world: neo4j.Driver, any_server: LocalServer
) -> None:
    before = edges(world)
    first = run("sync_in_python.py", any_server)
    created = int(re.search(r"(\d+) edges created", first)[1])  # type: ignore[index]
    assert created > 0
    assert {k: v for k, v in edges(world).items() if k in before} == before
    assert edges(world)["PREDICTED"] == created
    assert f"0 edges created, 0 updated, {created} unchanged" in run("sync_in_python.py", any_server)
    assert edges(world)["PREDICTED"] == created


@pytest.mark.slow
def test_the_example_with_pandas_and_networkx_reads_only(world: neo4j.Driver, any_server: LocalServer) -> None:
    before = edges(world)
    shown = run("look_at_predictions.py", any_server)
    assert "count" in shown.splitlines()[0]
    assert any(relation in shown for relation in RELATIONS)
    assert " - " in shown
    assert edges(world) == before


@pytest.mark.slow
def test_the_review_example_makes_an_edge_and_takes_it_back(world: neo4j.Driver, any_server: LocalServer) -> None:
    before = edges(world)
    shown = run("review_with_your_driver.py", any_server)
    assert "Accepted: 1" in shown
    assert "In the graph: " in shown
    assert "Taken back: 1" in shown
    after = edges(world)
    assert {k: v for k, v in after.items() if k in before} == before
    assert after["PREDICTED"] > 0
