"""The managed local server: started, stopped, killed and starved for real."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread, Timer
from types import SimpleNamespace

import neo4j
import psutil
import pytest
import requests
from neo4j.exceptions import AuthError

from kgsync.cli import main
from kgsync.errors import AccessError, ConfigError, NotFoundError, StorageError, TransientError, UnavailableError
from kgsync.graph import server as local
from kgsync.graph import server_config, server_files, server_process
from kgsync.graph.server import LTS, NEWEST, LocalServer

KGSYNC = [sys.executable, "-m", "kgsync"]
MEMORY = "768M"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, jar_cache: Path) -> Path:
    """A stopped instance that holds one node; it was stopped cleanly."""
    home = tmp_path_factory.mktemp("template")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KGSYNC_HOME", str(home))
        patch.setenv("KGSYNC_JARS", str(jar_cache))
        patch.setenv("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")
        query(local.up(memory=MEMORY), "CREATE (:Canary {name: 'Tweety'})")
        assert local.down()
    return home


@pytest.fixture
def stopped(template: Path, own_servers: Path) -> Path:
    """The home of an instance with data, in this test's own folder, that is not running."""
    shutil.copytree(template, own_servers, dirs_exist_ok=True)
    return own_servers / "servers" / "default"


@pytest.fixture
def own_servers(environment: None) -> Iterator[Path]:
    """The test's own KGSYNC_HOME, whose servers are stopped when it ends."""
    root = Path(os.environ["KGSYNC_HOME"])
    root.mkdir()
    yield root
    for home in (root / "servers").glob("*"):
        local.down(home.name)


def query(server: LocalServer, cypher: str) -> list[neo4j.Record]:
    auth = (server.username, server.password())
    with neo4j.GraphDatabase.driver(server.uri, auth=auth) as driver:
        return driver.execute_query(cypher, database_=server.database).records


def canaries(server: LocalServer) -> int:
    return int(query(server, "MATCH (c:Canary {name: 'Tweety'}) RETURN count(c)")[0][0])


def state() -> str:
    (only,) = local.status()
    return only.state


def spawn_up(*options: str) -> subprocess.Popen[str]:
    return subprocess.Popen([*KGSYNC, "up", "--json", *options], stdout=subprocess.PIPE, text=True)


def wait_for(path: Path) -> dict[str, object]:
    while not path.exists():
        time.sleep(0.02)
    found: dict[str, object] = json.loads(path.read_text())
    return found


@contextmanager
def listening(port: int) -> Iterator[None]:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        yield


# --- a running server -------------------------------------------------------------------------------------


@pytest.mark.newest
def test_known_password_lets_nobody_in_and_the_generated_one_is_private(any_server: LocalServer) -> None:
    assert stat.S_IMODE(any_server.password_file.stat().st_mode) == 0o600
    assert len(any_server.password()) >= 24
    for auth in (("neo4j", "neo4j"), None):
        with pytest.raises(AuthError), neo4j.GraphDatabase.driver(any_server.uri, auth=auth) as driver:
            driver.verify_connectivity()


@pytest.mark.newest
def test_password_stands_in_no_process_list_log_or_configuration(any_server: LocalServer) -> None:
    password = any_server.password()
    process = psutil.Process(any_server.pid)
    assert password not in " ".join(process.cmdline())
    assert password not in " ".join(process.environ().values())
    for path in [*(any_server.home / "logs").iterdir(), *(any_server.home / "conf").iterdir()]:
        assert password not in path.read_text(errors="replace"), path
    assert not (any_server.home / "data" / "dbms" / "auth.ini").exists()


@pytest.mark.newest
def test_server_listens_on_the_loopback_only_and_reports_to_nobody(any_server: LocalServer) -> None:
    sockets = psutil.Process(any_server.pid).net_connections("tcp")
    listening = {(s.laddr.ip, s.laddr.port) for s in sockets if s.status == psutil.CONN_LISTEN}
    assert {ip for ip, _ in listening} <= {"127.0.0.1", "::ffff:127.0.0.1"}
    assert {f"bolt://127.0.0.1:{port}" for _, port in listening} > {any_server.uri}
    assert len(listening) == 2  # Bolt and HTTP

    rows = query(any_server, "SHOW SETTINGS YIELD name, value RETURN name, value")
    settings = {row["name"]: row["value"] for row in rows}
    assert settings["dbms.usage_report.enabled"] == "false"
    assert settings["client.allow_telemetry"] == "false"
    assert settings["server.https.enabled"] == "false"
    assert settings["dbms.security.auth_enabled"] == "true"
    assert settings["db.tx_log.rotation.retention_policy"] == "128M size"


def test_up_of_a_running_server_returns_it_at_once(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KGSYNC_HOME", str(server.home.parents[1]))
    began = time.monotonic()
    assert local.up("tests") == server
    assert time.monotonic() - began < 5
    assert local.find("tests") == server
    assert local.running() == [server]
    assert local.find("other") is None


def test_status_and_logs_tell_a_person_and_a_program(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KGSYNC_HOME", str(server.home.parents[1]))

    def kgsync(*arguments: str) -> str:
        return subprocess.run([*KGSYNC, *arguments], check=True, capture_output=True, text=True).stdout

    shown = kgsync("status")
    assert shown.startswith(f"tests: Neo4j {LTS}, running\n")
    assert server.uri in shown
    (told,) = json.loads(kgsync("status", "--json"))["servers"]
    assert told["pid"] == server.pid
    assert told["memory"] > 100 << 20
    assert told["disk"] > 1 << 20
    assert any(line.endswith("Started.") for line in kgsync("logs", "--name", "tests").splitlines())
    assert len(kgsync("logs", "--name", "tests", "-n", "2").splitlines()) == 2
    assert json.loads(kgsync("up", "--name", "tests", "--json"))["uri"] == server.uri


def test_status_bears_files_and_processes_that_go_while_it_looks(tmp_path: Path) -> None:
    stop = Event()

    def churn() -> None:
        while not stop.is_set():
            for number in range(50):
                (tmp_path / "logs").mkdir(exist_ok=True)
                (tmp_path / "logs" / f"log.{number}").write_bytes(b"x")
            shutil.rmtree(tmp_path / "logs")

    (tmp_path / "data").write_bytes(b"x" * 10_000)
    server = Thread(target=churn)
    server.start()
    try:
        sizes = [server_files.size(tmp_path) for _ in range(300)]
    finally:
        stop.set()
        server.join()
    assert min(sizes) >= 10_000

    process = subprocess.Popen(["sleep", "60"])
    seen = psutil.Process(process.pid)
    assert server_process.usage(seen) is not None
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert server_process.usage(seen) in (None, (seen.create_time(), 0))  # dead, and nobody has asked for its end
    process.wait()
    assert server_process.usage(seen) is None


def test_followed_log_shows_new_lines(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KGSYNC_HOME", str(server.home.parents[1]))
    lines = local.logs("tests", lines=1, follow=True)
    next(lines)  # the last line that was there; from here on only new ones
    with pytest.raises(AuthError), neo4j.GraphDatabase.driver(server.uri, auth=("neo4j", "wrong")) as driver:
        driver.verify_connectivity()
    assert "unauthorized" in next(lines)


# --- between starts ---------------------------------------------------------------------------------------


def test_data_password_ports_and_settings_are_kept_and_no_network_is_needed(
    stopped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KGSYNC_MAVEN", "http://127.0.0.1:1")
    password, before = (stopped / "password").read_text(), (stopped / "server.json").read_text()
    assert state() == "stopped"
    assert local.running() == []

    running = local.up()
    assert canaries(running) == 1
    assert running.version == LTS
    assert (stopped / "password").read_text() == password
    assert not running.notes or (stopped / "server.json").read_text() != before
    assert state() == "running"

    assert local.down()
    assert not psutil.pid_exists(running.pid) or psutil.Process(running.pid).status() == psutil.STATUS_ZOMBIE
    assert state() == "stopped"
    assert not local.down()


def test_browser_is_served_where_asked_for_and_stays_on(stopped: Path) -> None:
    running = local.up(browser=True)
    page = requests.get(f"{running.http_uri}/browser/", timeout=10)
    assert page.ok
    assert "Neo4j Browser" in page.text
    assert local.up() == running
    assert json.loads((stopped / "server.json").read_text())["browser"] is True


def test_data_of_another_version_are_refused(stopped: Path) -> None:
    with pytest.raises(ConfigError, match=f"is of Neo4j {LTS}, not {NEWEST}") as caught:
        local.up(version=NEWEST)
    assert "--name" in caught.value.fix


@pytest.mark.parametrize(
    ("version", "made_by", "may"),
    [
        ("5.26.31", "5.26.30", True),
        ("2026.08.2", "2026.08.1", True),
        ("5.26.29", "5.26.30", False),
        ("5.27.0", "5.26.30", False),
        ("2026.08.1", "5.26.30", False),
        ("newest", "5.26.30", False),
    ],
)
def test_only_a_later_patch_of_the_same_line_may_open_the_data(version: str, made_by: str, may: bool) -> None:
    assert local._may_follow(version, made_by) is may


@pytest.mark.parametrize("memory", ["100M", "9999G", "lots", "2", "-1G"])
def test_impossible_memory_is_refused(stopped: Path, memory: str) -> None:
    with pytest.raises(ConfigError, match="memory size"):
        local.up(memory=memory)


@pytest.mark.parametrize(("machine", "memory"), [(1024, 768), (8 * 1024, 1024), (16 * 1024, 2048), (256 * 1024, 3072)])
def test_memory_is_sized_to_the_machine(
    machine: int, memory: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = tmp_path / "memory.max"  # that of a container
    limit.write_text(str(machine << 20))
    monkeypatch.setattr(server_config, "_CGROUP_LIMITS", (str(tmp_path / "none"), str(limit)))
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(total=512 << 30))
    assert server_config.default_memory() == memory << 20
    server_config.write_arguments(tmp_path, server_files.Settings("5"), [])
    assert f'"-Xmx{memory * 2 // 3}m"' in (tmp_path / "conf" / "java.arguments").read_text().splitlines()
    assert f"server.memory.pagecache.size={memory // 3}M" in (tmp_path / "conf" / "neo4j.conf").read_text().splitlines()
    limit.write_text("max\n")
    assert server_config.default_memory() == 3072 << 20


@pytest.mark.parametrize(("said", "version"), [("newest", NEWEST), ("lts", LTS), ("5.26.9", "5.26.9"), (None, None)])
def test_a_version_may_be_said_in_words(
    said: str | None, version: str | None, server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(local, "up", lambda name, **given: asked.append(given["version"]) or server)
    with pytest.raises(SystemExit):
        main(["up", *(["--neo4j-version", said] if said else [])])
    assert asked == [version]


@pytest.mark.parametrize("name", ["", "../x", "a b", "-x", "a/b"])
def test_name_that_could_leave_the_folder_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="no name for a local server"):
        local.up(name)


def test_log_of_a_server_that_never_ran_is_not_found() -> None:
    with pytest.raises(NotFoundError, match="other"):
        next(local.logs("other"))


# --- faults -----------------------------------------------------------------------------------------------


@pytest.mark.fault
def test_killed_server_is_reported_and_the_next_up_has_its_data(stopped: Path) -> None:
    first = local.up()
    query(first, "CREATE (:Canary {name: 'Tweety'})")
    psutil.Process(first.pid).kill()
    while local.running():
        time.sleep(0.02)
    assert state() == "crashed"
    again = local.up()
    assert again.pid != first.pid
    assert canaries(again) == 2


@pytest.mark.fault
def test_first_start_that_is_killed_half_way_is_mended_by_the_next(own_servers: Path) -> None:
    home = own_servers / "servers" / "default"
    starting = spawn_up("--memory", MEMORY)
    run = wait_for(home / "run.json")
    while not (home / "data" / "databases" / "system").exists():
        time.sleep(0.02)
    starting.kill()
    psutil.Process(int(str(run["pid"]))).kill()
    starting.communicate()
    assert (home / "data" / "dbms" / "auth.ini").exists()

    mended = local.up()
    assert query(mended, "RETURN 1")[0][0] == 1
    with pytest.raises(AuthError), neo4j.GraphDatabase.driver(mended.uri, auth=("neo4j", "neo4j")) as driver:
        driver.verify_connectivity()


def orphaned(home: Path) -> int:
    """Start a server, kill the `up` that waits for it, and return the server's pid."""
    starting = spawn_up()
    run = wait_for(home / "run.json")
    starting.kill()
    starting.communicate()
    return int(str(run["pid"]))


@pytest.mark.fault
def test_server_whose_up_was_killed_is_adopted_not_started_twice(stopped: Path) -> None:
    pid = orphaned(stopped)
    assert state() == "starting"
    assert local.running() == []
    (stopped / "run.json").unlink()  # the moment before it was written
    assert local.up().pid == pid
    assert state() == "running"


@pytest.mark.fault
def test_server_that_dies_while_it_is_adopted_is_followed_by_another(stopped: Path) -> None:
    pid = orphaned(stopped)
    dying = psutil.Process(pid)
    dying.suspend()
    Timer(1.0, dying.kill).start()
    assert local.up().pid != dying.pid
    assert state() == "running"


@pytest.mark.fault
def test_two_ups_at_once_give_one_server(stopped: Path) -> None:
    both = [spawn_up(), spawn_up()]
    told = [json.loads(up.communicate()[0]) for up in both]
    assert told[0]["pid"] == told[1]["pid"]
    assert sum(f"--home-dir={stopped}" in p.info["cmdline"] for p in psutil.process_iter(["cmdline"])) == 1


@pytest.mark.fault
def test_stale_pid_of_another_process_is_never_signalled(stopped: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        started = psutil.Process(other.pid).create_time()
        run = {"pid": other.pid, "started": started, "ready": True}
        (stopped / "run.json").write_text(json.dumps(run))
        assert state() == "crashed"
        assert local.running() == []
        assert local.down() is False
        assert other.poll() is None
        other.kill()
    assert state() == "stopped"


@pytest.mark.fault
def test_port_taken_by_another_program_is_left_to_it(stopped: Path) -> None:
    settings = json.loads((stopped / "server.json").read_text())
    with listening(settings["bolt_port"]):
        running = local.up()
        assert canaries(running) == 1
        assert running.uri != f"bolt://127.0.0.1:{settings['bolt_port']}"
        assert f"Port {settings['bolt_port']} is taken" in running.notes[0]
    assert json.loads((stopped / "server.json").read_text())["bolt_port"] == int(running.uri.split(":")[-1])


@pytest.mark.fault
def test_port_taken_between_our_look_and_the_start_is_no_trouble(
    stopped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = json.loads((stopped / "server.json").read_text())["bolt_port"]
    looks = iter([True, True])  # for Bolt and HTTP, the first time
    is_free = server_config.is_free
    monkeypatch.setattr(server_config, "is_free", lambda port: next(looks, False) or is_free(port))
    with listening(port):
        running = local.up()
    assert running.uri != f"bolt://127.0.0.1:{port}"
    assert canaries(running) == 1


@pytest.mark.fault
def test_java_out_of_memory_is_one_clear_line(stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JDK_JAVA_OPTIONS", "-XX:MaxMetaspaceSize=20m")
    with pytest.raises(UnavailableError, match="OutOfMemoryError: Metaspace") as caught:
        local.up()
    assert "--memory" in caught.value.fix
    assert state() == "stopped"


@pytest.mark.fault
def test_java_that_does_not_start_is_quoted(stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JDK_JAVA_OPTIONS", "-XX:Nonsense")
    with pytest.raises(UnavailableError, match="did not start: Unrecognized VM option 'Nonsense'"):
        local.up()
    assert state() == "stopped"
    with pytest.raises(UnavailableError, match="kgsync logs --name another"):
        local.up("another")
    assert any("Nonsense" in line for line in local.logs("another"))


@pytest.mark.fault
def test_data_that_another_program_holds_are_left_to_it(stopped: Path) -> None:
    with (stopped / "data" / "databases" / "store_lock").open("r+") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        with pytest.raises(TransientError, match="another program holds the data"):
            local.up()
    assert state() == "stopped"


@pytest.mark.fault
def test_wrong_password_file_is_one_clear_line(stopped: Path) -> None:
    (stopped / "password").write_text("not the one\n")
    with pytest.raises(AccessError, match="does not take the password"):
        local.up()
    assert state() == "stopped"


@pytest.mark.fault
def test_store_that_does_not_open_is_said_at_once(stopped: Path) -> None:
    for path in (stopped / "data" / "databases" / "neo4j").glob("neostore*"):
        path.write_bytes(b"damaged")
    with pytest.raises(UnavailableError, match="does not open"):
        local.up()
    assert state() == "stopped"


@pytest.mark.fault
def test_store_that_does_not_open_is_said_of_a_server_that_is_adopted(stopped: Path) -> None:
    for path in (stopped / "data" / "databases" / "neo4j").glob("neostore*"):
        path.write_bytes(b"damaged")
    orphaned(stopped)
    ports = (stopped / "server.json").read_bytes()
    for _ in range(2):
        with pytest.raises(UnavailableError, match="does not open"):
            local.up()
        assert (stopped / "server.json").read_bytes() == ports, "no second server was tried"
    assert local.down()


def test_settings_of_ones_own_are_added_and_take_the_place_of_others(stopped: Path) -> None:
    own = stopped / "own.conf"
    own.write_text("# mine\n\ndb.transaction.timeout = 7m\ndb.tx_log.rotation.retention_policy=64M size\n")
    rows = query(local.up(), "SHOW SETTINGS YIELD name, value RETURN name, value")
    settings = {row["name"]: row["value"] for row in rows}
    assert settings["db.transaction.timeout"] == "7m"
    assert settings["db.tx_log.rotation.retention_policy"] == "64M size"
    local.down()
    own.write_text("\ndb.transaction.timeout\n")
    with pytest.raises(ConfigError, match=r"own\.conf, line 2, is no setting; write it as name=value"):
        local.up()


@pytest.mark.fault
def test_damaged_settings_are_named(stopped: Path) -> None:
    (stopped / "server.json").write_text('{"version": ')
    with pytest.raises(ConfigError, match=r"server\.json is damaged"):
        local.up()
    assert local.running() == [], "whoever asks for another server is not disturbed"


@pytest.mark.fault
def test_settings_with_which_it_did_not_start_are_not_remembered(
    stopped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remembered = json.loads((stopped / "server.json").read_text())
    with monkeypatch.context() as patch:
        patch.setenv("JDK_JAVA_OPTIONS", "-XX:Nonsense")
        with pytest.raises(UnavailableError, match="did not start"):
            local.up(memory="900M")
        (stopped / "server.json").unlink()
        with pytest.raises(UnavailableError, match="did not start"):
            local.up()
        assert not (stopped / "server.json").exists()
    (stopped / "server.json").write_text(json.dumps(remembered))
    assert local.up().version == remembered["version"]


@pytest.mark.fault
def test_folder_that_cannot_be_used_is_a_storage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KGSYNC_HOME", str(tmp_path / "file"))
    with pytest.raises(StorageError, match=r"cannot use .*Not a directory"):
        local.up()


@pytest.mark.fault
def test_nearly_full_disk_is_refused_before_the_start(stopped: Path) -> None:
    """On a real file system of 64 MB, in a mount namespace of its own."""
    small = stopped.parents[2] / "small"
    small.mkdir()
    script = f'mount -t tmpfs -o size=64m none "{small}" && exec "$@"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]
    if subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("this machine forbids mounts in a user namespace")
    done = subprocess.run(
        [*command, *KGSYNC, "up"],
        env=os.environ | {"KGSYNC_HOME": str(small)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == StorageError.exit_code
    assert done.stderr.startswith("Error: only 6")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_transaction_logs_shrink_to_their_cap(stopped: Path) -> None:
    running = local.up()
    folder = stopped / "data" / "transactions" / "neo4j"
    auth = (running.username, running.password())
    written = 0
    with neo4j.GraphDatabase.driver(running.uri, auth=auth) as driver:
        for _ in range(16):  # 23 MB of log each
            driver.execute_query(
                "UNWIND range(1, 1000) AS i CREATE (:Filler {text: $text + i})", text="x" * 20_000, database_="neo4j"
            )
            written += 23
    # MB: kept, the files at both ends and the one being written, and what came since the last checkpoint
    capped = 128 + 3 * 32 + 128
    deadline = time.monotonic() + 60
    while (size := sum(p.stat().st_size for p in folder.iterdir()) >> 20) > capped and time.monotonic() < deadline:
        time.sleep(1)
    assert size <= capped < written
