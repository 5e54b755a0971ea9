"""What every test gets: an environment of its own, and real Neo4j servers.

- `server`, `newest_server`: a running `LocalServer`, LTS and newest, one of each per session.
- `graph_db`: a driver to the LTS server, whose database is empty. With `@pytest.mark.newest` the test runs
  twice, the second time on the newest server; `any_server` is then the server that `graph_db` talks to.

The servers' jars come from `KGSYNC_TEST_JARS`, else from the user's own cache if there is one, else from
pytest's cache folder, so that they are downloaded once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import neo4j
import platformdirs
import pytest

from kgsync.graph import server as local
from kgsync.graph import server_config, server_files
from kgsync.graph.server import LocalServer

MEMORY = "768M"
# Each test has another graph, for which the server would plan every statement anew: a quarter of a second for each.
KEEP_PLANS = "dbms.cypher.min_replan_interval=1h\n"
FAST_START = "-XX:TieredStopAtLevel=1"  # Java options that halve a server's start, and slow what comes after


@pytest.fixture(scope="session")
def jar_cache(pytestconfig: pytest.Config) -> Path:
    """Return the folder of jars that all tests share."""
    users = Path(platformdirs.user_data_dir("kgsync")) / "jars"
    if given := os.environ.get("KGSYNC_TEST_JARS"):
        return Path(given)
    cache = getattr(pytestconfig, "cache", None)
    return users if users.is_dir() or cache is None else cache.mkdir("kgsync-jars")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, jar_cache: Path) -> None:
    """Keep the user's settings out of the test, and the test out of the user's folders."""
    for name in [name for name in os.environ if name.startswith(("NEO4J_", "AURA_", "KGSYNC_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("KGSYNC_HOME", str(tmp_path / "kgsync-home"))
    monkeypatch.setenv("KGSYNC_JARS", str(jar_cache))
    monkeypatch.setenv("JDK_JAVA_OPTIONS", FAST_START)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")


def _running(version: str, home: Path, jars: Path) -> Iterator[LocalServer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KGSYNC_HOME", str(home))
        patch.setenv("KGSYNC_JARS", str(jars))
        own = server_files.home("tests") / server_config.OWN
        own.parent.mkdir(parents=True)
        own.write_text(KEEP_PLANS)
        running = local.up("tests", version=version, memory=MEMORY)
    yield running
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KGSYNC_HOME", str(home))
        local.down("tests")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, jar_cache: Path) -> Iterator[LocalServer]:
    """A Neo4j of the long-term line."""
    yield from _running(local.LTS, tmp_path_factory.mktemp("lts"), jar_cache)


@pytest.fixture(scope="session")
def newest_server(tmp_path_factory: pytest.TempPathFactory, jar_cache: Path) -> Iterator[LocalServer]:
    """The newest Neo4j."""
    yield from _running(local.NEWEST, tmp_path_factory.mktemp("newest"), jar_cache)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "any_server" in metafunc.fixturenames and metafunc.definition.get_closest_marker("newest"):
        metafunc.parametrize("any_server", ["server", "newest_server"], indirect=True, ids=["lts", "newest"])


@pytest.fixture
def any_server(request: pytest.FixtureRequest) -> LocalServer:
    """The server of this run of the test: LTS, or in the second run of a `newest` test the newest."""
    running: LocalServer = request.getfixturevalue(getattr(request, "param", "server"))
    return running


@pytest.fixture
def graph_db(any_server: LocalServer) -> Iterator[neo4j.Driver]:
    """A driver to an empty database: no nodes, no constraints, no indexes but the built-in ones."""
    auth = (any_server.username, any_server.password())
    with neo4j.GraphDatabase.driver(any_server.uri, auth=auth) as driver:
        with driver.session(database=any_server.database) as session:
            for name in session.run("SHOW CONSTRAINTS YIELD name").value():
                session.run(f"DROP CONSTRAINT `{name.replace('`', '``')}`").consume()
            for name in session.run("SHOW INDEXES YIELD name, type WHERE type <> 'LOOKUP' RETURN name").value():
                session.run(f"DROP INDEX `{name.replace('`', '``')}`").consume()
            session.run("MATCH (n) CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 10000 ROWS").consume()
        yield driver


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a skipped test is a failure: what it needs must be there."""
    reporter: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say so, too."""
    if os.environ.get("CI") and terminalreporter.stats.get("skipped"):
        terminalreporter.write_line("ERROR: tests were skipped, and CI is set: nothing may be skipped there.", red=True)
