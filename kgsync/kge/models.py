"""Embedding models: one score function each, with reciprocal relations; higher is better.

Relation ids run to 2 * n_relations: (h, r) asks for tails, (t, r + n_relations) for heads (Lacroix et al.
2018, arXiv:1806.07297). `h`, `r`, `t` below are rows of embeddings.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from kgsync.errors import ConfigError
from kgsync.kge.device import at_once

SCORE_BLOCK = 1024  # candidates per product: the block is transposed while it is still in the cache
LIVE_DIFFERENCES = 1 << 16  # coordinates that RotatE compares at a time: they stay in the cache
RELATION_DIFFERENCES = 1 << 18  # the same for its relations, where every part costs the time of a checkpoint
TINY = 1e-24  # squared distance below which the gradient of a distance counts as 0


class KgeModel(torch.nn.Module):
    """A table of entity rows [E, d] and one of relation rows [2R, w], joined by `compose` and `similarity`.

    The score of (h, r, t) is `similarity(t, compose(h, r))`; `relation_scores` gives the same for all r at once.
    """

    name: str
    init = 1e-3  # standard deviation of the first embeddings
    margin = 0.0  # what makes logits of scores that are negative distances, if nothing else is asked for
    bf16_safe = False  # whether products of that precision are good enough to train with

    def __init__(self, n_entities: int, n_relations: int, rank: int, seed: int) -> None:
        super().__init__()
        self.n_entities = n_entities
        self.n_relations = n_relations
        self.rank = rank
        generator = torch.Generator().manual_seed(seed)
        width, relation_width = self.widths(rank)
        self.entities = torch.nn.Parameter(torch.randn(n_entities, width, generator=generator) * self.init)
        self.relations = torch.nn.Parameter(self.first_relations(2 * n_relations, relation_width, generator))

    @staticmethod
    def widths(rank: int) -> tuple[int, int]:
        """Return d and w: how many floats an entity row and a relation row hold."""
        return rank, rank

    def first_relations(self, amount: int, width: int, generator: torch.Generator) -> Tensor:
        """Return the relation rows [amount, width] that training starts from."""
        return torch.randn(amount, width, generator=generator) * self.init

    def compose(self, anchors: Tensor, relations: Tensor) -> Tensor:
        """Return the query [B, d] of anchor rows [B, d] and relation rows [B, w]."""
        raise NotImplementedError

    def relate(self, heads: Tensor, tails: Tensor) -> Tensor:
        """Return the query [B, w] that asks for the relation between head rows and tail rows [B, d].

        Its `similarity` to a relation row is the score. A model without such a query has `relation_scores`.
        """
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
            weighted = (scores * gradient).sum()  # passing `gradient` to grad itself imports half of torch first
        for_candidates, for_queries = torch.autograd.grad(weighted, inputs)
        return for_candidates, for_queries

    def relation_scores(
        self, heads: Tensor, relations: Tensor, tails: Tensor, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        """Return scores [T, C] of candidate relation rows [C, w] between head rows and tail rows [T, d].

        Products are made in `dtype`, if the model is `bf16_safe`.
        """
        return self.similarity(relations.to(dtype), self.relate(heads, tails).to(dtype)).T.float()

    def cubes(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sum [n] of |x|³ of each entity row [n, d], and its slope 3 |x| x [n, d].

        N3 is made of these (Lacroix et al. 2018).
        """
        slopes = rows * rows.abs()
        return (slopes * rows).abs_().sum(dim=1), slopes.mul_(3)

    def relation_cubes(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the same of relation rows."""
        return self.cubes(rows)

    @torch.no_grad()
    def queries(self, anchors: Tensor, relations: Tensor) -> Tensor:
        """Return the queries [B, d] of anchor ids [B] and relation ids [B]."""
        return self.compose(self.entities[anchors], self.relations[relations])

    def exact(self) -> KgeModel:
        """Return the model in double precision."""
        return copy.deepcopy(self).double()

    def tensors(self) -> dict[str, Tensor]:
        """Return the embeddings."""
        return self.state_dict()

    @torch.no_grad()
    def scores(self, anchors: Tensor, relations: Tensor, candidates: Tensor | None = None) -> Tensor:
        """Return float32 scores [B, C] of the candidate ids (None: every entity), higher is better."""
        device = self.entities.device
        queries = self.queries(anchors.to(device), relations.to(device))
        table = self.entities if candidates is None else self.entities[candidates.to(device)]
        scores = torch.empty(len(queries), len(table), device=device)
        size = at_once(SCORE_BLOCK, device)
        for start in range(0, len(table), size):
            stop = start + size
            scores[:, start:stop] = self.similarity(table[start:stop], queries).T
        return scores


class ProductModel(KgeModel):
    """A model whose score is an inner product of the query and the candidate."""

    bf16_safe = True

    def similarity(self, candidates: Tensor, queries: Tensor) -> Tensor:
        """Return <q, t>, in the precision of both."""
        return candidates @ queries.T

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

    @staticmethod
    def widths(rank: int) -> tuple[int, int]:
        """Return two floats per complex number, for both."""
        return 2 * rank, 2 * rank

    def compose(self, anchors: Tensor, relations: Tensor) -> Tensor:
        """Return h ∘ r, so that Re<h ∘ r, conj t> is the inner product with the row of t."""
        return _times(anchors, *relations.chunk(2, dim=1))

    def relate(self, heads: Tensor, tails: Tensor) -> Tensor:
        """Return conj(h) ∘ t: Re(sum h r conj(t)) is its inner product with the row of r."""
        (a, b), (c, d) = heads.chunk(2, dim=1), tails.chunk(2, dim=1)
        return torch.cat([a * c + b * d, a * d - b * c], dim=1)

    def cubes(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sum of |z|³ over the complex numbers z of each row, and its slope."""
        return _cubes(rows)


class Rescal(ProductModel):
    """Nickel et al. 2011 (ICML 28): hᵀ R t, each relation row being a matrix R [d, d]."""

    name = "rescal"
    init = 0.1

    @staticmethod
    def widths(rank: int) -> tuple[int, int]:
        """Return d and d²."""
        return rank, rank * rank

    def compose(self, anchors: Tensor, relations: Tensor) -> Tensor:
        """Return hᵀ R."""
        matrices = relations.view(len(relations), anchors.shape[1], anchors.shape[1])  # [B, d, d]
        return torch.bmm(anchors[:, None], matrices)[:, 0]

    def relate(self, heads: Tensor, tails: Tensor) -> Tensor:
        """Return h tᵀ: hᵀ R t is its inner product with R."""
        return (heads[:, :, None] * tails[:, None]).flatten(1)

    @torch.no_grad()
    def queries(self, anchors: Tensor, relations: Tensor) -> Tensor:
        """Return the queries [B, d], without a copy of its relation's matrix for each."""
        queries = self.entities.new_empty(len(anchors), self.rank)
        for relation in set(relations.tolist()):
            at = relations == relation
            queries[at] = self.entities[anchors[at]] @ self.relations[relation].view(self.rank, self.rank)
        return queries


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
    margin = 9.0


class TransEL2(TransE):
    """TransE with the Euclidean distance."""

    name = "transe-l2"
    norm = 2.0
    margin = 3.0


class RotatE(KgeModel):
    """Sun et al. 2019, arXiv:1902.10197: -sum_i |h_i r_i - t_i| over complex h, t and r_i = exp(i φ_i).

    An entity row is [real | imaginary], a relation row holds the phases φ, so that |r_i| = 1 needs no upkeep.
    """

    name = "rotate"
    init = 0.1
    margin = 9.0

    @staticmethod
    def widths(rank: int) -> tuple[int, int]:
        """Return two floats per complex number, and one per phase."""
        return 2 * rank, rank

    def first_relations(self, amount: int, width: int, generator: torch.Generator) -> Tensor:
        """Return phases from the whole circle."""
        return (2 * torch.rand(amount, width, generator=generator) - 1) * math.pi

    def compose(self, anchors: Tensor, relations: Tensor) -> Tensor:
        """Return h ∘ r."""
        return _times(anchors, relations.cos(), relations.sin())

    def similarity(self, candidates: Tensor, queries: Tensor) -> Tensor:
        """Return -sum_i |q_i - t_i|, a few candidates at a time."""
        parts = torch.split(candidates, self._at_a_time(queries))
        return torch.cat([-_moduli(*self._differences(part, queries)).sum(dim=2) for part in parts])

    def pull_back(self, candidates: Tensor, queries: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradients by d|z|/dz = z / |z|, recomputing the differences that `similarity` drops."""
        for_candidates, for_queries = [], torch.zeros_like(queries)
        size = self._at_a_time(queries)
        for part, slope in zip(torch.split(candidates, size), torch.split(gradient, size), strict=True):
            real, imaginary = self._differences(part, queries)  # [c, B, k]
            slopes = _moduli(real, imaginary).reciprocal_().mul_(slope[:, :, None])
            real.mul_(slopes)
            imaginary.mul_(slopes)
            for_candidates.append(torch.cat([real.sum(dim=1), imaginary.sum(dim=1)], dim=1))
            for_queries += torch.cat([real.sum(dim=0), imaginary.sum(dim=0)], dim=1)
        return -torch.cat(for_candidates), for_queries

    def relation_scores(
        self, heads: Tensor, relations: Tensor, tails: Tensor, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        """Return scores [T, C], a few triples at a time, whose differences are made again for the gradient."""
        size = max(1, at_once(RELATION_DIFFERENCES, relations.device) // relations.numel())
        rotations = relations.cos(), relations.sin()
        parts = [
            checkpoint(self._between, head, *rotations, tail, use_reentrant=False, preserve_rng_state=False)
            for head, tail in zip(torch.split(heads, size), torch.split(tails, size), strict=True)
        ]
        return torch.cat(parts)

    def cubes(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sum of |z|³ over the complex numbers z of each row, and its slope."""
        return _cubes(rows)

    def relation_cubes(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sum of |r_i|³ = 1 of each row, and no slope: there is nothing to regularise."""
        return torch.full((len(rows),), float(rows.shape[1]), device=rows.device), torch.zeros_like(rows)

    @staticmethod
    def _between(heads: Tensor, real: Tensor, imaginary: Tensor, tails: Tensor) -> Tensor:
        """Return -sum_i |h_i r_i - t_i| [T, C] for each pair [T, 2k] and each r [C, k]."""
        (a, b), (c, d) = heads[:, None].chunk(2, dim=2), tails[:, None].chunk(2, dim=2)
        return -_moduli(a * real - b * imaginary - c, a * imaginary + b * real - d).sum(dim=2)

    @staticmethod
    def _at_a_time(queries: Tensor) -> int:
        return max(1, at_once(LIVE_DIFFERENCES, queries.device) // max(1, queries.numel() // 2))

    @staticmethod
    def _differences(candidates: Tensor, queries: Tensor) -> tuple[Tensor, Tensor]:
        """Return the real and the imaginary part of t - q, [C, B, k] each."""
        (a, b), (c, d) = candidates.chunk(2, dim=1), queries.chunk(2, dim=1)
        return a[:, None] - c, b[:, None] - d


def _times(rows: Tensor, real: Tensor, imaginary: Tensor) -> Tensor:
    """Return the complex products of `rows` [real | imaginary] with other complex numbers, laid out alike."""
    a, b = rows.chunk(2, dim=1)
    return torch.cat([a * real - b * imaginary, a * imaginary + b * real], dim=1)


def _cubes(rows: Tensor) -> tuple[Tensor, Tensor]:
    real, imaginary = rows.chunk(2, dim=1)
    squares = real.square().addcmul_(imaginary, imaginary)
    moduli = squares.sqrt()
    sums = squares.mul_(moduli).sum(dim=1)
    return sums, rows * moduli.mul_(3).repeat(1, 2)


def _moduli(real: Tensor, imaginary: Tensor) -> Tensor:
    return real.square().addcmul_(imaginary, imaginary).clamp_min_(TINY).sqrt_()


MODELS: dict[str, type[KgeModel]] = {
    kind.name: kind for kind in (ComplEx, DistMult, TransEL1, TransEL2, RotatE, Rescal)
}


def create(name: str, n_entities: int, n_relations: int, rank: int, seed: int) -> KgeModel:
    """Return a new model; equal arguments give equal embeddings.

    `rank` counts complex numbers for complex and rotate, and floats for the others.

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


def made_of(name: str, rank: int, entities: Tensor, relations: Tensor) -> KgeModel:
    """Return the model of that kind and rank whose rows are `entities` [E, d] and `relations` [2R, w]."""
    model = create(name, 1, 1, rank, seed=0)
    model.n_entities, model.n_relations = len(entities), len(relations) // 2
    model.entities, model.relations = torch.nn.Parameter(entities), torch.nn.Parameter(relations)
    return model


def as_tensor(ids: np.ndarray[Any, Any]) -> Tensor:
    """Return entity or relation ids as an index tensor."""
    return torch.from_numpy(np.ascontiguousarray(ids, dtype=np.int64))
