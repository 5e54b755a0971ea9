"""Logistic regression on positive and unlabelled examples, with weights of groups beside those of all.

    logit p = x w + z v_g,    v_g ~ N(0, diag(spread)),    P(labelled) = p / (k + p)

A group with few examples leans on the others: the spread of the groups is estimated from the data (empirical Bayes, by
EM: Dempster, Laird and Rubin 1977). Some weights are never negative. An example that is not labelled may be true, as k
such ones come with each that is labelled (Elkan and Noto 2008, doi:10.1145/1401890.1401920). Doubt is the curvature at
the optimum (Laplace).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]
Numbers = np.ndarray[Any, np.dtype[np.int64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]

ROUNDS = 30  # of EM at most
SETTLED = 0.01  # relative change of a spread that ends them
STEPS = 25  # of Newton at most
GAIN = 1e-9  # relative gain below which they end
LONGEST = 2.0  # step of any weight: where all logits are far from the data, the curvature says little


@dataclass(frozen=True)
class Examples:
    """Rows of the same length, those of a group together."""

    x: Floats  # [n, F]
    z: Floats  # [n, Q]
    bounds: Numbers  # [G + 1]: where each group begins
    labelled: Mask  # [n]
    weights: Floats  # [n]: how many examples a row stands for
    missing: Floats  # [n]: k, more than 0

    @classmethod
    def of(cls, x: Floats, z: Floats, groups: Numbers, n_groups: int, *columns: Any) -> Examples:
        """Return the rows in the order of their `groups` [n]; `columns` are the others: labelled, weights, missing."""
        order = np.argsort(groups, kind="stable")
        bounds = np.searchsorted(groups[order], np.arange(n_groups + 1))
        return cls(x[order], z[order], bounds, *(column[order] for column in columns))

    def logit(self, weights: Floats, own: Floats) -> Floats:
        """Return the logit of p [n] for the weights [F] of all and those [G, Q] of the groups."""
        each = np.repeat(own, np.diff(self.bounds), axis=0)
        return np.asarray(self.x @ weights + np.einsum("nq,nq->n", self.z, each))

    def products(self, right: Floats) -> Floats:
        """Return z' right of each group, [G, Q, K], for `right` [n, K]."""
        return np.stack([self.z[low:high].T @ right[low:high] for low, high in pairwise(self.bounds)])


@dataclass(frozen=True)
class Prior:
    """What is taken for granted without examples."""

    mean: Floats  # [F]
    deviation: Floats  # [F]
    rising: Sequence[int]  # weights that are never negative
    spread: Floats  # [Q]: variance of the groups' own weights; counts as that of one group


@dataclass(frozen=True)
class Fitted:
    """The most probable weights, and how they vary together."""

    weights: Floats  # [F]
    own: Floats  # [G, Q]
    covariance: Floats  # [F, F] of the weights; 0 where one was not to be negative
    coupling: Floats  # [G, Q, F]: how far a group's own weights move against those of all
    variance: Floats  # [G, Q, Q] of a group's own weights where those of all are given


def fit(examples: Examples, prior: Prior, intercept: float) -> Fitted:
    """Return the weights that are most probable, from a start at the prior with this `intercept` as the first one."""
    free = np.ones(len(prior.mean), dtype=bool)
    while True:
        fitted = _with_spread(examples, prior, intercept, free)
        negative = [f for f in prior.rising if free[f] and fitted.weights[f] < 0]
        if not negative:
            return fitted
        free[negative] = False


def sigmoid(logit: Floats) -> Floats:
    """Return 1 / (1 + exp(-logit)), without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logit)))


def _with_spread(examples: Examples, prior: Prior, intercept: float, free: Mask) -> Fitted:
    weights = np.where(free, prior.mean, 0.0)
    weights[0] = intercept
    seen = np.diff(examples.bounds) > 0
    spread, own = prior.spread, np.zeros((len(seen), len(prior.spread)))
    for _ in range(ROUNDS):
        fitted = _newton(examples, weights, own, spread, prior, free)
        weights, own = fitted.weights, fitted.own
        doubt = np.einsum("gqq->gq", fitted.variance) + np.einsum(
            "gqe,ef,gqf->gq", fitted.coupling, fitted.covariance, fitted.coupling
        )
        new = ((own**2 + doubt)[seen].sum(axis=0) + prior.spread) / (seen.sum() + 1)
        if (np.abs(new - spread) < SETTLED * spread).all():
            break
        spread = new
    return fitted


def _newton(examples: Examples, weights: Floats, own: Floats, spread: Floats, prior: Prior, free: Mask) -> Fitted:
    """Maximise the penalised likelihood by Fisher scoring; the groups' own weights are eliminated first."""
    x, both = examples.x, np.concatenate([examples.z, examples.x], axis=1)
    precision = np.diag(1.0 / prior.deviation**2)
    value = _loss(examples, weights, own, spread, prior)
    for _ in range(STEPS):
        p = sigmoid(examples.logit(weights, own))
        chance = p / (examples.missing + p)
        slack = examples.weights * (examples.labelled - chance) * (1.0 - p)
        curve = (examples.weights * chance * (1.0 - chance) * (1.0 - p) ** 2)[:, None]
        within, across = np.split(examples.products(both * curve), [own.shape[1]], axis=2)
        within = within + np.diag(1.0 / spread)
        variance = np.asarray(np.linalg.inv(within), dtype=np.float64)
        coupling = variance @ across
        schur = x.T @ (x * curve) + precision - np.einsum("gqe,gqf->ef", across, coupling)
        for_all = x.T @ slack - precision @ (weights - prior.mean)
        for_groups = examples.products(slack[:, None])[:, :, 0] - own / spread
        rest = for_all - np.einsum("gqf,gq->f", coupling, for_groups)
        covariance = np.zeros_like(schur)
        covariance[np.ix_(free, free)] = np.linalg.inv(schur[np.ix_(free, free)])
        step = covariance @ rest
        own_step = np.einsum("gpq,gq->gp", variance, for_groups) - coupling @ step
        gain = float(for_all @ step + np.sum(for_groups * own_step))
        if gain < GAIN * max(value, 1.0):
            break
        length = min(1.0, LONGEST / max(float(np.abs(step).max()), float(np.abs(own_step).max()), 1e-9))
        while length > 1e-6:
            tried = weights + length * step, own + length * own_step
            new = _loss(examples, *tried, spread, prior)
            if new <= value - 1e-4 * length * gain:
                break
            length /= 2
        weights, own, value = *tried, new
    return Fitted(weights, own, covariance, coupling, variance)


def _loss(examples: Examples, weights: Floats, own: Floats, spread: Floats, prior: Prior) -> float:
    """Return the negative logarithm of likelihood times prior."""
    log_p = -np.logaddexp(0.0, -examples.logit(weights, own))
    missing = examples.missing
    each = np.log(missing + np.exp(log_p)) - np.where(examples.labelled, log_p, np.log(missing))
    penalty = np.sum(((weights - prior.mean) / prior.deviation) ** 2) + np.sum(own**2 / spread)
    return float(examples.weights @ each) + 0.5 * float(penalty)
