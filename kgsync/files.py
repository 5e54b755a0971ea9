"""Files that are whole or absent: written under a temporary name, synced, renamed."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import kgsync
from kgsync.errors import DataError, NotFoundError, StorageError, TransientError


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turn an operating system error while writing below `path` into a `StorageError`."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"cannot write {error.filename or path}: {error.strerror or error}",
            fix="free some space, or choose another folder",
        ) from error


@contextmanager
def alone(path: Path, work: str) -> Iterator[None]:
    """Hold the lock file `path` in the block. The operating system lets go of it when the holder ends, however it ends.

    It stays where it is: deleted, it would be two locks for those who had opened it before and after.

    Raises:
        TransientError: another one holds it, who is busy with `work`.
    """
    with storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("w")
    with file:
        with storing(path):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise TransientError(
                    f"another process is busy with {work} in {path.parent}",
                    fix="wait for it, or choose another folder with --workspace",
                ) from error
        yield


def sync(path: Path) -> None:
    """Make the file or folder at `path` durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Replace the file at `path` by `data`, all or nothing."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Replace the file at `path` by `value` as readable JSON."""
    write_bytes(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Return the JSON value in the file at `path`.

    Raises:
        NotFoundError: there is no such file.
        DataError: it is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no {path}", fix="check the path") from error
    except (ValueError, OSError) as error:
        raise DataError(f"{path} cannot be read: {error}", fix="make it again") from error


def sha256(path: Path) -> str:
    """Return the SHA-256 of the file at `path`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes `path` when the block ends well, and vanishes when it does not.

    If `path` exists it is replaced.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with storing(path):
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        try:
            yield temporary
            for file in temporary.rglob("*"):
                sync(file)
            sync(temporary)
            if path.exists():
                shutil.rmtree(path)
            os.rename(temporary, path)
            sync(path.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def write_manifest(folder: Path, kind: str, fields: dict[str, Any]) -> None:
    """List every file below `folder` with size and hash in `manifest.json`, with `fields` and a hash of all that."""
    files = {
        file.relative_to(folder).as_posix(): {"bytes": file.stat().st_size, "sha256": sha256(file)}
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file != folder / "manifest.json"
    }
    manifest = {"kind": kind, "schema": 1, "kgsyncVersion": kgsync.__version__, **fields, "files": files}
    write_json(folder / "manifest.json", manifest | {"sha256": _seal(manifest)})


def _seal(manifest: dict[str, Any]) -> str:
    """Return the hash of what a manifest says."""
    return hashlib.sha256(json.dumps(manifest).encode()).hexdigest()


def renew(folder: Path) -> None:
    """Make the artefact in `folder` the newest of its kind, as if it were made now."""
    with storing(folder):
        (folder / "manifest.json").touch()


def read_manifest(folder: Path, kind: str) -> dict[str, Any]:
    """Return the manifest of `folder` after checking its hash and that of every file in it.

    Raises:
        NotFoundError: there is no manifest.
        DataError: it is of another kind or version, or differs from its hash, or a file does.
    """
    manifest = read_json(folder / "manifest.json")
    if not isinstance(manifest, dict) or manifest.get("kind") != kind or manifest.get("schema") != 1:
        raise DataError(f"{folder} is not a {kind} of this kgsync version", fix=f"make the {kind} again")
    seal = manifest.pop("sha256", None)  # manifests of before it was kept have none
    if seal not in (None, _seal(manifest)):
        raise DataError(f"{folder}/manifest.json is damaged", fix=f"delete {folder} and make the {kind} again")
    for name, expected in manifest["files"].items():
        file = folder / name
        actual = sha256(file) if file.is_file() else "nothing"
        if actual != expected["sha256"]:
            raise DataError(
                f"{file} is damaged: expected sha256 {expected['sha256'][:12]}…, found {actual[:12]}…",
                fix=f"delete {folder} and make the {kind} again",
            )
    return manifest
