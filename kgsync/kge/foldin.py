"""Fold-in: rows of embeddings for entities that came after training, from their edges; all else stays as it is.

Reads a model and integer triples. Promises that the row of a new entity depends on nothing but its own edges (and
on new neighbours), that equal edges give equal rows, and that no row is worse than the one it starts from.

A row x minimises, over the edges of its entity, the cross-entropies of the training (`criteria.Softmax`):

    sum_(x, r, t) w (-log p(t | x, r) - log p(x | t, r'))  +  W mean_q log(1 + exp(s_q(x)) / Z_q)  +  |x - x0|² H / 2σ²

- w is 1, or how much an edge counts that is only expected. That counts less still in -log p(x | t, r'): new entities
  would crowd out others as answers.
- The second part is what training lets an entity lose as a competitor in all queries q that it does not answer, Z_q
  being the sum of exp(s) over the known entities. Few edges of a new entity are known yet, so W is the weight of all
  training queries times the share of a mean entity's edges that it has. Without it, new entities crowd out others.
- The last part replaces N3, which is far too weak where there is one edge: σ² is the variance of the known rows.
- x0 is the mean of the known rows, each weighing as much as the model believes that it has these very edges:
  softmax over known entities of sum_edges w s(t, r') / sqrt(sum_edges w).

For models whose score is a product it is strictly convex. What it finds: benchmarks/results/new-entities-*.json.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from kgsync.errors import DataError
from kgsync.kge.descent import descend
from kgsync.kge.known import check_triples
from kgsync.kge.models import KgeModel, as_tensor, made_of
from kgsync.kge.partition import log_sum_exp, paired

HOLD = 0.5  # H: how firmly a row is held to where it starts
AS_ANSWER = 0.3  # of the weight of an edge that is only expected
STEPS = 12
BACKGROUND = 512  # queries of the training in which new rows compete: a sample stands for all
LIVE_SCORES = 1 << 24  # scores kept at a time (64 MiB)
ROWS = 256  # new entities at a time, at most


@torch.no_grad()
def fold_in(
    model: KgeModel,
    edges: np.ndarray[Any, Any],
    n_new: int,
    *,
    trained_on: np.ndarray[Any, Any] | None = None,
    weights: np.ndarray[Any, Any] | None = None,
    otherwise: Tensor | None = None,
) -> Tensor:
    """Return rows [n_new, d] for new entities, which `edges` [m, 3] number from `model.n_entities` on.

    Each edge has at least one new end, and counts as much as `weights` [m] say: less than 1 where it is only expected.
    An entity that no path of edges joins to a known one gets its row of `otherwise` [n_new, d], else the mean row.
    `trained_on` [n, 3], the triples of the training, keep new entities from crowding out known ones.

    Raises:
        DataError: ids are out of range, or an edge joins two known entities.
    """
    n_known = model.n_entities
    check_triples(edges, n_known + n_new, model.n_relations)
    links = _links(edges, n_known, model.n_relations, weights)
    table = model.entities.detach()
    ends = torch.cat([table, table.mean(dim=0).repeat(n_new, 1) if otherwise is None else otherwise])
    background = None if trained_on is None else _background(model, trained_on)
    placed = torch.arange(len(ends)) < n_known
    todo, again = torch.unique(links.rows), torch.unique(links.rows[links.others >= n_known])
    while len(todo):
        usable = links[placed[links.others] & torch.isin(links.rows, todo)]
        ends = _settle(model, ends, usable, background)
        before, reached = int(placed.sum()), torch.unique(usable.rows)
        placed[n_known + reached] = True
        todo = again if placed.sum() > before else todo[:0]
    return ends[n_known:]


def _settle(model: KgeModel, ends: Tensor, links: _Links, background: _Background | None) -> Tensor:
    """Return `ends` [E + n_new, d] with new rows for those that have links; their neighbours count as in `ends`."""
    n_known = model.n_entities
    found = ends.clone()
    for chosen in torch.split(torch.unique(links.rows), max(1, min(ROWS, LIVE_SCORES // n_known))):
        part = links[torch.isin(links.rows, chosen)]
        own = torch.searchsorted(chosen, part.rows)
        group = _Group(model, ends, replace(part, rows=own), len(chosen), background)
        found[n_known + chosen] = group.rows()
    return found


def extended(model: KgeModel, rows: Tensor) -> KgeModel:
    """Return the model with more entities, whose `rows` [n, d] follow those it has."""
    entities = torch.cat([model.entities.detach(), rows])
    return made_of(model.name, model.rank, entities, model.relations.detach().clone())


@dataclass(frozen=True)
class _Links:
    """Edges as their new ends see them, sorted by these: (row, relation) asks for `others`."""

    rows: Tensor  # [m], from 0
    relations: Tensor  # [m], to 2 * n_relations: the second half where the new entity is the tail
    others: Tensor  # [m], the entities at the other ends
    weights: Tensor  # [m], how much each counts

    def __getitem__(self, chosen: Tensor) -> _Links:
        return _Links(self.rows[chosen], self.relations[chosen], self.others[chosen], self.weights[chosen])


def _links(
    edges: np.ndarray[Any, Any], n_known: int, n_relations: int, weights: np.ndarray[Any, Any] | None = None
) -> _Links:
    """Return the links of `edges`: an edge between two new entities gives one to each, a loop none."""
    heads, relations, tails = as_tensor(edges.reshape(-1, 3)).T
    old = torch.maximum(heads, tails) < n_known
    if old.any():
        first = int(old.nonzero()[0])
        raise DataError(
            f"edge {first} joins two known entities, {int(heads[first])} and {int(tails[first])}",
            fix="give only edges of new entities; to learn from others, train again",
        )
    both = torch.cat([heads, tails]), torch.cat([relations, relations + n_relations]), torch.cat([tails, heads])
    triples = torch.stack(both, dim=1)
    counted = torch.ones(len(edges)) if weights is None else torch.from_numpy(weights.astype(np.float32))
    new = (triples[:, 0] >= n_known) & (triples[:, 0] != triples[:, 2])
    found, places = torch.unique(triples[new], dim=0, return_inverse=True)  # a duplicate counts once, at its most
    most = torch.zeros(len(found)).scatter_reduce_(0, places, counted.repeat(2)[new], "amax")
    rows, asked, others = found.T
    return _Links(rows - n_known, asked, others, most)


@dataclass(frozen=True)
class _Background:
    """Queries of the training, and what new rows compete with there."""

    queries: Tensor  # [B, d]
    log_sums: Tensor  # [B]: log Z
    total: float  # how many the sample stands for


def _background(model: KgeModel, triples: np.ndarray[Any, Any]) -> _Background | None:
    """Return an even sample of both directions of `triples`; None where there are none."""
    check_triples(triples, model.n_entities, model.n_relations)
    heads, relations, tails = as_tensor(triples).T
    anchors, asked = torch.cat([heads, tails]), torch.cat([relations, relations + model.n_relations])
    if len(anchors) == 0:
        return None
    chosen = torch.randperm(len(anchors), generator=torch.Generator().manual_seed(0))[:BACKGROUND]
    queries = model.queries(anchors[chosen], asked[chosen])
    return _Background(queries, log_sum_exp(model, model.entities.detach(), queries), float(len(anchors)))


class _Group:
    """Some new rows and what is known about them; `ends` [E + n_new, d] do not move."""

    def __init__(self, model: KgeModel, ends: Tensor, links: _Links, n: int, background: _Background | None) -> None:
        self.model = model
        self.ends = ends
        self.table = ends[: model.n_entities]
        self.links = links
        self.n = n
        self.degrees = torch.zeros(n).index_add_(0, links.rows, links.weights)
        self.answering = torch.where(links.weights < 1, AS_ANSWER * links.weights, links.weights)
        self.variance = float(self.table.var(dim=0, correction=0).mean().clamp_min(1e-12))
        n_relations = model.n_relations
        own = torch.stack([links.rows, links.relations], dim=1)
        self.own, self.asks = torch.unique(own, dim=0, return_inverse=True)  # the distinct queries of the new entities
        self.known = links.others < model.n_entities
        asked = torch.stack([links.others, (links.relations + n_relations) % (2 * n_relations)], dim=1)
        distinct, self.asked = torch.unique(asked, dim=0, return_inverse=True)  # those that the new entities answer
        self.queries = model.compose(ends[distinct[:, 0]], model.relations[distinct[:, 1]])
        self.log_sums = log_sum_exp(model, self.table, self.queries)
        self.background = background

    def rows(self) -> Tensor:
        """Return the rows [n, d]."""
        self.start = self._start()
        return descend(self._losses, self.start, self.variance / HOLD, STEPS)

    def _start(self) -> Tensor:
        """Return x0."""
        beliefs = torch.zeros(self.n, len(self.table))
        size = max(1, LIVE_SCORES // len(self.table))
        parts = (torch.split(each, size) for each in (self.links.rows, self.asked, self.links.weights))
        for rows, asked, weights in zip(*parts, strict=True):
            scores = self.model.similarity(self.table, self.queries[asked]).T  # [l, E]
            beliefs.index_add_(0, rows, scores * weights[:, None])
        beliefs /= self.degrees.sqrt()[:, None]
        return torch.softmax(beliefs, dim=1) @ self.table

    def _losses(self, rows: Tensor) -> Tensor:
        """Return the loss of each row."""
        losses = (rows - self.start).square().sum(dim=1) * (HOLD / self.variance / 2)
        told = self._as_anchors(rows) * self.links.weights + self._as_answers(rows) * self.answering
        losses = losses.index_add(0, self.links.rows, told)
        return losses if self.background is None else losses + self._as_competitors(rows, self.background)

    def _as_anchors(self, rows: Tensor) -> Tensor:
        """Return -log p(t | x, r) of each link; a t that is new itself competes, too."""
        queries = self.model.compose(rows[self.own[:, 0]], self.model.relations.detach()[self.own[:, 1]])
        gaps = log_sum_exp(self.model, self.table, queries)[self.asks]
        gaps = gaps - paired(self.model, self.ends[self.links.others], queries[self.asks])
        return torch.where(self.known, gaps, softplus(gaps))

    def _as_answers(self, rows: Tensor) -> Tensor:
        """Return -log p(x | t, r') of each link."""
        scores = paired(self.model, rows[self.links.rows], self.queries[self.asked])
        return softplus(self.log_sums[self.asked] - scores)

    def _as_competitors(self, rows: Tensor, background: _Background) -> Tensor:
        """Return W mean_q log(1 + exp(s_q) / Z_q) of each row."""
        scores = self.model.similarity(rows, background.queries)  # [n, B]
        weights = (self.degrees * float(len(self.table))).clamp_max(background.total)
        return softplus(scores - background.log_sums).mean(dim=1) * weights
