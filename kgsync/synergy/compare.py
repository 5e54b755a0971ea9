"""The comparison: all arms with several seeds, and what one gains over another.

The primary comparison was fixed before anything was measured: the exchange against the better of the fusion and that of
two seeds, over all answers and over those of few train edges. Which is better is seen on the calibrate part: it has
weighed neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

import kgsync
from kgsync.config import Config
from kgsync.errors import ConfigError
from kgsync.logbook import MIX
from kgsync.progress import Progress, silent
from kgsync.runs import now
from kgsync.snapshot import Snapshot
from kgsync.synergy.arms import AGREED, EXCHANGE, FUSED, LM, SHAM, TWO_SEEDS, Outcome, Told, outcome
from kgsync.synergy.maker import EMBEDDINGS, LEARNERS, RULES, TEXT, Maker, Settings
from kgsync.synergy.result import FOLDER, Arm, Gain, Synergy
from kgsync.synergy.statistics import Floats, bootstrap, holm
from kgsync.synergy.task import Task

SEEDS = 3
TRAINING = 0.75  # of a budget; the rest is for mining, asking, fusing and measuring
SHARES = {EMBEDDINGS: 4, TEXT: 3}  # of one training of each
TUNING = 2  # trainings of the text voice more, where its encoder learns


def compare(
    task: Task,
    settings: Settings,
    folder: Path,
    *,
    seeds: int = SEEDS,
    keep: float = 1.0,
    budget: float = 0.0,
    vectors: Path | None = None,
    told: Told = lambda line: None,
    progress: Progress = silent,
) -> Synergy:
    """Return what the arms come to on `task`, of which `keep` says what share of the train edges is there.

    Every voice and every finished seed is kept below `folder`, so that an interrupted comparison goes on. `told` hears
    of each voice.

    Raises:
        ConfigError: there is one voice alone, or none that can learn.
        DataError: a voice cannot be trained, or a file is damaged.
    """
    maker = Maker(task, settings, folder, vectors=vectors, progress=progress)
    names = maker.names()
    if len(names) < 2 or not set(names) & set(LEARNERS):
        why = "".join(f"; {voice} is left out: {reason}" for voice, reason in task.left_out.items())
        raise ConfigError(
            f"a comparison needs two voices, and there is {' and '.join(names) or 'none'}{why}",
            fix="set voices.embeddings and voices.rules to true",
        )
    learners = [name for name in names if name in LEARNERS]
    tuned = settings.voices.tune_encoder and TEXT in names
    most = len(names) + (trainings(len(names)) - 1) * len(learners) + tuned
    told(f"{', '.join(names)}: at most {most} trainings for each of {seeds} seeds")
    outcomes = []
    for number in range(seeds):
        outcomes.append(outcome(maker, number, _with(f"seed {number + 1} of {seeds}: ", told)))
    return summary(task, outcomes, keep=keep, budget=budget, voices=names)


def _with(beginning: str, told: Told) -> Told:
    return lambda line: told(beginning + line)


def compare_snapshot(
    snapshot: Snapshot,
    config: Config,
    root: Path,
    *,
    seeds: int = SEEDS,
    keep: float = 1.0,
    budget: float = 0.0,
    told: Told = lambda line: None,
    progress: Progress = silent,
) -> Synergy:
    """Return the comparison on a snapshot, with the settings of `config`, and keep it in the workspace `root`.

    With a `budget` in seconds, all trainings of all seeds share about that.

    Raises:
        ConfigError, DataError: as `compare`, or too little can be hidden.
    """
    encoder = config.voices.encoder if config.voices.text else ""
    task = Task.of_snapshot(snapshot, config.split, encoder).thinned(keep)
    settings = within(Settings(config.train, config.voices), budget, seeds, reading=bool(task.texts))
    done = compare(
        task,
        settings,
        root / FOLDER,
        seeds=seeds,
        keep=keep,
        budget=budget,
        vectors=root / "vectors",
        told=told,
        progress=progress,
    )
    done.save(root)
    return done


def trainings(voices: int) -> int:
    """Return how often each learner of so many voices is trained with one seed.

    First, as a twin, for the exchange, for the sham, and for tri-training where two others can agree.
    """
    return 5 if voices > 2 else 4


def within(settings: Settings, budget: float, seeds: int, *, reading: bool) -> Settings:
    """Return the settings with as much time for each training as a budget in seconds allows; 0: no limit."""
    if not budget:
        return settings
    voices = settings.voices
    there = {EMBEDDINGS: voices.embeddings, RULES: voices.rules, TEXT: voices.text and reading}
    names = [name for name, speaks in there.items() if speaks]
    parts = sum(trainings(len(names)) * SHARES[name] for name in names if name in LEARNERS)
    if TEXT in names and voices.tune_encoder:
        parts += TUNING * SHARES[TEXT]
    part = round(TRAINING * budget / seeds / max(parts, 1), 3)
    return Settings(settings.train, voices, SHARES[EMBEDDINGS] * part, SHARES[TEXT] * part)


def summary(task: Task, outcomes: Sequence[Outcome], *, keep: float, budget: float, voices: Sequence[str]) -> Synergy:
    """Return what the seeds come to together."""
    names = list(outcomes[0].ranks)
    rare = task.rare()
    reciprocal = {arm: [1 / each.ranks[arm] for each in outcomes] for arm in names}
    asked = _asked(outcomes, names)
    columns: dict[str, Sequence[Floats]] = {f"arm/{arm}": values for arm, values in reciprocal.items()}
    for ours, theirs in asked:
        gained = [our - their for our, their in zip(reciprocal[ours], reciprocal[theirs], strict=True)]
        columns[f"{ours}/{theirs}/all"] = gained
        if rare.any():
            columns[f"{ours}/{theirs}/rare"] = [np.where(rare, each, np.nan) for each in gained]
    effects = bootstrap(columns, task.pairs())
    corrected = holm({name: effect.p for name, effect in effects.items() if not name.startswith("arm/")})
    gains = []
    for name, p in corrected.items():
        ours, theirs, over = name.split("/")
        gains.append(Gain(ours, theirs, over == "rare", (ours, theirs) == asked[0], effects[name], round(p, 4)))
    return Synergy(
        snapshot=task.name,
        keep=keep,
        seeds=len(outcomes),
        budget=budget,
        test_triples=len(task.parts.test),
        rare_share=round(float(rare.mean()), 4),
        voices=tuple(voices),
        left_out=task.left_out,
        arms=tuple(
            Arm(
                name=arm,
                mrr=effects[f"arm/{arm}"],
                mrr_by_seed=tuple(round(float(values.mean()), 5) for values in reciprocal[arm]),
                hits_at_10=round(float(np.mean([(each.ranks[arm] <= 10).mean() for each in outcomes])), 5),
                mrr_rare=round(float(np.mean([v[rare].mean() for v in reciprocal[arm]])), 5) if rare.any() else None,
                seconds=round(float(np.mean([each.costs[arm].seconds for each in outcomes])), 1),
                memory_mb=max(each.costs[arm].memory_mb for each in outcomes),
            )
            for arm in names
        ),
        gains=tuple(gains),
        taught=tuple(each.taught for each in outcomes),
        kgsync_version=kgsync.__version__,
        finished_at=now(),
    )


def _asked(outcomes: Sequence[Outcome], names: Sequence[str]) -> list[tuple[str, str]]:
    """Return which arm is compared with which, the primary comparison first, by how they are on the calibrate part."""

    def best(arms: Sequence[str]) -> str:
        return max(arms, key=lambda arm: float(np.mean([each.unseen[arm] for each in outcomes])))

    base = best((FUSED, TWO_SEEDS))
    alone = best(names[: names.index(MIX)])
    pairs = [(EXCHANGE, base), (AGREED, base), (LM, base), (SHAM, base), (EXCHANGE, SHAM), (TWO_SEEDS, FUSED)]
    return [(ours, theirs) for ours, theirs in [*pairs, (FUSED, alone)] if ours in names]
