"""What a managed server has on the disk: `$KGSYNC_HOME/servers/NAME` and the small files in it.

Promises that a file is whole or absent, and that only one `up` or `down` at a time works on an instance.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from kgsync import files
from kgsync.errors import ConfigError, StorageError
from kgsync.progress import Progress


@dataclass(frozen=True)
class Settings:
    """What an instance remembers between starts (`server.json`)."""

    version: str
    browser: bool = False
    memory: int = 0  # bytes for heap and page cache together; 0: sized to the machine
    bolt_port: int = 0  # 0: not chosen yet
    http_port: int = 0


@dataclass(frozen=True)
class Run:
    """The process that was started last (`run.json`); a clean stop removes it."""

    pid: int
    started: float  # the process's own start time, which tells it from a later one with the same pid
    ready: bool  # it has let us in


def root() -> Path:
    """Return `$KGSYNC_HOME`, or the user's data folder for kgsync."""
    import platformdirs

    return Path(os.environ.get("KGSYNC_HOME") or platformdirs.user_data_dir("kgsync")).expanduser().resolve()


def jar_cache() -> Path:
    """Return the folder of jars that all instances share: `$KGSYNC_JARS`, or `jars` in the root."""
    return Path(os.environ.get("KGSYNC_JARS") or root() / "jars").expanduser().resolve()


def size(home: Path) -> int:
    """Return the bytes that an instance takes on the disk. A running server deletes files while we look."""
    blocks = 0
    for folder, _, names in os.walk(home):
        for name in names:
            with suppress(OSError):
                blocks += os.lstat(os.path.join(folder, name)).st_blocks
    return blocks * 512


def home(name: str) -> Path:
    """Return the folder of an instance, which need not exist."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", name):
        raise ConfigError(f"{name!r} is no name for a local server", fix="use letters, digits, - and _")
    return root() / "servers" / name


def homes() -> list[Path]:
    """Return the folders of all instances, by name."""
    return sorted(path for path in (root() / "servers").glob("*") if path.is_dir())


def read_settings(home: Path) -> Settings | None:
    """Return the instance's settings; None before its first start."""
    path = home / "server.json"
    if not path.is_file():
        return None
    try:
        return Settings(**json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}", fix="mend its permissions") from error
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"{path} is damaged",
            fix="delete it, and give the version of the data with `kgsync up --neo4j-version`",
        ) from error


def write_settings(home: Path, settings: Settings | None) -> None:
    """Remember the instance's settings; None: it has never started."""
    if settings is None:
        (home / "server.json").unlink(missing_ok=True)
    else:
        files.write_json(home / "server.json", asdict(settings))


def read_run(home: Path) -> Run | None:
    """Return the process that was started last; None if it was stopped, or the file says nothing."""
    try:
        return Run(**json.loads((home / "run.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write_run(home: Path, run: Run) -> None:
    """Remember the process."""
    files.write_json(home / "run.json", asdict(run))


def forget_run(home: Path) -> None:
    """Forget the process, which has ended."""
    (home / "run.json").unlink(missing_ok=True)


@contextmanager
def locked(home: Path, progress: Progress) -> Iterator[None]:
    """Hold the instance; the operating system lets go of it when the holder ends, however it ends."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (home / "lock").open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                progress("waiting for another `kgsync up` or `down`", 0, None)
                time.sleep(0.2)
        yield


@contextmanager
def storing(home: Path) -> Iterator[None]:
    """Turn an operating system error about a file of the instance into a `StorageError`."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"cannot use {error.filename or home}: {error.strerror or error}",
            fix="free some space or mend the permissions, or set KGSYNC_HOME to a folder elsewhere",
        ) from error
