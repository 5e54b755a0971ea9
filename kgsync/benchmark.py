"""Benchmark: trains on a folder of triples that are split already, and measures; no database is needed.

The same engine as `kgsync train`. Valid chooses the best epoch (and, with a budget, the settings); test measures once.
An interrupted run goes on in its folder, of which nothing is left at the end.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kgsync.dataset import Dataset
from kgsync.errors import ConfigError
from kgsync.kge import finished
from kgsync.kge.config import TrainConfig
from kgsync.kge.ensemble import train_members, train_within
from kgsync.kge.evaluate import Metrics, evaluate
from kgsync.kge.journal import Journal, recipe
from kgsync.kge.known import KnownAnswers
from kgsync.kge.train import Trained
from kgsync.kge.tune import MIN_VALID, Trial, tune
from kgsync.kge.world import started, world
from kgsync.progress import Progress, silent

SEARCH_SHARE = 0.3  # of a budget
LEAST_SHARE = 0.1  # of a budget that the training gets, however long the search took


@dataclass(frozen=True)
class Benchmark:
    """What a training on a benchmark graph came to."""

    dataset: str
    relations: tuple[str, ...]
    trained: Trained
    train_seconds: float  # with the search
    eval_seconds: float  # of the test triples, filtered, both sides
    peak_memory_mb: float  # of the whole process
    leaked: int  # valid and test triples that stand in train as well, or in both
    searched: bool  # whether settings were chosen on valid
    valid: Metrics  # filtered by train and valid
    test: Metrics  # filtered by train, valid and test

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON; relations by their names."""
        return {
            "dataset": self.dataset,
            "model": self.trained.model.name,
            "config": asdict(self.trained.config),
            "seed": self.trained.config.seed,
            "train_seconds": round(self.train_seconds, 2),
            "eval_seconds": round(self.eval_seconds, 2),
            "peak_memory_mb": round(self.peak_memory_mb),
            "best_epoch": self.trained.best_epoch,
            "steps": self.trained.steps,
            "stopped": self.trained.stopped,
            "searched": self.searched,
            "leaked_triples": self.leaked,
            "valid": self._named(self.valid),
            "test": self._named(self.test),
        }

    def _named(self, metrics: Metrics) -> Mapping[str, Any]:
        values = metrics.to_dict()
        per_relation = values.get("per_relation", {})
        return values | {"per_relation": {self.relations[int(number)]: m for number, m in per_relation.items()}}

    def to_json(self) -> str:
        """Return `to_dict` as one line of JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False)


def run(
    dataset: Dataset,
    config: TrainConfig,
    *,
    budget: float | None = None,
    tried: Callable[[Trial], None] = lambda trial: None,
    folder: Path | None = None,
    progress: Progress = silent,
) -> Benchmark:
    """Train on `dataset` as `config` says, and measure on valid and test.

    With a `budget` in seconds, at most a third of it goes to a search for the best settings, what is left to training;
    all of it where valid is too small to choose by. With a `folder` to work in, a run that was interrupted goes on when
    it is repeated with the same triples, settings and budget; the time that it took counts.

    Raises:
        ConfigError: a setting is out of range, a budget was given to several processes, or members with it.
        DataError: the loss or a score is not finite.
    """
    if budget is not None and started() > 1:
        raise ConfigError("processes whose clocks differ cannot share a budget", fix="search in one process first")
    if budget is not None and config.members > 1:
        raise ConfigError(
            f"a budget has room for as many members as it has time for, not for {config.members}",
            fix="leave out the budget or the members",
        )
    size = len(dataset.entities), len(dataset.relations)
    searched = budget is not None and len(dataset.valid) >= MIN_VALID
    parts = dataset.train, dataset.valid, dataset.test
    place = None if folder is None else folder / f".{recipe(config, budget, *parts)}.benchmark"
    with Journal(place, writes=world().rank == 0) as journal:
        trained = _train_once(dataset, config, budget, searched, journal, tried, progress)
        train_seconds = journal.once("training took", journal.spent)
        seen = np.concatenate([dataset.train, dataset.valid])
        valid = evaluate(trained.model, dataset.valid, KnownAnswers(seen, *size), train=dataset.train)
        began = time.monotonic()
        everything = KnownAnswers(np.concatenate([seen, dataset.test]), *size)
        test = evaluate(trained.model, dataset.test, everything, train=dataset.train, progress=progress)
        return Benchmark(
            dataset=dataset.name,
            relations=dataset.relations,
            trained=trained,
            train_seconds=train_seconds,
            eval_seconds=time.monotonic() - began,
            peak_memory_mb=peak_memory_mb(),
            leaked=dataset.leaked,
            searched=searched,
            valid=valid,
            test=test,
        )


def _train_once(
    dataset: Dataset,
    config: TrainConfig,
    budget: float | None,
    searched: bool,
    journal: Journal,
    tried: Callable[[Trial], None],
    progress: Progress,
) -> Trained:
    """Return the training, which is kept until it is measured."""

    def training() -> Trained:
        size = len(dataset.entities), len(dataset.relations)
        chosen, watch = config, journal.watch(progress)
        if budget is None:  # processes share what one of them keeps of a single training, but not who has finished
            alone = started() == 1 or config.members == 1
            place = journal.place("training") if alone else None
            return train_members(dataset.train, dataset.valid, *size, config, checkpoint=place, progress=watch)
        search = SEARCH_SHARE * budget
        if searched:
            chosen = tune(
                dataset.train,
                dataset.valid,
                *size,
                config,
                seconds=search,
                training_seconds=budget - search,
                tried=tried,
                journal=journal,
            )
        began = journal.once("training began", journal.spent)
        return train_within(
            dataset.train,
            dataset.valid,
            *size,
            chosen,
            seconds=max(budget - began, LEAST_SHARE * budget),
            spent=journal.spent() - began,
            checkpoint=journal.place("training"),
            progress=watch,
        )

    place = journal.place("trained")
    return training() if place is None or started() > 1 else finished.once(training, place, "the only one")


def peak_memory_mb() -> float:
    """Return the most memory that this process has held, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 * (1 if sys.platform == "darwin" else 1024)  # bytes there, KiB elsewhere
