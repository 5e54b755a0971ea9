"""Embeddings as OpenKE (github.com/thunlp/OpenKE, its PyTorch version) keeps graphs and parameters.

`entity2id.txt`, `relation2id.txt` (a count, then name and number), for a benchmark also `train2id.txt` and so on
(a count, then head, tail, relation), and `embedding.vec.json`, what `Model.load_parameters` reads.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from kgsync.errors import DataError
from kgsync.export.folder import folder, write_lines
from kgsync.export.source import Embeddings, Rows

MARGIN, EPSILON = 6.0, 2.0  # OpenKE's own for RotatE; together they set the unit of its phases
LOWER_IS_BETTER = (
    "OpenKE's `predict` is {}, and its tester takes less for better: it ranks as kgsync's tail queries do."
)
TAILS_ONLY = (
    "OpenKE has one row per relation: these are the first R rows of the model, which answer (h, r, ?)."
    " The R rows that answer (?, r, t) are left out, so head ranks there differ from kgsync's."
)
_NOTES = {
    "distmult": LOWER_IS_BETTER.format("minus our score"),
    "complex": LOWER_IS_BETTER.format("minus our score"),
    "transe-l1": LOWER_IS_BETTER.format("minus our score, if `norm_flag` is off"),
    "transe-l2": LOWER_IS_BETTER.format("minus our score, if `norm_flag` is off"),
    "rotate": LOWER_IS_BETTER.format(f"minus our score, minus its margin {MARGIN:g}"),
    "rescal": "OpenKE's `forward` is minus our score. Its `predict` is our score, but its tester takes less for better"
    " there too, so for this model alone it ranks the wrong way round.",
}


def write_openke(embeddings: Embeddings, path: Path) -> None:
    """Write a folder that OpenKE trains and tests in, with the parameters of the model."""
    notes = (TAILS_ONLY, _NOTES.get(embeddings.kge.name, ""))
    values, model = parameters(embeddings), constructor(embeddings)
    with folder(path, embeddings, "openke", notes, model=model) as new:
        for kind, names in (("entity", embeddings.ids), ("relation", embeddings.relations)):
            rows = ((name, number) for number, name in enumerate(names))
            write_lines(new / f"{kind}2id.txt", [(len(names),), *rows])
        for part, triples in embeddings.triples.items():
            lines = (f"{head} {tail} {relation}" for head, relation, tail in triples.tolist())
            (new / f"{part}2id.txt").write_text("\n".join([str(len(triples)), *lines, ""]), encoding="utf-8")
        _write_json(new / "embedding.vec.json", values)


def constructor(embeddings: Embeddings) -> str:
    """Return the Python expression that makes OpenKE's model, ready for `load_parameters`."""
    name, rank = embeddings.kge.name, embeddings.kge.rank
    size = f"ent_tot={embeddings.kge.n_entities}, rel_tot={embeddings.kge.n_relations}, dim={rank}"
    return {
        "distmult": f"DistMult({size})",
        "complex": f"ComplEx({size})",
        "transe-l1": f"TransE({size}, p_norm=1, norm_flag=False)",
        "transe-l2": f"TransE({size}, p_norm=2, norm_flag=False)",
        "rotate": f"RotatE({size}, margin={MARGIN}, epsilon={EPSILON})",
        "rescal": f"RESCAL({size})",
    }[name]


def parameters(embeddings: Embeddings) -> Mapping[str, Rows]:
    """Return OpenKE's parameters by name.

    Raises:
        DataError: OpenKE has no such model.
    """
    name, rank = embeddings.kge.name, embeddings.kge.rank
    entities, relations = embeddings.entity_rows, embeddings.tail_rows
    if name in ("distmult", "transe-l1", "transe-l2"):
        return {"ent_embeddings.weight": entities, "rel_embeddings.weight": relations}
    if name == "complex":
        return {
            f"{kind}_{part}_embeddings.weight": half
            for kind, rows in (("ent", entities), ("rel", relations))
            for part, half in zip(("re", "im"), np.split(rows, 2, axis=1), strict=True)
        }
    if name == "rescal":
        return {"ent_embeddings.weight": entities, "rel_matrices.weight": relations}
    if name == "rotate":
        unit = (MARGIN + EPSILON) / rank  # a phase of π, in OpenKE's numbers
        return {
            "ent_embeddings.weight": entities,
            "rel_embeddings.weight": (relations * (unit / math.pi)).astype(np.float32),
            "ent_embedding_range": np.array([unit / 2], dtype=np.float32),
            "rel_embedding_range": np.array([unit], dtype=np.float32),
            "margin": np.array([MARGIN], dtype=np.float32),
        }
    raise DataError(f"OpenKE has no model like {name}", fix="export parquet, npy or safetensors")


def _write_json(path: Path, values: Mapping[str, Rows]) -> None:
    """Write arrays as lists, a row at a time, so that a large table is never one text in memory."""
    with path.open("w", encoding="utf-8") as file:
        for number, (name, rows) in enumerate(values.items()):
            file.write(f"{', ' if number else '{'}{json.dumps(name)}: [")
            for position, row in enumerate(rows):
                file.write(f"{', ' if position else ''}{json.dumps(row.tolist())}")
            file.write("]")
        file.write("}")
