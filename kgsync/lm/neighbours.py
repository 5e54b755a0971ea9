"""Entities as vectors with their neighbourhood: the mean of the neighbours' vectors, with one of them taken out.

Reads train triples only. Taking the target out, (sum − target) / (n − 1), is what keeps an edge from giving itself
away: during training neither end of a triple sees the other among its neighbours.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from kgsync.kge.known import check_triples
from kgsync.kge.models import as_tensor

Integers = np.ndarray[Any, np.dtype[np.int64]]


class Neighbours:
    """Who is joined to whom by any relation, in either direction; nobody is a neighbour of itself."""

    def __init__(self, train: np.ndarray[Any, Any], n_entities: int) -> None:
        check_triples(train, n_entities, int(train[:, 1].max(initial=-1)) + 1)
        heads, tails = train[:, 0].astype(np.int64), train[:, 2].astype(np.int64)
        other = heads != tails
        heads, tails = heads[other], tails[other]
        self.n_entities = n_entities
        self.codes = np.unique(np.concatenate([heads * n_entities + tails, tails * n_entities + heads]))
        self.entities, self.others = np.divmod(self.codes, max(n_entities, 1))
        self.offsets: Integers = np.searchsorted(self.entities, np.arange(n_entities + 1))

    def counts(self) -> Integers:
        """Return the number of neighbours of every entity."""
        return np.diff(self.offsets)

    def joined(self, entities: Integers, others: Integers) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return whether each entity is joined to the other at the same position."""
        if len(self.codes) == 0:
            return np.zeros(len(entities), bool)
        wanted = entities * self.n_entities + others
        found = np.minimum(np.searchsorted(self.codes, wanted), len(self.codes) - 1)
        joined: np.ndarray[Any, np.dtype[np.bool_]] = self.codes[found] == wanted
        return joined

    def any(self, entities: Integers, rng: np.random.Generator) -> Integers:
        """Return a neighbour of each entity by chance; the entity itself where it has none."""
        counts = self.offsets[entities + 1] - self.offsets[entities]
        if len(self.others) == 0:
            return entities
        at = self.offsets[entities] + (rng.random(len(entities)) * counts).astype(np.int64)
        return np.where(counts > 0, self.others[np.minimum(at, len(self.others) - 1)], entities)

    def of(self, entities: Integers) -> tuple[Integers, Integers]:
        """Return (entity, neighbour) for all neighbours of `entities`."""
        starts, counts = self.offsets[entities], self.offsets[entities + 1] - self.offsets[entities]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.repeat(entities, counts), self.others[np.repeat(starts, counts) + within]


class Bank:
    """The latest vector of every entity [n, d], with the sum over its neighbours kept up to date."""

    def __init__(self, vectors: Tensor, neighbours: Neighbours) -> None:
        self.vectors = vectors.clone()
        self.neighbours = neighbours
        self.sums = torch.zeros_like(vectors)
        self._counts = as_tensor(neighbours.counts())
        self.refresh()

    def refresh(self) -> None:
        """Compute the sums anew: many updates leave rounding errors in them."""
        self.sums.zero_()
        size = 1 << 18  # neighbours at a time
        for low in range(0, len(self.neighbours.codes), size):
            part = slice(low, low + size)
            entities, others = as_tensor(self.neighbours.entities[part]), as_tensor(self.neighbours.others[part])
            self.sums.index_add_(0, entities, self.vectors[others])

    def update(self, entities: Integers, vectors: Tensor) -> None:
        """Give distinct `entities` new vectors."""
        rows = as_tensor(entities)
        whose, others = self.neighbours.of(entities)
        change = vectors - self.vectors[rows]
        place = np.searchsorted(entities, whose) if np.all(np.diff(entities) > 0) else _places(entities, whose)
        self.sums.index_add_(0, as_tensor(others), change[as_tensor(place)])
        self.vectors[rows] = vectors

    def around(self, entities: Integers, without: Integers | None = None) -> Tensor:
        """Return the mean vector [m, d] of each entity's neighbours, `without` the one at the same position."""
        rows = as_tensor(entities)
        sums, counts = self.sums[rows], self._counts[rows].float()
        if without is not None:
            joined = torch.from_numpy(self.neighbours.joined(entities, without)).float()
            sums = sums - joined[:, None] * self.vectors[as_tensor(without)]
            counts = counts - joined
        alone = counts < 1
        means: Tensor = (sums / counts.clamp(min=1)[:, None]).masked_fill(alone[:, None], 0.0)
        return means


def _places(entities: Integers, whose: Integers) -> Integers:
    order = np.argsort(entities)
    return order[np.searchsorted(entities[order], whose)]
