"""Graphs and models that the tests of learning and predicting share."""

from __future__ import annotations

import csv
import os
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from kgsync.calibrate import FEATURES, Calibrator
from kgsync.config import SplitConfig, VoicesConfig
from kgsync.identity import Entity
from kgsync.kge.config import TrainConfig
from kgsync.kge.models import create
from kgsync.learn import train
from kgsync.metrics import Metrics
from kgsync.model import Model
from kgsync.promise import Nulls
from kgsync.snapshot import Snapshot, sorted_unique

BENCHMARKS = Path(os.environ.get("KGSYNC_BENCHMARKS", Path(__file__).parents[2] / "shared" / "data"))
QUICK = TrainConfig(rank=32, epochs=12, n3=0.01, threads=1)

Named = list[tuple[str, str, str]]


def graph(triples: Named, labels: dict[str, list[str]] | None = None, rejected: Named | None = None) -> Snapshot:
    """Return a snapshot of triples between entities `Thing:name`, each with the labels that are given for it."""
    things = {name: Entity("Thing", "id", name) for triple in triples for name in triple[::2]}
    things |= {name: Entity("Thing", "id", name) for name in labels or {}}
    snapshot = Snapshot.from_names(
        [(things[head], relation, things[tail]) for head, relation, tail in triples],
        names={thing: name for name, thing in things.items()},
        labels={things[name]: ["Thing", *own] for name, own in (labels or {}).items()},
    )
    return replace(snapshot, rejected=numbered(snapshot, rejected or []))


def numbered(snapshot: Snapshot, triples: Named) -> np.ndarray:
    """Return triples of names as rows and numbers."""
    rows = {str(entity.key): row for row, entity in enumerate(snapshot.identities)}
    return sorted_unique([(rows[h], snapshot.relations.index(r), rows[t]) for h, r, t in triples])


def folder_of(name: str) -> Path:
    """Return the folder of a benchmark graph; without it the test is skipped, which in CI is a failure."""
    if not (BENCHMARKS / name).is_dir():
        reason = f"there is no benchmark graph {BENCHMARKS / name}; set KGSYNC_BENCHMARKS to the folder that has it"
        pytest.skip(reason, allow_module_level=True)
    return BENCHMARKS / name


@cache
def benchmark(name: str) -> Snapshot:
    """Return a benchmark graph, all parts together; types become labels."""
    triples: Named = []
    for part in ("train", "valid", "test"):
        lines = (folder_of(name) / f"{part}.tsv").read_text(encoding="utf-8").splitlines()
        triples += [(head, relation, tail) for head, relation, tail in (line.split("\t") for line in lines)]
    with (folder_of(name) / "entities.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return graph(triples, {row["id"]: [t for t in (row.get("types") or "").split("|") if t] for row in rows})


@cache
def trained(name: str, config: TrainConfig = QUICK) -> Model:
    """Return a model of a benchmark graph, good enough to test with."""
    return train(benchmark(name), config=config, voices=VoicesConfig(text=False))


def made_up_model(snapshot: Snapshot, seed: int = 0, *, rank: int = 4, scoring: str = "complex") -> Model:
    """Return a model with random embeddings and invented scores."""
    n_relations = len(snapshot.relations)
    kge = create(scoring, snapshot.entities.num_rows, n_relations, rank, seed)
    for table in kge.parameters():
        table.data /= kge.init  # as large as after a training
    return Model(
        snapshot=snapshot,
        kge=kge,
        config=TrainConfig(rank=rank, seed=seed),
        split=SplitConfig(),
        parts={"train": len(snapshot.triples), "select": 0, "calibrate": 0, "test": 0},
        best_epoch=1,
        steps=1,
        metrics=Metrics(0.5, 0.5, 0.5, 0.5, 2.0, 1, (), None),
        calibrator=Calibrator(
            weights=(1.0, 0.5, 0.5, 0.2, 0.1, 0.1),
            relations=((0.0, 0.0),) * n_relations,
            covariance=tuple(tuple(0.1 * (i == j) for j in range(FEATURES)) for i in range(FEATURES)),
            coupling=(((0.1,) * FEATURES, (0.01,) * FEATURES),) * n_relations,
            variance=(((0.2, 0.0), (0.0, 0.001)),) * n_relations,
            base_rate=0.01,
            missing_share=0.05,
            positives=100,
            recall=0.9,
            nulls=Nulls((0.9, 0.5, 0.1), (1.0, 2.0, 50.0), (0.0, 1.0, 2.0), 1_000.0),
        ),
    )
