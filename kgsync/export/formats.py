"""The formats by name, and the one function that writes any of them."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from kgsync import files
from kgsync.dataset import Dataset
from kgsync.errors import ConfigError
from kgsync.export.folder import check_free
from kgsync.export.source import Embeddings, of_benchmark
from kgsync.kge.models import create

# format -> (module, function); imported when it is asked for, since some need libraries of their own
FORMATS = {
    "npy": ("tables", "write_npy"),
    "parquet": ("tables", "write_parquet"),
    "safetensors": ("tables", "write_safetensors"),
    "openke": ("openke", "write_openke"),
    "dglke": ("dglke", "write_dglke"),
    "gds": ("gds", "write_gds"),
    "onnx": ("onnx_scorer", "write_onnx"),
    "tensorflow": ("tensorflow_scorer", "write_tensorflow"),
}


@dataclass(frozen=True)
class Export:
    """What was written, as its `manifest.json` says."""

    path: Path
    format: str
    of: str  # the model or graph
    entities: int
    relations: int
    files: dict[str, Any]  # name -> bytes and sha256
    notes: tuple[str, ...]  # what it holds, and where its scores differ from ours


def check(model: str, form: str, path: Path) -> None:
    """Raise what `write` would for a model of that kind, before it is trained: writes a tiny one elsewhere.

    Raises:
        ConfigError, DataError, StorageError: see `write`.
    """
    check_free(path)
    tiny = Dataset("tiny", ("a", "b"), ("r",), *[np.zeros((0, 3), dtype=np.int64)] * 3)
    with TemporaryDirectory() as folder:
        write(of_benchmark(tiny, create(model, 2, 1, 1, seed=0)), form, Path(folder) / "tiny")


def write(embeddings: Embeddings, form: str, path: Path) -> Export:
    """Write the embeddings into the folder `path` in the format of that name; an older export there is replaced.

    Raises:
        ConfigError: there is no such format, `path` holds something else, or a library is not installed.
        DataError: the format cannot hold this model.
        StorageError: the disk is full or cannot be written.
    """
    if form not in FORMATS:
        raise ConfigError(f"there is no export format {form!r}", fix=f"choose one of {', '.join(FORMATS)}")
    check_free(path)  # before a library is loaded that takes its time
    module, function = FORMATS[form]
    getattr(importlib.import_module(f"kgsync.export.{module}"), function)(embeddings, path)
    manifest = files.read_json(path / "manifest.json")
    return Export(
        path=path,
        format=form,
        of=manifest["of"],
        entities=manifest["entities"],
        relations=manifest["relations"],
        files=manifest["files"],
        notes=tuple(manifest["notes"]),
    )
