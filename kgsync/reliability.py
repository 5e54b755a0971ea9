"""How far scores can be trusted: predicted probabilities against edges that nothing has seen.

Reads labelled candidates of the test fold. Judged are the best candidates, those that would be proposed:
over all candidates, nearly all of them hopeless, any score close to zero would look calibrated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from kgsync.calibrate import Calibrator, Floats, Labelled
from kgsync.promise import false_shares

PROPOSED = 0.1  # least score of a candidate that is judged
FEWEST_JUDGED = 200  # where fewer reach that score, the best so many are judged
BINS = 10
DRAWS = 200
TOP = (10, 100, 1000)
PROMISES = (0.05, 0.1, 0.2, 0.3)


@dataclass(frozen=True)
class Bin:
    """Candidates of similar score."""

    candidates: float  # how many (some stand for several where queries were sampled)
    score: float  # mean
    true: float  # share that were hidden edges
    trials: float | None = None  # equal candidates that would tell as much, where not as many as `candidates`


@dataclass(frozen=True)
class Kept:
    """A promise about the share of false edges, and what became of it."""

    promised: float
    selected: float  # candidates
    false: float  # share of them that are neither hidden edges nor, by their number, other missing ones
    hidden: float | None = None  # share of them that are hidden edges


@dataclass(frozen=True)
class Reliability:
    """The judgement. It is about the chance to be a hidden test edge: what is missing beside these counts as false."""

    candidates: float
    hidden: int  # hidden edges in all
    recall: float  # share of them among the candidates
    base_rate: float  # share of hidden edges among the candidates
    judged: float  # candidates that would be proposed
    mean_score: float  # of the judged
    precision: float  # share of the judged that were hidden edges
    ece: float  # expected calibration error of the judged, `BINS` bins of equal size
    ece_floor: float  # what perfect scores would show in the same bins, by chance, on average
    brier: float
    brier_constant: float  # of a score that always says `precision`
    auc: float  # over all candidates
    top: tuple[Bin, ...]  # the best 10, 100, 1,000 candidates
    bins: tuple[Bin, ...]
    promises: tuple[Kept, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self, dict_factory=lambda fields: {name: value for name, value in fields if value is not None})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Reliability:
        """Return the judgement that `to_dict` described."""
        bins = {name: tuple(Bin(**entry) for entry in values[name]) for name in ("top", "bins")}
        promises = tuple(Kept(**entry) for entry in values.get("promises", ()))
        return cls(**{**values, **bins, "promises": promises})


def judge(calibrator: Calibrator, data: Labelled) -> Reliability | None:
    """Return how the scores of `calibrator` fare on labelled candidates, or None if none of them is true or false."""
    weights, true = data.weights, data.true.astype(float)
    if len(true) == 0 or true.min() == true.max():
        return None
    score = calibrator.chances(data)
    proposed, _ = calibrator.scores(data.relations, data.features)
    order = np.argsort(-score, kind="stable")
    promises = _promises(calibrator, data)
    score, true, weights = score[order], true[order], weights[order]
    judged = max(int(np.count_nonzero(proposed >= PROPOSED)), min(FEWEST_JUDGED, len(score)))
    best = slice(0, judged)
    parts = _parts(weights[best])
    precision = _mean(true[best], weights[best])
    return Reliability(
        candidates=float(weights.sum()),
        hidden=int(data.hidden.sum()),
        recall=float(true.sum()) / max(int(data.hidden.sum()), 1),
        base_rate=data.base_rate,
        judged=float(weights[best].sum()),
        mean_score=_mean(score[best], weights[best]),
        precision=precision,
        ece=_error(score[best], true[best], weights[best], parts),
        ece_floor=_floor(score[best], weights[best], parts),
        brier=_mean((score[best] - true[best]) ** 2, weights[best]),
        brier_constant=precision * (1.0 - precision),
        auc=_auc(score, true, weights),
        top=tuple(_bin(score, true, weights, slice(0, n)) for n in TOP if n <= len(score)),
        bins=tuple(_bin(score[best], true[best], weights[best], part) for part in parts),
        promises=promises,
    )


def _promises(calibrator: Calibrator, data: Labelled) -> tuple[Kept, ...]:
    """Return how many of the candidates each promise selects, and how many of those are false.

    Candidates that are no hidden edges include what is missing: as many times the hidden ones as is assumed.
    """
    missing = data.missing(calibrator.missing_share)
    probabilities, _ = calibrator.scores(data.relations, data.features)
    shares = false_shares(calibrator.nulls.p_values(probabilities), float(data.weights.sum()), data.weights)
    kept = []
    for promised in PROMISES:
        chosen = shares <= promised
        selected = float(data.weights[chosen].sum())
        hidden = float(data.weights[chosen & data.true].sum())
        true = float((data.weights * (1 + missing))[chosen & data.true].sum())
        false = max(selected - true, 0.0) / max(selected, 1.0)
        kept.append(Kept(promised, selected, false, hidden / max(selected, 1.0)))
    return tuple(kept)


def _parts(weights: Floats) -> list[slice]:
    """Return slices of about equal weight."""
    edges = np.searchsorted(np.cumsum(weights), np.linspace(0, weights.sum(), BINS + 1)[1:-1])
    bounds = np.unique([0, *edges, len(weights)])
    return [slice(low, high) for low, high in pairwise(bounds.tolist())]


def _bin(score: Floats, true: Floats, weights: Floats, part: slice) -> Bin:
    own = weights[part]
    total = float(own.sum())
    trials = total**2 / float(own @ own)
    return Bin(total, _mean(score[part], own), _mean(true[part], own), None if math.isclose(trials, total) else trials)


def _error(score: Floats, true: Floats, weights: Floats, parts: list[slice]) -> float:
    gaps = [abs(float(weights[part] @ (score[part] - true[part]))) for part in parts]
    return sum(gaps) / float(weights.sum())


def _floor(score: Floats, weights: Floats, parts: list[slice]) -> float:
    random = np.random.default_rng(0)
    draws = [_error(score, (random.random(len(score)) < score).astype(float), weights, parts) for _ in range(DRAWS)]
    return float(np.mean(draws))


def _auc(score: Floats, true: Floats, weights: Floats) -> float:
    """Return the chance that a true candidate scores higher than a false one; a tie counts half."""
    _, group = np.unique(score, return_inverse=True)  # ascending
    positive, negative = np.bincount(group, weights * true), np.bincount(group, weights * (1.0 - true))
    below = np.cumsum(negative) - negative
    return float(positive @ (below + 0.5 * negative) / (positive.sum() * negative.sum()))


def _mean(values: Floats, weights: Floats) -> float:
    return float(weights @ values / weights.sum())
