"""Chooses how much rules repeat one another: the power of `RuleVoice`, by the ranks of the valid triples."""

from __future__ import annotations

from typing import Any

import numpy as np

from kgsync.kge.evaluate import rank
from kgsync.kge.known import KnownAnswers
from kgsync.rules.facts import Facts
from kgsync.rules.mine import Rules
from kgsync.rules.voice import POWERS, Floats, RuleVoice

SHRINKAGE = 50  # ranks of the whole graph that are mixed into those of each relation and direction
TRIPLES = 3_000  # of valid that are ranked, at most


def choose(facts: Facts, rules: Rules, valid: np.ndarray[Any, Any], *, seed: int = 0) -> Floats:
    """Return the power of each relation id [2 * n_relations] that ranks `valid` [n, 3] best; the default without it.

    A relation with few triples in valid follows the graph: its mean is that of its n ranks and SHRINKAGE more of the
    whole graph's mean.
    """
    width = 2 * facts.n_relations
    if len(valid) == 0:
        return RuleVoice(facts, rules).powers
    everything = np.concatenate([facts.triples, valid.astype(np.int64)])
    if len(valid) > TRIPLES:
        valid = valid[np.sort(np.random.default_rng(seed).choice(len(valid), TRIPLES, replace=False))]
    known = KnownAnswers(everything, facts.n_entities, facts.n_relations)
    asked = np.concatenate([valid[:, 1], valid[:, 1] + facts.n_relations])
    voice = RuleVoice(facts, rules)
    means = []
    for power in POWERS:
        voice.powers = np.full(width, power)
        reciprocal = (1 / rank(voice, valid, known).realistic).T.reshape(-1)  # tails, then heads
        sums = np.bincount(asked, reciprocal, minlength=width) + SHRINKAGE * reciprocal.mean()
        means.append(sums / (np.bincount(asked, minlength=width) + SHRINKAGE))
    best: Floats = np.array(POWERS)[np.argmax(means, axis=0)]
    return best
