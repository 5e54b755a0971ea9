"""A loss over distinct queries and its gradients, blockwise: scores exist for a few queries at a time.

One row of scores per distinct query instead of one per triple gives exactly the same objective.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from kgsync.kge.criteria import Block, Criterion, Softmax
from kgsync.kge.device import at_once
from kgsync.kge.models import KgeModel, ProductModel

LIVE_SCORES = 1 << 24  # scores kept at a time (64 MiB): more queries than that go in several chunks
BLOCK = 1024  # candidates per product: their scores stay in the cache from the product to the sum


@torch.no_grad()
def loss_and_gradients(
    model: KgeModel,
    queries: Tensor,
    table: Tensor,
    rows: Tensor,
    answers: Tensor,
    criterion: Callable[[Tensor], Criterion] = Softmax,
    *,
    log_weight: Tensor | None = None,
    barred: Tensor | None = None,
    shares: Tensor | None = None,
    dtype: torch.dtype = torch.float32,
) -> tuple[float, Tensor, Tensor]:
    """Return the loss and its gradients for `queries` [B, d] and for the candidates `table` [C, d].

    Pair i says that candidate row `answers[i]` answers query `rows[i]`, and counts `shares[i]`, or 1; pairs are
    distinct and sorted by `rows`. In the sum over candidates, candidate c that is not an answer counts
    exp(log_weight[c]) times (a sample stands for more than itself), and not at all where `barred` [C, B] says so; no
    answer is barred. Products are made in `dtype`, all else in float32.
    """
    loss = 0.0
    for_queries, for_table = torch.zeros_like(queries), torch.zeros_like(table)
    inputs, candidates = queries.to(dtype), table.to(dtype)
    device, size = table.device, max(1, LIVE_SCORES // len(table))
    width = at_once(BLOCK, device)
    products, paired = isinstance(model, ProductModel), False
    for start in range(0, len(queries), size):
        stop = min(start + size, len(queries))
        first, last = (int(torch.searchsorted(rows, end)) for end in (start, stop))
        order = answers[first:last].argsort(stable=True)
        columns, ranked = rows[first:last][order] - start, answers[first:last][order]  # pairs by candidate
        edges = torch.searchsorted(ranked, torch.arange(0, len(table) + width, width, device=device)).tolist()
        counted = None if shares is None else shares[first:last][order]
        part = criterion(torch.bincount(columns, counted, minlength=stop - start))
        q = inputs[start:stop]  # [b, d]

        blocks = []
        for number, low in enumerate(range(0, len(table), width)):
            pairs = slice(edges[number], edges[number + 1])
            scores = model.similarity(candidates[low : low + width], q)  # [c, b]
            weight = _log_weight(log_weight, barred, slice(low, low + width), slice(start, stop))
            weight = None if weight is None else weight.expand_as(scores)
            each = 1.0 if counted is None else counted[pairs]
            blocks.append(Block(low, scores, (ranked[pairs] - low, columns[pairs]), weight, each))
            part.see(blocks[-1])
        part.finish()
        loss += part.total

        for block in blocks:
            at = slice(block.low, block.low + width)
            parts = part.factors(block) if products else None
            if parts is None:
                for_block, for_chunk = model.pull_back(candidates[at], q, part.gradient(block))
                for_queries[start:stop] += for_chunk
            else:
                slopes, factor = parts[0], parts[1][:, None]
                for_block, for_chunk = model.pull_back(candidates[at], (q * factor).to(dtype), slopes)
                for_queries[start:stop].addcmul_(for_chunk, factor)
                paired = True
            for_table[at] += for_block
    if paired:
        asked, answered = queries.index_select(0, rows), table.index_select(0, answers)
        if shares is not None:
            asked, answered = asked * shares[:, None], answered * shares[:, None]
        for_table.index_add_(0, answers, asked, alpha=-1)
        for_queries.index_add_(0, rows, answered, alpha=-1)
    return loss, for_queries, for_table


def _log_weight(log_weight: Tensor | None, barred: Tensor | None, rows: slice, columns: slice) -> Tensor | None:
    """Return the log-weights of a block, [c, 1] or [c, b]; None where all are 0."""
    weight = None if log_weight is None else log_weight[rows, None]
    if barred is None:
        return weight
    return torch.where(barred[rows, columns], -torch.inf, 0.0 if weight is None else weight)
