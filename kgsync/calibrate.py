"""The score: how probable it is that an edge which this pipeline proposes is true.

Known-true edges were hidden from training. The very candidates that prediction would make are made with
those edges unknown, and each is labelled by whether it is a hidden one. A logistic model is fitted to that:

    logit P(true) = a + b_r + s_f log p(t | h, r) + s_b log p(h | r, t) + u (o(t | h, r) + o(h | r, t))
                    + c_f log(1 + n_hr) + c_b log(1 + n_rt),    o = -log(1 - p)

p is the model's softmax over the admissible unknown answers, n the number of known answers. Without o, which tells .99
from .9, a sure answer would score little more than a likely one. More evidence never lowers the score
(s, u >= 0). Relations differ by b_r ~ N(0, tau²), tau estimated from the data
(empirical Bayes), so that a relation with few hidden edges leans on the others; weak Gaussian priors on the
rest keep few edges from being over-read. The lower bound comes from the curvature at the optimum (Laplace).

The candidates that are no hidden edges are not all false: some are what is missing. If k missing edges come with each
labelled one, and look alike, a candidate is a labelled one with chance P / (k + P), where P is that of a missing one
among missing and false ones (learning from positive and unlabelled examples: Elkan and Noto 2008,
doi:10.1145/1401890.1401920). P is what is fitted and what a score says. No candidate is labelled with a chance above
1 / (k + 1), so k is lowered where the best are: if all that looks like a hidden edge is one, little can be missing.

What it assumes: that edges missing from the graph resemble hidden ones, and that they are as frequent, in
proportion to the known ones, as `missing_share` says. That gives the base rate, and is an assumption until a random
audit of proposals has shown it (`reviewed_share`). As many true edges compete in the softmax as are assumed to be
missing, although only some of them are labelled: among more of them a voice is less sure of each. A hidden edge has no
other edge between its ends (they are hidden together), as a missing one often has: that makes the score err on the low
side. The test fold is neither true nor false: it competes, and is left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from kgsync.errors import DataError
from kgsync.promise import Nulls

Floats = np.ndarray[Any, np.dtype[np.float64]]

CALIBRATION = 3  # changes where scores come to mean something else
FEWEST = 10  # hidden edges among the candidates, below which no score is claimed
FEATURES = 6  # constant, forward, backward, how sure both are, known tails of the head, known heads of the tail
PRIOR_MEAN = np.array([0.0, 0.5, 0.5, 0.0, 0.0, 0.0])  # two directions that share the evidence
PRIOR_DEVIATION = np.array([10.0, 1.0, 1.0, 0.5, 1.0, 1.0])
EVIDENCE = (1, 2, 3)  # the features whose slope is never negative
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
    hidden: int  # hidden edges in all, whether they became candidates or not
    known: int  # known edges in all
    folds: int = 1  # sets of hidden edges that these candidates were labelled by, one after the other

    @classmethod
    def together(cls, parts: Sequence[Labelled]) -> Labelled:
        """Return what several sets of hidden edges say about the candidates of one graph."""
        return cls(
            features=np.concatenate([part.features for part in parts]),
            relations=np.concatenate([part.relations for part in parts]),
            true=np.concatenate([part.true for part in parts]),
            weights=np.concatenate([part.weights for part in parts]),
            hidden=sum(part.hidden for part in parts),
            known=sum(part.known for part in parts),
            folds=sum(part.folds for part in parts),
        )

    @property
    def base_rate(self) -> float:
        """Return the share of hidden edges among the candidates."""
        return float(self.weights[self.true].sum() / max(self.weights.sum(), 1.0))

    @property
    def missing_share(self) -> float:
        """Return the hidden edges per known edge."""
        return self.hidden / max(self.known, 1)


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
    relations: tuple[float, ...]  # b_r of every relation
    covariance: tuple[tuple[float, ...], ...]  # [FEATURES, FEATURES] of the weights
    coupling: tuple[tuple[float, ...], ...]  # [n_relations, FEATURES]: how b_r moves against the weights
    variance: tuple[float, ...]  # [n_relations] of b_r where the weights are given
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
        logit = features @ np.array(self.weights) + np.array(self.relations)[numbers]
        lean = features - np.array(self.coupling)[numbers]  # [n, FEATURES]
        spread = np.einsum("nf,fg,ng->n", lean, np.array(self.covariance), lean) + np.array(self.variance)[numbers]
        low = _sigmoid(logit - ONE_SIDED_95 * np.sqrt(np.maximum(spread, 0.0)))
        return _sigmoid(logit), low * math.exp(-ONE_SIDED_95 * math.sqrt(self.doubt))  # a score is in proportion to it

    @property
    def basis(self) -> str:
        """Return where the base rate comes from: "reviewed", "estimated" (less than was assumed) or "assumed"."""
        return "reviewed" if self.audited else "estimated" if self.lowered else "assumed"

    def chances(self, relations: Any, features: Floats, missing_share: float) -> Floats:
        """Return the chance that a candidate is a labelled edge, if so many are labelled per known one.

        It is less than the score: what is missing and not labelled looks the same.
        """
        score, _ = self.scores(relations, features)
        return score / (self.missing_share / missing_share + score)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        values = asdict(self)
        return {name: value for name, value in values.items() if name not in ("doubt", "lowered") or value}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Calibrator:
        """Return the calibrator that `to_dict` described."""
        plain = {name: _tuples(value) for name, value in values.items() if name not in ("nulls", "own_nulls")}
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
    share, doubt = data.missing_share if missing_share is None else missing_share, 0.0
    audited = sum(each.decided for each in audit)
    if audited < FEWEST_AUDITED:
        audited = 0
    else:
        share, doubt = reviewed_share(audit, share)
    times = share / data.missing_share
    solution, free = _fit_rising(data, n_relations, times)
    allowed = times if audited else min(times, _most_missing(data, solution))
    if allowed < times:
        solution, free = _fit_rising(data, n_relations, allowed)
    covariance = np.zeros((FEATURES, FEATURES))
    covariance[np.ix_(free, free)] = np.linalg.inv(solution.schur[np.ix_(free, free)])
    calibrator = Calibrator(
        weights=tuple(solution.weights.tolist()),
        relations=tuple(solution.relations.tolist()),
        covariance=_tuples(covariance.tolist()),
        coupling=_tuples((solution.cross / solution.own[:, None] * free).tolist()),
        variance=tuple((1.0 / solution.own).tolist()),
        base_rate=min(allowed * data.base_rate, 1.0),
        missing_share=allowed * data.missing_share,
        positives=positives,
        recall=positives / max(data.hidden, 1),
        nulls=Nulls((), (), (), 0.0),
        audited=audited,
        doubt=doubt,
        lowered=allowed < times,
    )
    probabilities, _ = calibrator.scores(data.relations, data.features)
    taken = 0.0 if calibrator.lowered else allowed  # at most is no estimate, and promises must be safe
    of_relation = [data.relations == relation for relation in range(n_relations)]
    return replace(
        calibrator,
        nulls=Nulls.of(probabilities, data.true, data.weights, times=taken, folds=data.folds),
        own_nulls=tuple(
            Nulls.of(
                probabilities[own],
                data.true[own],
                data.weights[own],
                times=taken,
                folds=data.folds,
                least=PROPOSED,
            )
            for own in of_relation
        ),
    )


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
    share = max(positives, 1) / max(data.known + data.hidden, 1)
    return math.ceil(1.5 * FEWEST / share / 100) * 100


@dataclass(frozen=True)
class _Solution:
    weights: Floats  # [FEATURES]
    relations: Floats  # [R]
    schur: Floats  # [FEATURES, FEATURES]: inverse covariance of the weights
    cross: Floats  # [R, FEATURES]: curvature between the weights and each b_r
    own: Floats  # [R]: curvature of each b_r


def _most_missing(data: Labelled, solution: _Solution) -> float:
    """Return how many times as many edges can be missing as are labelled, as the labels of the best candidates say."""
    best = np.argsort(-(data.features @ solution.weights + solution.relations[data.relations]), kind="stable")
    best = best[: CERTAIN * data.folds]
    total, true = float(data.weights[best].sum()), float(data.weights[best][data.true[best]].sum())
    rate, z = true / total, CLEARLY**2 * data.folds / total
    least = (rate + z / 2 - math.sqrt(z * (rate * (1 - rate) + z / 4))) / (1 + z)  # Wilson (1927): less than 1
    return (1 - least) / least if least > 0 else math.inf


def _fit_rising(data: Labelled, n_relations: int, times: float) -> tuple[_Solution, Any]:
    """Fit so that more evidence never lowers the score; return which weights were free as well."""
    free = np.ones(FEATURES, dtype=bool)
    while True:
        solution = _fit_spread(data, n_relations, free, times)
        negative = [f for f in EVIDENCE if free[f] and solution.weights[f] < 0]
        if not negative:
            return solution, free
        free[negative] = False


def _fit_spread(data: Labelled, n_relations: int, free: Any, times: float) -> _Solution:
    """Fit with the spread of the relations estimated from the data: EM, with one imagined relation of spread 1."""
    spread, weights, relations = 1.0, np.where(free, PRIOR_MEAN, 0.0), np.zeros(n_relations)
    weights[0] = math.log(max(times * data.base_rate, 1e-9))
    seen = np.bincount(data.relations, minlength=n_relations) > 0
    for _ in range(30):
        solution = _newton(data, weights, relations, spread, free, times)
        weights, relations = solution.weights, solution.relations
        lean = solution.cross[:, free] / solution.own[:, None]
        inverse = np.linalg.inv(solution.schur[np.ix_(free, free)])
        variance = 1.0 / solution.own + np.einsum("rf,fg,rg->r", lean, inverse, lean)
        new = float((np.sum((relations**2 + variance)[seen]) + 1.0) / (seen.sum() + 1))
        if abs(new - spread) < 0.01 * spread:
            break
        spread = new
    return solution


def _newton(data: Labelled, weights: Floats, relations: Floats, spread: float, free: Any, times: float) -> _Solution:
    """Maximise the penalised likelihood by Fisher scoring; the curvature of the b_r, diagonal, is eliminated first."""
    x, group, n_relations = data.features, data.relations, len(relations)
    precision = np.diag(1.0 / PRIOR_DEVIATION**2)
    value = _loss(data, weights, relations, spread, times)
    for _ in range(100):
        p = _sigmoid(x @ weights + relations[group])
        labelled = p / (times + p)
        slack = data.weights * (data.true - labelled) * (1.0 - p)
        curve = data.weights * labelled * (1.0 - labelled) * (1.0 - p) ** 2
        weighted = x * curve[:, None]
        own = _sums(group, curve, n_relations) + 1.0 / spread
        cross = np.stack([_sums(group, column, n_relations) for column in weighted.T], axis=1)
        schur = x.T @ weighted + precision - cross.T @ (cross / own[:, None])
        for_weights = x.T @ slack - precision @ (weights - PRIOR_MEAN)
        for_relations = _sums(group, slack, n_relations) - relations / spread
        reduced = for_weights - cross.T @ (for_relations / own)
        step = np.zeros(FEATURES)
        step[free] = np.linalg.solve(schur[np.ix_(free, free)], reduced[free])
        relation_step = (for_relations - cross @ step) / own
        gain = float(for_weights @ step + for_relations @ relation_step)
        if gain < 1e-9 * max(value, 1.0):
            break
        length = 1.0
        while length > 1e-6:
            tried = weights + length * step, relations + length * relation_step
            new = _loss(data, *tried, spread, times)
            if new <= value - 1e-4 * length * gain:
                break
            length /= 2
        weights, relations, value = *tried, new
    return _Solution(weights, relations, schur, cross, own)


def _loss(data: Labelled, weights: Floats, relations: Floats, spread: float, times: float) -> float:
    penalty = np.sum(((weights - PRIOR_MEAN) / PRIOR_DEVIATION) ** 2) + relations @ relations / spread
    return _misfit(data, weights, relations, times) + 0.5 * float(penalty)


def _misfit(data: Labelled, weights: Floats, relations: Floats, times: float) -> float:
    """Return the negative log-likelihood of the labels, which are true with chance p / (times + p)."""
    log_p = -np.logaddexp(0.0, -(data.features @ weights + relations[data.relations]))
    each = np.log(times + np.exp(log_p)) - np.where(data.true, log_p, math.log(times))
    return float(data.weights @ each)


def _sums(group: Any, values: Floats, n_groups: int) -> Floats:
    return np.asarray(np.bincount(group, values, n_groups), dtype=np.float64)


def _sigmoid(logit: Floats) -> Floats:
    result: Floats = 0.5 * (1.0 + np.tanh(0.5 * logit))
    return result


def _tuples(value: Any) -> Any:
    return tuple(_tuples(entry) for entry in value) if isinstance(value, list | tuple) else value
