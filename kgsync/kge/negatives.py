"""Shared negatives: for graphs with too many entities to compare every query with all of them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from kgsync.kge.known import KnownAnswers


class SharedNegatives:
    """A uniform sample of entities plus those of the batch itself, one set for all queries of a batch.

    An entity of the set stands for 1 / P(it is in the set) entities, so that the sum over the set
    estimates the sum over all entities without bias, however often the entity occurs in the graph.
    """

    def __init__(self, known: KnownAnswers, amount: int) -> None:
        self.amount = amount
        self.n_entities = known.n_entities
        occurrences = np.bincount(known.anchors, minlength=known.n_entities) + np.bincount(
            known.entities, minlength=known.n_entities
        )
        self.rate = torch.from_numpy(occurrences / len(known)).float()  # expected occurrences per query

    def draw(self, batch: Tensor, n_queries: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return the sorted ids [C] of a set that contains `batch`, and log(1 / P) [C] of each."""
        drawn = torch.randint(self.n_entities, (self.amount,), generator=generator)
        ids = torch.unique(torch.cat([drawn, batch]))
        missed = (1 - 1 / self.n_entities) ** self.amount  # P(not drawn)
        present = 1 - missed * (-n_queries * self.rate[ids]).exp()  # occurrences in a batch are about Poisson
        return ids, -present.log()
