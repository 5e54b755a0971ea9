"""The 1-vs-all cross-entropy over distinct queries, with its gradients by hand.

One row per distinct query instead of one per triple gives exactly the same objective,
sum_q k_q logsumexp(s_q) - sum_{t in T_q} s_qt, where query q has the k_q answers T_q.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kgsync.kge.models import KgeModel

LIVE_SCORES = 1 << 24  # scores kept at a time (64 MiB): more queries than that go in several chunks
BLOCK = 1024  # candidates per product: their scores stay in the cache from the product to the sum


@torch.no_grad()
def softmax_loss(
    model: KgeModel,
    queries: Tensor,
    table: Tensor,
    rows: Tensor,
    answers: Tensor,
    *,
    log_weight: Tensor | None = None,
    dtype: torch.dtype = torch.float32,
) -> tuple[float, Tensor, Tensor]:
    """Return the loss and its gradients for `queries` [B, d] and for the candidates `table` [C, d].

    Pair i says that candidate row `answers[i]` answers query `rows[i]`; pairs are distinct and sorted by
    `rows`. In the sum over candidates, candidate c that is not an answer counts exp(log_weight[c]) times (a
    sample stands for more than itself). Products are made in `dtype`, all else in float32.
    """
    loss = 0.0
    for_queries, for_table = torch.zeros_like(queries), torch.zeros_like(table)
    inputs, candidates = queries.to(dtype), table.to(dtype)
    size = max(1, LIVE_SCORES // len(table))
    for start in range(0, len(queries), size):
        stop = min(start + size, len(queries))
        first, last = torch.searchsorted(rows, torch.tensor([start, stop])).tolist()
        order = answers[first:last].argsort(stable=True)
        columns, ranked = rows[first:last][order] - start, answers[first:last][order]  # pairs by candidate
        edges = torch.searchsorted(ranked, torch.arange(0, len(table) + BLOCK, BLOCK)).tolist()
        counts = torch.bincount(columns, minlength=stop - start)  # k_q  [b]
        q = inputs[start:stop]  # [b, d]

        blocks = []
        for number, low in enumerate(range(0, len(table), BLOCK)):
            pairs = slice(edges[number], edges[number + 1])
            pair = ranked[pairs] - low, columns[pairs]
            scores = model.similarity(candidates[low : low + BLOCK], q)  # [c, b]
            loss -= float(scores[pair].sum(dtype=torch.float64))
            if log_weight is not None:
                weight = log_weight[low : low + BLOCK]
                scores += weight[:, None]
                scores[pair] -= weight[pair[0]]
            top = scores.amax(dim=0)  # [b]
            scores.sub_(top).exp_()
            blocks.append((low, pair, scores, top, scores.sum(dim=0)))
        lse = torch.stack([top + total.log() for *_, top, total in blocks]).logsumexp(dim=0)  # [b]
        loss += float((counts * lse.double()).sum())

        for low, pair, exps, top, _ in blocks:
            exps *= counts * (top - lse).exp()  # k_q softmax(s_q)
            exps[pair] -= 1.0  # dL/ds  [c, b]
            part = slice(low, low + BLOCK)
            for_part, for_chunk = model.pull_back(candidates[part], q, exps)
            for_table[part] += for_part
            for_queries[start:stop] += for_chunk
    return loss, for_queries, for_table
