"""What one training step minimises, and its gradients.

The loss over entities (`criteria`) and, per triple, w_rel times cross-entropy over relations (ComplEx-N3-RP,
Chen et al. 2021, arXiv:2110.02834) and N3 on the three embeddings (Lacroix et al. 2018, arXiv:1806.07297).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, pad

from kgsync.kge.criteria import Criterion, Softmax
from kgsync.kge.loss import loss_and_gradients
from kgsync.kge.models import KgeModel
from kgsync.kge.negatives import EVEN

TRIPLES = 8192  # triples whose embeddings are looked up at a time, so that a hub cannot fill the memory
RELATION_FLOATS = 1 << 24  # of relation rows that go with them: fewer triples where these are matrices
NOTHING = -100  # the target of a row that is there for the shape alone


@dataclass(frozen=True)
class Batch:
    """Distinct queries with all their answers; entities are rows of the table that goes with the batch."""

    anchors: Tensor  # [B]
    relations: Tensor  # [B]
    rows: Tensor  # [T], sorted: the query of each triple
    answers: Tensor  # [T]
    log_weight: Tensor | None = None  # [C]: see `loss_and_gradients`
    barred: Tensor | None = None  # [C, B]: likewise
    shares: Tensor | None = None  # [T]: what each triple counts in the loss over entities, instead of 1
    dropout: Tensor | None = None  # [B, d]: what coordinates of queries are multiplied by (Srivastava et al. 2014)

    def to(self, device: torch.device) -> Batch:
        """Return the batch on that device; on the one where it is, the same tensors."""
        parts = {each.name: getattr(self, each.name) for each in fields(self)}
        moved: dict[str, Any] = {name: part if part is None else part.to(device) for name, part in parts.items()}
        return Batch(**moved)


@dataclass(frozen=True)
class Weights:
    """How much each part of the objective counts, and how precisely products are made."""

    n3: float
    relation: float
    dtype: torch.dtype
    criterion: Callable[[Tensor], Criterion] = Softmax  # the loss over entities


def gradients(model: KgeModel, table: Tensor, batch: Batch, weights: Weights) -> tuple[float, Tensor, Tensor]:
    """Return the summed loss of the batch and its gradients for `table` [C, d] and for the relations [2R, d].

    `table` holds the embeddings of the competing entities: all, or a sample that contains the batch's own.
    """
    relations = model.relations.detach().requires_grad_()
    anchors = table.index_select(0, batch.anchors).requires_grad_()
    with torch.enable_grad():
        queries = model.compose(anchors, relations.index_select(0, batch.relations))
        if batch.dropout is not None:
            queries = queries * batch.dropout
    loss, for_queries, for_table = loss_and_gradients(
        model,
        queries.detach(),
        table,
        batch.rows,
        batch.answers,
        weights.criterion,
        log_weight=batch.log_weight,
        barred=batch.barred,
        shares=batch.shares,
        dtype=weights.dtype,
    )
    with torch.enable_grad():
        weighted = (queries * for_queries).sum()  # passing `for_queries` to backward imports half of torch first
    weighted.backward()  # type: ignore[no-untyped-call]
    for_table.index_add_(0, batch.anchors, _grad(anchors))
    for_relations = _grad(relations)
    certain = slice(None) if batch.shares is None else batch.shares == 1  # what is only believed adds nothing here
    triples = batch.rows[certain], batch.answers[certain]
    if weights.n3:
        heads, asked = batch.anchors[triples[0]], batch.relations[triples[0]]
        cubed = _add_cubes(model.cubes, table, torch.cat([heads, triples[1]]), weights.n3, for_table)
        cubed += _add_cubes(model.relation_cubes, relations.detach(), asked, weights.n3, for_relations)
        loss += cubed
    if weights.relation:
        loss += _predict_relations(model, table, batch, triples, weights, for_table, for_relations)
    return loss, for_table, for_relations


def _add_cubes(
    cubes: Callable[[Tensor], tuple[Tensor, Tensor]], table: Tensor, used: Tensor, weight: float, gradient: Tensor
) -> float:
    """Return `weight` times N3 over the rows `used` [n] of `table`, as often as they are used; add its gradient."""
    rows, counts = torch.unique(used, return_counts=True)
    share = weight * counts
    sums, slopes = cubes(table.index_select(0, rows))
    gradient.index_add_(0, rows, slopes.mul_(share[:, None]))
    return float((sums * share).sum(dtype=torch.float64))


def _predict_relations(
    model: KgeModel,
    table: Tensor,
    batch: Batch,
    triples: tuple[Tensor, Tensor],
    weights: Weights,
    for_table: Tensor,
    for_relations: Tensor,
) -> float:
    """Return the weighted cross-entropy over relations of triples (row, answer); add its gradients."""
    relations = model.relations.detach().requires_grad_()
    size = min(TRIPLES, max(1, RELATION_FLOATS // relations.shape[1]))
    loss = 0.0
    for rows, answers in zip(*(torch.split(part, size) for part in triples), strict=True):
        more = -len(rows) % EVEN if len(rows) > EVEN else 0  # rows that mean nothing
        anchors, answers = pad(batch.anchors[rows], (0, more)), pad(answers, (0, more))
        targets = pad(batch.relations[rows], (0, more), value=NOTHING)
        heads, tails = (table.index_select(0, ends).requires_grad_() for ends in (anchors, answers))
        with torch.enable_grad():
            scores = model.relation_scores(heads, relations, tails, weights.dtype)  # [T, 2R]
            part = weights.relation * cross_entropy(scores, targets, ignore_index=NOTHING, reduction="sum")
        part.backward()  # type: ignore[no-untyped-call]
        loss += float(part.detach())
        for_table.index_add_(0, anchors, _grad(heads))
        for_table.index_add_(0, answers, _grad(tails))
    for_relations += _grad(relations)
    return loss


def _grad(leaf: Tensor) -> Tensor:
    return torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
