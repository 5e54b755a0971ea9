"""Filtered ranking: where a model puts the true answer among all entities that are not known answers.

Both sides, the mean ("realistic") rank for ties, one row of scores per distinct query, in blocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from kgsync.errors import DataError
from kgsync.kge.known import KnownAnswers, check_triples
from kgsync.kge.models import KgeModel, as_tensor
from kgsync.progress import Progress, silent

LIVE_SCORES = 1 << 23  # scores kept at a time (32 MiB)
Ranks = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Metrics:
    """Means over filtered ranks; a triple counts once for its tail and once for its head."""

    mrr: float
    hits_at_1: float
    hits_at_3: float
    hits_at_10: float
    mean_rank: float
    count: int  # ranks, two per triple where both sides are counted
    sides: Mapping[str, Metrics] = field(default_factory=dict)  # "head" and "tail", by what was asked for
    per_relation: Mapping[int, Metrics] = field(default_factory=dict)  # each with its own sides

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; empty parts are left out."""
        means = {
            "mrr": self.mrr,
            "hits_at_1": self.hits_at_1,
            "hits_at_3": self.hits_at_3,
            "hits_at_10": self.hits_at_10,
            "mean_rank": self.mean_rank,
            "count": self.count,
        }
        parts = {
            "sides": {side: metrics.to_dict() for side, metrics in self.sides.items()},
            "per_relation": {str(relation): m.to_dict() for relation, m in self.per_relation.items()},
        }
        return means | {name: part for name, part in parts.items() if part}


def evaluate(
    model: KgeModel, triples: np.ndarray[Any, Any], known: KnownAnswers, *, progress: Progress = silent
) -> Metrics:
    """Return the metrics of `triples` [n, 3], whole, per side and per relation.

    Neither `known` answers nor the evaluated triples themselves compete.

    Raises:
        DataError: there are no triples, or the model gives a score that is not finite.
    """
    if len(triples) == 0:
        raise DataError("there are no triples to evaluate", fix="hide a larger share, or pull a larger subgraph")
    ranks = rank(model, triples, known, progress=progress)
    relations = triples[:, 1]
    per_relation = {int(r): _both_sides(ranks[relations == r]) for r in np.unique(relations)}
    whole = _both_sides(ranks)
    return _means(ranks, sides=whole.sides, per_relation=per_relation)


def rank(model: KgeModel, triples: np.ndarray[Any, Any], known: KnownAnswers, *, progress: Progress = silent) -> Ranks:
    """Return the filtered ranks [n, 2] of the tail and of the head of each triple; 1 is best."""
    check_triples(triples, known.n_entities, known.n_relations)
    heads, relations, tails = triples.astype(np.int64).T
    queries = np.stack(
        [np.concatenate([heads, tails]), np.concatenate([relations, relations + known.n_relations])], axis=1
    )
    distinct, query = np.unique(queries, axis=0, return_inverse=True)
    order = np.argsort(query.reshape(-1), kind="stable")  # triples by the query they belong to
    query, targets = query.reshape(-1)[order], np.concatenate([tails, heads])[order]
    ranks = np.empty(len(order))
    size = max(1, min(1024, LIVE_SCORES // known.n_entities))
    for start in range(0, len(distinct), size):
        anchors, asked = distinct[start : start + size].T
        first, last = np.searchsorted(query, [start, start + size])
        rows, entities = query[first:last] - start, targets[first:last]
        scores = model.scores(as_tensor(anchors), as_tensor(asked))  # [b, n_entities]
        _refuse_non_finite(scores, model)
        own = scores[as_tensor(rows), as_tensor(entities)]
        hidden_rows, hidden_entities = known.mask(anchors, asked)
        scores[as_tensor(hidden_rows), as_tensor(hidden_entities)] = -torch.inf
        scores[as_tensor(rows), as_tensor(entities)] = -torch.inf
        ranks[order[first:last]] = _mean_ranks(scores, as_tensor(rows), own)
        progress("evaluating", min(start + size, len(distinct)), len(distinct))
    return ranks.reshape(2, -1).T


def _mean_ranks(scores: torch.Tensor, rows: torch.Tensor, own: torch.Tensor) -> Ranks:
    """Return 1 + better + equal / 2 for each target.

    better - worse is the sum of signs and better + equal + worse the number of entities n, so that
    better + equal / 2 = (n + sum of signs) / 2; what is hidden counts as worse.
    """
    n = scores.shape[1]
    size = max(1, LIVE_SCORES // n)
    signs = [
        (scores.index_select(0, part) - target[:, None]).sign_().sum(dim=1)  # exact up to 2^24 entities
        for part, target in zip(torch.split(rows, size), torch.split(own, size), strict=True)
    ]
    ranks: Ranks = (1 + (n + torch.cat(signs).double()) / 2).numpy()
    return ranks


def _refuse_non_finite(scores: torch.Tensor, model: KgeModel) -> None:
    """NaN compares as false with everything, so a broken model would get rank 1 everywhere."""
    if not torch.isfinite(scores.sum()) and not torch.isfinite(scores).all():
        raise DataError(
            f"the {model.name} model gives scores that are not finite",
            fix="train it again with a lower train.learning_rate",
        )


def _both_sides(ranks: Ranks) -> Metrics:
    return _means(ranks, sides={"head": _means(ranks[:, 1]), "tail": _means(ranks[:, 0])})


def _means(
    ranks: Ranks,
    sides: Mapping[str, Metrics] | None = None,
    per_relation: Mapping[int, Metrics] | None = None,
) -> Metrics:
    return Metrics(
        mrr=float((1 / ranks).mean()),
        hits_at_1=float((ranks <= 1).mean()),
        hits_at_3=float((ranks <= 3).mean()),
        hits_at_10=float((ranks <= 10).mean()),
        mean_rank=float(ranks.mean()),
        count=ranks.size,
        sides=sides or {},
        per_relation=per_relation or {},
    )
