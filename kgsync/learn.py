"""Training: from a snapshot to a model that is measured and calibrated.

Refuses, in one line, what cannot be learned from honestly. Nothing is trained twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from kgsync.calibrate import Calibrator, fit
from kgsync.candidates.hidden import label_hidden
from kgsync.config import SplitConfig, VoicesConfig
from kgsync.errors import DataError
from kgsync.fuse import Fusion, fuse
from kgsync.kge.config import TrainConfig
from kgsync.kge.ensemble import train_members
from kgsync.kge.evaluate import evaluate
from kgsync.kge.known import KnownAnswers
from kgsync.kge.tune import Trial
from kgsync.kge.tune import tune as search
from kgsync.metrics import Metrics
from kgsync.model import Model, recipe
from kgsync.progress import Progress, silent
from kgsync.reliability import Reliability, judge
from kgsync.snapshot import Snapshot
from kgsync.split import Split, split_triples
from kgsync.voice import Voice
from kgsync.voices import train_voices

PARTS = "train", "select", "fuse", "calibrate", "test"


def train(
    snapshot: Snapshot,
    *,
    config: TrainConfig | None = None,
    split: SplitConfig | None = None,
    voices: VoicesConfig | None = None,
    folder: Path | None = None,
    progress: Progress = silent,
) -> Model:
    """Return a model of `snapshot`; with `folder`, saved there, or the one that is there already.

    The embeddings are trained as `config` says; `voices` says what speaks beside them. Their weights in the fusion
    come from edges that none of them has learned from.

    A model of a graph in which too few edges can be hidden is measured, but refuses to predict.

    Raises:
        DataError: the graph is too small or too sparse to learn from and to measure what was learned.
    """
    config, split, voices = config or TrainConfig(), split or SplitConfig(), voices or VoicesConfig()
    wanted = recipe(snapshot, config, split, voices)
    if folder is not None and (path := _trained(folder, wanted)) is not None:
        return Model.load(path, snapshot)
    parts = _split(snapshot, split)
    n_entities, n_relations = snapshot.entities.num_rows, len(snapshot.relations)
    trained = train_members(
        parts.train,
        parts.select,
        n_entities,
        n_relations,
        config,
        also_true=np.concatenate([parts.fuse, parts.calibrate]),  # test reaches neither training nor selection
        checkpoint=folder / f".{wanted}.training" if folder is not None else None,
        progress=progress,
    )
    others = train_voices(
        snapshot,
        parts,
        voices,
        cache=None if folder is None else folder.parent / "vectors",
        seed=config.seed,
        progress=progress,
    )
    speaking = [trained.model, *others.voices]
    fusion = _fuse(speaking, parts, n_entities, n_relations)
    voice = fusion or trained.model
    known = KnownAnswers(snapshot.triples, n_entities, n_relations)
    ranking = evaluate(voice, parts.test, known, progress=progress)
    alone = {each.name: evaluate(each, parts.test, known).mrr for each in speaking} if fusion else {}
    calibrator, reliability, refusal = _calibrate(snapshot, voice, parts, progress)
    model = Model(
        snapshot=snapshot,
        kge=trained.model,
        config=config,
        split=split,
        parts={name: len(getattr(parts, name)) for name in PARTS},
        best_epoch=trained.best_epoch,
        steps=trained.steps,
        metrics=Metrics.of(ranking, parts, snapshot.relations, reliability, alone),
        calibrator=calibrator,
        uncalibrated=refusal,
        fusion=fusion,
        voices=voices,
        left_out=others.left_out,
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
) -> TrainConfig:
    """Return the training settings that suit `snapshot`; see `kgsync.kge.tune.tune`.

    Only what early stopping looks at chooses; the edges that calibrate and test are not looked at.
    """
    parts = _split(snapshot, split or SplitConfig())
    size = snapshot.entities.num_rows, len(snapshot.relations)
    return search(parts.train, parts.select, *size, config or TrainConfig(), seconds=seconds, tried=tried)


def _assumed_share(parts: Split) -> float:
    """Return how many edges are assumed to be missing per known one: as many as were hidden for validation in all.

    It must not depend on how the folds divide them.
    """
    return (len(parts.select) + len(parts.fuse) + len(parts.calibrate)) / len(parts.train)


def _fuse(voices: Sequence[Voice], parts: Split, n_entities: int, n_relations: int) -> Fusion | None:
    """Return the fusion of several voices; one speaks for itself."""
    if len(voices) == 1:
        return None
    return fuse(voices, parts.train, parts.fuse, n_entities, n_relations, also_true=parts.select)


def _trained(folder: Path, wanted: str) -> Path | None:
    """Return the model in `folder` that a training with this recipe would give."""
    for manifest in sorted(folder.glob("*/manifest.json")):
        if json.loads(manifest.read_text(encoding="utf-8")).get("recipe") == wanted:
            return manifest.parent
    return None


def _split(snapshot: Snapshot, config: SplitConfig) -> Split:
    """Return the split, or refuse a graph in which nothing can be hidden."""
    if len(snapshot.triples) == 0:
        raise DataError(
            f"snapshot {snapshot.id} has {snapshot.entities.num_rows} entities and no triples",
            fix="add relationships between them, or pull other relations",
        )
    ids = [json.dumps(list(entity), ensure_ascii=False) for entity in snapshot.identities]
    parts = split_triples(snapshot.triples, ids, valid=config.valid, test=config.test, seed=config.seed)
    for name, purpose in (("select", "to choose the best epoch"), ("test", "to measure what was learned")):
        if len(getattr(parts, name)) == 0:
            raise DataError(
                f"none of the {len(snapshot.triples):,} triples can be hidden {purpose}:"
                " too few join entities that other triples join as well",
                fix="pull a larger or denser subgraph, or raise split.valid and split.test",
            )
    return parts


def _calibrate(
    snapshot: Snapshot, voice: Voice, parts: Split, progress: Progress
) -> tuple[Calibrator | None, Reliability | None, str]:
    """Return the calibrator, how it fares on the test fold, and why there is none."""
    known = np.concatenate([parts.train, parts.select, parts.fuse])
    labelled = label_hidden(
        voice, snapshot, known=known, hidden=parts.calibrate, aside=parts.test, step="calibrating", progress=progress
    )
    try:
        calibrator = fit(labelled, len(snapshot.relations), missing_share=_assumed_share(parts))
    except DataError as error:
        return None, None, str(error)
    test = label_hidden(
        voice,
        snapshot,
        known=np.concatenate([known, parts.calibrate]),
        hidden=parts.test,
        aside=parts.test[:0],
        step="checking scores",
        progress=progress,
    )
    return calibrator, judge(calibrator, test), ""
