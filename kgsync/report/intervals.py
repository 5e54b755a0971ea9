"""How sure a measured figure is: 95 % intervals of shares and of means over pairs of entities."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

DRAWS = 2_000
_Z = 1.959964  # two-sided 95 %
Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Interval:
    """A figure and the interval in which its true value lies with 95 %."""

    value: float
    low: float
    high: float

    @property
    def beyond_zero(self) -> bool:
        """Whether zero lies outside."""
        return self.low > 0 or self.high < 0


def wilson(share: float, trials: float) -> Interval:
    """Return the score interval of a share (Wilson 1927), which holds with few trials and at 0 and 1 too."""
    if trials <= 0:
        return Interval(share, 0.0, 1.0)
    z = _Z * _Z / trials
    middle = (share + z / 2) / (1 + z)
    half = math.sqrt(z * (share * (1 - share) + z / 4)) / (1 + z)
    return Interval(share, max(0.0, min(middle - half, share)), min(1.0, max(middle + half, share)))


def pairs_of(triples: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return for each of `triples` [n, 3] the number [n] of its pair of entities, whichever way round."""
    _, number = np.unique(np.sort(triples[:, [0, 2]], axis=1), axis=0, return_inverse=True)
    return np.asarray(number, dtype=np.int64).reshape(-1)


def bootstrap(values: Floats, pairs: np.ndarray[Any, Any]) -> Interval:
    """Return the mean of `values` [n] with its bootstrap interval (Efron 1979), drawn over `pairs` [n].

    What is said of one pair of entities is not independent, so a pair is drawn with all its values or not at all.
    """
    sums, counts = np.bincount(pairs, values), np.bincount(pairs).astype(float)
    random = np.random.default_rng(0)
    means = np.empty(DRAWS)
    for draw in range(DRAWS):
        chosen = random.integers(len(sums), size=len(sums))
        means[draw] = sums[chosen].sum() / counts[chosen].sum()
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(values.mean()), float(low), float(high))
