"""The score: how probable it is that an edge which this pipeline proposes is true.

Known-true edges were hidden from training. The very candidates that prediction would make are made with
those edges unknown, and each is labelled by whether it is a hidden one. A logistic model is fitted to that:

    logit P(true) = a + b_r + (s_f + s_r) log p(t | h, r) + (s_b + s_r) log p(h | r, t)
                    + u (o(t | h, r) + o(h | r, t)) + c_f log(1 + n_hr) + c_b log(1 + n_rt),    o = -log(1 - p)

p is the model's softmax over the admissible unknown answers, n the number of known answers. Without o, which tells .99
from .9, a sure answer would score little more than a likely one. More evidence never lowers the score
(s, u >= 0). Relations differ by b_r and by s_r, how much the voices know about them; a relation with few hidden edges
leans on the others (`kgsync.mixed`). Weak Gaussian priors on the rest keep few edges from being over-read.

The candidates that are no hidden edges are not all false: some are what is missing. If k missing edges come with each
labelled one, and look alike, a candidate is a labelled one with chance P / (k + P), where P is that of a missing one
among missing and false ones. P is what is fitted and what a score says. No candidate is labelled with a chance above
1 / (k + 1), so k is lowered where the best are: if all that looks like a hidden edge is one, little can be missing.

What it assumes: that edges missing from the graph resemble hidden ones, and that in every relation they are as
frequent, in proportion to the known ones, as `missing_share` says. That gives the base rate, and is an assumption
until a random audit of proposals has shown it (`reviewed_share`). As many true edges compete in the softmax as are
assumed to be missing, although only some of them are labelled: among more of them a voice is less sure of each. A
hidden edge has no other edge between its ends (they are hidden together), as a missing one often has: that makes the
score err on the low side. The test fold is neither true nor false: it competes, and is left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from kgsync import mixed
from kgsync.errors import DataError
from kgsync.promise import Nulls

Floats = np.ndarray[Any, np.dtype[np.float64]]
Counts = np.ndarray[Any, np.dtype[np.int64]]

CALIBRATION = 4  # changes where scores come to mean something else
FEWEST = 10  # hidden edges among the candidates, below which no score is claimed
FEATURES = 6  # constant, forward, backward, how sure both are, known tails of the head, known heads of the tail
EVIDENCE = (1, 2, 3)  # the features whose slope is never negative
PRIOR = mixed.Prior(
    mean=np.array([0.0, 0.5, 0.5, 0.0, 0.0, 0.0]),  # two directions that share the evidence
    deviation=np.array([10.0, 1.0, 1.0, 0.5, 1.0, 1.0]),
    rising=EVIDENCE,
    spread=np.array([1.0, 0.04]),  # of b_r and s_r
)
MIDDLE = -6.0  # of log p forward and backward together: there b_r and s_r are independent beforehand
UNSEEN = 0.5  # hidden edges of a relation that has none: there are few
LOWEST = -30.0  # log p at least
SUREST = 5.0  # -log(1 - p) at most: nobody is surer than .993
ONE_SIDED_95 = 1.6449  # standard deviations
PROPOSED = 0.01  # proposals score more: of false candidates below it nobody asks how many there are
FEWEST_AUDITED = 20  # edges that a random audit decided, below which the base rate stays assumed
CERTAIN = 100  # of the best candidates, whose labels say how many edges can be missing at most
CLEARLY = 2.0  # standard deviations by which they must say so
SURE = 0.99  # a score that an audit is held against, at most: somebody errs
AUDIT_RANGE = 6.0  # of log(missing share) around what is assumed
AUDIT_DEVIATION = 2.0  # of the prior of log(missing share) around what is assumed


@dataclass(frozen=True)
class Labelled:
    """Candidates of all relations with what they turned out to be: rows of the same length."""

    features: Floats  # [n, FEATURES]
    relations: np.ndarray[Any, np.dtype[np.int64]]
    true: np.ndarray[Any, np.dtype[np.bool_]]  # is a hidden edge
    weights: Floats  # how many candidates a row stands for
    hidden: Counts  # [R]: hidden edges of each relation, whether they became candidates or not
    known: Counts  # [R]
    folds: int = 1  # sets of hidden edges that these candidates were labelled by, one after the other

    @classmethod
    def together(cls, parts: Sequence[Labelled]) -> Labelled:
        """Return what several sets of hidden edges say about the candidates of one graph."""
        return cls(
            features=np.concatenate([part.features for part in parts]),
            relations=np.concatenate([part.relations for part in parts]),
            true=np.concatenate([part.true for part in parts]),
            weights=np.concatenate([part.weights for part in parts]),
            hidden=np.sum([part.hidden for part in parts], axis=0),
            known=np.sum([part.known for part in parts], axis=0),
            folds=sum(part.folds for part in parts),
        )

    @property
    def base_rate(self) -> float:
        """Return the share of hidden edges among the candidates."""
        return float(self.weights[self.true].sum() / max(self.weights.sum(), 1.0))

    @property
    def missing_share(self) -> float:
        """Return the hidden edges per known edge."""
        return float(self.hidden.sum() / max(self.known.sum(), 1))

    def missing(self, share: float) -> Floats:
        """Return how many missing edges come with each labelled candidate [n], if `share` are missing per known one."""
        times = share * self.known / np.maximum(self.hidden, UNSEEN)
        return np.asarray(np.maximum(times, np.finfo(np.float64).tiny)[self.relations])


@dataclass(frozen=True)
class Audited:
    """What the random audit of a review found among edges of one score."""

    score: float
    missing_share: float  # that the score assumes
    decided: int
    accepted: int


@dataclass(frozen=True)
class Calibrator:
    """Turns the evidence for a candidate into a probability with a lower bound."""

    weights: tuple[float, ...]  # [FEATURES]
    relations: tuple[tuple[float, float], ...]  # b_r and s_r of every relation
    covariance: tuple[tuple[float, ...], ...]  # [FEATURES, FEATURES] of the weights
    coupling: tuple[tuple[tuple[float, ...], ...], ...]  # [R, 2, FEATURES]: how b_r and s_r move against the weights
    variance: tuple[tuple[tuple[float, ...], ...], ...]  # [R, 2, 2] of b_r and s_r where the weights are given
    base_rate: float
    missing_share: float
    positives: int  # hidden edges among the candidates
    recall: float  # share of the hidden edges that became candidates
    nulls: Nulls  # the probabilities that false candidates got
    own_nulls: tuple[Nulls, ...] = ()  # the same for every relation, of those that score at least `PROPOSED`
    audited: int = 0  # edges of a random audit that `missing_share` comes from; 0: it is assumed
    doubt: float = 0.0  # variance of the logarithm of that share
    lowered: bool = False  # whether `missing_share` is less than assumed, as the labels allow no more

    def scores(self, relations: Any, features: Floats) -> tuple[Floats, Floats]:
        """Return (probability, its one-sided 95 % lower bound) of candidates.

        Args:
            relations: relation number of every row, or one for all.
            features: [n, FEATURES], from `features`.
        """
        numbers = np.broadcast_to(relations, len(features))
        own = _own(features)
        logit = features @ np.array(self.weights) + np.einsum("nq,nq->n", own, np.array(self.relations)[numbers])
        lean = features - np.einsum("nq,nqf->nf", own, np.array(self.coupling)[numbers])
        spread = np.einsum("nf,fg,ng->n", lean, np.array(self.covariance), lean)
        spread += np.einsum("np,npq,nq->n", own, np.array(self.variance)[numbers], own)
        low = mixed.sigmoid(logit - ONE_SIDED_95 * np.sqrt(np.maximum(spread, 0.0)))
        low *= math.exp(-ONE_SIDED_95 * math.sqrt(self.doubt))  # a score is in proportion to the missing share
        return mixed.sigmoid(logit), low

    @property
    def basis(self) -> str:
        """Return where the base rate comes from: "reviewed", "estimated" (less than was assumed) or "assumed"."""
        return "reviewed" if self.audited else "estimated" if self.lowered else "assumed"

    def chances(self, data: Labelled) -> Floats:
        """Return the chance of each candidate [n] to be one of those that are labelled in `data`.

        It is less than the score: what is missing and not labelled looks the same.
        """
        score, _ = self.scores(data.relations, data.features)
        return score / (data.missing(self.missing_share) + score)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        values = asdict(self)
        return {name: value for name, value in values.items() if name not in ("doubt", "lowered") or value}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Calibrator:
        """Return the calibrator that `to_dict` described.

        Raises:
            TypeError: an earlier version of kgsync described another one.
        """
        plain = {name: _tuples(value) for name, value in values.items() if name not in ("nulls", "own_nulls")}
        plain["relations"] = tuple((b, slope) for b, slope in plain["relations"])  # one number in models of before
        own = tuple(Nulls.from_dict(each) for each in values.get("own_nulls", ()))
        return cls(**plain, nulls=Nulls.from_dict(values["nulls"]), own_nulls=own)


def features(forward: Floats, backward: Floats, tails_of_head: Any, heads_of_tail: Any) -> Floats:
    """Return the evidence for candidates as the logistic model reads it, [n, FEATURES].

    Args:
        forward: log-probability of the tail among the admissible answers to (head, relation, ?).
        backward: log-probability of the head among the admissible answers to (?, relation, tail).
        tails_of_head: known tails of the head.
        heads_of_tail: known heads of the tail.
    """
    forward, backward = np.clip(forward, LOWEST, 0.0), np.clip(backward, LOWEST, 0.0)
    columns = [
        forward,
        backward,
        _sureness(forward) + _sureness(backward),
        np.log1p(tails_of_head),
        np.log1p(heads_of_tail),
    ]
    return np.stack([np.ones(len(forward)), *columns], axis=1)


def _sureness(log_p: Floats) -> Floats:
    """Return -log(1 - p), at most `SUREST`."""
    with np.errstate(divide="ignore"):
        return np.minimum(-np.log(-np.expm1(log_p)), SUREST)


def fit(
    data: Labelled, n_relations: int, *, missing_share: float | None = None, audit: Sequence[Audited] = ()
) -> Calibrator:
    """Return the calibrator that fits labelled candidates.

    `missing_share` is how many edges are assumed to be missing per known one; None: as many as `data` hides. It is
    lowered where the labels allow clearly fewer. An `audit` of enough edges says how many instead.

    Raises:
        DataError: fewer than `FEWEST` hidden edges are among the candidates.
    """
    positives = int(data.true.sum())
    if positives < FEWEST:
        raise DataError(
            f"only {positives} hidden edges are among the candidates, too few to give scores a meaning",
            fix=f"pull at least {_needed(data, positives):,} triples, or raise split.valid",
        )
    share, doubt, lowered = data.missing_share if missing_share is None else missing_share, 0.0, False
    audited = sum(each.decided for each in audit)
    if audited < FEWEST_AUDITED:
        audited = 0
    else:
        share, doubt = reviewed_share(audit, share)
    fitted = _fit(data, n_relations, share)
    if not audited and (most := _most_missing(data, fitted, share)) < share:
        share, lowered = most, True
        fitted = _fit(data, n_relations, share)
    missing = data.missing(share)
    calibrator = Calibrator(
        weights=tuple(fitted.weights.tolist()),
        relations=_tuples(_rising(fitted).tolist()),
        covariance=_tuples(fitted.covariance.tolist()),
        coupling=_tuples(fitted.coupling.tolist()),
        variance=_tuples(fitted.variance.tolist()),
        base_rate=min(float((data.weights * missing)[data.true].sum() / data.weights.sum()), 1.0),
        missing_share=share,
        positives=positives,
        recall=positives / max(int(data.hidden.sum()), 1),
        nulls=Nulls((), (), (), 0.0),
        audited=audited,
        doubt=doubt,
        lowered=lowered,
    )
    probabilities, _ = calibrator.scores(data.relations, data.features)
    taken = np.zeros_like(missing) if lowered else missing  # at most is no estimate, and promises must be safe

    def nulls(some: Any, least: float = -np.inf) -> Nulls:
        columns = probabilities[some], data.true[some], data.weights[some]
        return Nulls.of(*columns, missing=taken[some], folds=data.folds, least=least)

    own = tuple(nulls(data.relations == relation, PROPOSED) for relation in range(n_relations))
    return replace(calibrator, nulls=nulls(slice(None)), own_nulls=own)


def reviewed_share(audit: Sequence[Audited], assumed: float) -> tuple[float, float]:
    """Return how many edges are missing per known one, as a random audit shows, and the variance of its logarithm.

    What looks like a hidden edge and is none is missing or false, and how much of it there is has been counted. So a
    score s that assumed the share m is s x / m at a share x. The x is returned that makes what was accepted most
    probable, with a prior for log x around the `assumed` share: few decisions move little.
    """
    score, shares, decided, accepted = np.array(
        [(each.score, each.missing_share, each.decided, each.accepted) for each in audit], dtype=np.float64
    ).T
    x = math.log(assumed) + np.linspace(-AUDIT_RANGE, AUDIT_RANGE, 1_201)
    p = np.clip(score / shares * np.exp(x)[:, None], None, SURE)
    logs = (
        np.log(p) @ accepted
        + np.log1p(-p) @ (decided - accepted)
        - 0.5 * ((x - math.log(assumed)) / AUDIT_DEVIATION) ** 2
    )
    chances = np.exp(logs - logs.max())
    chances /= chances.sum()
    mean = float(chances @ x)
    return math.exp(float(x[logs.argmax()])), float(chances @ (x - mean) ** 2)


def _needed(data: Labelled, positives: int) -> int:
    """Return how many triples would give `FEWEST` hidden candidates at the same shares, in round hundreds."""
    share = max(positives, 1) / max(int(data.known.sum() + data.hidden.sum()), 1)
    return math.ceil(1.5 * FEWEST / share / 100) * 100


def _own(features: Floats) -> Floats:
    """Return what the weights of a relation are for, [n, 2]: one, and how sure both directions are together."""
    return np.stack([np.ones(len(features)), features[:, 1] + features[:, 2] - MIDDLE], axis=1)


def _fit(data: Labelled, n_relations: int, share: float) -> mixed.Fitted:
    missing = data.missing(share)
    columns = data.true, data.weights, missing
    examples = mixed.Examples.of(data.features, _own(data.features), data.relations, n_relations, *columns)
    base_rate = float((data.weights * missing)[data.true].sum() / data.weights.sum())
    return mixed.fit(examples, PRIOR, math.log(max(base_rate, 1e-9)))


def _rising(fitted: mixed.Fitted) -> Floats:
    """Return b_r and s_r of each relation [R, 2], where no slope becomes negative."""
    least = -float(fitted.weights[1:3].min())
    return np.stack([fitted.own[:, 0], np.maximum(fitted.own[:, 1], least)], axis=1)


def _most_missing(data: Labelled, fitted: mixed.Fitted, share: float) -> float:
    """Return how many edges can be missing per known one at most, as the labels of the best candidates say."""
    logit = data.features @ fitted.weights + np.einsum("nq,nq->n", _own(data.features), fitted.own[data.relations])
    best = np.argsort(-logit, kind="stable")[: CERTAIN * data.folds]
    weights, true = data.weights[best], data.true[best]
    total, labelled = float(weights.sum()), float(weights[true].sum())
    if labelled == 0:
        return math.inf
    rate, z = labelled / total, CLEARLY**2 * data.folds / total
    least = (rate + z / 2 - math.sqrt(z * (rate * (1 - rate) + z / 4))) / (1 + z)  # Wilson (1927): less than 1
    assumed = float((weights * data.missing(share)[best])[true].sum()) / labelled  # missing ones per labelled one
    return share * (1 - least) / least / assumed


def _tuples(value: Any) -> Any:
    return tuple(_tuples(entry) for entry in value) if isinstance(value, list | tuple) else value
