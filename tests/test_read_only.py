"""Somebody else's database, which we may only read: everything short of writing works, the rest is one clear line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from read_only import read_only_server

from kgsync.cli import main
from kgsync.config import Config
from kgsync.errors import AccessError
from kgsync.graph.connection import Connection, resolve
from kgsync.graph.doctor import check
from kgsync.graph.graph import Graph
from kgsync.graph.load import load
from kgsync.graph.server import LocalServer
from kgsync.review.desk import Desk
from kgsync.review.serve import listening, server
from kgsync.runs import Workspace

GRAPH = """
UNWIND range(1, 60) AS i CREATE (:Person {id: i, name: 'p' + i})-[:OWNS]->(:Thing {id: 't' + i})
WITH count(*) AS _
MATCH (a:Person), (b:Person) WHERE a <> b AND a.id % 6 = b.id % 6
CREATE (a)-[:KNOWS]->(b)
"""


@pytest.fixture(scope="module")
def read_only(tmp_path_factory: pytest.TempPathFactory, jar_cache: Path) -> Iterator[LocalServer]:
    with read_only_server(tmp_path_factory.mktemp("readonly"), jar_cache, GRAPH) as running:
        yield running


@pytest.fixture
def connection(read_only: LocalServer) -> Iterator[Connection]:
    with Connection.open(resolve(uri=read_only.uri, password_file=read_only.password_file)) as connection:
        yield connection


def test_a_pull_without_configuration_works(connection: Connection, tmp_path: Path) -> None:
    snapshot = Graph(connection, workspace=tmp_path / "workspace").pull()
    assert (snapshot.entities.num_rows, len(snapshot.triples)) == (120, 600)


def test_a_load_is_refused_before_anything_else(connection: Connection, tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("a\tr\tb\n", encoding="utf-8")
    with pytest.raises(AccessError, match="does not allow this"):
        load(connection, tmp_path / "a.tsv")


def test_doctor_says_that_writing_is_not_allowed_and_finds_no_fault(read_only: LocalServer) -> None:
    diagnosis = check(resolve(uri=read_only.uri, password_file=read_only.password_file), Config())
    assert diagnosis.exit_code == 0
    assert any(f.level == "info" and f.what.startswith("this user may not write") for f in diagnosis.findings)


def test_init_proposes_all_the_same_and_says_that_the_constraints_were_not_made(
    read_only: LocalServer, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["init", "--yes", "--uri", read_only.uri, "--password-file", str(read_only.password_file)])
    assert end.value.code == 77
    assert "kgsync's constraints were not created" in capfd.readouterr().err
    assert set(Config.load().graph.labels) == {"Person", "Thing"}


def test_the_review_page_needs_no_index(connection: Connection) -> None:
    with listening(0) as listener:
        server(Desk(connection, "ana", {}, Workspace("none")), listener, "token")


def test_the_whole_trial_runs_without_configuration_and_shows_what_it_would_write(
    read_only: LocalServer, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["sync", "--uri", read_only.uri, "--password-file", str(read_only.password_file)])
    shown = capfd.readouterr()
    assert end.value.code in (0, None), shown.err
    assert "Plan " in shown.out
    assert "Nothing was written" in shown.out


def test_with_leave_to_write_the_refusal_names_the_privilege_and_the_plan_stays(
    read_only: LocalServer, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["sync", "--yes", "--uri", read_only.uri, "--password-file", str(read_only.password_file)])
    assert end.value.code == 77
    assert "does not allow" in capfd.readouterr().err
    assert list(Path(".kgsync/runs").glob("*/plan/manifest.json"))
