"""What a model knows about entities that came after its training: fold-in and warm start beside training again.

    python benchmarks/new_entities.py ../shared/data/codex-s [--share 0.1] [--seed 2] [--model complex] [--epochs 18]

Takes a share of the entities (of those with eight edges or more) out of the graph, trains on the rest, then lets them
come back with 0, 1, 3 and 5 of their edges, each to an entity that was never away. The others of their edges are to be
found, both ways, filtered, among all entities, old and new:

- prior: how often each entity answers the relation; what is known without any embedding.
- fold-in: new rows from the known edges, all else as it was; once without a look at what was trained on.
- again: a whole training on the graph with the known edges in it.

"new" is the MRR of the hidden edges, "old" that of the valid triples between entities that were never away, which new
entities can only spoil. Last, all edges come back: valid MRR after each epoch of a training from the start and of one
from the rows before, new ones folded in or fresh. Saves results/new-entities-GRAPH.json.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from results import save
from torch import Tensor

from kgsync import dataset
from kgsync.dataset import Triples
from kgsync.kge.config import TrainConfig
from kgsync.kge.evaluate import evaluate
from kgsync.kge.foldin import extended, fold_in
from kgsync.kge.known import KnownAnswers
from kgsync.kge.models import KgeModel, create
from kgsync.kge.train import Trained, train
from kgsync.kge.warm import carry_over
from kgsync.voice import Ranker

LEAST = 8  # edges of an entity that is taken out
KNOWN = (0, 1, 3, 5)
HIDDEN = 4_000  # hidden edges that are looked for, at most
SETTINGS = {"codex-s": TrainConfig(learning_rate=0.05, n3=0.01, relation_weight=0.125)}


@dataclass(frozen=True)
class Graph:
    """A graph whose last `n - n_old` entities come late."""

    n: int
    n_old: int
    n_relations: int
    train: Triples
    valid: Triples
    everything: Triples
    late: Triples  # edges between an old and a late entity
    place: Triples  # of each: how many edges of its late entity come before it

    def old(self, triples: Triples) -> Triples:
        return triples[(triples[:, [0, 2]] < self.n_old).all(axis=1)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--share", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--model", default="complex")
    parser.add_argument("--epochs", type=int, default=18)
    arguments = parser.parse_args()
    graph = take_out(arguments.folder, arguments.share, arguments.seed)
    settings = SETTINGS.get(arguments.folder.name, TrainConfig())
    config = replace(settings, model=arguments.model, epochs=arguments.epochs, threads=1)
    before = train(graph.old(graph.train), graph.old(graph.valid), graph.n_old, graph.n_relations, config)
    config = replace(before.config, time_budget=0.0)
    everything = KnownAnswers(graph.everything, graph.n, graph.n_relations)
    old = KnownAnswers(graph.old(graph.everything), graph.n_old, graph.n_relations)
    alone = evaluate(before.model, graph.old(graph.valid), old).mrr
    print(f"{graph.n_old} old and {graph.n - graph.n_old} late entities; old MRR before they come: {alone:.3f}")
    edges = {str(k): with_edges(graph, before, config, everything, k) for k in KNOWN}
    warm = warm_start(graph, before, config)
    found = {"old_mrr_before": round(alone, 4), "seconds_before": round(before.seconds, 1)}
    sizes = {"old": graph.n_old, "late": graph.n - graph.n_old, "share": arguments.share, "seed": arguments.seed}
    name = f"new-entities-{arguments.folder.name}"
    print(save(name, {"graph": sizes, "model": arguments.model, **found, "known_edges": edges, "warm_start": warm}))


def take_out(folder: Path, share: float, seed: int) -> Graph:
    """Return the graph in `folder`, entities numbered so that the late ones are the last."""
    read = dataset.read(folder)
    n = len(read.entities)
    rng = np.random.default_rng(seed)
    everything = np.concatenate([read.train, read.valid, read.test])
    degrees = np.bincount(everything[:, [0, 2]].ravel(), minlength=n)
    late = np.zeros(n, dtype=bool)
    late[rng.choice(np.flatnonzero(degrees >= LEAST), int(share * n), replace=False)] = True
    numbers = np.empty(n, dtype=np.int64)
    numbers[np.argsort(late, kind="stable")] = np.arange(n)
    n_old = int((~late).sum())

    def renumbered(triples: Triples) -> Triples:
        return np.stack([numbers[triples[:, 0]], triples[:, 1], numbers[triples[:, 2]]], axis=1)

    everything = renumbered(everything)
    touching = everything[(everything[:, [0, 2]] >= n_old).sum(axis=1) == 1]
    touching = touching[rng.permutation(len(touching))]
    who = touching[:, [0, 2]].max(axis=1)
    order = np.argsort(who, kind="stable")
    place = np.arange(len(who)) - np.searchsorted(who[order], who[order])
    parts = renumbered(read.train), renumbered(read.valid), everything
    return Graph(n, n_old, len(read.relations), *parts, late=touching[order], place=place)


def with_edges(graph: Graph, before: Trained, config: TrainConfig, known: KnownAnswers, k: int) -> dict[str, Any]:
    """Return what each way finds when `k` edges of each late entity are known."""
    support, hidden = graph.late[graph.place < k], graph.late[graph.place >= max(KNOWN)]
    hidden = hidden[np.random.default_rng(0).permutation(len(hidden))[:HIDDEN]]
    trained_on, valid = graph.old(graph.train), graph.old(graph.valid)
    grown = np.concatenate([trained_on, support])
    n_late = graph.n - graph.n_old

    def fold(**more: Any) -> Ranker:
        return extended(before.model, fold_in(before.model, support, n_late, **more))

    ways: dict[str, Callable[[], Ranker]] = {
        "prior": lambda: Prior(grown, graph.n, graph.n_relations),
        "fold-in, blind": fold,
        "fold-in": lambda: fold(trained_on=trained_on),
        "again": lambda: train(grown, valid, graph.n, graph.n_relations, config).model,
    }
    results: dict[str, Any] = {}
    for name, way in ways.items():
        began = time.perf_counter()
        voice = way()
        seconds = time.perf_counter() - began
        new, old = evaluate(voice, hidden, known), evaluate(voice, valid, known).mrr
        results[name] = {
            "new_mrr": round(new.mrr, 4),
            "new_hits_at_10": round(new.hits_at_10, 4),
            "new_head_mrr": round(new.sides["head"].mrr, 4),
            "new_tail_mrr": round(new.sides["tail"].mrr, 4),
            "old_mrr": round(old, 4),
            "seconds": round(seconds, 2),
        }
        print(f"{k} edges  {name:14}  new {new.mrr:.3f}  old {old:.3f}  {seconds:7.2f} s", flush=True)
    return results


class Prior:
    """The scores of a voice that counts how often each entity answers a relation."""

    name = "prior"

    def __init__(self, triples: Triples, n_entities: int, n_relations: int) -> None:
        counts = np.zeros((2 * n_relations, n_entities), dtype=np.float32)
        np.add.at(counts, (triples[:, 1], triples[:, 2]), 1)
        np.add.at(counts, (triples[:, 1] + n_relations, triples[:, 0]), 1)
        self.counts = torch.from_numpy(counts)

    def scores(self, anchors: Tensor, relations: Tensor) -> Tensor:
        return self.counts[relations]


def warm_start(graph: Graph, before: Trained, config: TrainConfig) -> dict[str, Any]:
    """Return valid MRR by epoch of trainings on the whole graph that start differently."""
    entities = np.arange(graph.n)
    entities[graph.n_old :] = -1
    began = time.perf_counter()
    folded = carry_over(before.model, entities, np.arange(graph.n_relations), graph.train, config.seed)
    seconds = time.perf_counter() - began
    fresh = create(config.model, graph.n, graph.n_relations, config.rank, config.seed)
    rows = fresh.entities.detach()[graph.n_old :]
    starts = {"cold": fresh, "warm, fresh new rows": extended(before.model, rows), "warm": folded}
    curves: dict[str, Any] = {"carry_over_seconds": round(seconds, 2)}
    for name, start in starts.items():
        trained = train_from(start, graph, replace(config, eval_every=1))
        curves[name] = [round(epoch.valid_mrr or 0.0, 4) for epoch in trained.history]
        print(f"{name:20} {curves[name]}", flush=True)
    return curves


def train_from(start: KgeModel, graph: Graph, config: TrainConfig) -> Trained:
    """Return the training that goes on from the rows of `start`."""
    return train(graph.train, graph.valid, graph.n, graph.n_relations, config, start=start)


if __name__ == "__main__":
    main()
