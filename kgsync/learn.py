"""Training: from a snapshot to a model that is measured and calibrated.

Refuses, in one line, what cannot be learned from honestly. Nothing is trained twice.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from kgsync import files
from kgsync.config import SplitConfig, VoicesConfig
from kgsync.continued import go_on
from kgsync.cotrain import Cotrained, Lesson, Student, cotrain
from kgsync.errors import DataError
from kgsync.fuse import Fusion
from kgsync.kge.config import TrainConfig
from kgsync.kge.evaluate import Ranks, measure, rank
from kgsync.kge.journal import Journal
from kgsync.kge.journal import recipe as search_recipe
from kgsync.kge.known import KnownAnswers
from kgsync.kge.models import KgeModel
from kgsync.kge.tune import Trial
from kgsync.kge.tune import tune as search
from kgsync.lm import reader
from kgsync.lm.texts import of_snapshot
from kgsync.logbook import MIX, Logbook
from kgsync.metrics import Metrics
from kgsync.model import Model, recipe
from kgsync.progress import Progress, silent
from kgsync.score import calibrate, weigh
from kgsync.snapshot import Snapshot
from kgsync.split import Split, split_snapshot
from kgsync.voice import Voice
from kgsync.voices import EMBEDDINGS, Voices, time_for, train_voices, why_no_text

PARTS = "train", "select", "fuse", "calibrate", "test"


def train(
    snapshot: Snapshot,
    *,
    config: TrainConfig | None = None,
    split: SplitConfig | None = None,
    voices: VoicesConfig | None = None,
    folder: Path | None = None,
    previous: Model | None = None,
    told: Callable[[Lesson], None] = lambda lesson: None,
    progress: Progress = silent,
) -> Model:
    """Return a model of `snapshot`; with `folder`, saved there, or the one that is there already: the newest then.

    The embeddings are trained as `config` says; `voices` says what speaks beside them, and in how many rounds they
    teach each other; `told` hears of each lesson. Their weights in the fusion come from edges that none of them has
    learned from. The embeddings go on from those of `previous`, a model of an earlier snapshot, and nothing that it
    has learned is hidden from them.

    A model of a graph in which too few edges can be hidden is measured, but refuses to predict.

    Raises:
        ConfigError: settings do not fit each other, or `previous`.
        DataError: the graph is too small or too sparse to learn from and to measure what was learned.
        TransientError: another process does the same training in `folder`.
    """
    order = _Order(snapshot, config or TrainConfig(), split or SplitConfig(), voices or VoicesConfig(), previous)
    if folder is None:
        return _learn(order, folder, told, progress)
    if (kept := _kept(folder, order)) is not None:
        return kept
    with files.alone(folder / f".lock.{order.recipe}.training", "the same training"):
        return _kept(folder, order) or _learn(order, folder, told, progress)  # it may have been done since


@dataclass(frozen=True)
class _Order:
    """What is to be learned, and how."""

    snapshot: Snapshot
    config: TrainConfig
    split: SplitConfig
    voices: VoicesConfig
    previous: Model | None

    @cached_property
    def encoder(self) -> str:
        """Return what reads the texts; empty: the packaged one, or there is no text voice."""
        asked = self.voices.encoder if self.voices.text else ""
        return asked if asked and not why_no_text(of_snapshot(self.snapshot)) else ""

    @cached_property
    def read_by(self) -> str:
        """Return the hash of the encoder, for `Model.read_by`."""
        return reader.digest(self.encoder)

    @cached_property
    def recipe(self) -> str:
        """Return what identifies the training: see `kgsync.model.recipe`."""
        start = self.previous.id if self.previous else ""
        return recipe(self.snapshot, self.config, self.split, self.voices, start, read_by=self.read_by)


def _learn(order: _Order, folder: Path | None, told: Callable[[Lesson], None], progress: Progress) -> Model:
    """Return a new model."""
    snapshot, config, split, voices, previous = order.snapshot, order.config, order.split, order.voices, order.previous
    parts = _split(snapshot, split)
    missing = _assumed_share(parts)
    parts = _unread(parts, snapshot, order.encoder)
    start = go_on(previous, snapshot, split, parts, config) if previous else None
    if start is not None:
        parts = _refuse_unmeasured(snapshot, start.parts)
    began = time.monotonic()
    trained = train_voices(
        snapshot,
        parts,
        voices,
        _within(config, voices),
        start=None if start is None else start.model,
        checkpoint=folder / f".{order.recipe}.training" if folder is not None else None,
        cache=None if folder is None else folder.parent / "vectors",
        progress=progress,
    )
    left = voices.budget - (time.monotonic() - began) if voices.budget else math.inf
    taught = _cotrain(trained, parts, voices, left, snapshot, told, progress)
    speaking = trained.voices if taught is None else taught.voices
    kge = next((voice for voice in speaking if isinstance(voice, KgeModel)), None)
    weighed = weigh(speaking, parts, snapshot)
    fusion = weighed.fusion if len(speaking) > 1 or kge is None else None
    voice = fusion or speaking[0]
    known = KnownAnswers(snapshot.triples, snapshot.entities.num_rows, len(snapshot.relations))
    ranks = _rank(speaking, weighed.mix, fusion, parts, known, progress)
    alone = {} if voice is speaking[0] else {each.name: _mrr(ranks[each.name]) for each in speaking}
    unseen: Mapping[str, Voice] = weighed.unseen if fusion else dict.fromkeys(weighed.unseen, voice)
    calibrator, reliability, refusal = calibrate(snapshot, voice, unseen, parts, missing=missing, progress=progress)
    model = Model(
        snapshot=snapshot,
        kge=kge,
        config=config,
        split=split,
        parts={name: len(getattr(parts, name)) for name in PARTS},
        best_epoch=0 if trained.embeddings is None else trained.embeddings.best_epoch,
        steps=0 if trained.embeddings is None else trained.embeddings.steps,
        metrics=Metrics.of(
            measure(ranks[voice.name], parts.test, train=parts.train),
            parts,
            snapshot.relations,
            reliability,
            alone,
        ),
        calibrator=calibrator,
        uncalibrated=refusal,
        fusion=fusion,
        voices=voices,
        start="" if previous is None else previous.id,
        read_by=order.read_by,
        train=parts.train if previous or order.encoder else None,
        left_out=trained.left_out,
        logbook=_logbook(trained, taught, parts, ranks),
    )
    if folder is not None:
        model.save(folder)
    return model


def tune(
    snapshot: Snapshot,
    *,
    config: TrainConfig | None = None,
    split: SplitConfig | None = None,
    seconds: float = 600.0,
    tried: Callable[[Trial], None] = lambda trial: None,
    folder: Path | None = None,
) -> TrainConfig:
    """Return the training settings that suit `snapshot`; see `kgsync.kge.tune.tune`.

    Only what early stopping looks at chooses; the edges that calibrate and test are not looked at. With a `folder` to
    work in, a search that was interrupted goes on when it is repeated; nothing is left of it at the end.
    """
    config, parts = config or TrainConfig(), _split(snapshot, split or SplitConfig())
    size = snapshot.entities.num_rows, len(snapshot.relations)
    place = None if folder is None else folder / f".{search_recipe(config, seconds, parts.train, parts.select)}.search"
    with Journal(place) as journal:
        return search(parts.train, parts.select, *size, config, seconds=seconds, tried=tried, journal=journal)


def _assumed_share(parts: Split) -> float:
    """Return how many edges are assumed to be missing per known one: as many as the split hides for validation in all.

    It must depend neither on how the folds divide them nor on what an earlier model or an encoder knows.
    """
    return (len(parts.select) + len(parts.fuse) + len(parts.calibrate)) / len(parts.train)


def _within(config: TrainConfig, voices: VoicesConfig) -> TrainConfig:
    """Return the settings of the embeddings, which take their share of a budget for all voices."""
    if not voices.budget:
        return config
    seconds = time_for(EMBEDDINGS, voices)
    return replace(config, time_budget=min(seconds, config.time_budget or seconds))


def _mrr(ranks: Ranks) -> float:
    return float((1 / ranks.realistic).mean())


def _rank(
    voices: Sequence[Voice],
    mix: Fusion,
    fusion: Fusion | None,
    parts: Split,
    known: KnownAnswers,
    progress: Progress,
) -> dict[str, Ranks]:
    """Return the ranks of the test edges by each voice and, where there are several, by their mix and their fusion."""
    asked: dict[str, Voice] = {each.name: each for each in voices}
    if fusion is not None:
        asked[fusion.name] = fusion
    if len(voices) > 1:
        asked[MIX] = mix
    return {name: rank(each, parts.test, known, progress=progress) for name, each in asked.items()}


def _cotrain(
    trained: Voices,
    parts: Split,
    voices: VoicesConfig,
    seconds: float,
    snapshot: Snapshot,
    told: Callable[[Lesson], None],
    progress: Progress,
) -> Cotrained | None:
    """Return the voices after they taught each other; None where that is not wanted, or there is only one."""
    if voices.rounds == 0 or len(trained.voices) == 1:
        return None
    return cotrain(
        {voice.name: Student(voice, trained.learners.get(voice.name)) for voice in trained.voices},
        parts.train,
        parts.select,
        snapshot.entities.num_rows,
        len(snapshot.relations),
        also_true=np.concatenate([parts.fuse, parts.calibrate]),
        rejected=snapshot.rejected,
        rounds=voices.rounds,
        how=voices.lessons,
        seconds=seconds,
        told=told,
        progress=progress,
    )


def _logbook(trained: Voices, taught: Cotrained | None, parts: Split, ranks: dict[str, Ranks]) -> Logbook:
    """Return what the training leaves behind for a report."""
    embeddings = trained.embeddings
    return Logbook(
        history=trained.history,
        stopped="" if embeddings is None else embeddings.stopped,
        seconds=0.0 if embeddings is None else embeddings.seconds,
        test=parts.test,
        lessons=() if taught is None else taught.lessons,
        cotraining="" if taught is None else taught.stopped,
        ranks={name: each.realistic for name, each in ranks.items()},
    )


def _kept(folder: Path, order: _Order) -> Model | None:
    """Return the model in `folder` that a training would give, which is the newest then."""
    for manifest in sorted(folder.glob("[!.]*/manifest.json")):  # with a dot it is not whole yet
        if json.loads(manifest.read_text(encoding="utf-8")).get("recipe") == order.recipe:
            model = Model.load(manifest.parent, order.snapshot)
            files.renew(manifest.parent)
            return model
    return None


def _split(snapshot: Snapshot, config: SplitConfig) -> Split:
    """Return the split, or refuse a graph in which nothing can be hidden."""
    if len(snapshot.triples) == 0:
        raise DataError(
            f"snapshot {snapshot.id} has {snapshot.entities.num_rows} entities and no triples",
            fix="add relationships between them, or pull other relations",
        )
    return _refuse_unmeasured(snapshot, split_snapshot(snapshot, config))


def _unread(parts: Split, snapshot: Snapshot, encoder: str) -> Split:
    """Return the split without what the encoder has read, or refuse an encoder that has read too much."""
    left = reader.unread(parts, snapshot, encoder)
    if encoder and not all(len(part) for part in (left.select, left.calibrate, left.test)):
        raise DataError(
            f"the encoder {encoder} has read what the split hides to measure by",
            fix="set [split] as it was at `kgsync pretrain`, or run that again",
        )
    return left


def _refuse_unmeasured(snapshot: Snapshot, parts: Split) -> Split:
    """Return the split, or refuse one that hides nothing."""
    for name, purpose in (("select", "to choose the best epoch"), ("test", "to measure what was learned")):
        if len(getattr(parts, name)) == 0:
            raise DataError(
                f"none of the {len(snapshot.triples):,} triples can be hidden {purpose}:"
                " too few join entities that other triples join as well",
                fix="pull a larger or denser subgraph, or raise split.valid and split.test",
            )
    return parts
