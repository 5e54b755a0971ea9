"""Tuning: finds the loss, the regularisation and the relation weight that suit one graph, on valid alone, in time.

Successive halving over graph size and epochs (GraSH: Kochsiek et al. 2022, arXiv:2207.04979): settings are tried on the
densest part of the graph, all of them or, where that takes too long, those of one kind after the other from the best so
far; then the best few on the whole graph. There are no values that are safe across graphs.
"""

from __future__ import annotations

import bisect
import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from itertools import product
from typing import Any, Literal

import numpy as np

from kgsync.errors import DataError
from kgsync.kge.config import TrainConfig
from kgsync.kge.defaults import Size, resolve
from kgsync.kge.device import free_memory
from kgsync.kge.journal import Journal
from kgsync.kge.known import KnownAnswers
from kgsync.kge.models import MODELS
from kgsync.kge.train import train
from kgsync.progress import silent

N3 = (0.1, 0.005, 0.05, 0.01, 0.02)  # the farthest from the default first, as time may end
HOPELESS = 0.75  # of the other loss's MRR with the same settings: what has less is tried no more
RELATION_WEIGHTS = (0.125, 4.0, 0.0, 0.5)
LOSSES: tuple[Literal["softmax", "bce"], ...] = "softmax", "bce"
PART = 100_000  # triples of the dense part; a graph that has no more is tried whole
FEW = 8_000  # entities up to which bce is tried as well: it wins on dense graphs of few entities
FIRST_SHARE = 0.4  # of the time that goes to trying all settings
FINALISTS = 4  # settings that are tried again, on the whole graph and for longer
EPOCHS = 3, 30  # of a trial, at least and at most
LONGER = 3  # times as many epochs for finalists
MIN_VALID = 50  # triples: with fewer, the order of settings is chance
WORTH = 6  # epochs on the whole of a large graph after which two settings can be told apart
PACE_STEPS = 30  # by which the time of an epoch is measured
ENOUGH_EPOCHS = 20  # that a training should get: more rank gained more than more epochs on FB15k-237
RANKS = (150, 200, 300, 400, 500)  # beyond the automatic one, where there is time
MEMORY_SHARE = 1 / 3  # of what is free, that embeddings may take
TABLES = 3  # of their size: themselves, the optimiser's sums, the best copy

Triples = np.ndarray[Any, Any]
Loss = Literal["softmax", "bce", "margin"]


@dataclass(frozen=True)
class Trial:
    """One setting that was tried."""

    config: TrainConfig  # as it was trained, so with its rank and the epochs that it got
    mrr: float  # on valid
    seconds: float
    triples: int  # that it was trained on
    epochs: int  # that it might have had
    kept: bool = field(default=False, compare=False)  # made before the search was interrupted


def tune(
    train_triples: Triples,
    valid: Triples,
    n_entities: int,
    n_relations: int,
    config: TrainConfig,
    *,
    seconds: float,
    training_seconds: float | None = None,
    tried: Callable[[Trial], None] = lambda trial: None,
    journal: Journal | None = None,
) -> TrainConfig:
    """Return `config` with the `loss`, `n3` and `relation_weight` that did best on `valid` [m, 3].

    `seconds` is about how long the search takes; a trial that has begun is finished. With `training_seconds` the
    rank is chosen as well, unless `config` has one: the largest that this time and the memory are enough for. `tried`
    is told of every trial. What is in the `journal`, which is this search's own, is not tried again, and the time that
    it took counts.

    Raises:
        DataError: `valid` is too small to tell settings apart.
    """
    if len(valid) < MIN_VALID:
        raise DataError(
            f"{len(valid)} validation triples are too few to choose settings by: {MIN_VALID} are needed",
            fix="raise split.valid, or train with the defaults",
        )
    journal = journal or Journal()
    whole = _Graph(train_triples, valid, n_entities, n_relations, journal)
    automatic = resolve(config, whole.size)
    config = replace(config, n3=automatic.n3, relation_weight=automatic.relation_weight)
    part = whole.densest(PART)
    small = part is whole
    losses = LOSSES if small and n_entities <= FEW else (config.loss,)
    deadline = journal.once("search began", journal.spent) + seconds
    first = part.search(config, losses, FIRST_SHARE * seconds, seconds if small else FIRST_SHARE * seconds, tried)
    best = sorted(first, key=lambda trial: -trial.mrr)[:FINALISTS]
    finalists = [replace(trial.config, rank=config.rank) for trial in best]  # the rank that suits the whole graph
    left = journal.once("time for finalists", lambda: deadline - journal.spent())
    if small:  # what did well with one seed has to do so with another
        finalists = [replace(setting, seed=config.seed + 1) for setting in finalists]
        pace = best[0].seconds / best[0].config.epochs
        again = left >= (1 - FIRST_SHARE) * seconds / 2
    else:
        pace = journal.once("pace", lambda: whole.pace(finalists[0]))
        again = left >= 2 * WORTH * pace
    chosen = finalists[0]
    if again:  # else trainings long enough to be compared would take more than there is
        least, most = EPOCHS[0] if small else WORTH, LONGER * EPOCHS[1]
        epochs = _affordable(pace * len(finalists), left, (least, most))
        last = whole.run(finalists, epochs, journal.once("finals began", journal.spent) + left, tried)
        chosen = max(last, key=lambda trial: trial.mrr).config
    rank = config.rank
    if not rank and training_seconds is not None and config.model != "rescal":
        time = training_seconds
        rank = journal.once("rank", lambda: whole.largest_rank(replace(chosen, rank=0), time))
    found = replace(config, loss=chosen.loss, n3=chosen.n3, relation_weight=chosen.relation_weight, rank=rank)
    return _fitting(found)


def _settings(config: TrainConfig, losses: Sequence[Loss]) -> list[TrainConfig]:
    """Return the given setting and all others, in an order in which an early end is fair to all of them."""
    grid = [
        replace(config, loss=loss, n3=n3, relation_weight=weight)
        for loss, n3, weight in product(losses, N3, RELATION_WEIGHTS)
    ]
    order = np.random.default_rng(config.seed).permutation(len(grid))
    first = [config, *(replace(config, loss=loss) for loss in losses if loss != config.loss)]
    return [*first, *(grid[i] for i in order if grid[i] not in first)]


def _hopeless(setting: TrainConfig, trials: Sequence[Trial]) -> bool:
    """Return whether the first trials, which differ in their loss alone, speak against the loss of `setting`."""
    base = {t.config.loss: t.mrr for t in trials if _of(t.config) == _of(trials[0].config)}
    return setting.loss in base and base[setting.loss] < HOPELESS * max(base.values())


def _of(config: TrainConfig) -> tuple[float, float]:
    return config.n3, config.relation_weight


def _affordable(pace: float, seconds: float, epochs: tuple[int, int]) -> int:
    """Return how many epochs, of `pace` seconds for all settings, there is time for, within the least and the most."""
    least, most = epochs
    return min(max(int(seconds / pace), least), most)


@dataclass(frozen=True)
class _Graph:
    train: Triples
    valid: Triples
    n_entities: int
    n_relations: int
    journal: Journal = field(default_factory=Journal)

    @cached_property
    def size(self) -> Size:
        """Return the size of its training triples."""
        return Size.of(KnownAnswers(self.train, self.n_entities, self.n_relations))

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

        part = _Graph(inside(self.train), inside(self.valid), size, self.n_relations, self.journal)
        return part if len(part.valid) >= MIN_VALID else self

    def pace(self, setting: TrainConfig) -> float:
        """Return the seconds that an epoch takes here, going by a few steps."""
        config = replace(_trial(setting, epochs=1), steps=PACE_STEPS)
        trained = train(self.train, self.valid[:0], self.n_entities, self.n_relations, config)
        return trained.seconds / trained.steps * math.ceil(self.size.queries / trained.config.batch)

    def largest_rank(self, setting: TrainConfig, seconds: float) -> int:
        """Return the largest of the automatic rank and `RANKS` for which there are memory and enough `seconds`."""
        width = MODELS[setting.model].widths
        resolved = resolve(setting, self.size)
        automatic, free = resolved.rank, MEMORY_SHARE * free_memory(resolved.device)
        ranks = [rank for rank in RANKS if rank > automatic and TABLES * 4 * self.n_entities * width(rank)[0] <= free]
        slow = bisect.bisect_left(
            ranks, True, key=lambda r: ENOUGH_EPOCHS * self.pace(replace(setting, rank=r)) > seconds
        )
        return ranks[slow - 1] if slow else automatic

    def search(
        self,
        config: TrainConfig,
        losses: Sequence[Loss],
        seconds: float,
        otherwise: float,
        tried: Callable[[Trial], None],
    ) -> list[Trial]:
        """Try every setting if all take no more than `seconds`.

        Otherwise one kind of setting after the other, from the best so far, in so much time.
        """
        grid = _settings(config, losses)
        began, first = self.journal.once("trials began", self.journal.spent), self._try(config, EPOCHS[0])
        pace = first.seconds / EPOCHS[0]
        if first.seconds * len(grid) <= seconds:
            epochs = _affordable(pace * len(grid), seconds, EPOCHS)
            return self.run(grid, epochs, began + seconds, tried, first)
        seconds, deadline = otherwise, began + otherwise
        kinds: dict[str, Sequence[Any]] = {"loss": losses, "n3": N3, "relation_weight": RELATION_WEIGHTS}
        epochs = _affordable(pace * (1 + sum(len(values) for values in kinds.values())), seconds, EPOCHS)
        trials = self.run([config], epochs, deadline, tried, first)
        for kind, values in kinds.items():
            best = max(trials, key=lambda trial: trial.mrr).config
            best = replace(config, loss=best.loss, n3=best.n3, relation_weight=best.relation_weight)
            others = [replace(best, **{kind: value}) for value in values if value != getattr(best, kind)]
            trials += self.run(others, epochs, deadline, tried, always=False)
        return trials

    def run(
        self,
        settings: Sequence[TrainConfig],
        epochs: int,
        deadline: float,
        tried: Callable[[Trial], None],
        first: Trial | None = None,
        *,
        always: bool = True,
    ) -> list[Trial]:
        """Return the trials of `settings`, until the deadline; with `always` at least one.

        `first` is one of the first setting: it is shown, and made again if it had fewer epochs. A trial that was begun
        before the deadline, and interrupted, is finished.
        """
        trials: list[Trial] = []
        if first is not None:
            tried(first)
            if first.epochs == epochs:
                trials.append(first)
                settings = settings[1:]
        for setting in settings:
            late = (trials or not always) and self.journal.spent() > deadline
            if late and not self._begun(_trial(setting, epochs)):
                break
            if _hopeless(setting, trials):
                continue
            trials.append(self._try(setting, epochs))
            tried(trials[-1])
        return trials

    def _try(self, setting: TrainConfig, epochs: int) -> Trial:
        config = _trial(setting, epochs)
        name = self._name(config)
        kept = name in self.journal
        found = self.journal.once(name, lambda: self._train(config, name))
        return Trial(**{**found, "config": TrainConfig(**found["config"])}, epochs=epochs, kept=kept)

    def _train(self, config: TrainConfig, name: str) -> dict[str, Any]:
        """Return what a trial came to, for the journal."""
        size = self.n_entities, self.n_relations
        watch, place = self.journal.watch(silent), self.journal.place(name)
        trained = train(self.train, self.valid, *size, config, checkpoint=place, progress=watch)
        best = max(epoch.valid_mrr for epoch in trained.history if epoch.valid_mrr is not None)
        done = replace(config, rank=trained.config.rank, epochs=len(trained.history))
        return {"config": asdict(done), "mrr": best, "seconds": trained.seconds, "triples": len(self.train)}

    def _name(self, config: TrainConfig) -> str:
        """Return what a trial is called in the journal."""
        text = json.dumps([len(self.train), asdict(config)], sort_keys=True)
        return f"trial-{hashlib.sha256(text.encode()).hexdigest()[:16]}"

    def _begun(self, config: TrainConfig) -> bool:
        place = self.journal.place(name := self._name(config))
        return name in self.journal or (place is not None and place.exists())


def _trial(setting: TrainConfig, epochs: int) -> TrainConfig:
    """Return a setting as it is tried."""
    return replace(_fitting(setting), epochs=epochs, steps=0, time_budget=0.0, members=1)


def _fitting(setting: TrainConfig) -> TrainConfig:
    """Return a setting without what its loss does not take."""
    return setting if setting.loss == "bce" else replace(setting, label_smoothing=0.0)
