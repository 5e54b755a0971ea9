"""A folder with a language model in it: what is in there, what identifies it, and one line where it cannot be used."""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any, Literal

import torch

from kgsync import files
from kgsync.errors import DataError, KgsyncError, NotFoundError, UnavailableError
from kgsync.processor import has_bf16

Kind = Literal["encoder", "decoder"]

_PARTS = (".json", ".txt", ".model", ".jinja", ".safetensors")  # that decide what a model does
_UNREAD = ("README.md", "manifest.json")


def find(source: str | Path) -> Path:
    """Return the folder `source`, or of the model of that name on the Hugging Face hub.

    Raises:
        NotFoundError: there is no such folder.
        UnavailableError: the hub cannot be reached, or does not have it.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        return path
    name = str(source)
    if path.exists() or path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise NotFoundError(f"there is no model folder {path}", fix="give a folder with config.json and safetensors")
    from huggingface_hub import snapshot_download

    try:
        with quiet():
            return Path(snapshot_download(name, allow_patterns=[f"*{part}" for part in _PARTS]))
    except Exception as error:  # the libraries raise whatever they like
        raise UnavailableError(
            f"no folder and no reachable model on the Hugging Face hub is called {name!r} ({type(error).__name__})",
            fix="give the path of a local model folder, or run `kgsync models` to see what is at hand",
        ) from error


def kind(folder: Path) -> Kind:
    """Return whether the model in a folder writes on (decoder) or fills gaps (encoder).

    Raises:
        DataError: it holds no model, or one of another kind.
    """
    if not (folder / "config.json").is_file() or not any(folder.glob("*.safetensors")):
        raise DataError(
            f"{folder} is no model folder: config.json or *.safetensors is missing", fix="give a Hugging Face folder"
        )
    from transformers.models.auto import modeling_auto as known

    config = files.read_json(folder / "config.json")
    family = config.get("model_type") if isinstance(config, dict) else None
    if family in known.MODEL_FOR_MASKED_LM_MAPPING_NAMES and not config.get("is_decoder"):
        return "encoder"
    if family in known.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        return "decoder"
    raise DataError(
        f"{folder} holds a model of type {family!r}, which neither fills gaps nor writes on",
        fix="give the folder of a model like BERT or like Llama",
    )


def digest(folder: Path) -> str:
    """Return a hash of everything in a model folder that decides what the model does."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in _PARTS and path.name not in _UNREAD:
            found.update(f"{path.relative_to(folder).as_posix()} {files.sha256(path)};".encode())
    return found.hexdigest()


def check_complete(folder: Path, found: Mapping[str, Any]) -> None:
    """Refuse a folder that lacks weights, which the libraries fill with random numbers and only log.

    Raises:
        DataError: it does.
    """
    missing = sorted(found["missing_keys"]) + sorted(str(key) for key in found["mismatched_keys"])
    if missing:
        raise DataError(
            f"{folder} lacks weights of its own model, such as {missing[0]}",
            fix="choose a folder whose config.json and weights belong together",
        )


def half(device: torch.device) -> torch.autocast:
    """Return a context in which products are computed in bf16, where the processor does that itself."""
    on = torch.cuda.is_bf16_supported() if device.type == "cuda" else has_bf16()
    return torch.autocast(device.type, torch.bfloat16, enabled=on)


@contextmanager
def loading(folder: Path, what: str) -> Iterator[None]:
    """Turn whatever the libraries raise while they read a folder into one line, and keep them quiet."""
    try:
        with quiet():
            yield
    except KgsyncError:
        raise
    except Exception as error:
        reason = str(error).strip().split("\n")[0][:200] or type(error).__name__
        raise DataError(f"{folder} cannot be loaded as {what}: {reason}", fix="choose another folder") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep progress bars, warnings and reports of the libraries from the terminal."""
    loggers = [logging.getLogger(name) for name in ("transformers", "huggingface_hub", "peft")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        with warnings.catch_warnings(), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
