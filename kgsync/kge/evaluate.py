"""Filtered ranking: where a model puts the true answer among all entities that are not known answers.

Both sides, the mean ("realistic") rank for ties, one row of scores per distinct query, in blocks. What ties could
hide is shown: the optimistic and the pessimistic rank stand beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from kgsync.errors import DataError
from kgsync.kge.known import KnownAnswers, check_triples
from kgsync.kge.models import as_tensor
from kgsync.kge.slices import slices
from kgsync.progress import Progress, silent
from kgsync.voice import Ranker

LIVE_SCORES = 1 << 23  # scores kept at a time (32 MiB)
Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Ranks:
    """The filtered ranks [n, 2] of the tail and of the head of each triple; 1 is best."""

    optimistic: Floats  # every tie goes to the true answer
    pessimistic: Floats  # every tie goes against it
    competing: Floats  # entities that were ranked, the true answer included

    @property
    def realistic(self) -> Floats:
        """Return the mean of the two, which is what counts."""
        return (self.optimistic + self.pessimistic) / 2

    def __getitem__(self, chosen: Any) -> Ranks:
        return Ranks(self.optimistic[chosen], self.pessimistic[chosen], self.competing[chosen])


@dataclass(frozen=True)
class Metrics:
    """Means over filtered ranks; a triple counts once for its tail and once for its head."""

    mrr: float
    hits_at_1: float
    hits_at_3: float
    hits_at_10: float
    mean_rank: float
    adjusted_mean_rank_index: float  # 1 is perfect, 0 is chance (Berrendorf et al. 2020, arXiv:2002.06914)
    optimistic_mrr: float
    pessimistic_mrr: float
    count: int  # ranks, two per triple where both sides are counted
    sides: Mapping[str, Metrics] = field(default_factory=dict)  # "head" and "tail", by what was asked for
    per_relation: Mapping[int, Metrics] = field(default_factory=dict)  # each with its own sides
    slices: Mapping[str, Mapping[str, Metrics]] = field(default_factory=dict)  # see `kgsync.kge.slices`

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; empty parts are left out."""
        means = {
            "mrr": self.mrr,
            "hits_at_1": self.hits_at_1,
            "hits_at_3": self.hits_at_3,
            "hits_at_10": self.hits_at_10,
            "mean_rank": self.mean_rank,
            "adjusted_mean_rank_index": self.adjusted_mean_rank_index,
            "count": self.count,
        }
        if self.optimistic_mrr != self.pessimistic_mrr:
            means |= {"optimistic_mrr": self.optimistic_mrr, "pessimistic_mrr": self.pessimistic_mrr}
        parts = {
            "sides": {side: metrics.to_dict() for side, metrics in self.sides.items()},
            "per_relation": {str(relation): m.to_dict() for relation, m in self.per_relation.items()},
            "slices": {
                name: {part: metrics.to_dict() for part, metrics in parts.items()}
                for name, parts in self.slices.items()
            },
        }
        return means | {name: part for name, part in parts.items() if part}


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


def measure(ranks: Ranks, triples: np.ndarray[Any, Any], *, train: np.ndarray[Any, Any] | None = None) -> Metrics:
    """Return the metrics of ranks that `rank` found for `triples` [n, 3]."""
    relations = triples[:, 1]
    return replace(
        _both_sides(ranks),
        per_relation={int(r): _both_sides(ranks[relations == r]) for r in np.unique(relations)},
        slices={
            name: {part: _both_sides(ranks[rows]) for part, rows in parts.items() if rows.any()}
            for name, parts in ({} if train is None else slices(triples, train)).items()
        },
    )


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
        own = scores[as_tensor(rows), as_tensor(entities)]
        hidden = np.unique(np.concatenate([_code(*known.mask(anchors, asked), n), _code(rows, entities, n)]))
        scores.view(-1)[as_tensor(hidden)] = -torch.inf
        competing = n + 1 - np.bincount(hidden // n, minlength=len(anchors))  # the true answer itself competes
        found[:2, order[first:last]] = _count(scores, as_tensor(rows), own)
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
    counts: Floats = 1.0 + torch.cat(parts, dim=1).double().numpy()
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


def _both_sides(ranks: Ranks) -> Metrics:
    return replace(_means(ranks), sides={"head": _means(ranks[:, 1]), "tail": _means(ranks[:, 0])})


def _means(ranks: Ranks) -> Metrics:
    realistic = ranks.realistic
    mean_rank = float(realistic.mean())
    by_chance = float(((ranks.competing + 1) / 2).mean())
    return Metrics(
        mrr=float((1 / realistic).mean()),
        hits_at_1=float((realistic <= 1).mean()),
        hits_at_3=float((realistic <= 3).mean()),
        hits_at_10=float((realistic <= 10).mean()),
        mean_rank=mean_rank,
        adjusted_mean_rank_index=1 - (mean_rank - 1) / (by_chance - 1) if by_chance > 1 else 1.0,
        optimistic_mrr=float((1 / ranks.optimistic).mean()),
        pessimistic_mrr=float((1 / ranks.pessimistic).mean()),
        count=realistic.size,
    )
