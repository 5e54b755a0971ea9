"""Embedding models: one score function each, with reciprocal relations; higher is better.

Relation ids run to 2 * n_relations: (h, r) asks for tails, (t, r + n_relations) for heads (Lacroix et al.
2018, arXiv:1806.07297). `h`, `r`, `t` below are rows of embeddings.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from kgsync.errors import ConfigError

SCORE_BLOCK = 1024  # candidates per product: the block is transposed while it is still in the cache


class KgeModel(torch.nn.Module):
    """A table of entity rows and one of relation rows, joined by `compose` and `similarity`.

    The score of (h, r, t) is `similarity(t, compose(h, r))`, and the same as `similarity(r, relate(h, t))`.
    """

    name: str
    width = 1  # floats per entity and rank
    init = 1e-3  # standard deviation of the first embeddings
    bf16_safe = False  # whether products of that precision are good enough to train with

    def __init__(self, n_entities: int, n_relations: int, rank: int, seed: int) -> None:
        super().__init__()
        self.n_entities = n_entities
        self.n_relations = n_relations
        self.rank = rank
        generator = torch.Generator().manual_seed(seed)
        dim = self.width * rank
        self.entities = torch.nn.Parameter(torch.randn(n_entities, dim, generator=generator) * self.init)
        self.relations = torch.nn.Parameter(torch.randn(2 * n_relations, dim, generator=generator) * self.init)

    def compose(self, anchors: Tensor, relations: Tensor) -> Tensor:
        """Return the query [B, d] of anchor rows [B, d] and relation rows [B, d]."""
        raise NotImplementedError

    def relate(self, heads: Tensor, tails: Tensor) -> Tensor:
        """Return the query [B, d] that asks for the relation between head rows and tail rows [B, d]."""
        raise NotImplementedError

    def similarity(self, candidates: Tensor, queries: Tensor) -> Tensor:
        """Return scores [C, B] of candidate rows [C, d] for queries [B, d].

        Candidates come first: tall products in this orientation are up to twice as fast on a CPU.
        """
        raise NotImplementedError

    def pull_back(self, candidates: Tensor, queries: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradients [C, d] and [B, d] that `gradient` [C, B] of `similarity` gives its inputs."""
        with torch.enable_grad():
            inputs = candidates.detach().requires_grad_(), queries.detach().requires_grad_()
            scores = self.similarity(*inputs)
        for_candidates, for_queries = torch.autograd.grad(scores, inputs, gradient)
        return for_candidates, for_queries

    def cubes(self, rows: Tensor) -> Tensor:
        """Return the sum of |x|³ over `rows`, of which N3 is made (Lacroix et al. 2018)."""
        return rows.abs().pow(3).sum()

    @torch.no_grad()
    def queries(self, anchors: Tensor, relations: Tensor) -> Tensor:
        """Return the queries [B, d] of anchor ids [B] and relation ids [B]."""
        return self.compose(self.entities[anchors], self.relations[relations])

    @torch.no_grad()
    def scores(self, anchors: Tensor, relations: Tensor, candidates: Tensor | None = None) -> Tensor:
        """Return float32 scores [B, C] of the candidate ids (None: every entity), higher is better."""
        queries = self.queries(anchors, relations)
        table = self.entities if candidates is None else self.entities[candidates]
        scores = torch.empty(len(queries), len(table))
        for start in range(0, len(table), SCORE_BLOCK):
            stop = start + SCORE_BLOCK
            scores[:, start:stop] = self.similarity(table[start:stop], queries).T
        return scores


class ProductModel(KgeModel):
    """A model whose score is an inner product of the query and the candidate."""

    bf16_safe = True

    def similarity(self, candidates: Tensor, queries: Tensor) -> Tensor:
        """Return <q, t>."""
        return (candidates @ queries.T).float()

    def pull_back(self, candidates: Tensor, queries: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Return dS/dt and dS/dq, each one product."""
        gradient = gradient.to(candidates.dtype)
        return (gradient @ queries).float(), (gradient.T @ candidates).float()


class DistMult(ProductModel):
    """Yang et al. 2015, arXiv:1412.6575: sum_i h_i r_i t_i."""

    name = "distmult"

    def compose(self, anchors: Tensor, relations: Tensor) -> Tensor:
        """Return h ∘ r."""
        return anchors * relations

    def relate(self, heads: Tensor, tails: Tensor) -> Tensor:
        """Return h ∘ t."""
        return heads * tails


class ComplEx(ProductModel):
    """Trouillon et al. 2016, arXiv:1606.06357: Re(sum_i h_i r_i conj(t_i)); a row is [real | imaginary]."""

    name = "complex"
    width = 2

    def compose(self, anchors: Tensor, relations: Tensor) -> Tensor:
        """Return h ∘ r, so that Re<h ∘ r, conj t> is the inner product with the row of t."""
        (a, b), (c, d) = anchors.chunk(2, dim=1), relations.chunk(2, dim=1)
        return torch.cat([a * c - b * d, a * d + b * c], dim=1)

    def relate(self, heads: Tensor, tails: Tensor) -> Tensor:
        """Return conj(h) ∘ t: Re(sum h r conj(t)) is its inner product with the row of r."""
        (a, b), (c, d) = heads.chunk(2, dim=1), tails.chunk(2, dim=1)
        return torch.cat([a * c + b * d, a * d - b * c], dim=1)

    def cubes(self, rows: Tensor) -> Tensor:
        """Return the sum of |z|³ over complex numbers z."""
        real, imaginary = rows.chunk(2, dim=1)
        return (real.square() + imaginary.square()).pow(1.5).sum()


class TransE(KgeModel):
    """Bordes et al. 2013 (NIPS 26): -||h + r - t||_p, p = 1 or 2."""

    norm: float

    def compose(self, anchors: Tensor, relations: Tensor) -> Tensor:
        """Return h + r."""
        return anchors + relations

    def relate(self, heads: Tensor, tails: Tensor) -> Tensor:
        """Return t - h."""
        return tails - heads

    def similarity(self, candidates: Tensor, queries: Tensor) -> Tensor:
        """Return -||q - t||_p; for p = 2 through ||q||² + ||t||² - 2<q, t>, one product."""
        return -torch.cdist(candidates, queries, p=self.norm, compute_mode="use_mm_for_euclid_dist")


class TransEL1(TransE):
    """TransE with the Manhattan distance."""

    name = "transe-l1"
    norm = 1.0


class TransEL2(TransE):
    """TransE with the Euclidean distance."""

    name = "transe-l2"
    norm = 2.0


MODELS: dict[str, type[KgeModel]] = {kind.name: kind for kind in (ComplEx, DistMult, TransEL1, TransEL2)}


def create(name: str, n_entities: int, n_relations: int, rank: int, seed: int) -> KgeModel:
    """Return a new model; equal arguments give equal embeddings.

    `rank` counts complex numbers for complex and floats for the others.

    Raises:
        ConfigError: there is no model of that name, or a size is less than 1.
    """
    if name not in MODELS:
        raise ConfigError(f"there is no embedding model {name!r}", fix=f"choose one of {', '.join(MODELS)}")
    if min(n_entities, n_relations, rank) < 1:
        raise ConfigError(
            f"a model needs entities, relations and a rank, got {n_entities}, {n_relations} and {rank}",
            fix="give at least 1 of each",
        )
    return MODELS[name](n_entities, n_relations, rank, seed)


def as_tensor(ids: np.ndarray[Any, Any]) -> Tensor:
    """Return entity or relation ids as an index tensor."""
    return torch.from_numpy(np.ascontiguousarray(ids, dtype=np.int64))
