"""The jars of the local server, fetched from a real Maven repository on this machine that serves the cache."""

from __future__ import annotations

import hashlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from kgsync.errors import NotFoundError, UnavailableError
from kgsync.graph.jars import jars
from kgsync.graph.server import BROWSER

NAME = f"neo4j-browser-{BROWSER}"
COORDINATES = [f"org.neo4j.client:neo4j-browser:{BROWSER}"]  # one jar of 15 MB, with a few POMs above it


@dataclass
class Repository:
    """A Maven repository over HTTP, and what it was asked for."""

    url: str
    asked: list[str] = field(default_factory=list)
    cut: str = ""  # the file with this ending breaks off half way
    alter: str = ""  # the file with this ending has another byte in it


@pytest.fixture
def repository(jar_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    monkeypatch.delenv("KGSYNC_MAVEN", raising=False)
    jars(NAME, COORDINATES, jar_cache)
    folder = jar_cache / "repository"

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.lstrip("/")
            repository.asked.append(path)
            source = folder / path.removesuffix(".sha1")
            if not source.is_file():
                self.send_error(404)
                return
            body = source.read_bytes()
            if path.endswith(".sha1"):
                body = hashlib.sha1(body, usedforsecurity=False).hexdigest().encode()
            elif repository.alter and path.endswith(repository.alter):
                body = b"?" + body[1:]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if repository.cut and path.endswith(repository.cut):
                self.wfile.write(body[: len(body) // 2])
                self.close_connection = True
            else:
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        repository = Repository(f"http://127.0.0.1:{httpd.server_port}")
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        monkeypatch.setenv("KGSYNC_MAVEN", repository.url)
        yield repository
        httpd.shutdown()


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("KGSYNC_MAVEN", f"http://127.0.0.1:{unused.getsockname()[1]}")


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_second_call_asks_the_repository_nothing(repository: Repository, tmp_path: Path) -> None:
    steps: list[str] = []
    first = jars(NAME, COORDINATES, tmp_path, lambda step, done, total: steps.append(step))
    assert [path.name for path in first] == [f"neo4j-browser-{BROWSER}.jar"]
    assert set(steps) == {f"resolving {NAME}", f"fetching {NAME}"}
    assert f"{NAME}.lock.toml" in files_in(tmp_path)

    repository.asked.clear()
    assert jars(NAME, COORDINATES, tmp_path) == first
    assert repository.asked == []


@pytest.mark.fault
def test_half_downloaded_jar_is_fetched_again_and_nothing_else(repository: Repository, tmp_path: Path) -> None:
    (jar,) = jars(NAME, COORDINATES, tmp_path)
    whole = jar.read_bytes()
    jar.write_bytes(whole[: len(whole) // 2])
    repository.asked.clear()
    assert jars(NAME, COORDINATES, tmp_path) == [jar]
    assert jar.read_bytes() == whole
    assert {Path(path).name for path in repository.asked} == {jar.name, f"{jar.name}.sha1"}


@pytest.mark.fault
def test_no_network_on_the_first_run_is_one_clear_line_and_the_next_run_mends_it(
    no_network: None, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with pytest.raises(UnavailableError) as caught:
        jars(NAME, COORDINATES, tmp_path)
    assert "neo4j-browser" in str(caught.value)
    assert "refused" in str(caught.value)
    assert "KGSYNC_MAVEN" in caught.value.fix
    assert files_in(tmp_path) == []

    request.getfixturevalue("repository")
    assert len(jars(NAME, COORDINATES, tmp_path)) == 1


@pytest.mark.fault
@pytest.mark.parametrize("fault", ["cut", "alter"])
def test_download_that_breaks_off_or_is_altered_leaves_no_file(
    repository: Repository, tmp_path: Path, fault: str
) -> None:
    setattr(repository, fault, ".jar")
    with pytest.raises(UnavailableError, match=r"neo4j-browser-.*\.jar"):
        jars(NAME, COORDINATES, tmp_path)
    assert not [name for name in files_in(tmp_path) if not name.endswith(".pom")]

    setattr(repository, fault, "")
    assert len(jars(NAME, COORDINATES, tmp_path)) == 1


def test_damaged_lock_file_is_resolved_again(repository: Repository, tmp_path: Path) -> None:
    expected = jars(NAME, COORDINATES, tmp_path)
    (tmp_path / f"{NAME}.lock.toml").write_text("[[dependencies]\ngroup")
    assert jars(NAME, COORDINATES, tmp_path) == expected


def test_unknown_version_is_not_found(repository: Repository, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="browser-0"):
        jars("browser-0", ["org.neo4j.client:neo4j-browser:0.0.0"], tmp_path)


@pytest.mark.fault
def test_a_jar_that_the_repository_lost_is_one_clear_line(repository: Repository, tmp_path: Path) -> None:
    jars(NAME, COORDINATES, tmp_path)
    lock = tmp_path / f"{NAME}.lock.toml"
    lock.write_text(lock.read_text().replace(BROWSER, "0.0.0"))
    with pytest.raises(UnavailableError, match=f"cannot fetch {NAME}: there is no .*; check KGSYNC_MAVEN"):
        jars(NAME, COORDINATES, tmp_path)


@pytest.mark.fault
def test_full_disk_is_a_storage_error_and_leaves_no_half_file(repository: Repository, tmp_path: Path) -> None:
    program = (
        "import resource, sys; from pathlib import Path; from kgsync.graph.jars import jars\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))  # as a full disk, but for one process\n"
        f"jars({NAME!r}, {COORDINATES!r}, Path({str(tmp_path)!r}))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1].startswith("kgsync.errors.StorageError: cannot write")
    assert not [name for name in files_in(tmp_path) if not name.endswith(".pom")]
