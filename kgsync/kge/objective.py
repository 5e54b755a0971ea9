"""What one training step minimises, and its gradients.

The loss over entities (`criteria`) and, per triple, w_rel times cross-entropy over relations (ComplEx-N3-RP,
Chen et al. 2021, arXiv:2110.02834) and N3 on the three embeddings (Lacroix et al. 2018, arXiv:1806.07297).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from kgsync.kge.criteria import Criterion, Softmax
from kgsync.kge.loss import loss_and_gradients
from kgsync.kge.models import KgeModel

TRIPLES = 8192  # triples whose embeddings are looked up at a time, so that a hub cannot fill the memory
RELATION_FLOATS = 1 << 24  # of relation rows that go with them: fewer triples where these are matrices


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
    anchors = table[batch.anchors].requires_grad_()
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
    if weights.n3 or weights.relation:
        certain = slice(None) if batch.shares is None else batch.shares == 1  # what is only believed adds nothing here
        rows_of, answers_of = batch.rows[certain], batch.answers[certain]
        size = min(TRIPLES, max(1, RELATION_FLOATS // relations.shape[1]))
        for rows, answers in zip(torch.split(rows_of, size), torch.split(answers_of, size), strict=True):
            tails = table[answers].requires_grad_()
            with torch.enable_grad():
                asked = batch.relations[rows]
                part = _side_terms(model, anchors.index_select(0, rows), relations, asked, tails, weights)
            part.backward()  # type: ignore[no-untyped-call]
            loss += float(part.detach())
            for_table.index_add_(0, answers, _grad(tails))
    for_table.index_add_(0, batch.anchors, _grad(anchors))
    return loss, for_table, _grad(relations)


def _side_terms(
    model: KgeModel, heads: Tensor, relations: Tensor, asked: Tensor, tails: Tensor, weights: Weights
) -> Tensor:
    total = torch.zeros(())
    if weights.n3:
        norms = model.cubes(heads) + model.relation_cubes(relations.index_select(0, asked)) + model.cubes(tails)
        total = total + weights.n3 * norms
    if weights.relation:
        scores = model.relation_scores(heads, relations, tails, weights.dtype)  # [T, 2R]
        total = total + weights.relation * cross_entropy(scores, asked, reduction="sum")
    return total


def _grad(leaf: Tensor) -> Tensor:
    return torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
