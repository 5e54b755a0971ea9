"""Lessons: edges that other voices believe in. They are learned like known ones, and count less."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kgsync.errors import DataError
from kgsync.kge.known import Integers, KnownAnswers

Floats = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True)
class Lessons:
    """Edges and how much each counts beside a known one."""

    triples: Integers  # [n, 3], distinct, none of them known
    weights: Floats  # [n], above 0 and at most 1

    def __post_init__(self) -> None:
        """Refuse weights that do not fit."""
        if len(self.triples) != len(self.weights) or not ((self.weights > 0) & (self.weights <= 1)).all():
            raise DataError("every lesson needs a weight above 0 and at most 1", fix="leave the others out")

    def __len__(self) -> int:
        """Return the number of edges."""
        return len(self.triples)

    def shares(self, known: KnownAnswers) -> Floats:
        """Return what every pair of `known` counts, in the order of its `entities`: 1, unless it is a lesson."""
        shares = np.ones(len(known.entities), dtype=np.float32)
        heads, relations, tails = self.triples.astype(np.int64).reshape(-1, 3).T
        width = 2 * known.n_relations
        pairs = np.repeat(known.keys, known.counts()) * known.n_entities + known.entities  # sorted
        for anchors, asked, answers in ((heads, relations, tails), (tails, relations + known.n_relations, heads)):
            shares[np.searchsorted(pairs, (anchors * width + asked) * known.n_entities + answers)] = self.weights
        return shares
