"""What a look at a predicted edge is worth: its chance to be true, our doubt about it, and what it touches.

    worth = chance + DOUBT chance (1 - chance) + REACH log(1 + reach)

The chance is the score after what the reviewers have decided so far: logit(chance) = logit(score) + shift, one shift
per relation, the maximum of its likelihood under a normal prior around the shift of all relations together. That is
the intercept of a logistic model moved by new labels (King and Zeng 2001); it orders the queue and no more. The doubt
is the variance of the answer (uncertainty sampling, arXiv cmp-lg/9407020). The reach is how many other predicted edges
touch the ends. `cypher/review/desk/queue.cypher` sorts by the same formula, where the edges are.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

DOUBT = 0.2
REACH = 0.01
SPREAD = 1.0  # standard deviation of a shift, in logits
_LEAST = 1e-6  # a score is never surer than this


@dataclass(frozen=True)
class Decided:
    """Reviewed edges of one relation with about the same score."""

    relation: str
    score: float
    reviewed: int
    accepted: int


@dataclass(frozen=True)
class Beliefs:
    """By how much the reviewers' decisions move the logits: those of a relation, and of one that has none."""

    overall: float = 0.0
    shifts: Mapping[str, float] = field(default_factory=dict)

    def chance(self, relation: str, score: float) -> float:
        """Return the probability that an edge is true, after what was decided about others."""
        return _probability(_logit(score) + self.shifts.get(relation, self.overall))

    def worth(self, relation: str, score: float, reach: int) -> float:
        """Return what a look at an edge is worth, the more the better."""
        chance = self.chance(relation, score)
        return chance + DOUBT * chance * (1.0 - chance) + REACH * math.log1p(reach)


def learn(decided: Iterable[Decided]) -> Beliefs:
    """Return what the decisions say about the scores; without any, that they are right."""
    by_relation: dict[str, list[Decided]] = defaultdict(list)
    for row in decided:
        by_relation[row.relation].append(row)
    overall = _shift([row for rows in by_relation.values() for row in rows], around=0.0)
    return Beliefs(overall, {relation: _shift(rows, around=overall) for relation, rows in by_relation.items()})


def _shift(rows: list[Decided], *, around: float) -> float:
    """Return the most likely shift of these logits: Newton's method on a concave function."""
    logits = [_logit(row.score) for row in rows]
    shift = around
    for _ in range(50):
        slope, curve = (around - shift) / SPREAD**2, 1.0 / SPREAD**2
        for row, logit in zip(rows, logits, strict=True):
            chance = _probability(logit + shift)
            slope += row.accepted - row.reviewed * chance
            curve += row.reviewed * chance * (1.0 - chance)
        step = max(-1.0, min(1.0, slope / curve))
        shift += step
        if abs(step) < 1e-9:
            break
    return shift


def _logit(score: float) -> float:
    clipped = max(_LEAST, min(1.0 - _LEAST, score))
    return math.log(clipped / (1.0 - clipped))


def _probability(logit: float) -> float:
    return 1.0 / (1.0 + math.exp(-logit))
