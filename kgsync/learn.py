"""Training: from a snapshot to a model that is measured and calibrated.

Refuses, in one line, what cannot be learned from honestly. Nothing is trained twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from kgsync.calibrate import Calibrator, fit
from kgsync.candidates.hidden import label_hidden
from kgsync.config import SplitConfig
from kgsync.errors import DataError
from kgsync.kge import train as kge
from kgsync.kge.config import TrainConfig
from kgsync.kge.evaluate import evaluate
from kgsync.kge.known import KnownAnswers
from kgsync.kge.models import KgeModel
from kgsync.kge.tune import Trial
from kgsync.kge.tune import tune as search
from kgsync.metrics import Metrics
from kgsync.model import Model, recipe
from kgsync.progress import Progress, silent
from kgsync.reliability import Reliability, judge
from kgsync.snapshot import Snapshot
from kgsync.split import Split, split_triples


def train(
    snapshot: Snapshot,
    *,
    config: TrainConfig | None = None,
    split: SplitConfig | None = None,
    folder: Path | None = None,
    progress: Progress = silent,
) -> Model:
    """Return a model of `snapshot`; with `folder`, saved there, or the one that is there already.

    A model of a graph in which too few edges can be hidden is measured, but refuses to predict.

    Raises:
        DataError: the graph is too small or too sparse to learn from and to measure what was learned.
    """
    config, split = config or TrainConfig(), split or SplitConfig()
    wanted = recipe(snapshot, config, split)
    if folder is not None and (path := _trained(folder, wanted)) is not None:
        return Model.load(path, snapshot)
    parts = _split(snapshot, split)
    n_entities, n_relations = snapshot.entities.num_rows, len(snapshot.relations)
    trained = kge.train(
        parts.train,
        parts.select,
        n_entities,
        n_relations,
        config,
        also_true=parts.calibrate,  # not the test triples: they reach neither training nor selection
        checkpoint=folder / f".{wanted}.training" if folder is not None else None,
        progress=progress,
    )
    ranking = evaluate(trained.model, parts.test, KnownAnswers(snapshot.triples, n_entities, n_relations))
    calibrator, reliability, refusal = _calibrate(snapshot, trained.model, parts, progress)
    model = Model(
        snapshot=snapshot,
        kge=trained.model,
        config=config,
        split=split,
        parts={name: len(getattr(parts, name)) for name in ("train", "select", "calibrate", "test")},
        best_epoch=trained.best_epoch,
        steps=trained.steps,
        metrics=Metrics.of(ranking, parts, snapshot.relations, reliability),
        calibrator=calibrator,
        uncalibrated=refusal,
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
    snapshot: Snapshot, model: KgeModel, parts: Split, progress: Progress
) -> tuple[Calibrator | None, Reliability | None, str]:
    """Return the calibrator, how it fares on the test fold, and why there is none."""
    known = np.concatenate([parts.train, parts.select])
    labelled = label_hidden(
        model, snapshot, known=known, hidden=parts.calibrate, aside=parts.test, step="calibrating", progress=progress
    )
    try:
        calibrator = fit(labelled, len(snapshot.relations))
    except DataError as error:
        return None, None, str(error)
    test = label_hidden(
        model,
        snapshot,
        known=np.concatenate([known, parts.calibrate]),
        hidden=parts.test,
        aside=parts.test[:0],
        step="checking scores",
        progress=progress,
    )
    return calibrator, judge(calibrator, test), ""
