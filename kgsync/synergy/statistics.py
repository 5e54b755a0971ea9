"""How sure a mean over seeds and pairs of entities is: a bootstrap of both, and Holm's correction.

Reads one value per seed and question; what is not to be counted is NaN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

DRAWS = 2_000
Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Effect:
    """A mean with its 95 % interval, and how probable one as far from 0 would be if there were none."""

    value: float
    low: float
    high: float
    p: float  # two-sided; at least 2 / DRAWS


def bootstrap(columns: Mapping[str, Sequence[Floats]], pairs: np.ndarray[Any, Any]) -> dict[str, Effect]:
    """Return the effect of every column, which has an array [n, 2] for each seed; `pairs` [n] number the pairs.

    Seeds are drawn, and pairs of entities once for all of them (Owen 2007, the pigeonhole bootstrap, arXiv:0712.1111):
    every seed is asked about the same edges, so drawing pairs anew in each would promise too much. What is said of
    one pair is not independent. All columns see the same draws.
    """
    if not columns:
        return {}
    seeds = [np.stack(each, axis=2) for each in zip(*columns.values(), strict=True)]  # [n, 2, K] of each seed
    n_pairs = int(pairs.max()) + 1
    sums = [_per_pair(np.nansum(each, axis=1), pairs, n_pairs) for each in seeds]  # [P, K]
    counts = [_per_pair(np.isfinite(each).sum(axis=1), pairs, n_pairs) for each in seeds]
    random = np.random.default_rng(0)
    means = np.empty((DRAWS, len(columns)))
    for draw in range(DRAWS):
        total, weight = np.zeros(len(columns)), np.zeros(len(columns))
        times = np.bincount(random.integers(n_pairs, size=n_pairs), minlength=n_pairs).astype(np.float64)
        for seed in random.integers(len(seeds), size=len(seeds)):
            total, weight = total + times @ sums[seed], weight + times @ counts[seed]
        means[draw] = total / np.maximum(weight, 1)
    whole = sum(each.sum(axis=0) for each in sums) / np.maximum(sum(each.sum(axis=0) for each in counts), 1)
    return {name: _effect(float(whole[k]), means[:, k]) for k, name in enumerate(columns)}


def holm(chances: Mapping[str, float]) -> dict[str, float]:
    """Return p-values that hold for all of them together (Holm 1979)."""
    corrected, least = {}, 0.0
    for number, name in enumerate(sorted(chances, key=lambda each: chances[each])):
        least = max(least, min(1.0, chances[name] * (len(chances) - number)))
        corrected[name] = least
    return {name: corrected[name] for name in chances}


def _per_pair(values: np.ndarray[Any, Any], pairs: np.ndarray[Any, Any], n_pairs: int) -> Floats:
    found = np.zeros((n_pairs, values.shape[1]))
    np.add.at(found, pairs, values)
    return found


def _effect(value: float, means: Floats) -> Effect:
    low, high = np.quantile(means, [0.025, 0.975])
    p = min(1.0, 2 * max(float(min((means <= 0).mean(), (means >= 0).mean())), 1 / DRAWS))
    return Effect(value, float(low), float(high), p)
