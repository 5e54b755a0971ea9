"""Embeddings as plain arrays with names beside them: `.npy`, safetensors, Parquet. All 2R relation rows are in."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import save_file

from kgsync.export.folder import folder, write_lines
from kgsync.export.source import Embeddings, Rows

NOTES = (
    "Row n of the entities belongs to line n of their names.",
    "There are two rows for a relation, since it was trained with reciprocals: the first R rows answer (h, r, ?),"
    " the other R answer (?, r, t) as (t, r + R, ?).",
)


def write_npy(embeddings: Embeddings, path: Path) -> None:
    """Write `entities.npy` [E, d] and `relations.npy` [2R, w], float32, and TSV with the names of their rows."""
    with folder(path, embeddings, "npy", NOTES) as new:
        np.save(new / "entities.npy", embeddings.entity_rows, allow_pickle=False)
        np.save(new / "relations.npy", embeddings.relation_rows, allow_pickle=False)
        _write_names(embeddings, new)


def write_safetensors(embeddings: Embeddings, path: Path) -> None:
    """Write `embeddings.safetensors` with the tensors `entities` [E, d] and `relations` [2R, w], and their names."""
    with folder(path, embeddings, "safetensors", NOTES) as new:
        tensors = {"entities": embeddings.entity_rows, "relations": embeddings.relation_rows}
        about = json.dumps({"scoring": embeddings.kge.name, "rank": embeddings.kge.rank, "of": embeddings.graph})
        # one entry, since safetensors writes several in any order
        save_file(tensors, new / "embeddings.safetensors", metadata={"kgsync": about})
        _write_names(embeddings, new)


def write_parquet(embeddings: Embeddings, path: Path) -> None:
    """Write `entities.parquet` (id, what is known of the entity, vector) and `relations.parquet` (id, asks, vector)."""
    with folder(path, embeddings, "parquet", NOTES) as new:
        entities = pa.table({"id": pa.array(embeddings.ids, pa.string())})
        for name, column in zip(embeddings.about.column_names, embeddings.about.columns, strict=True):
            entities = entities.append_column(name, column)
        entities = entities.append_column("vector", _vectors(embeddings.entity_rows))
        pq.write_table(entities, new / "entities.parquet", compression="zstd")
        names, sides = zip(*embeddings.asked, strict=True)
        relations = {
            "id": pa.array(names, pa.string()),
            "asks": pa.array(sides, pa.string()),
            "vector": _vectors(embeddings.relation_rows),
        }
        pq.write_table(pa.table(relations), new / "relations.parquet", compression="zstd")


def _vectors(rows: Rows) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1), pa.float32()), rows.shape[1])


def _write_names(embeddings: Embeddings, new: Path) -> None:
    """Write `entities.tsv` and `relations.tsv` with a header; a name stands beside the id where one is known."""
    known = embeddings.about["name"].to_pylist() if "name" in embeddings.about.column_names else []
    if any(known):
        rows = [("id", "name"), *zip(embeddings.ids, (name or "" for name in known), strict=True)]
        write_lines(new / "entities.tsv", rows)
    else:
        write_lines(new / "entities.tsv", [("id",), *((identifier,) for identifier in embeddings.ids)])
    write_lines(new / "relations.tsv", [("id", "asks"), *embeddings.asked])
