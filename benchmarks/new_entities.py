"""What a model knows about entities that came after its training: fold-in and warm start beside training again.

    python benchmarks/new_entities.py ../shared/data/codex-s [--share 0.1] [--seed 2] [--model complex] [--epochs 18]
    python benchmarks/new_entities.py kgsync/sample/world [--no-warm-start]

Takes a share of the entities (of those with eight edges or more) out of the graph, trains on the rest, then lets them
come back with 0, 1, 3 and 5 of their edges, each to an entity that was never away. The others of their edges are to be
found, both ways, filtered, among all entities, old and new:

- prior: how often each entity answers the relation; what is known without any embedding.
- fold-in: new rows from the known edges, all else as it was; once without a look at what was trained on.
- placed: what `kgsync embed --new` writes. With no edge and no text, the mean of entities with the same types; where
  entities have names or descriptions, fold-in of the edges that a text voice, trained on the old ones, expects as well.
- text: that voice alone. ridge: rows by ridge regression from the text's vector, where no edge is known.
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

from kgsync import dataset, triple_files
from kgsync.dataset import Dataset, Triples
from kgsync.kge.config import TrainConfig
from kgsync.kge.evaluate import evaluate
from kgsync.kge.foldin import extended, fold_in
from kgsync.kge.known import KnownAnswers
from kgsync.kge.models import KgeModel, create
from kgsync.kge.train import Trained, train
from kgsync.kge.warm import carry_over
from kgsync.lm.head import TextVoice
from kgsync.lm.texts import EntityText, of_folder
from kgsync.newcomers import alike, place
from kgsync.split import split_triples
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
    texts: list[EntityText]

    def old(self, triples: Triples) -> Triples:
        return triples[(triples[:, [0, 2]] < self.n_old).all(axis=1)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--share", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--model", default="complex")
    parser.add_argument("--epochs", type=int, default=18)
    parser.add_argument("--no-warm-start", action="store_true")
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
    reader = Reader.of(graph, config.seed)
    edges = {str(k): with_edges(graph, before, config, everything, k, reader) for k in KNOWN}
    warm = None if arguments.no_warm_start else warm_start(graph, before, config)
    found = {"old_mrr_before": round(alone, 4), "seconds_before": round(before.seconds, 1)}
    sizes = {"old": graph.n_old, "late": graph.n - graph.n_old, "share": arguments.share, "seed": arguments.seed}
    name = f"new-entities-{arguments.folder.name}"
    print(save(name, {"graph": sizes, "model": arguments.model, **found, "known_edges": edges, "warm_start": warm}))


def take_out(folder: Path, share: float, seed: int) -> Graph:
    """Return the graph in `folder`, entities numbered so that the late ones are the last."""
    read = unsplit(folder) if (folder / "triples.tsv").is_file() else dataset.read(folder)
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
    texts = of_folder(folder, read.entities)
    late_last = [texts[number] for number in np.argsort(late, kind="stable")]
    return Graph(n, n_old, len(read.relations), *parts, late=touching[order], place=place, texts=late_last)


def unsplit(folder: Path) -> Dataset:
    """Return the graph of the one file of triples in `folder`, with a tenth as valid and a twentieth as test."""
    lines = list(triple_files.read_triples(folder / "triples.tsv", lambda bad: None))
    entities = sorted({end for line in lines for end in (line.head, line.tail)})
    relations = sorted({line.relation for line in lines})
    numbers, asked = ({name: number for number, name in enumerate(names)} for names in (entities, relations))
    rows = np.array([(numbers[line.head], asked[line.relation], numbers[line.tail]) for line in lines])
    parts = split_triples(rows, entities, valid=0.1, test=0.05, seed=0)
    valid = np.concatenate([parts.select, parts.fuse, parts.calibrate])
    return Dataset(folder.name, tuple(entities), tuple(relations), parts.train, valid, parts.test)


@dataclass(frozen=True)
class Reader:
    """A text voice of the old entities, and the vectors of all texts."""

    voice: TextVoice
    vectors: Tensor
    seconds: float

    @classmethod
    def of(cls, graph: Graph, seed: int) -> Reader | None:
        """Return the reader, or None where texts are nothing but types."""
        if not any(text.name or text.description for text in graph.texts):
            return None
        from kgsync.lm import encoder, fit
        from kgsync.lm.config import HeadConfig

        vectors = encoder.load().encode([text.sentence() for text in graph.texts])
        parts = graph.old(graph.train), graph.old(graph.valid)
        old = fit.Graph(graph.texts[: graph.n_old], *parts, graph.n_relations, seed=seed)
        fitted = fit.fit(old, vectors[: graph.n_old], HeadConfig(seed=seed))
        return cls(fitted.voice, vectors, fitted.seconds)

    def of_all(self, graph: Graph, triples: Triples) -> TextVoice:
        """Return the voice that knows the late entities, too, nothing trained."""
        return self.voice.extended(self.vectors[graph.n_old :], graph.texts[graph.n_old :], triples)


def with_edges(
    graph: Graph, before: Trained, config: TrainConfig, known: KnownAnswers, k: int, reader: Reader | None
) -> dict[str, Any]:
    """Return what each way finds when `k` edges of each late entity are known."""
    support, hidden = graph.late[graph.place < k], graph.late[graph.place >= max(KNOWN)]
    hidden = hidden[np.random.default_rng(0).permutation(len(hidden))[:HIDDEN]]
    trained_on, valid = graph.old(graph.train), graph.old(graph.valid)
    grown = np.concatenate([trained_on, support])
    n_late = graph.n - graph.n_old

    def fold(**more: Any) -> Ranker:
        return extended(before.model, fold_in(before.model, support, n_late, **more))

    def placed() -> Ranker:
        types = [text.types for text in graph.texts]
        groups = alike(types[: graph.n_old], types[graph.n_old :])
        voice = None if reader is None else reader.of_all(graph, grown)
        return extended(before.model, torch.from_numpy(place(before.model, voice, groups, trained_on, support)))

    texts: dict[str, Callable[[], Ranker]] = {}
    if reader is not None:
        texts["text"] = lambda: reader.of_all(graph, grown)
        if k == 0:
            texts["ridge"] = lambda: extended(before.model, ridge(before.model, reader.vectors))
    ways: dict[str, Callable[[], Ranker]] = {
        "prior": lambda: Prior(grown, graph.n, graph.n_relations),
        "fold-in, blind": fold,
        "fold-in": lambda: fold(trained_on=trained_on),
        **texts,
        "placed": placed,
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


def ridge(model: KgeModel, vectors: Tensor, held_out: float = 0.2) -> Tensor:
    """Return rows for the last of `vectors` by the regression that suits held-out ones of the model's own entities."""
    x, y = vectors[: model.n_entities].double(), model.entities.detach().double()
    centre, mean = x.mean(dim=0), y.mean(dim=0)
    chosen = torch.rand(len(x), generator=torch.Generator().manual_seed(0)) < held_out

    def solve(rows: Tensor, penalty: float) -> Tensor:
        inputs = x[rows] - centre
        found: Tensor = torch.linalg.solve(
            inputs.T @ inputs + penalty * torch.eye(x.shape[1]), inputs.T @ (y[rows] - mean)
        )
        return found

    penalties = [10.0**power for power in range(-3, 4)]
    errors = [float(((x[chosen] - centre) @ solve(~chosen, p) + mean - y[chosen]).square().sum()) for p in penalties]
    best = penalties[int(np.argmin(errors))]
    everyone = torch.ones(len(x), dtype=torch.bool)
    return ((vectors[model.n_entities :].double() - centre) @ solve(everyone, best) + mean).float()


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
