"""Does it help that voices teach each other?

    python benchmarks/cotraining.py ../shared/data/codex-s --cache /tmp/voices [--seeds 3] [--minutes 5] [--keep 0.3]

All on the same test triples, filtered, both sides; every arm but the first two has each voice trained twice, for the
same number of steps:

    alone          each voice
    plain          their fusion
    two seeds      the fusion of two of each, with different seeds
    exchange       each voice learns once more, with lessons from the others (their mean)
    agreement      the same, with lessons that all others agree on (tri-training)
    sham           the same, with lessons from a voice of its own kind and another seed

The primary comparison was fixed before anything was measured: exchange against the better of plain and two seeds (the
better one on the fusion's fold), over all, and over answers of train degree <= 2. Intervals: 95 %, bootstrap over
pairs of entities nested in seeds; p-values are corrected as Holm (1979) did. Voices are kept in the cache. Results go
to results/cotraining-GRAPH.json.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from results import save
from synergy import Array, Bench

from kgsync import dataset
from kgsync.cotrain import Beliefs, How, Questions, believe, make_lessons
from kgsync.dataset import Dataset
from kgsync.fuse import known_from
from kgsync.kge.evaluate import rank
from kgsync.kge.lessons import Lessons
from kgsync.voice import Voice

DRAWS = 2_000
RARE = 2  # train degree of an answer that has little to learn from
LEARNERS = "complex", "text"
ARMS = "plain", "two seeds", "exchange", "agreement", "sham"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--config", type=Path, help="settings of [train]; without it they are searched")
    parser.add_argument("--minutes", type=float, default=5.0, help="for the embeddings")
    parser.add_argument("--text-minutes", type=float, default=0.0, help="for the text head [default: its epochs]")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--keep", type=float, default=1.0, help="share of the train triples that is there")
    arguments = parser.parse_args()
    graph = _thinned(dataset.read(arguments.folder), arguments.keep)
    minutes = arguments.minutes, arguments.text_minutes
    runs = [
        Run(Bench(graph, arguments.folder, arguments.cache, seed, minutes, arguments.config))
        for seed in range(arguments.seeds)
    ]
    pairs = np.unique(np.sort(graph.test[:, [0, 2]], axis=1), axis=0, return_inverse=True)[1].reshape(-1)
    rare = [run.rare for run in runs]
    rows = {name: _summary([run.ranks[name] for run in runs], rare) for name in runs[0].ranks}
    for name, row in rows.items():
        print(f"{name:12} {row}", flush=True)
    compared = _comparisons(runs, pairs)
    for name, row in compared.items():
        print(f"{name:40} {row}", flush=True)
    save(
        f"cotraining-{graph.name}",
        {
            "seeds": arguments.seeds,
            "test": rows,
            "comparisons": compared,
            "lessons": [run.lessons for run in runs],
            "seconds": [run.bench.seconds for run in runs],
        },
    )


def _thinned(graph: Dataset, keep: float) -> Dataset:
    if keep >= 1:
        return graph
    chosen = np.random.default_rng(0).permutation(len(graph.train))[: int(keep * len(graph.train))]
    return replace(graph, name=f"{graph.name}-{100 * keep:.0f}-percent", train=graph.train[np.sort(chosen)])


class Run:
    """All arms with one seed."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.lessons: dict[str, dict[str, float]] = {}
        self.ranks: dict[str, Array] = {}  # [n, 2] each
        self.on_fold: dict[str, float] = {}
        degree = np.bincount(bench.graph.train[:, [0, 2]].ravel(), minlength=bench.size[0])
        self.rare = degree[bench.graph.test[:, [2, 0]]] <= RARE  # [n, 2]: of tails, then heads
        first = {name: bench.voice(name) for name in bench.names()}
        twins = {name: bench.voice(name, seed=1) for name in first if name in LEARNERS}
        for name, voice in first.items():
            self.measure(name, voice)
        beliefs = {name: self._believe(voice) for name, voice in first.items()}
        self.fuse("plain", list(first.values()))
        self.fuse("two seeds", [*first.values(), *twins.values()])
        self.taught("exchange", first, beliefs, "mean")
        self.taught("agreement", first, beliefs, "agree")
        self.sham(first, beliefs, {name: self._believe(twin) for name, twin in twins.items()})

    def _believe(self, voice: Voice) -> Beliefs:
        known, loops = known_from(self.bench.graph.train, *self.bench.size)
        return believe(voice, Questions.of(known), known, loops)

    def taught(self, arm: str, first: dict[str, Voice], beliefs: dict[str, Beliefs], how: How) -> None:
        others = {name: [beliefs[other] for other in beliefs if other != name] for name in first if name in LEARNERS}
        self._learn_again(arm, first, {name: self._lessons(beliefs[name], each, how) for name, each in others.items()})

    def sham(self, first: dict[str, Voice], beliefs: dict[str, Beliefs], twins: dict[str, Beliefs]) -> None:
        self._learn_again(
            "sham", first, {name: self._lessons(beliefs[name], [twin], "mean") for name, twin in twins.items()}
        )

    def _lessons(self, student: Beliefs, teachers: Sequence[Beliefs], how: How) -> Lessons:
        return make_lessons(student, teachers, len(self.bench.graph.train), *self.bench.size, how=how)

    def _learn_again(self, arm: str, first: dict[str, Voice], lessons: dict[str, Lessons]) -> None:
        """Measure the fusion of the better of before and after of each voice, on the part of valid that selects."""
        kept = dict(first)
        for name, some in lessons.items():
            again = self.bench.voice(name, lessons=some, arm=arm)
            before, after = (self._on_select(voice) for voice in (first[name], again))
            test = {(int(h), int(r), int(t)) for h, r, t in self.bench.graph.test}
            hidden = sum(tuple(map(int, triple)) in test for triple in some.triples)
            self.lessons[f"{arm} {name}"] = {"edges": len(some), "in_test": hidden, "before": before, "after": after}
            print(f"{arm} {name}: {self.lessons[f'{arm} {name}']}", flush=True)
            self.measure(f"{arm}: {name}", again)
            if after > before:
                kept[name] = again
        self.fuse(arm, list(kept.values()))

    def _on_select(self, voice: Voice) -> float:
        return round(float((1 / rank(voice, self.bench.select, self.bench.valid_filter).realistic).mean()), 4)

    def fuse(self, arm: str, voices: list[Voice]) -> None:
        began = time.monotonic()
        fused = self.bench.fused(voices)
        self.measure(arm, fused)
        self.on_fold[arm] = self.bench.on_fold(fused)
        print(f"{arm}: fused and measured in {time.monotonic() - began:.0f} s", flush=True)

    def measure(self, name: str, voice: Voice) -> None:
        self.ranks[name] = self.bench.measure(voice, name)["ranks"].realistic


def _summary(ranks: Sequence[Array], rare: Sequence[Array]) -> dict[str, Any]:
    reciprocal = [1 / each for each in ranks]
    few = [each[at].mean() for each, at in zip(reciprocal, rare, strict=True) if at.any()]
    return {
        "mrr": round(float(np.mean([each.mean() for each in reciprocal])), 4),
        "mrr_by_seed": [round(float(each.mean()), 4) for each in reciprocal],
        "hits_at_10": round(float(np.mean([(each <= 10).mean() for each in ranks])), 4),
        **({"mrr_rare": round(float(np.mean(few)), 4)} if all(at.any() for at in rare) else {}),
    }


def _comparisons(runs: Sequence[Run], pairs: Array) -> dict[str, dict[str, float]]:
    """Return what one arm gains over another: the primary comparison first; p-values corrected for all of them."""
    base = max(("plain", "two seeds"), key=lambda arm: np.mean([run.on_fold[arm] for run in runs]))
    asked = [("exchange", base), ("agreement", base), ("sham", base), ("exchange", "sham"), ("two seeds", "plain")]
    found = {}
    for ours, theirs in asked:
        gains = [1 / run.ranks[ours] - 1 / run.ranks[theirs] for run in runs]
        found[f"{ours} minus {theirs}"] = _interval(gains, pairs)
        if all(run.rare.any() for run in runs):
            rare = [np.where(run.rare, gain, np.nan) for run, gain in zip(runs, gains, strict=True)]
            found[f"{ours} minus {theirs}, rare answers"] = _interval(rare, pairs)
    order = sorted(found, key=lambda name: found[name]["p"])
    least = 0.0
    for number, name in enumerate(order):
        least = max(least, min(1.0, found[name]["p"] * (len(order) - number)))
        found[name]["p_holm"] = round(least, 4)
    return found


def _interval(gains: Sequence[Array], pairs: Array) -> dict[str, float]:
    """Return the mean gain and its bootstrap interval: seeds are drawn, then pairs of entities in each."""
    random = np.random.default_rng(0)
    sums = [np.bincount(pairs, np.nansum(gain, axis=1)) for gain in gains]
    counts = [np.bincount(pairs, np.isfinite(gain).sum(axis=1)) for gain in gains]
    means = np.empty(DRAWS)
    for draw in range(DRAWS):
        total = weight = 0.0
        for seed in random.integers(len(gains), size=len(gains)):
            chosen = random.integers(len(sums[seed]), size=len(sums[seed]))
            total, weight = total + sums[seed][chosen].sum(), weight + counts[seed][chosen].sum()
        means[draw] = total / max(weight, 1)
    low, high = np.quantile(means, [0.025, 0.975])
    p = min(1.0, 2 * max(min((means <= 0).mean(), (means >= 0).mean()), 1 / DRAWS))
    whole = sum(each.sum() for each in sums) / max(sum(each.sum() for each in counts), 1)
    return {"delta": round(float(whole), 5), "low": round(float(low), 5), "high": round(float(high), 5), "p": float(p)}


if __name__ == "__main__":
    main()
