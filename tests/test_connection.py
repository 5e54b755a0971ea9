"""The connection: where settings come from, what never shows, and one clear error for each way it can fail."""

from __future__ import annotations

import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import neo4j
import pytest

from kgsync.config import ConnectionConfig
from kgsync.errors import AccessError, ConfigError, DataError, KgsyncError, NotFoundError, UnavailableError
from kgsync.graph import server as local
from kgsync.graph.connection import USER_AGENT, Connection, ConnectionSettings, Secret, resolve, run
from kgsync.graph.server import LocalServer

ENVIRONMENT = {
    "NEO4J_URI": "bolt://env:1",
    "NEO4J_USERNAME": "env",
    "NEO4J_PASSWORD": "env-pw",
    "NEO4J_DATABASE": "env",
}


def settings_of(server: LocalServer, **changes: str) -> ConnectionSettings:
    values = {"uri": server.uri, "username": server.username, "database": server.database} | changes
    password = Secret(values.pop("password", None) or server.password())
    return ConnectionSettings(password=password, **values)


def password_file(path: Path, text: str = "file-pw\n", mode: int = 0o600) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def test_each_setting_comes_from_the_first_place_that_has_it(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("NEO4J_URI=neo4j+s://dotenv\nNEO4J_USER=dotenv\nNEO4J_PASSWORD='a${HOME}b'\n", encoding="utf-8")
    config = ConnectionConfig(uri="bolt://config:1", username="config", database="config")

    found = resolve(uri="bolt://flag:1", config=config, environment=ENVIRONMENT, dotenv=dotenv)
    assert (found.uri, found.username, found.database) == ("bolt://flag:1", "env", "env")
    assert found.sources == {
        "uri": "flag",
        "username": "environment (NEO4J_USERNAME)",
        "database": "environment (NEO4J_DATABASE)",
        "password": "environment (NEO4J_PASSWORD)",
    }

    found = resolve(config=config, environment={}, dotenv=dotenv)
    assert (found.uri, found.username, found.database) == ("neo4j+s://dotenv", "dotenv", "config")
    assert found.password.reveal() == "a${HOME}b", "nothing is filled into a password"
    assert found.sources["username"] == f"{dotenv} (NEO4J_USER)"
    assert found.sources["database"] == "kgsync.toml"


def test_a_password_comes_from_a_flag_the_environment_or_a_configured_file(tmp_path: Path) -> None:
    file = password_file(tmp_path / "pw", "file-pw\nsecond line\n")
    config = ConnectionConfig(uri="bolt://config:1", password_file=str(file))
    absent = tmp_path / "absent"
    flag = resolve(config=config, password_file=file, environment=ENVIRONMENT, dotenv=absent)
    assert flag.password.reveal() == "file-pw"
    assert resolve(config=config, environment=ENVIRONMENT, dotenv=absent).password.reveal() == "env-pw"
    assert resolve(config=config, environment={}, dotenv=absent).password.reveal() == "file-pw"
    with pytest.raises(ConfigError, match="no password is known for bolt://a:1"):
        resolve(uri="bolt://a:1", environment={}, dotenv=absent)


@pytest.mark.parametrize(("text", "mode", "why"), [("x", 0o640, "others may read"), (" \n", 0o600, "is empty")])
def test_a_password_file_must_be_private_and_hold_something(tmp_path: Path, text: str, mode: int, why: str) -> None:
    file = password_file(tmp_path / "pw", text, mode)
    with pytest.raises(ConfigError, match=why):
        resolve(uri="bolt://a:1", password_file=file, environment={})


def test_without_an_address_the_local_server_is_meant_with_its_own_password(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "running", lambda: [server])
    found = resolve(environment={"NEO4J_USERNAME": "other", "NEO4J_PASSWORD": "of another server"})
    assert (found.uri, found.username) == (server.uri, server.username)
    assert found.password.reveal() == server.password()
    assert set(found.sources.values()) == {f"local server {server.name}"}
    assert resolve(uri=server.uri, environment={}).password.reveal() == server.password()


def test_of_several_local_servers_one_must_be_named(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    other = replace(server, name="other", uri="bolt://127.0.0.1:1", password_file=Path("nowhere"))
    monkeypatch.setattr(local, "running", lambda: [other, server])
    with pytest.raises(ConfigError, match=rf"several local servers run, .* other \({other.uri}\), tests \("):
        resolve(environment={})
    assert resolve(uri=server.uri, environment={}).password.reveal() == server.password()


def test_without_any_address_or_local_server_the_error_says_what_to_do() -> None:
    with pytest.raises(ConfigError, match="run `kgsync up`"):
        resolve(environment={})


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("bolt://neo4j:hunter2@host:7687", "carries a user name or password"),
        ("http://localhost:7474", "give the Bolt address"),
        ("bolt://host:port", "is no Neo4j URI"),
        ("bolt://[::1", "is no Neo4j URI"),
        ("localhost:7687", "is no Neo4j URI"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_and_shows_no_password(uri: str, why: str) -> None:
    with pytest.raises(ConfigError) as error:
        resolve(uri=uri, environment={"NEO4J_PASSWORD": "x"})
    assert why in str(error.value)
    assert "hunter2" not in str(error.value)


def test_a_secret_shows_itself_to_nobody() -> None:
    settings = ConnectionSettings("bolt://a:1", "neo4j", Secret("hunter2"))
    assert "hunter2" not in f"{settings} {settings!r} {settings.password} {[settings.password]}"


def test_a_wrong_password_an_unknown_database_and_a_dead_port_have_their_errors(server: LocalServer) -> None:
    with pytest.raises(AccessError, match="refused the user name or password"):
        Connection.open(settings_of(server, password="wrong"))
    with pytest.raises(NotFoundError, match="NEO4J_DATABASE"):
        Connection.open(settings_of(server, database="absent"))
    with pytest.raises(UnavailableError, match="Connection refused; check that it runs"):
        Connection.open(settings_of(server, uri="bolt://127.0.0.1:1"))
    with pytest.raises(UnavailableError, match="use bolt:// instead of neo4j://"):
        Connection.open(settings_of(server, uri="neo4j://127.0.0.1:1"))
    with pytest.raises(UnavailableError, match=r"without \+s"):
        Connection.open(settings_of(server, uri=server.uri.replace("bolt://", "bolt+s://")))


@pytest.mark.newest
def test_reads_cannot_write_and_every_transaction_says_who_sent_it(
    graph_db: neo4j.Driver, any_server: LocalServer
) -> None:
    with Connection.open(settings_of(any_server)) as connection:
        with pytest.raises(AccessError):
            connection.read("CREATE (n)")
        with pytest.raises(DataError, match="refused a statement"):
            connection.read("RETURN")
        rows = connection.read("SHOW TRANSACTIONS YIELD metaData, database RETURN metaData.app AS app, database")
        assert {"app": USER_AGENT, "database": "neo4j"} in rows
        text = "UNWIND range(1, 5) AS i CALL (i) { CREATE (:N {i: i}) } IN TRANSACTIONS OF 2 ROWS RETURN count(*) AS n"
        assert connection.write_in_transactions(text) == [{"n": 5}]


def test_the_server_knows_who_asks_and_no_transaction_runs_for_ever(server: LocalServer) -> None:
    slow = "UNWIND range(1, 2000000000) AS i WITH i WHERE i < 0 RETURN count(i) AS n"
    with Connection.open(settings_of(server)) as connection:
        asking = connection.read("CALL dbms.listConnections() YIELD userAgent RETURN DISTINCT userAgent")
        assert {"userAgent": USER_AGENT} in asking
        with pytest.raises(KgsyncError, match="time"):
            connection.read_with(lambda tx: run(tx, slow, {}).consume(), timeout=0.5)


def test_a_given_driver_stays_open_and_its_database_is_named(graph_db: neo4j.Driver) -> None:
    with Connection.wrap(graph_db) as connection:
        assert connection.database == "neo4j"
    graph_db.verify_connectivity()


def test_the_driver_prints_nothing(server: LocalServer, tmp_path: Path) -> None:
    script = (
        "from kgsync.graph.connection import *\nfrom kgsync.errors import *\nimport sys\n"
        "settings = lambda uri: ConnectionSettings(uri, 'neo4j', Secret(open(sys.argv[2]).read().strip()))\n"
        "with Connection.open(settings(sys.argv[1])) as c: c.read('MATCH (n:Absent) WHERE n.absent = 1 RETURN id(n)')\n"
        "try: Connection.open(settings('neo4j://127.0.0.1:1'))\n"
        "except UnavailableError: pass\n"
    )
    arguments = [sys.executable, "-c", script, server.uri, str(server.password_file)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
    assert logging.getLogger("neo4j").handlers
