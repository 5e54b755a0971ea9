"""Filtered ranking: where a model puts the true answer among all entities that are not known answers.

Both sides, the mean ("realistic") rank for ties, one row of scores per distinct query, in blocks. What ties could
hide is shown: the optimistic and the pessimistic rank stand beside it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from kgsync.errors import DataError
from kgsync.kge.known import KnownAnswers, check_triples
from kgsync.kge.models import as_tensor
from kgsync.kge.ranks import Floats, Metrics, Ranks, measure
from kgsync.progress import Progress, silent
from kgsync.voice import Ranker

__all__ = ["Metrics", "Ranks", "evaluate", "measure", "rank"]

LIVE_SCORES = 1 << 23  # scores kept at a time (32 MiB)


def evaluate(
    model: Ranker,
    triples: np.ndarray[Any, Any],
    known: KnownAnswers,
    *,
    train: np.ndarray[Any, Any] | None = None,
    progress: Progress = silent,
) -> Metrics:
    """Return the metrics of `triples` [n, 3], whole, per side, per relation and, with `train`, per slice.

    Neither `known` answers nor the evaluated triples themselves compete.

    Raises:
        DataError: there are no triples, or the model gives a score that is not finite.
    """
    if len(triples) == 0:
        raise DataError("there are no triples to evaluate", fix="hide a larger share, or pull a larger subgraph")
    return measure(rank(model, triples, known, progress=progress), triples, train=train)


def rank(model: Ranker, triples: np.ndarray[Any, Any], known: KnownAnswers, *, progress: Progress = silent) -> Ranks:
    """Return the filtered ranks of `triples` [n, 3]."""
    check_triples(triples, known.n_entities, known.n_relations)
    heads, relations, tails = triples.astype(np.int64).T
    queries = np.stack(
        [np.concatenate([heads, tails]), np.concatenate([relations, relations + known.n_relations])], axis=1
    )
    distinct, query = np.unique(queries, axis=0, return_inverse=True)
    order = np.argsort(query.reshape(-1), kind="stable")  # triples by the query they belong to
    query, targets = query.reshape(-1)[order], np.concatenate([tails, heads])[order]
    found = np.empty((3, len(order)))  # optimistic, pessimistic, competing
    n = known.n_entities
    size = max(1, min(1024, LIVE_SCORES // n))
    for start in range(0, len(distinct), size):
        anchors, asked = distinct[start : start + size].T
        first, last = np.searchsorted(query, [start, start + size])
        rows, entities = query[first:last] - start, targets[first:last]
        scores = model.scores(as_tensor(anchors), as_tensor(asked))  # [b, n_entities]
        _refuse_non_finite(scores, model)
        device = scores.device
        places, answers = as_tensor(rows).to(device), as_tensor(entities).to(device)
        own = scores[places, answers]
        hidden = np.unique(np.concatenate([_code(*known.mask(anchors, asked), n), _code(rows, entities, n)]))
        scores.view(-1)[as_tensor(hidden).to(device)] = -torch.inf
        competing = n + 1 - np.bincount(hidden // n, minlength=len(anchors))  # the true answer itself competes
        found[:2, order[first:last]] = _count(scores, places, own)
        found[2, order[first:last]] = competing[rows]
        progress("evaluating", min(start + size, len(distinct)), len(distinct))
    return Ranks(*(row.reshape(2, -1).T for row in found))


def _count(scores: torch.Tensor, rows: torch.Tensor, own: torch.Tensor) -> Floats:
    """Return 1 + better and 1 + better + equal of each target [2, t]; what is hidden is worse than everything."""
    size = max(1, LIVE_SCORES // scores.shape[1])
    parts = []
    for part, target in zip(torch.split(rows, size), torch.split(own, size), strict=True):
        block, target = scores.index_select(0, part), target[:, None]
        parts.append(torch.stack([_sum(block > target), _sum(block >= target)]))
    counts: Floats = 1.0 + torch.cat(parts, dim=1).cpu().double().numpy()
    return counts


def _sum(mask: torch.Tensor) -> torch.Tensor:
    return mask.view(torch.uint8).sum(dim=1, dtype=torch.int32)  # five times faster than the sum of booleans


def _code(rows: np.ndarray[Any, Any], entities: np.ndarray[Any, Any], n: int) -> np.ndarray[Any, Any]:
    code: np.ndarray[Any, Any] = rows.astype(np.int64) * n + entities
    return code


def _refuse_non_finite(scores: torch.Tensor, model: Ranker) -> None:
    """NaN compares as false with everything, so a broken model would get rank 1 everywhere."""
    if not torch.isfinite(scores.sum()) and not torch.isfinite(scores).all():
        raise DataError(
            f"the {model.name} model gives scores that are not finite",
            fix="train it again with a lower train.learning_rate",
        )
