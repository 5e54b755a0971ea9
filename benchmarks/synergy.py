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
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from results import save

from kgsync import dataset
from kgsync.config import Config
from kgsync.dataset import Dataset
from kgsync.fuse import Fusion, fuse
from kgsync.kge import artefact
from kgsync.kge.config import TrainConfig
from kgsync.kge.ensemble import train_members, train_within
from kgsync.kge.evaluate import Ranks, rank
from kgsync.kge.known import KnownAnswers
from kgsync.kge.lessons import Lessons
from kgsync.kge.models import KgeModel
from kgsync.kge.tune import tune
from kgsync.lm import encoder
from kgsync.lm.config import HeadConfig
from kgsync.lm.fit import Graph, fit
from kgsync.lm.head import TextVoice
from kgsync.lm.texts import of_folder
from kgsync.rules import artefact as rule_files
from kgsync.rules.choose import choose
from kgsync.rules.facts import Facts
from kgsync.rules.mine import mine
from kgsync.rules.voice import RuleVoice
from kgsync.voice import Voice

DRAWS = 2_000
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
    graph = dataset.read(arguments.folder)
    minutes = arguments.minutes, arguments.text_minutes
    bench = Bench(graph, arguments.folder, arguments.cache, arguments.seed, minutes, arguments.config)
    voices = bench.voices()
    rows = {voice.name: bench.measure(voice, voice.name) for voice in voices}
    plain = bench.plain(voices)
    rows["plain mix"] = bench.measure(plain, "plain mix")
    began = time.monotonic()
    fused = bench.fused(voices)
    print(f"weights fitted in {time.monotonic() - began:.0f} s: {fused.table()}", flush=True)
    rows["fused"] = bench.measure(fused, "fused")
    best = max(voices, key=lambda voice: bench.on_fold(voice)).name
    synergy = bench.synergy(rows["fused"]["ranks"], rows[best]["ranks"])
    print(f"fused minus {best}: {synergy}", flush=True)
    for row in rows.values():
        del row["ranks"]
    results = {
        "seed": arguments.seed,
        "train_config": bench.settings,
        "seconds": bench.seconds,
        "test": rows,
        "best_single_on_fold": best,
        "synergy": synergy,
        "weights": fused.table(),
    }
    save(f"synergy-{graph.name}", results)


class Bench:
    """One graph, its folds, and the voices in the cache."""

    def __init__(
        self,
        graph: Dataset,
        folder: Path,
        cache: Path,
        seed: int,
        minutes: tuple[float, float],  # for the embeddings and for the text head
        config: Path | None = None,
    ) -> None:
        self.graph, self.seed, self.minutes, self.config = graph, seed, minutes, config
        self.size = len(graph.entities), len(graph.relations)
        self.texts = of_folder(folder, graph.entities)
        self.cache = cache / f"{graph.name}-{seed}"
        self.cache.mkdir(parents=True, exist_ok=True)
        self.seconds: dict[str, float] = {}
        self.settings: dict[str, Any] = {}
        self.select, self.fold = self._folds()
        self.test_filter = KnownAnswers(np.concatenate([graph.train, graph.valid, graph.test]), *self.size)
        self.valid_filter = KnownAnswers(np.concatenate([graph.train, graph.valid]), *self.size)

    def _folds(self) -> tuple[Array, Array]:
        """Return two parts of valid; both directions and all relations of a pair are in one of them."""
        pairs = np.sort(self.graph.valid[:, [0, 2]], axis=1)
        _, number = np.unique(pairs, axis=0, return_inverse=True)
        order = np.random.default_rng(self.seed).permutation(int(number.max()) + 1)
        chosen = order[number.reshape(-1)] < SELECT * len(order)
        return self.graph.valid[chosen], self.graph.valid[~chosen]

    def voices(self) -> list[Voice]:
        return [self.voice(name) for name in self.names()]

    def names(self) -> list[str]:
        """Return which voices the graph allows."""
        return ["complex", "rules", *(["text"] if any(text.sentence() for text in self.texts) else [])]

    def voice(self, name: str, seed: int = 0, lessons: Lessons | None = None, arm: str = "") -> Voice:
        """Return a voice; `seed` counts from that of the bench, `arm` names what lessons it had."""
        makers: dict[str, Callable[[str, int, Lessons | None], Voice]] = {
            "complex": self._kge,
            "rules": self._rules,
            "text": self._text,
        }
        make = makers[name]
        label = "-".join([name, *([str(seed)] if seed else []), *([arm] if arm else [])])
        return self._timed(label, lambda: make(label, self.seed + 100 * seed, lessons))

    def _timed(self, name: str, make: Callable[[], Voice]) -> Voice:
        path = self.cache / "seconds.json"
        kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        began = time.monotonic()
        voice = make()
        self.seconds[name] = kept.setdefault(
            name, round(time.monotonic() - began, 1)
        )  # of the training, not of reading
        path.write_text(json.dumps(kept), encoding="utf-8")
        print(f"{name}: {self.seconds[name]} s", flush=True)
        return voice

    def _kge(self, label: str, seed: int, lessons: Lessons | None) -> KgeModel:
        path = self.cache / f"{label}.safetensors"
        if not path.exists():
            train, seconds = self.graph.train, 60 * self.minutes[0]
            config = replace(self._searched(), seed=seed)
            if lessons is None and label == "complex":
                trained = train_within(train, self.select, *self.size, config, seconds=seconds)
            else:  # what the first one did, so that all had the same time
                first = artefact.load(self.cache / "complex.safetensors")[1]
                config = replace(config, members=first["config"]["members"], steps=first["steps"])
                trained = train_members(train, self.select, *self.size, config, also_true=self.fold, lessons=lessons)
            about = {"config": trained.config.__dict__, "steps": trained.steps, "stopped": trained.stopped}
            artefact.save(trained.model, path, about)
        model, settings = artefact.load(path)
        self.settings[label] = settings
        return model

    def _searched(self) -> TrainConfig:
        """Return the settings that are given, or that a search found, which is made once."""
        path = self.cache / "settings.json"
        config = replace(Config.load(self.config).train, seed=self.seed)
        if self.config is None and not path.exists():
            seconds = SEARCH * 60 * self.minutes[0]
            config = tune(
                self.graph.train, self.select, *self.size, config, seconds=seconds, training_seconds=seconds / SEARCH
            )
            path.write_text(json.dumps(config.__dict__), encoding="utf-8")
        return TrainConfig(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else config

    def _rules(self, label: str, seed: int, lessons: Lessons | None) -> RuleVoice:
        path = self.cache / f"{label}.safetensors"
        if not path.exists():
            assert lessons is None, "rules say what the graph says, and only teach"
            facts = Facts(self.graph.train, *self.size)
            rules = mine(facts)
            rule_files.save(RuleVoice(facts, rules, choose(facts, rules, self.select, seed=seed)), path, {})
        return rule_files.load(path)[0]

    def _text(self, label: str, seed: int, lessons: Lessons | None) -> TextVoice:
        path = self.cache / f"{label}.safetensors"
        if not path.exists():
            vectors = encoder.load().encode([text.sentence() for text in self.texts], self.cache.parent / "vectors")
            learner = Graph(
                self.texts,
                self.graph.train,
                self.select,
                self.size[1],
                also_true=self.fold,
                lessons=lessons,
                seed=seed,
            )
            fit(learner, vectors, HeadConfig(seed=seed, time_budget=60 * self.minutes[1])).voice.save(path, {})
        return TextVoice.load(path, self.texts, self.graph.train)[0]

    def fused(self, voices: Sequence[Voice]) -> Fusion:
        return fuse(voices, self.graph.train, self.fold, *self.size, also_true=self.select)

    def plain(self, voices: Sequence[Voice]) -> Fusion:
        return fuse(voices, self.graph.train, self.fold[:0], *self.size)

    def on_fold(self, voice: Voice) -> float:
        return float((1 / rank(voice, self.fold, self.valid_filter).realistic).mean())

    def measure(self, voice: Voice, name: str) -> dict[str, Any]:
        began = time.monotonic()
        ranks = rank(voice, self.graph.test, self.test_filter)
        realistic = ranks.realistic
        row: dict[str, Any] = {"mrr": round(float((1 / realistic).mean()), 4)}
        row |= {f"hits_at_{k}": round(float((realistic <= k).mean()), 4) for k in (1, 3, 10)}
        row["eval_seconds"] = round(time.monotonic() - began, 1)
        print(f"{name:10} {row}", flush=True)
        return row | {"ranks": ranks}

    def synergy(self, ours: Ranks, theirs: Ranks) -> dict[str, float]:
        """Return the mean difference of reciprocal ranks, and its interval over pairs of entities."""
        gain = (1 / ours.realistic - 1 / theirs.realistic).mean(axis=1)  # [n]
        pairs = np.sort(self.graph.test[:, [0, 2]], axis=1)
        _, number = np.unique(pairs, axis=0, return_inverse=True)
        sums, counts = np.bincount(number.reshape(-1), gain), np.bincount(number.reshape(-1))
        random = np.random.default_rng(0)
        draws = random.integers(len(sums), size=(DRAWS, len(sums)))
        means = np.array([sums[draw].sum() / counts[draw].sum() for draw in draws])
        low, high = np.quantile(means, [0.025, 0.975])
        return {"delta": round(float(gain.mean()), 4), "low": round(float(low), 4), "high": round(float(high), 4)}


if __name__ == "__main__":
    main()
