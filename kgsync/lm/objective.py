"""What one step of the text voice minimises: cross-entropy of the right answer among a sample of all entities.

Softmax over the batch's own answers and a pool from the bank, known answers masked, a margin on the right one, as in
SimKGC (Wang et al. 2022, arXiv:2203.02167). Every entity is seen with one neighbour taken out: the two ends of a triple
each other, all else one by chance, so that a missing neighbour gives no answer away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, dropout

from kgsync.kge.known import KnownAnswers
from kgsync.kge.lessons import Floats
from kgsync.kge.models import as_tensor
from kgsync.lm.head import TextHead, multiply
from kgsync.lm.neighbours import Bank, Integers
from kgsync.lm.words import Words

POOL_STEPS = 8  # that share one pool: the words of its entities are looked up once


@dataclass(frozen=True)
class Rows:
    """Triples of one step, each as a question and its answer."""

    anchors: Integers  # [B]
    relations: Integers  # [B], up to 2R
    targets: Integers  # [B]
    shares: Floats  # [B]: what each counts

    @classmethod
    def both_ways(cls, triples: np.ndarray[Any, Any], n_relations: int, shares: Floats | None = None) -> Rows:
        """Return every triple as two questions, which count as much as `shares` [n] says, or 1."""
        heads, relations, tails = triples.astype(np.int64).T
        each = np.ones(len(heads), np.float32) if shares is None else shares
        columns = [heads, tails], [relations, relations + n_relations], [tails, heads], [each, each]
        return cls(*map(np.concatenate, columns))

    def and_also(self, others: Rows) -> Rows:
        """Return these rows, and others behind them."""
        return Rows(
            np.concatenate([self.anchors, others.anchors]),
            np.concatenate([self.relations, others.relations]),
            np.concatenate([self.targets, others.targets]),
            np.concatenate([self.shares, others.shares]),
        )

    def __len__(self) -> int:
        return len(self.anchors)

    def __getitem__(self, chosen: Any) -> Rows:
        return Rows(self.anchors[chosen], self.relations[chosen], self.targets[chosen], self.shares[chosen])


class Objective:
    """The loss of batches on one graph; the same step always draws the same entities."""

    def __init__(
        self, bank: Bank, words: Words, known: KnownAnswers, *, negatives: int, margin: float, seed: int
    ) -> None:
        self.bank, self.words, self.known = bank, words, known
        self.negatives = min(negatives, known.n_entities)
        self.margin = margin
        self.seed = seed
        self._pool_number, self._pool, self._pool_words = -1, np.zeros(0, np.int64), list[Any]()

    def loss(
        self,
        head: TextHead,
        rows: Rows,
        step: int,
        *,
        dropped: float = 0.0,
        fresh: tuple[Integers, Tensor] | None = None,
    ) -> Tensor:
        """Return the mean loss of `rows`, each counted as its share says.

        `fresh` are sorted entities and their vectors with gradient, which take the place of those in the bank.
        """
        rng = np.random.default_rng([self.seed, step])
        self._draw_pool(step)
        others = self._pool if fresh is None else np.concatenate([fresh[0], self._pool])
        candidates = np.concatenate([rows.targets, others])  # the answer of row i is column i
        around = self.bank.around(others, self.bank.neighbours.any(others, rng))
        around = torch.cat([self.bank.around(rows.targets, rows.anchors), around])
        inputs = self._vectors(rows.anchors, fresh), self.bank.around(rows.anchors, rows.targets)
        x, near = (dropout(part, dropped) for part in inputs)
        relations = as_tensor(rows.relations)
        answers = head.candidates(self._vectors(candidates, fresh), around)
        scores = multiply(head.queries(x, near, relations), answers.T)
        scores = self._with_words(scores, head, rows, others)
        own = torch.arange(len(rows))
        scores = scores.index_put((own, own), torch.tensor(-self.margin), accumulate=True) * head.scale
        hidden = self._known_columns(rows, candidates)
        losses = cross_entropy(scores.index_put(hidden, torch.tensor(-1e4)), own, reduction="none")
        return (losses * torch.from_numpy(rows.shares)).mean()

    def _draw_pool(self, step: int) -> None:
        number = step // POOL_STEPS
        if number != self._pool_number:
            rng = np.random.default_rng([self.seed, number, 1])
            self._pool = np.sort(rng.choice(self.known.n_entities, self.negatives, replace=False))
            self._pool_words = self.words.columns(self._pool)
            self._pool_number = number

    def _vectors(self, entities: Integers, fresh: tuple[Integers, Tensor] | None) -> Tensor:
        stored = self.bank.vectors[as_tensor(entities)]
        if fresh is None:
            return stored
        at = np.minimum(np.searchsorted(fresh[0], entities), len(fresh[0]) - 1)
        own = torch.from_numpy(fresh[0][at] == entities)
        return torch.where(own[:, None], fresh[1][as_tensor(at)], stored)

    def _with_words(self, scores: Tensor, head: TextHead, rows: Rows, others: Integers) -> Tensor:
        """Return the scores with the weighted words that each anchor shares with each candidate."""
        if not self.words.ways:
            return scores
        extra = others[: len(others) - len(self._pool)]
        parts = [
            (0, self.words.columns(np.concatenate([rows.targets, extra]))),
            (len(rows) + len(extra), self._pool_words),
        ]
        width = scores.shape[1]
        flat = scores.reshape(-1)
        weights = head.word_weights(as_tensor(rows.relations))  # [B, W]
        for first, columns in parts:
            row, column, way, value = self.words.shared(rows.anchors, columns)
            weighted = weights[as_tensor(row), as_tensor(way)] * torch.from_numpy(value)
            flat = flat.index_add(0, as_tensor(row * width + column + first), weighted)
        return flat.view(scores.shape)

    def _known_columns(self, rows: Rows, candidates: Integers) -> tuple[Tensor, Tensor]:
        """Return (row, column) of every known answer but the one that the row is about."""
        row, entity = self.known.mask(rows.anchors, rows.relations)
        order = np.argsort(candidates, kind="stable")
        low, high = (np.searchsorted(candidates[order], entity, side) for side in ("left", "right"))
        times = high - low
        within = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
        row, column = np.repeat(row, times), order[np.repeat(low, times) + within]
        other = row != column
        return as_tensor(row[other]), as_tensor(column[other])
