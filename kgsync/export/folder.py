"""The folder of an export: whole or absent, with a manifest; and what several formats need to fill it."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kgsync import files
from kgsync.errors import ConfigError, DataError, KgsyncError
from kgsync.export.source import Embeddings

KIND = "export"


@contextmanager
def folder(path: Path, embeddings: Embeddings, form: str, notes: Sequence[str], **facts: Any) -> Iterator[Path]:
    """Yield an empty folder that becomes `path` when the block ends well; an older export there is replaced.

    Raises:
        ConfigError: `path` holds something else.
        StorageError: it cannot be written.
    """
    check_free(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.whole_folder(path) as new:
        yield new
        kge = embeddings.kge
        files.write_manifest(
            new,
            KIND,
            {
                "format": form,
                "of": embeddings.graph,
                "scoring": kge.name,
                "rank": kge.rank,
                "entities": kge.n_entities,
                "relations": kge.n_relations,
                **facts,
                "notes": list(notes),
            },
        )


def check_free(path: Path) -> None:
    """Refuse, as a `ConfigError`, to replace anything but an export or an empty folder."""
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    try:
        manifest = files.read_json(path / "manifest.json")
    except (KgsyncError, OSError):
        manifest = None
    if not isinstance(manifest, dict) or manifest.get("kind") != KIND:
        raise ConfigError(f"{path} is there already, and is no export of kgsync", fix="choose a new folder")


def write_lines(path: Path, rows: Iterable[Sequence[object]]) -> None:
    """Write rows as tab-separated lines.

    Raises:
        DataError: a name holds a tab or a line break, which no reader of such a file could tell from its own.
    """
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            fields = [str(value) for value in row]
            for field in fields:
                if any(mark in field for mark in "\t\n\r"):
                    raise DataError(
                        f"the name {field[:60]!r} holds a tab or a line break, which {path.name} cannot hold",
                        fix="export parquet, which holds any name",
                    )
            file.write("\t".join(fields) + "\n")


def library(module: str, extra: str, title: str) -> Any:
    """Return an imported library that only one export needs.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"{title} is not installed", fix=f"install it with `pip install 'kgsync[{extra}]'`"
        ) from error
