"""What text alone is worth on a benchmark folder: the head on frozen vectors, and after that the tuned encoder.

    python benchmarks/text.py wn18rr --data FOLDER [--seconds 200] [--threads 1] [--unseen 0.1]
    python benchmarks/text.py wn18rr --data FOLDER --tune --epochs 6 [--tune-seconds 1800] --work FOLDER

Prints a line per epoch and writes `results/text-GRAPH.json` (`text-tuned-GRAPH.json`, `text-unseen-GRAPH.json`).
Vectors are cached in the --work folder, where an interrupted tuning goes on, too. With --unseen a share of the
entities loses all its train edges, and only test triples that touch these are ranked.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
import torch
from results import save

from kgsync import dataset
from kgsync.benchmark import peak_memory_mb
from kgsync.dataset import Dataset
from kgsync.kge.evaluate import evaluate
from kgsync.kge.known import KnownAnswers
from kgsync.lm import encoder, texts
from kgsync.lm.config import HeadConfig, TuneConfig
from kgsync.lm.fit import Graph, fit
from kgsync.lm.head import TextVoice
from kgsync.lm.tune import Tuned, tune


def main() -> None:
    arguments = parsed()
    torch.set_num_threads(arguments.threads)
    folder = arguments.data / arguments.graph
    data = dataset.read(folder)
    words = texts.of_folder(folder, data.entities)
    train, test = split(data, arguments.unseen)
    began = time.monotonic()
    model = encoder.load(arguments.encoder)
    loaded = time.monotonic()
    vectors = model.encode([text.sentence() for text in words], arguments.work / "vectors", line)
    encoded = time.monotonic()
    graph = Graph(words, train, data.valid, len(data.relations))
    fitted = fit(graph, vectors, HeadConfig(time_budget=arguments.seconds, epochs=arguments.head_epochs))
    for epoch in fitted.history:
        print(epoch, flush=True)
    row = {
        "load_seconds": round(loaded - began, 1),
        "encode_seconds": round(encoded - loaded, 1),
        "fit_seconds": round(fitted.seconds, 1),
        "config": asdict(fitted.config),
        "threads": arguments.threads,
        "stopped": fitted.stopped,
        "history": [asdict(epoch) for epoch in fitted.history],
        "test": measured(fitted.voice, data, test, train),
    }
    name = f"text-unseen-{arguments.graph}" if arguments.unseen else f"text-{arguments.graph}"
    if arguments.tune:
        config = TuneConfig(epochs=arguments.epochs, layers=arguments.layers, time_budget=arguments.tune_seconds)
        tuned = tune(graph, model, fitted.voice, config, checkpoint=arguments.work / arguments.graph, progress=line)
        tuned.save(arguments.work / arguments.graph)
        row["tuned"] = tuning(tuned, config) | {"test": measured(tuned.voice, data, test, train)}
        name = f"text-tuned-{arguments.graph}"
    row["peak_memory_mb"] = round(peak_memory_mb())
    print(row["test"], row.get("tuned"))
    print(save(name, row))


def split(data: Dataset, unseen: float) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return train and test, as they are, or after a share of the entities lost all its train edges."""
    if not unseen:
        return data.train, data.test
    n = len(data.entities)
    chosen = np.random.default_rng(0).permutation(n)[: round(unseen * n)]
    touched, asked = (np.isin(part[:, [0, 2]], chosen).any(axis=1) for part in (data.train, data.test))
    return data.train[~touched], data.test[asked]


def measured(
    voice: TextVoice, data: Dataset, test: np.ndarray[Any, Any], train: np.ndarray[Any, Any]
) -> dict[str, Any]:
    """Return the filtered ranking of the test triples, with slices."""
    everything = np.concatenate([data.train, data.valid, data.test])
    began = time.monotonic()
    metrics = evaluate(voice, test, KnownAnswers(everything, len(data.entities), len(data.relations)), train=train)
    seconds = time.monotonic() - began
    values = metrics.to_dict()
    del values["per_relation"]
    by_relation = {data.relations[number]: round(part.mrr, 4) for number, part in metrics.per_relation.items()}
    return values | {"mrr_per_relation": by_relation, "eval_seconds": round(seconds, 1)}


def tuning(tuned: Tuned, config: TuneConfig) -> dict[str, Any]:
    """Return how the tuning went."""
    return {
        "config": asdict(config),
        "seconds": round(tuned.seconds, 1),
        "stopped": tuned.stopped,
        "valid_mrr_before": tuned.before,
        "valid_mrr_after": tuned.after,
        "history": [asdict(epoch) for epoch in tuned.history],
    }


def line(step: str, done: int, total: int | None) -> None:
    """Show progress, now and then."""
    if done % 20 == 0 or done == total:
        print(f"{time.strftime('%H:%M:%S')}  {step}: {done:,} of {total:,}", file=sys.stderr, flush=True)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("graph", help="name of the folder below --data")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("KGSYNC_DATA", "data")))
    parser.add_argument("--work", type=Path, default=platformdirs.user_cache_path("kgsync") / "text")
    parser.add_argument("--encoder", help="a model folder; the packaged one if left out")
    parser.add_argument("--seconds", type=float, default=200.0, help="for the head")
    parser.add_argument("--head-epochs", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--unseen", type=float, default=0.0, help="share of the entities without train edges")
    parser.add_argument("--tune", action="store_true")
    parser.add_argument("--epochs", type=int, default=6, help="of tuning")
    parser.add_argument("--layers", type=int, default=0, help="that are tuned; 0: all")
    parser.add_argument("--tune-seconds", type=float, default=0.0, help="0: no limit")
    return parser.parse_args()


if __name__ == "__main__":
    main()
