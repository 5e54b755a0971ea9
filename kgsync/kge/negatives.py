"""Which entities compete with the answers: a shared sample of a large graph, or those of the right type."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from kgsync.kge.known import KnownAnswers

EVEN = 256  # sets have a multiple of so many entities


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
        """Return the sorted ids [C] of a set that contains `batch`, and log(1 / P) [C] of each.

        C is a multiple of `EVEN`, or all entities: every new shape of a bf16 product costs a processor some 20 ms.
        """
        drawn = torch.randint(self.n_entities, (self.amount,), generator=generator)
        ids = torch.unique(torch.cat([drawn, batch]))
        rest = self.n_entities - len(ids)
        more = min(-len(ids) % EVEN, rest)
        missed = (1 - 1 / self.n_entities) ** self.amount  # P(not drawn)
        if more:
            missed *= 1 - more / rest
            ids = self._with_others(ids, more, generator)
        present = 1 - missed * (-n_queries * self.rate[ids]).exp()  # occurrences in a batch are about Poisson
        return ids, -present.log()

    def _with_others(self, ids: Tensor, amount: int, generator: torch.Generator) -> Tensor:
        """Return sorted `ids` [C] and so many others, drawn from those that are not among them."""
        places = torch.randperm(self.n_entities - len(ids), generator=generator)[:amount]
        taken = ids - torch.arange(len(ids))  # how many others are smaller than each
        others = places + torch.searchsorted(taken, places, right=True)
        return torch.cat([ids, others]).sort().values


class SeenEnds:
    """The entities that answer a relation, in either direction, anywhere in the training triples."""

    def __init__(self, known: KnownAnswers) -> None:
        self.n_entities = known.n_entities
        ends = np.unique(np.repeat(known.relations, known.counts()) * known.n_entities + known.entities)
        relations, self.entities = np.divmod(ends, known.n_entities)
        # ends of relation r: entities[offsets[r] : offsets[r + 1]]
        self.offsets = np.searchsorted(relations, np.arange(2 * known.n_relations + 1))

    def barred(self, relations: np.ndarray[Any, Any], ids: Tensor | None = None) -> Tensor:
        """Return whether each entity (of `ids`; None: all) never answers the relation of each query, [C, B]."""
        columns = np.full(self.n_entities, -1)
        columns[slice(None) if ids is None else ids.numpy()] = np.arange(self.n_entities if ids is None else len(ids))
        distinct, query = np.unique(relations, return_inverse=True)
        never = np.ones((columns.max() + 1, len(distinct)), dtype=np.bool_)
        for number, relation in enumerate(distinct):
            at = columns[self.entities[self.offsets[relation] : self.offsets[relation + 1]]]
            never[at[at >= 0], number] = False
        return torch.from_numpy(never[:, query])
