"""Embeddings as DGL-KE (github.com/awslabs/dgl-ke) saves them: two `.npy` files, id maps and `config.json`.

For a benchmark its triples are there too, as numbers in the order head, relation, tail (its format `udd_hrt`).
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from kgsync import files
from kgsync.errors import DataError
from kgsync.export.folder import folder
from kgsync.export.source import Embeddings, Rows

MODELS = {
    "distmult": "DistMult",
    "complex": "ComplEx",
    "transe-l1": "TransE_l1",
    "transe-l2": "TransE_l2",
    "rotate": "RotatE",
    "rescal": "RESCAL",
}
GAMMA = 0.0  # added to distances there; `dglke_predict` without logsigmoid takes 0, whatever it was trained with
EPSILON = 2.0  # DGL-KE's: (gamma + EPSILON) / hidden_dim is a phase of π in the numbers of its RotatE
NOTES = {
    "tails": "DGL-KE has one row per relation: these are the first R rows of the model, which answer (h, r, ?). The R"
    " rows that answer (?, r, t) are left out, so head ranks there differ from kgsync's.",
    "same": "With the gamma of config.json, which is 0, its scores of (h, r, t) are ours.",
    "rotate": "Its phases are in units of (gamma + 2) / hidden_dim: they are right for gamma 0 alone (`--gamma 0`).",
    "rescal": "`dglke_eval` computes the scores of corrupted tails with R transposed: tail ranks there are not ours."
    " `dglke_predict` is right.",
}


def write_dglke(embeddings: Embeddings, path: Path) -> None:
    """Write a folder that `dglke_predict`, `dglke_emb_sim` and `dglke_eval` read."""
    kge = embeddings.kge
    if kge.name not in MODELS:
        raise DataError(f"DGL-KE has no model like {kge.name}", fix="export parquet, npy or safetensors")
    graph = re.sub(r"[^\w.-]", "-", embeddings.graph)
    prefix = f"{graph}_{MODELS[kge.name]}"
    notes = [NOTES["tails"], NOTES["same"], *([NOTES[kge.name]] if kge.name in NOTES else [])]
    with folder(path, embeddings, "dglke", notes) as new:
        np.save(new / f"{prefix}_entity.npy", embeddings.entity_rows, allow_pickle=False)
        np.save(new / f"{prefix}_relation.npy", relation_rows(embeddings), allow_pickle=False)
        _write_map(new / "entities.tsv", embeddings.ids)
        _write_map(new / "relations.tsv", embeddings.relations)
        for part, triples in embeddings.triples.items():
            np.savetxt(new / f"{part}.tsv", triples, fmt="%d", delimiter="\t")
        files.write_json(new / "config.json", config(embeddings, graph))


def relation_rows(embeddings: Embeddings) -> Rows:
    """Return the rows [R, w] that answer tail queries, as DGL-KE keeps them."""
    rows = embeddings.tail_rows
    if embeddings.kge.name != "rotate":
        return rows
    phases: Rows = (rows * ((GAMMA + EPSILON) / embeddings.kge.rank / math.pi)).astype(np.float32)
    return phases


def config(embeddings: Embeddings, graph: str) -> dict[str, Any]:
    """Return what `config.json` says: what DGL-KE's inference reads, under its own names."""
    kge = embeddings.kge
    return {
        "dataset": graph,
        "model": MODELS[kge.name],
        "model_name": MODELS[kge.name],
        "emb_size": 2 * kge.rank if kge.name == "complex" else kge.rank,
        "hidden_dim": 2 * kge.rank if kge.name == "complex" else kge.rank,  # a complex row is [real | imaginary]
        "double_ent": kge.name == "rotate",
        "double_rel": False,
        "gamma": GAMMA,
        "emap_file": "entities.tsv",
        "rmap_file": "relations.tsv",
    }


def _write_map(path: Path, names: Iterable[str]) -> None:
    """Write number and name per line; quoted where DGL-KE's reader of maps, Python's csv, needs it."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter="\t", lineterminator="\n").writerows(enumerate(names))
