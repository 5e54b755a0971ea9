"""Can the embeddings tell the true edges of CoDEx-S from its hard negatives, within a relation, better than counting?

    python benchmarks/hard_negatives.py ../shared/data/codex-s [--seeds 5]

Negatives are facts that a model ranked high and that were checked by people (Safavi and Koutra 2020, arXiv:2009.07810).
Every row is a logistic regression, fitted on valid and its negatives, of what it may look at; judged on test:

- relation: the relation alone, which cannot tell edges of one relation apart.
- counts: how often the ends occur in train, at all and with the relation.
- embeddings: the scores of both directions, as they are and as log-softmax.
- both: counts and embeddings.

Prints the macro-averaged AUC within relations, accuracy, Brier score and the precision at 20 % coverage, with the
range over seeds; keeps them in results/hard-negatives.json. Needs scikit-learn.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from results import save
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from kgsync import dataset
from kgsync.dataset import Dataset
from kgsync.kge.config import TrainConfig
from kgsync.kge.ensemble import train_members
from kgsync.kge.models import KgeModel

Array = np.ndarray[Any, Any]
CONFIG = TrainConfig(rank=400, n3=0.01, relation_weight=0.125, learning_rate=0.05, batch=100, epochs=60, members=2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parser.parse_args()
    graph = dataset.read(arguments.folder)
    fit, fit_labels = labelled(graph, arguments.folder, "valid")
    judged, labels = labelled(graph, arguments.folder, "test")
    rows: dict[str, list[dict[str, float]]] = {}
    for seed in range(arguments.seeds):
        model = train(graph, seed)
        for name, features in looks(graph, model).items():
            known, asked = features(fit), features(judged)
            scaler = StandardScaler().fit(known)
            regression = LogisticRegression(max_iter=2000).fit(scaler.transform(known), fit_labels)
            probability = regression.predict_proba(scaler.transform(asked))[:, 1]
            rows.setdefault(name, []).append(measures(probability, labels, judged[:, 1]))
            print(f"seed {seed} {name:12} {rows[name][-1]}", flush=True)
    save("hard-negatives", {name: summary(each) for name, each in rows.items()})


def train(graph: Dataset, seed: int) -> KgeModel:
    from dataclasses import replace

    size = len(graph.entities), len(graph.relations)
    return train_members(graph.train, graph.valid, *size, replace(CONFIG, seed=seed)).model


def labelled(graph: Dataset, folder: Path, part: str) -> tuple[Array, Array]:
    """Return the triples [n, 3] of a part with its negatives, and whether each is true."""
    entities = {name: number for number, name in enumerate(graph.entities)}
    relations = {name: number for number, name in enumerate(graph.relations)}
    lines = (folder / f"{part}_negatives.tsv").read_text(encoding="utf-8").splitlines()
    named = [line.split("\t") for line in lines]
    negatives = np.array([(entities[h], relations[r], entities[t]) for h, r, t in named])
    positives = getattr(graph, part)
    return np.concatenate([positives, negatives]), np.repeat([1, 0], [len(positives), len(negatives)])


def looks(graph: Dataset, model: KgeModel) -> dict[str, Any]:
    """Return what each row of the table may look at: functions from triples [n, 3] to features [n, k]."""
    n, k = len(graph.entities), len(graph.relations)
    heads, relations, tails = graph.train.T
    of_head, of_tail = np.bincount(heads, minlength=n), np.bincount(tails, minlength=n)
    head_with = np.bincount(heads * k + relations, minlength=n * k)
    tail_with = np.bincount(tails * k + relations, minlength=n * k)

    def relation(triples: Array) -> Array:
        return np.eye(k)[triples[:, 1]]

    def counts(triples: Array) -> Array:
        h, r, t = triples.T
        columns = [of_head[h], of_tail[h], of_head[t], of_tail[t], head_with[h * k + r], tail_with[t * k + r]]
        return np.concatenate([np.log1p(np.stack(columns, axis=1)), relation(triples)], axis=1)

    def embeddings(triples: Array) -> Array:
        h, r, t = torch.from_numpy(triples.astype(np.int64)).T
        columns = []
        for anchors, asked, answers in ((h, r, t), (t, r + k, h)):
            scores = model.scores(anchors, asked)
            own = scores[torch.arange(len(scores)), answers]
            columns += [own, own - scores.logsumexp(dim=1)]
        return np.concatenate([torch.stack(columns, dim=1).numpy(), relation(triples)], axis=1)

    def both(triples: Array) -> Array:
        return np.concatenate([counts(triples), embeddings(triples)], axis=1)

    return {"relation": relation, "counts": counts, "embeddings": embeddings, "both": both}


def measures(probability: Array, labels: Array, relations: Array) -> dict[str, float]:
    parts = [relations == relation for relation in np.unique(relations)]
    mixed = [part for part in parts if 0 < labels[part].mean() < 1]
    best = np.argsort(-probability, kind="stable")[: len(labels) // 5]
    return {
        "macro_auc": round(float(np.mean([roc_auc_score(labels[part], probability[part]) for part in mixed])), 4),
        "accuracy": round(float(((probability >= 0.5) == labels).mean()), 4),
        "brier": round(float(np.square(probability - labels).mean()), 4),
        "precision_at_20": round(float(labels[best].mean()), 4),
        "relations": len(mixed),
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
