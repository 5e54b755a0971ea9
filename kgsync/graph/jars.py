"""The Neo4j server's jars: reads Maven Central (or a mirror) once per version, then only the disk.

Promises that every path it returns is a file whose SHA-256 stands in that version's lock file. A file that
is missing or damaged is fetched again; a download is whole or absent.
"""

from __future__ import annotations

import hashlib
import os
import time
import tomllib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from kgsync import files
from kgsync.errors import NotFoundError, UnavailableError
from kgsync.progress import Progress, silent

MIRROR = "KGSYNC_MAVEN"  # environment: URL of a Maven repository to use instead of Maven Central
_PARALLEL = 8  # downloads at once
_TIMEOUT = (10, 60)  # seconds to connect, and between two bytes
_PAUSES = (0.5, 2.0, 0.0)  # seconds after each failed try

T = TypeVar("T")


def jars(name: str, coordinates: list[str], cache: Path, progress: Progress = silent) -> list[Path]:
    """Return the jars of Maven `coordinates` (group:artifact:version) and of all that they need at run time.

    The first call for a `name` resolves them and keeps the answer in `cache/name.lock.toml`; later calls need
    no network.

    Raises:
        UnavailableError: a file is needed that cannot be fetched.
        NotFoundError: there is no such version.
        StorageError: `cache` cannot be written.
    """
    lock = cache / f"{name}.lock.toml"
    try:
        digests = _read(lock)
    except (OSError, ValueError, KeyError):  # none yet, or damaged: resolving again mends both
        _resolve(name, coordinates, cache, lock, progress)
        digests = _read(lock)

    paths = {relative: cache / "repository" / relative for relative in digests}
    broken = [relative for relative, path in paths.items() if not _is_whole(path, digests[relative])]
    if broken:
        repository = _Repository(cache)

        def mend(relative: str) -> None:
            try:
                repository.fetch(relative)
            except _Missing as error:
                raise UnavailableError(f"cannot fetch {name}: {error}", fix=f"check {MIRROR}, or unset it") from error
            if not _is_whole(paths[relative], digests[relative]):
                raise UnavailableError(
                    f"{Path(relative).name} is not the file that {lock} names",
                    fix=f"delete {lock} and try again",
                )

        _in_parallel(mend, broken, f"fetching {name}", progress)
    return list(paths.values())


def _read(lock: Path) -> dict[str, str]:
    """Return the SHA-256 of every jar in a lock file of jgo, by its path in a Maven repository."""
    digests = {}
    for jar in tomllib.loads(lock.read_text(encoding="utf-8"))["dependencies"]:
        folder = f"{jar['groupId'].replace('.', '/')}/{jar['artifactId']}/{jar['version']}"
        classifier = f"-{jar['classifier']}" if jar.get("classifier") else ""
        digests[f"{folder}/{jar['artifactId']}-{jar['version']}{classifier}.{jar['packaging']}"] = jar["sha256"]
    return digests


def _is_whole(path: Path, digest: str) -> bool:
    return path.is_file() and files.sha256(path) == digest


def _resolve(name: str, coordinates: list[str], cache: Path, lock: Path, progress: Progress) -> None:
    """Find out with jgo which jars are needed, fetch them, and write the lock file."""
    from jgo.env import LockFile
    from jgo.maven import Artifact, MavenContext, PythonResolver

    repository = _Repository(cache)

    class Resolver(PythonResolver):
        """jgo's own, but a download is verified, whole or absent, and uses a connection that stays open."""

        fetched = 0

        def download(self, artifact: Artifact) -> Path:
            path = repository.folder / artifact.component.path_prefix / artifact.filename
            repository.fetch(path.relative_to(repository.folder).as_posix())
            if artifact.packaging == "pom":
                self.fetched += 1
                progress(f"resolving {name}", self.fetched, None)
            return path

    context = MavenContext(resolver=Resolver(), repo_cache=repository.folder)
    try:
        direct, transitive = context.resolver.resolve([context.create_dependency(c) for c in coordinates])
        needed = [*direct, *(jar for jar in transitive if jar.scope in ("compile", "runtime"))]
        _in_parallel(lambda jar: jar.artifact.resolve(), needed, f"fetching {name}", progress)
    except _Missing as error:
        raise NotFoundError(
            f"{name} is not to be had: {error}", fix="check the version, or leave it out for the default"
        ) from error

    temporary = lock.with_name(f".{lock.name}.{os.getpid()}.tmp")
    with files.storing(lock):
        LockFile.from_resolved_dependencies(needed, environment_name=name).save(temporary)
        os.replace(temporary, lock)


def _in_parallel(work: Callable[[T], object], items: list[T], step: str, progress: Progress) -> None:
    with ThreadPoolExecutor(_PARALLEL) as pool:
        try:
            for done, _ in enumerate(pool.map(work, items), start=1):
                progress(step, done, len(items))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


class _Missing(RuntimeError):
    """The repository has no such file. A RuntimeError, since jgo passes over those for optional parts."""


class _Repository:
    """A Maven repository, and the folder that keeps what came from it."""

    def __init__(self, cache: Path) -> None:
        import requests
        from jgo.constants import MAVEN_CENTRAL_URL
        from requests.adapters import HTTPAdapter

        self.folder = cache / "repository"
        self._url = os.environ.get(MIRROR, "").rstrip("/") or MAVEN_CENTRAL_URL
        self._session = requests.Session()
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=_PARALLEL))

    def fetch(self, relative: str) -> None:
        """Put the file at `relative` into the folder, whole and as the repository's own checksum says."""
        body = self._get(relative)
        checksum = self._get(f"{relative}.sha1")
        if hashlib.sha1(body, usedforsecurity=False).hexdigest() != checksum.decode(errors="replace")[:40]:
            raise UnavailableError(
                f"{Path(relative).name} arrived damaged", fix="try again; a proxy may alter downloads"
            )
        files.write_bytes(self.folder / relative, body)

    def _get(self, relative: str) -> bytes:
        import requests

        for pause in _PAUSES:
            try:
                answer = self._session.get(f"{self._url}/{relative}", timeout=_TIMEOUT)
            except requests.RequestException as error:
                why = _cause(error)
            else:
                if answer.status_code == 404:
                    raise _Missing(f"there is no {Path(relative).name}")
                if answer.ok:
                    return answer.content
                why = f"the repository answers {answer.status_code}"
            time.sleep(pause)
        raise UnavailableError(
            f"cannot fetch {Path(relative).name}: {why}",
            fix=f"check the network, set HTTPS_PROXY or {MIRROR} (a Maven mirror) if need be, and try again",
        )


def _cause(error: BaseException) -> str:
    """Return why the network failed, in the words of the operating system if it has any."""
    cause: BaseException | None = error
    while cause:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return str(error)
