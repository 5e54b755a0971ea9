"""Tuning: finds the regularisation and the relation weight that suit one graph, on valid alone, within a time budget.

Successive halving over graph size and epochs (GraSH: Kochsiek et al. 2022, arXiv:2207.04979): every setting is tried
on the densest part of the graph, the best few on the whole of it. There are no values that are safe across graphs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kgsync.errors import DataError
from kgsync.kge.config import TrainConfig
from kgsync.kge.train import train

N3 = (0.005, 0.02, 0.05, 0.1)
RELATION_WEIGHTS = (0.0, 0.125, 0.5, 2.0)
PART = 30_000  # triples of the dense part; a graph that has no more is tried whole
PART_SHARE = 0.4  # of the time that goes to the dense part
FINALISTS = 4  # settings that are tried on the whole graph
EPOCHS = 3, 30  # of a trial, at least and at most
MIN_VALID = 50  # triples: with fewer, the order of settings is chance

Triples = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Trial:
    """One setting that was tried."""

    config: TrainConfig  # as it was trained, so with the epochs that it got
    mrr: float  # on valid
    seconds: float
    triples: int  # that it was trained on


def tune(
    train_triples: Triples,
    valid: Triples,
    n_entities: int,
    n_relations: int,
    config: TrainConfig,
    *,
    seconds: float,
    tried: Callable[[Trial], None] = lambda trial: None,
) -> TrainConfig:
    """Return `config` with the `n3` and `relation_weight` that did best on `valid` [m, 3].

    `seconds` is about how long the search takes; a trial that has begun is finished. `tried` is told of every trial.

    Raises:
        DataError: `valid` is too small to tell settings apart.
    """
    if len(valid) < MIN_VALID:
        raise DataError(
            f"{len(valid)} validation triples are too few to choose settings by: {MIN_VALID} are needed",
            fix="raise split.valid, or train with the defaults",
        )
    settings = [replace(config, n3=n3, relation_weight=weight) for n3 in N3 for weight in RELATION_WEIGHTS]
    order = np.random.default_rng(config.seed).permutation(len(settings))  # time may end first
    settings = [config, *(settings[i] for i in order if settings[i] != config)]
    whole = _Graph(train_triples, valid, n_entities, n_relations)
    part = whole.densest(PART)
    if part is not whole:
        settings = _best(part.try_all(settings, PART_SHARE * seconds, tried), FINALISTS)
        seconds *= 1 - PART_SHARE
    winner = _best(whole.try_all(settings, seconds, tried), 1)[0]
    return replace(config, n3=winner.n3, relation_weight=winner.relation_weight)


def _best(trials: Sequence[Trial], most: int) -> list[TrainConfig]:
    return [trial.config for trial in sorted(trials, key=lambda trial: -trial.mrr)[:most]]


@dataclass(frozen=True)
class _Graph:
    train: Triples
    valid: Triples
    n_entities: int
    n_relations: int

    def densest(self, triples: int) -> _Graph:
        """Return the graph between the most frequent entities that has about so many triples, renumbered."""
        if len(self.train) <= triples:
            return self
        degree = np.bincount(self.train[:, [0, 2]].ravel(), minlength=self.n_entities)
        place = np.empty(self.n_entities, dtype=np.int64)  # 0: the most frequent
        place[np.argsort(-degree, kind="stable")] = np.arange(self.n_entities)
        needed = np.sort(place[self.train[:, [0, 2]]].max(axis=1))  # entities that a triple needs, less one
        size = int(needed[triples - 1]) + 1

        def inside(rows: Triples) -> Triples:
            kept = rows[(place[rows[:, [0, 2]]] < size).all(axis=1)]
            return np.stack([place[kept[:, 0]], kept[:, 1], place[kept[:, 2]]], axis=1)

        part = _Graph(inside(self.train), inside(self.valid), size, self.n_relations)
        return part if len(part.valid) >= MIN_VALID else self

    def try_all(self, settings: Sequence[TrainConfig], seconds: float, tried: Callable[[Trial], None]) -> list[Trial]:
        """Train every setting for the same number of epochs, as many as the time allows; fewer settings if none do."""
        deadline = time.monotonic() + seconds
        first = self._try(settings[0], EPOCHS[0])
        per_epoch = first.seconds / EPOCHS[0]
        affordable = int(seconds / (per_epoch * len(settings)))
        epochs = min(max(affordable, EPOCHS[0]), EPOCHS[1])
        trials: list[Trial] = []
        for setting in settings:
            if trials and time.monotonic() > deadline:
                break
            trial = first if epochs == EPOCHS[0] and setting is settings[0] else self._try(setting, epochs)
            tried(trial)
            trials.append(trial)
        return trials

    def _try(self, setting: TrainConfig, epochs: int) -> Trial:
        config = replace(setting, epochs=epochs, steps=0, time_budget=0.0)
        trained = train(self.train, self.valid, self.n_entities, self.n_relations, config)
        best = max(epoch.valid_mrr for epoch in trained.history if epoch.valid_mrr is not None)
        return Trial(config, best, trained.seconds, len(self.train))
