"""A rule voice as one safetensors file: rules, the facts that ground them, and the powers; the same content each time.

Written whole or not at all; read back only if the hash fits and every id is in range.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from kgsync.errors import DataError
from kgsync.kge import artefact
from kgsync.rules.facts import Facts
from kgsync.rules.mine import Rules
from kgsync.rules.voice import RuleVoice

COLUMNS = {"triples": 3, "single": 4, "double": 5, "constant": 4}


def save(voice: RuleVoice, path: Path, meta: dict[str, Any]) -> None:
    """Write `voice` with `meta` (JSON values) to the file at `path`."""
    size = {"n_entities": voice.facts.n_entities, "n_relations": voice.facts.n_relations}
    header = {"kind": "rules", "model": size, "meta": meta}
    artefact.write(path, voice.tensors(), header)


def load(path: Path) -> tuple[RuleVoice, dict[str, Any]]:
    """Return the voice in the file at `path` and the `meta` it was saved with.

    Raises:
        NotFoundError: there is no such file.
        DataError: it is damaged, holds no rules, or ids that are out of range.
    """
    tensors, header = artefact.read(path)
    if header.get("kind") != "rules":
        raise DataError(f"{path} holds no rules of kgsync", fix="train the model again")
    tables = {name: tensor.numpy().astype(np.int64) for name, tensor in tensors.items() if name != "powers"}
    size = header["model"]["n_entities"], header["model"]["n_relations"]
    powers = tensors.get("powers", torch.empty(0)).numpy().astype(np.float64)
    shapes = {name: table.shape[1:] for name, table in tables.items()}
    if shapes != {name: (columns,) for name, columns in COLUMNS.items()} or powers.shape != (2 * size[1],):
        raise DataError(f"{path} holds {shapes}, and powers of shape {powers.shape}", fix="train the model again")
    facts = Facts(tables.pop("triples"), *size)
    rules = Rules(**tables)
    if not np.isfinite(powers).all() or (powers < 1).any() or not _in_range(rules, facts):
        raise DataError(f"{path} has rules of another graph", fix="train the model again")
    return RuleVoice(facts, rules, powers), header["meta"]


def _in_range(rules: Rules, facts: Facts) -> bool:
    width = 2 * facts.n_relations
    columns = [
        (rules.single[:, 0], facts.n_relations),
        (rules.single[:, 1], width),
        (rules.double[:, 0], facts.n_relations),
        (rules.double[:, 1:3], width),
        (rules.constant[:, :2], len(facts)),
    ]
    return all(((column >= 0) & (column < end)).all() for column, end in columns)
