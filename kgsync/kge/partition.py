"""Scores without a matrix of all of them: their log-sum-exp over a table, and those of pairs, for every model."""

from __future__ import annotations

import torch
from torch import Tensor

from kgsync.kge.models import KgeModel

BLOCK = 1024  # candidates per product: their scores stay in the cache from the product to the sum
PAIRS = 16  # per product, of which the diagonal is used: as slow as that many, and far faster than one by one


def log_sum_exp(model: KgeModel, table: Tensor, queries: Tensor) -> Tensor:
    """Return log sum_c exp(s_c) [B] over the candidates `table` [C, d]; differentiable in `queries` [B, d].

    Each block is seen once: sum and gradient grow side by side, relative to the highest score so far (the "online
    softmax" of Milakov and Gimelshein 2018, arXiv:1805.02867).
    """
    inputs = queries.detach()
    top = torch.full((len(inputs),), -torch.inf)
    total, gradient = torch.zeros(len(inputs)), torch.zeros_like(inputs)
    with torch.no_grad():
        for block in torch.split(table, BLOCK):
            scores = model.similarity(block, inputs)  # [c, B]
            higher = torch.maximum(top, scores.amax(dim=0))
            kept = (top - higher).exp()
            shares = scores.sub_(higher).exp_()
            total = total * kept + shares.sum(dim=0)
            if queries.requires_grad:
                gradient = gradient * kept[:, None] + model.pull_back(block, inputs, shares)[1]
            top = higher
        log_sums = top + total.log()
    if not queries.requires_grad:
        return log_sums
    return log_sums + ((queries - inputs) * (gradient / total[:, None])).sum(dim=1)  # 0 that has the gradient


def paired(model: KgeModel, candidates: Tensor, queries: Tensor) -> Tensor:
    """Return the scores [B] of candidate i for query i, both [B, d]; differentiable in both."""
    parts = zip(torch.split(candidates, PAIRS), torch.split(queries, PAIRS), strict=True)
    return torch.cat([model.similarity(*part).diagonal() for part in parts])
