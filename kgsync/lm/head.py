"""The head that makes a query and candidates of vectors, and the voice that ranks all entities with it.

    q = x_a + [x_a, n_a] M_r + b_r        c = y + [y, n_y] P        score = s (cos(q, c) + w_r · shared words)

x is an entity's text vector, n the mean of its neighbours' vectors, r a relation and a direction. M_r, b_r and P start
at 0, so that at first an entity answers what is written like it.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from kgsync.errors import DataError
from kgsync.kge import artefact
from kgsync.lm.neighbours import Bank, Neighbours
from kgsync.lm.texts import EntityText
from kgsync.lm.words import Words
from kgsync.processor import has_bf16

if TYPE_CHECKING:
    from kgsync.lm.encoder import Encoder

FULL_FLOATS = 8_000_000  # up to which every relation has a full matrix
LOW_RANK = 32
SCALE = 20.0  # 1 / temperature at the start
QUICK = 10.0  # how much faster than matrices single numbers learn: Adam moves all of them equally far


def automatic_rank(dimension: int, n_relations: int) -> int:
    """Return 0, which is the full rank, where matrices for all relations stay small."""
    return 0 if 4 * dimension * dimension * n_relations <= FULL_FLOATS else LOW_RANK


class TextHead(nn.Module):
    """What is learned about relations: 2R maps of full (0) or lower rank, and weights of shared words."""

    def __init__(self, dimension: int, n_relations: int, ways: int, rank: int = 0, seed: int = 0) -> None:
        super().__init__()
        d, asked = dimension, 2 * n_relations
        self.dimension, self.n_relations, self.ways, self.rank = dimension, n_relations, ways, rank
        start = torch.Generator().manual_seed(seed)
        low = torch.randn(asked, 2 * d, rank, generator=start) / math.sqrt(d) if rank else None
        self.down = None if low is None else nn.Parameter(low)
        self.up = nn.Parameter(torch.zeros(asked, rank or 2 * d, d))  # M_r = down_r up_r, or up_r of full rank
        self.bias = nn.Parameter(torch.zeros(asked, d))
        self.candidate = nn.Parameter(torch.zeros(2 * d, d))
        self.words = nn.Parameter(torch.full((asked, ways), 0.05 / QUICK))
        self.log_scale = nn.Parameter(torch.tensor(math.log(SCALE) / QUICK))

    @property
    def scale(self) -> Tensor:
        """Return what similarities are multiplied by: the inverse temperature."""
        return (self.log_scale * QUICK).exp()

    def word_weights(self, relations: Tensor) -> Tensor:
        """Return the weight [B, W] of each way to share words, for each query."""
        return self.words[relations] * QUICK

    def queries(self, x: Tensor, around: Tensor, relations: Tensor) -> Tensor:
        """Return the query vectors [B, d] of length 1 of anchors with vectors `x` and neighbours `around` [B, d]."""
        order = torch.argsort(relations, stable=True)
        asked, counts = torch.unique_consecutive(relations[order], return_counts=True)
        inputs = torch.cat([x, around], 1).index_select(0, order)
        ups, downs = self.up.unbind(), () if self.down is None else self.down.unbind()
        moved = []
        for relation, rows in zip(asked.tolist(), torch.split(inputs, counts.tolist()), strict=True):
            rows = rows @ downs[relation] if downs else rows
            moved.append(rows @ ups[relation])
        back = torch.empty_like(order).index_put((order,), torch.arange(len(order)))
        return normalize(x + torch.cat(moved).index_select(0, back) + self.bias[relations], dim=1)

    def candidates(self, x: Tensor, around: Tensor) -> Tensor:
        """Return the candidate vectors [C, d] of length 1."""
        return normalize(x + multiply(torch.cat([x, around], 1), self.candidate), dim=1)


def multiply(left: Tensor, right: Tensor) -> Tensor:
    """Return the matrix product as float32, multiplied as bf16 where the processor can; double stays double."""
    if left.dtype == torch.float64:
        return left @ right.double()
    dtype = torch.bfloat16 if has_bf16() else torch.float32
    return (left.to(dtype) @ right.to(dtype)).float()


class TextVoice:
    """Ranks entities by text: those that were never trained on as well."""

    name = "text"

    def __init__(
        self, head: TextHead, bank: Bank, words: Words, loops: Tensor, tuned: Callable[[], Encoder] | None = None
    ) -> None:
        self.head = head
        self.bank = bank
        self.words = words
        self.loops = loops  # [2R]: whether entities may answer their own query
        self.tuned = tuned  # gives the encoder that learned together with the head, if one did
        self._candidates = self._all_candidates()

    @property
    def n_entities(self) -> int:
        """Return how many entities compete."""
        return len(self.bank.vectors)

    @torch.no_grad()
    def _all_candidates(self) -> Tensor:
        everyone = self.head.candidates(self.bank.vectors, self.bank.around(np.arange(self.n_entities)))
        return everyone.to(torch.bfloat16) if has_bf16() and everyone.dtype == torch.float32 else everyone

    def exact(self) -> TextVoice:
        """Return the voice in double precision."""
        bank = Bank(self.bank.vectors.double(), self.bank.neighbours)
        return TextVoice(copy.deepcopy(self.head).double(), bank, self.words, self.loops, self.tuned)

    def tensors(self) -> dict[str, Tensor]:
        """Return the head and the vectors."""
        return {**self.head.state_dict(), "vectors": self.bank.vectors, "loops": self.loops.to(torch.uint8)}

    @torch.no_grad()
    def scores(self, anchors: Tensor, relations: Tensor, candidates: Tensor | None = None) -> Tensor:
        """Return the scores [B, C] of the candidate ids (None: every entity) as answers."""
        ids = anchors.numpy()
        around = self.bank.around(ids)
        scores = multiply(self.head.queries(self.bank.vectors[anchors], around, relations), self._candidates.T)
        if self.words.ways:
            scores += torch.from_numpy(self.words.weighted(ids, self.head.word_weights(relations).numpy()))
        scores *= self.head.scale
        strangers = torch.nonzero(~self.loops[relations]).flatten()
        scores[strangers, anchors[strangers]] = scores[strangers].amin(dim=1)
        return scores if candidates is None else scores[:, candidates]

    def save(self, path: Path, meta: dict[str, Any]) -> None:
        """Write the head and the vectors, but no encoder, to the file at `path`."""
        head = self.head
        config = {"dimension": head.dimension, "n_relations": head.n_relations, "ways": head.ways, "rank": head.rank}
        artefact.write(path, self.tensors(), {"kind": "text", "head": config, "texts": self.words.hash, "meta": meta})

    @classmethod
    def load(
        cls, path: Path, texts: Sequence[EntityText], train: np.ndarray[Any, Any]
    ) -> tuple[TextVoice, dict[str, Any]]:
        """Return the voice in the file at `path`, and the `meta` it was saved with; its graph is given again.

        Raises:
            NotFoundError: there is no such file.
            DataError: it is damaged, holds no text voice, or belongs to other texts.
        """
        tensors, header = artefact.read(path)
        if header.get("kind") != "text":
            raise DataError(f"{path} holds no text voice of kgsync", fix="train it again")
        vectors, loops = tensors.pop("vectors"), tensors.pop("loops")
        words = Words(texts)
        if words.hash != header["texts"]:
            raise DataError(f"{path} belongs to other texts", fix="give those of its snapshot, or train it again")
        head = TextHead(**header["head"])
        head.load_state_dict(tensors)
        return cls(head, Bank(vectors, Neighbours(train, len(vectors))), words, loops.bool()), header["meta"]

    def extended(self, vectors: Tensor, texts: Sequence[EntityText], train: np.ndarray[Any, Any]) -> TextVoice:
        """Return this voice with new entities at the end, nothing trained: their vectors and texts, and all edges."""
        everyone = torch.cat([self.bank.vectors, vectors])
        neighbours = Neighbours(train, len(everyone))
        return TextVoice(self.head, Bank(everyone, neighbours), self.words.extended(texts), self.loops, self.tuned)
