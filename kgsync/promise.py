"""A promised share of false edges: which proposals to write so that at most so many of them are expected to be wrong.

Conformal selection (Jin and Candès 2023, arXiv:2210.01408). The candidates that calibration labelled false say how
often a false one scores as high as a proposal: its conformal p-value. Benjamini and Hochberg (1995,
doi:10.1111/j.2517-6161.1995.tb02031.x) turn p-values into the share of false ones that is promised. A calibration that
happened to see few false ones would promise too much; so p-values are corrected to be large enough for nineteen
calibrations in twenty (conditional validity: Bates et al. 2023, arXiv:2104.08279; here by bounds of Poisson counts).
What is then selected happens to hold more or fewer false ones, too: with both, the promise holds nine times in ten.

It holds if the candidates of calibration and of prediction are exchangeable: if what is missing from the graph
resembles what was hidden from it, and is at least as frequent as assumed. Among the candidates that are no hidden edge
there are missing ones, then, as many times the labelled ones as is assumed (`kgsync.calibrate`): these are taken off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import gammaincinv, ndtri

Floats = np.ndarray[Any, np.dtype[np.float64]]

EXACT = 256  # of the highest scores of false candidates that are kept one by one
CONFIDENCE = 0.95  # that p-values are large enough
STEP = 1.02  # below them, one is kept where so many times as many are above it


@dataclass(frozen=True)
class Nulls:
    """How high false candidates score."""

    scores: tuple[float, ...]  # falling
    above: tuple[float, ...]  # how many false candidates score at least so high, at most, and
    over: tuple[float, ...]  # higher
    total: float  # candidates in all, true and false

    @classmethod
    def of(
        cls,
        scores: Floats,
        true: np.ndarray[Any, np.dtype[np.bool_]],
        weights: Floats,
        *,
        missing: Floats | None = None,
        folds: int = 1,
        least: float = -np.inf,
    ) -> Nulls:
        """Return those among labelled candidates [n], each of which stands for `weights` candidates.

        With each `true` one come so many `missing` [n] that are not labelled. Where the same candidates were
        labelled by several `folds`, the false ones tell no more than once. How high those score that are below `least`
        is not kept, and p-values are 1 there.
        """
        own, counts = scores[~true & (scores >= least)], weights[~true & (scores >= least)]
        order = np.argsort(-own, kind="stable")
        values, above = own[order], np.cumsum(counts[order])
        last = np.flatnonzero(np.append(np.diff(values) != 0, True)) if len(values) else np.empty(0, np.int64)
        values, above = values[last], above[last]  # of equal scores, all
        best = np.argsort(-scores[true], kind="stable")
        times = np.zeros(len(best)) if missing is None else missing[true][best]
        at = np.searchsorted(-scores[true][best], -values, side="right")
        lacking, varying = (np.append(0.0, np.cumsum(weights[true][best] * times**n))[at] for n in (1, 2))
        weight = float(counts @ counts / counts.sum()) if len(counts) else 1.0  # as many equal ones tell as much
        weight *= folds
        columns = (np.append(0.0, column) for column in (above, lacking, varying))
        bounds = np.maximum.accumulate(most(*columns, weight=weight))
        places = np.unique(np.concatenate([np.arange(EXACT), EXACT * STEP ** np.arange(1_000)]).astype(np.int64))
        kept = places[places < len(values)]
        lists = [column[kept].tolist() for column in (values, bounds[1:], bounds[:-1])]
        if np.isfinite(least):
            lists = [[*lists[0], least], [*lists[1], float(bounds[-1])], [*lists[2], float(bounds[-1])]]
        scores_kept, above_kept, over_kept = map(tuple, lists)
        return cls(scores_kept, above_kept, over_kept, float(weights.sum()))

    def p_values(self, scores: Floats) -> Floats:
        """Return for each score [n] how probable so high a one is for a false candidate; never too small.

        p = `most` false candidates that score at least as high / (1 + all candidates), and the paper has 1 + their
        number. Between two scores that were kept the count is that of the lower one.
        """
        if not self.scores:
            return np.full(len(scores), min(float(most(0.0)) / (1 + self.total), 1.0))
        kept, above = np.array(self.scores), np.array(self.above)
        at = np.searchsorted(-kept, -scores, side="right")  # kept scores that are at least as high
        before = np.maximum(at, 1) - 1
        same = (at > 0) & (kept[before] == scores)
        as_high = np.where(same, above[before], np.append(self.over, np.inf)[at])
        if self.over[0] == 0:  # models of before kept the numbers that were seen
            as_high = most(as_high)
        values: Floats = np.minimum(as_high / (1 + self.total), 1.0)
        return values

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Nulls:
        """Return what `to_dict` described."""
        return cls(tuple(values["scores"]), tuple(values["above"]), tuple(values["over"]), values["total"])


def most(count: Any, missing: Any = 0.0, variance: Any = 0.0, *, weight: float = 1.0) -> Floats:
    """Return how many false ones are expected at most, with `CONFIDENCE`, where so many were not labelled.

    Without others it is the upper bound of a Poisson mean, that of count / weight events which stand for `weight` each.
    If an estimated number of them is `missing`, with this `variance`, it is the normal bound of the difference, where
    that is less.
    """
    count, missing = np.asarray(count, np.float64), np.asarray(missing, np.float64)
    plain = weight * gammaincinv(count / weight + 1, CONFIDENCE)
    spread = ndtri(CONFIDENCE) * np.sqrt(weight * (count + weight) + variance)
    without: Floats = np.minimum(plain, np.maximum(count - missing, 0.0) + weight + spread)
    return np.where(missing > 0, without, plain)


def false_shares(p_values: Floats, candidates: float, weights: Floats | None = None) -> Floats:
    """Return the smallest share of false ones that can be promised where each [n] is among those selected.

    q_k = min over j >= k of m p_(j) / j. `candidates` is m, all that were looked at, at least n: those that are not
    among the n have larger p-values, or are as if they had. Each of the n stands for `weights`, or for itself.
    """
    order = np.argsort(p_values, kind="stable")
    counts = np.cumsum(np.ones(len(p_values)) if weights is None else weights[order])
    steps = np.maximum(candidates, counts[-1:]) * p_values[order] / counts
    shares = np.empty(len(p_values))
    shares[order] = np.minimum(np.minimum.accumulate(steps[::-1])[::-1], 1.0)
    return shares
