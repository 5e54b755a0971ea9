"""Can kgsync tell the true edges of CoDEx-S from its hard negatives, within a relation, better than counting?

    python benchmarks/hard_negatives.py ../shared/data/codex-s [--seeds 5] [--cache FOLDER]

Negatives are facts that a model ranked high and that were checked by people (Safavi and Koutra 2020, arXiv:2009.07810).
Every row is a logistic regression, fitted on valid and its negatives, of what it may look at; judged on test:

- relation: the relation alone, which cannot tell edges of one relation apart.
- counts: how often the ends occur in train, at all and with the relation.
- embeddings, rules: a voice's scores of both directions, as they are and as log-softmax.
- voices: embeddings and rules.
- all: counts and voices.

Prints the macro-averaged AUC within relations, accuracy, Brier score, the precision at 20 % coverage, and the expected
calibration error in ten bins of equal size beside its floor (what perfect probabilities would show, on average), with
the range over seeds; and what `voices` and `all` have over counts, with a 95 % bootstrap interval of seeds and of pairs
of entities. Keeps them in results/hard-negatives.json, with the bins of a reliability diagram over all seeds and the
precision at every tenth of coverage. Embeddings are kept in the cache. Needs scikit-learn.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from results import save
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from kgsync import dataset
from kgsync.dataset import Dataset
from kgsync.kge import artefact
from kgsync.kge.config import TrainConfig
from kgsync.kge.ensemble import train_members
from kgsync.report.intervals import pairs_of
from kgsync.rules.choose import choose
from kgsync.rules.facts import Facts
from kgsync.rules.mine import mine
from kgsync.rules.voice import RuleVoice
from kgsync.voice import Voice

Array = np.ndarray[Any, Any]
Look = Callable[[Array], Array]  # triples [n, 3] -> features [n, k]
CONFIG = TrainConfig(rank=400, n3=0.01, relation_weight=0.125, learning_rate=0.05, batch=100, epochs=60, members=2)
COVERAGE = 0.2
BINS = 10
DRAWS = 1_000
FLOOR_DRAWS = 200
BASELINE, COMPARED = "counts", ("voices", "all")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--cache", type=Path)
    arguments = parser.parse_args()
    graph = dataset.read(arguments.folder)
    fit, fit_labels = labelled(graph, arguments.folder, "valid")
    judged, labels = labelled(graph, arguments.folder, "test")
    probabilities: dict[str, list[Array]] = {}
    for seed in range(arguments.seeds):
        for name, look in looks(graph, [embeddings(graph, seed, arguments.cache), rules(graph, seed)]).items():
            known, asked = look(fit), look(judged)
            scaler = StandardScaler().fit(known)
            regression = LogisticRegression(max_iter=2000).fit(scaler.transform(known), fit_labels)
            probability = regression.predict_proba(scaler.transform(asked))[:, 1]
            probabilities.setdefault(name, []).append(probability)
            found = measures(probability, labels, judged[:, 1]) | calibration(probability, labels)
            print(f"seed {seed} {name:10} {found}", flush=True)
    rows = {
        name: summary([measures(p, labels, judged[:, 1]) | calibration(p, labels) for p in each]) | curves(each, labels)
        for name, each in probabilities.items()
    }
    gains = {name: gain(probabilities[name], probabilities[BASELINE], labels, judged) for name in COMPARED}
    for name, each in gains.items():
        print(f"{name} minus {BASELINE}: {each}", flush=True)
    save("hard-negatives", {"rows": rows, f"minus_{BASELINE}": gains})


def embeddings(graph: Dataset, seed: int, cache: Path | None) -> Voice:
    path = None if cache is None else cache / f"hard-negatives-{graph.name}-{seed}.safetensors"
    if path is not None and path.is_file():
        return artefact.load(path)[0]
    model = train_members(graph.train, graph.valid, *size(graph), replace(CONFIG, seed=seed)).model
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        artefact.save(model, path, {})
    return model


def rules(graph: Dataset, seed: int) -> Voice:
    facts = Facts(graph.train, *size(graph))
    mined = mine(facts)
    return RuleVoice(facts, mined, choose(facts, mined, graph.valid, seed=seed))


def size(graph: Dataset) -> tuple[int, int]:
    return len(graph.entities), len(graph.relations)


def labelled(graph: Dataset, folder: Path, part: str) -> tuple[Array, Array]:
    """Return the triples [n, 3] of a part with its negatives, and whether each is true."""
    entities = {name: number for number, name in enumerate(graph.entities)}
    relations = {name: number for number, name in enumerate(graph.relations)}
    lines = (folder / f"{part}_negatives.tsv").read_text(encoding="utf-8").splitlines()
    named = [line.split("\t") for line in lines]
    negatives = np.array([(entities[h], relations[r], entities[t]) for h, r, t in named])
    positives = getattr(graph, part)
    return np.concatenate([positives, negatives]), np.repeat([1, 0], [len(positives), len(negatives)])


def looks(graph: Dataset, voices: list[Voice]) -> dict[str, Look]:
    """Return what each row of the table may look at."""
    n, k = size(graph)
    heads, relations, tails = graph.train.T
    of_head, of_tail = np.bincount(heads, minlength=n), np.bincount(tails, minlength=n)
    head_with = np.bincount(heads * k + relations, minlength=n * k)
    tail_with = np.bincount(tails * k + relations, minlength=n * k)

    def relation(triples: Array) -> Array:
        return np.eye(k)[triples[:, 1]]

    def counts(triples: Array) -> Array:
        h, r, t = triples.T
        columns = [of_head[h], of_tail[h], of_head[t], of_tail[t], head_with[h * k + r], tail_with[t * k + r]]
        logs: Array = np.log1p(np.stack(columns, axis=1))
        return logs

    def said(voice: Voice) -> Look:
        def columns(triples: Array) -> Array:
            h, r, t = torch.from_numpy(triples.astype(np.int64)).T
            found = []
            for anchors, asked, answers in ((h, r, t), (t, r + k, h)):
                scores = voice.scores(anchors, asked).float()
                own = scores[torch.arange(len(scores)), answers]
                found += [own, own - scores.logsumexp(dim=1)]
            stacked: Array = torch.stack(found, dim=1).detach().numpy()
            return stacked

        return columns

    def together(*parts: Look) -> Look:
        return lambda triples: np.concatenate([part(triples) for part in (*parts, relation)], axis=1)

    own = [said(voice) for voice in voices]
    return {
        "relation": relation,
        BASELINE: together(counts),
        "embeddings": together(own[0]),
        "rules": together(own[1]),
        "voices": together(*own),
        "all": together(counts, *own),
    }


def measures(probability: Array, labels: Array, relations: Array) -> dict[str, float]:
    """Return how well `probability` [n] tells which triples are true; AUC is the mean over relations with both kinds.

    Relations without one of the two, which a bootstrap sample can have, do not count in it.
    """
    found = []
    for relation in np.unique(relations):
        own, true = probability[relations == relation], labels[relations == relation]
        positives = int(true.sum())
        if 0 < positives < len(true):  # Mann-Whitney; ties count half
            above = rankdata(own)[true == 1].sum() - positives * (positives + 1) / 2
            found.append(above / (positives * (len(true) - positives)))
    best = np.argsort(-probability, kind="stable")[: int(COVERAGE * len(labels))]
    return {
        "macro_auc": round(float(np.mean(found)), 4),
        "accuracy": round(float(((probability >= 0.5) == labels).mean()), 4),
        "brier": round(float(np.square(probability - labels).mean()), 4),
        "precision_at_20": round(float(labels[best].mean()), 4),
        "relations": len(found),
    }


def calibration(probability: Array, labels: Array) -> dict[str, float]:
    """Return the expected calibration error, and what chance alone would make of it."""
    random = np.random.default_rng(0)
    parts = np.array_split(np.argsort(probability, kind="stable"), BINS)

    def error(true: Array) -> float:
        return sum(abs(float((probability[part] - true[part]).sum())) for part in parts) / len(true)

    floor = np.mean([error(random.random(len(labels)) < probability) for _ in range(FLOOR_DRAWS)])
    return {"ece": round(error(labels), 4), "ece_floor": round(float(floor), 4)}


def curves(probabilities: list[Array], labels: Array) -> dict[str, list[list[float]]]:
    """Return [mean probability, share that is true] of each bin, and the precision at every tenth of coverage."""
    probability, true = np.concatenate(probabilities), np.tile(labels, len(probabilities))
    order = np.argsort(-probability, kind="stable")
    bins = [[float(probability[part].mean()), float(true[part].mean())] for part in np.array_split(order, BINS)]
    tenths = [(k / BINS, float(true[order[: len(order) * k // BINS]].mean())) for k in range(1, BINS + 1)]
    rounded = [[[round(value, 4) for value in pair] for pair in pairs] for pairs in (bins, tenths)]
    return {"bins": rounded[0], "precision_at_coverage": rounded[1]}


def gain(ours: list[Array], theirs: list[Array], labels: Array, judged: Array) -> dict[str, dict[str, float]]:
    """Return how much better we are in each measure, with an interval over seeds and pairs of entities."""
    signs = {"macro_auc": 1, "brier": -1, "precision_at_20": 1}  # a Brier score is better when lower
    rows = [np.flatnonzero(pairs_of(judged) == pair) for pair in range(int(pairs_of(judged).max()) + 1)]
    random = np.random.default_rng(0)

    def difference(seeds: Array, at: Array) -> list[float]:
        each = [[measures(p[seed][at], labels[at], judged[at, 1]) for p in (ours, theirs)] for seed in seeds]
        return [float(np.mean([sign * (a[name] - b[name]) for a, b in each])) for name, sign in signs.items()]

    whole = difference(np.arange(len(ours)), np.arange(len(labels)))
    draws = np.array(
        [
            difference(
                random.integers(len(ours), size=len(ours)),
                np.concatenate([rows[pair] for pair in random.integers(len(rows), size=len(rows))]),
            )
            for _ in range(DRAWS)
        ]
    )
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    return {
        name: {"better_by": round(whole[i], 4), "low": round(float(low[i]), 4), "high": round(float(high[i]), 4)}
        for i, name in enumerate(signs)
    }


def summary(runs: list[dict[str, float]]) -> dict[str, Any]:
    names = [name for name in runs[0] if name != "relations"]
    return {
        name: {
            "mean": round(float(np.mean([run[name] for run in runs])), 4),
            "min": min(run[name] for run in runs),
            "max": max(run[name] for run in runs),
        }
        for name in names
    } | {"seeds": len(runs), "relations": runs[0]["relations"]}


if __name__ == "__main__":
    main()
