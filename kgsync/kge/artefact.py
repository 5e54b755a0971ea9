"""A trained model as one safetensors file: the embeddings, and what they are as JSON in its metadata.

Written whole or not at all; read back only if hash, shapes and finiteness are as they were saved.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from kgsync import files
from kgsync.errors import DataError, NotFoundError
from kgsync.kge.models import MODELS, KgeModel, made_of

FORMAT = 1


def save(model: KgeModel, path: Path, meta: dict[str, Any]) -> None:
    """Write `model` with `meta` (JSON values) to the file at `path`."""
    config = {
        "name": model.name,
        "n_entities": model.n_entities,
        "n_relations": model.n_relations,
        "rank": model.rank,
    }
    write(path, dict(model.state_dict()), {"kind": "kge", "model": config, "meta": meta})


def load(path: Path) -> tuple[KgeModel, dict[str, Any]]:
    """Return the model in the file at `path` and the `meta` it was saved with.

    Raises:
        NotFoundError: there is no such file.
        DataError: it is damaged, no embedding model, or holds values that are not finite.
    """
    tensors, header = read(path)
    config = header.get("model", {})
    if header.get("kind") != "kge" or config.get("name") not in MODELS:
        raise DataError(f"{path} holds no embedding model of kgsync", fix="train the model again")
    width, relation_width = MODELS[config["name"]].widths(config["rank"])
    expected = {
        "entities": (config["n_entities"], width),
        "relations": (2 * config["n_relations"], relation_width),
    }
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if found != expected:
        raise DataError(f"{path} holds {found}, expected {expected}", fix="train the model again")
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise DataError(f"{name} in {path} has values that are not finite", fix="train the model again")
    return made_of(config["name"], config["rank"], **tensors), header["meta"]


def write(path: Path, tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
    """Replace the file at `path` by tensors and a JSON header, all or nothing."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps({"format": FORMAT, **header}, ensure_ascii=False)
    metadata = {"kgsync": text, "sha256": _digest(text, tensors)}
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with files.storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            save_file(tensors, temporary, metadata=metadata)
            files.sync(temporary)
            os.replace(temporary, path)
            files.sync(path.parent)
        except SafetensorError as error:  # how safetensors reports a full disk
            raise OSError(None, str(error), str(path)) from error
        finally:
            temporary.unlink(missing_ok=True)


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors and the JSON header that `write` put into the file at `path`.

    Raises:
        NotFoundError: there is no such file.
        DataError: it is damaged or not ours.
    """
    if not path.is_file():
        raise NotFoundError(f"there is no {path}", fix="check the path, or train the model")
    try:
        with safe_open(path, framework="pt") as file:
            text, expected = file.metadata()["kgsync"], file.metadata()["sha256"]
            # Copies, aligned in memory: products of unaligned tensors differ in the last bit.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path} is damaged or not ours: {error}", fix="train the model again") from error
    if _digest(text, tensors) != expected:
        raise DataError(f"{path} does not hold what its hash says", fix="train the model again")
    header: dict[str, Any] = json.loads(text)
    if header["format"] != FORMAT:
        raise DataError(f"{path} is of another kgsync version", fix="train the model again")
    return tensors, header


def _digest(header: str, tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256(header.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        digest.update(tensor.numpy().data)
    return digest.hexdigest()
