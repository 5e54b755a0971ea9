"""What do several voices know together that none of them knows alone?

    python benchmarks/synergy.py ../shared/data/wn18rr --cache /tmp/voices [--minutes 20] [--seed 0]

Trains embeddings (settings from `kgsync tune`'s search, or given by --config as in kgsync.toml), mines rules, trains
the text head where the graph has names; valid is split by pairs: 40 % select, 60 % weigh the fusion. All are measured
on the same test triples, filtered, both sides. The synergy is the fused MRR minus that of the voice that is best on
the fusion's fold, with a 95 % bootstrap interval over entity pairs. Voices are kept in the cache, so that a second run
only measures. Prints a row per voice, and keeps all in results/synergy-GRAPH.json.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from results import save

from kgsync import dataset
from kgsync.config import Config, VoicesConfig
from kgsync.dataset import Dataset
from kgsync.fuse import Fusion, fuse, sharpen
from kgsync.kge import artefact
from kgsync.kge.config import TrainConfig
from kgsync.kge.evaluate import rank
from kgsync.kge.tune import tune
from kgsync.lm.texts import of_folder
from kgsync.split import Split
from kgsync.synergy.maker import EMBEDDINGS, Maker, Settings
from kgsync.synergy.statistics import bootstrap
from kgsync.synergy.task import Task
from kgsync.voice import Voice

SELECT = 0.4  # of valid
SEARCH = 0.3  # of the minutes, for finding settings; beside the training's own

Array = np.ndarray[Any, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--config", type=Path, help="settings of [train]; without it they are searched")
    parser.add_argument("--minutes", type=float, default=20.0, help="for the embeddings")
    parser.add_argument("--text-minutes", type=float, default=4.0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    task = task_of(dataset.read(arguments.folder), arguments.folder, arguments.seed)
    minutes = arguments.minutes, arguments.text_minutes
    settings = settings_of(task, arguments.cache, minutes, arguments.config, arguments.seed)
    maker = Maker(task, settings, arguments.cache, vectors=arguments.cache / "vectors")
    made = {name: maker.make(name, 0) for name in maker.names()}
    for name, each in made.items():
        print(f"{name}: {each.cost.seconds} s, {each.cost.memory_mb:,.0f} MB", flush=True)
    voices = [each.voice for each in made.values()]
    rows, ranks = {}, {}
    for name, voice in [(voice.name, voice) for voice in voices] + [("plain mix", mixed(task, voices, weighed=False))]:
        rows[name], ranks[name] = measure(task, voice, name)
    began = time.monotonic()
    fused = mixed(task, voices)
    print(f"weights fitted in {time.monotonic() - began:.0f} s: {fused.table()}", flush=True)
    rows["fused"], ranks["fused"] = measure(task, fused, "fused")
    best = max(voices, key=lambda voice: on_fold(task, voice)).name
    gained = bootstrap({"synergy": [1 / ranks["fused"] - 1 / ranks[best]]}, task.pairs())["synergy"]
    synergy = {"delta": round(gained.value, 4), "low": round(gained.low, 4), "high": round(gained.high, 4)}
    print(f"fused minus {best}: {synergy}", flush=True)
    embeddings = maker.place(0) / f"{EMBEDDINGS}.safetensors"
    results = {
        "seed": arguments.seed,
        "train_config": artefact.load(embeddings)[1],
        "seconds": {name: each.cost.seconds for name, each in made.items()},
        "memory_mb": {name: each.cost.memory_mb for name, each in made.items()},
        "test": rows,
        "best_single_on_fold": best,
        "synergy": synergy,
        "weights": fused.table(),
    }
    save(f"synergy-{task.name}", results)


def task_of(graph: Dataset, folder: Path, seed: int = 0) -> Task:
    """Return a benchmark graph as what voices are compared on; `seed` divides its valid triples."""
    select, fold = folds(graph.valid, seed, SELECT)
    texts = of_folder(folder, graph.entities)
    return Task(
        name=graph.name,
        parts=Split(train=graph.train, select=select, fuse=fold, calibrate=graph.valid[:0], test=graph.test),
        n_entities=len(graph.entities),
        n_relations=len(graph.relations),
        texts=texts if any(text.sentence() for text in texts) else (),
    )


def folds(valid: Array, seed: int, share: float) -> tuple[Array, Array]:
    """Return a `share` of triples and the rest; both directions and all relations of a pair are in one of them."""
    pairs = np.sort(valid[:, [0, 2]], axis=1)
    _, number = np.unique(pairs, axis=0, return_inverse=True)
    order = np.random.default_rng(seed).permutation(int(number.max()) + 1)
    chosen = order[number.reshape(-1)] < share * len(order)
    return valid[chosen], valid[~chosen]


def settings_of(
    task: Task, cache: Path, minutes: tuple[float, float], config: Path | None = None, seed: int = 0
) -> Settings:
    """Return the settings that are given, or that a search found, which is made once; `minutes` of either learner."""
    train, seconds = replace(Config.load(config).train, seed=seed), 60 * minutes[0]
    path = cache / f"{task.name}-{task.hash()[:12]}-{seed}-settings.json"
    if config is None and not path.exists():
        parts, search = task.parts, SEARCH * seconds
        train = tune(parts.train, parts.select, *task.size, train, seconds=search, training_seconds=seconds)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(train)), encoding="utf-8")
    if config is None:
        train = TrainConfig(**json.loads(path.read_text(encoding="utf-8")))
    return Settings(train, VoicesConfig(), seconds, 60 * minutes[1])


def mixed(task: Task, voices: list[Voice], *, weighed: bool = True) -> Fusion:
    """Return the voices as one, weighed on the fold or counted alike."""
    parts = task.parts
    if weighed:
        return fuse(voices, parts.train, parts.fuse, *task.size, also_true=parts.select)
    sharpness = [sharpen(voice, parts.train, parts.select, *task.size, also_true=parts.fuse) for voice in voices]
    return fuse(voices, parts.train, parts.fuse[:0], *task.size, also_true=parts.select, sharpness=sharpness)


def on_fold(task: Task, voice: Voice) -> float:
    return float((1 / rank(voice, task.parts.fuse, task.known(test=False)).realistic).mean())


def measure(task: Task, voice: Voice, name: str) -> tuple[dict[str, float], Array]:
    """Return the row of a voice, and the ranks [n, 2] of the test triples."""
    began = time.monotonic()
    ranks = rank(voice, task.parts.test, task.known(test=True)).realistic
    row = {"mrr": round(float((1 / ranks).mean()), 4)}
    row |= {f"hits_at_{k}": round(float((ranks <= k).mean()), 4) for k in (1, 3, 10)}
    row["eval_seconds"] = round(time.monotonic() - began, 1)
    print(f"{name:10} {row}", flush=True)
    return row, ranks


if __name__ == "__main__":
    main()
