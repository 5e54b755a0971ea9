"""Whether promises are kept: of the edges that `kgsync write --max-false 10%` would write, how many are false.

    python benchmarks/promise.py ../shared/data/umls [--seeds 10] [--max-false 0.1] [--voices embeddings rules]
    python benchmarks/promise.py kgsync/sample/world [--missing 0.1]
    python benchmarks/promise.py ../shared/data/codex-s --hard-negatives [--seeds 5]

For every seed kgsync divides the graph anew, trains on the known part, voices and all, and fits its scores; then the
hidden test edges are to be found among all candidates. A candidate
is true if it was hidden. Scores are turned into the chance to be one of the test part, as for `kgsync report`.

- promised: those of which kgsync promises that at most so many are false: how many, and what share of them is.
- threshold: those with score >= 1 - max-false, which a cautious person would write instead.
- sure: those with score >= 0.5: the mean score less the share that is true, over all and for every relation with 100
  of them or more; for relations over all seeds together, too, as one seed seldom has so many.

With --missing, such a share of the edges is taken out before, and kgsync never learns of them, as in a graph that is
not complete; and what is looked at are the edges of the plan that `kgsync predict` makes. Scores and promises are
fitted for such a graph; without --missing "sure" is about the chance to be a hidden edge, not about the score.

With --hard-negatives, kgsync never learns of the folder's test edges, and of its plan only those edges are looked at
that people have checked: test edges are true, those in valid_negatives.tsv and test_negatives.tsv false. These were
chosen for a model to rank them high, so they are far more frequent among high scores than what kgsync's promises
assume: this shows how much of a promise is left where it need not hold.

Prints a row per seed and a summary, and keeps them in results/promise-GRAPH.json (promise-missing-GRAPH.json,
promise-hard-negatives-GRAPH.json).
"""

from __future__ import annotations

import argparse
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from results import save

from kgsync import triple_files
from kgsync.candidates.hidden import label_hidden
from kgsync.config import SplitConfig, VoicesConfig
from kgsync.errors import DataError
from kgsync.identity import Entity
from kgsync.kge.config import TrainConfig
from kgsync.learn import train
from kgsync.model import Model
from kgsync.progress import silent
from kgsync.promise import false_shares
from kgsync.snapshot import Snapshot, entity_table
from kgsync.split import split_snapshot, split_triples
from kgsync.triple_files import BadLine

SURE = 0.5  # least score of the edges whose scores are judged
ENOUGH = 100  # of them in a relation that is judged by itself
TEST = 0.1  # of the graph: about as many per known edge as are assumed to be missing
VOICES = ("embeddings", "rules", "text")

Triple = tuple[Entity, str, Entity]


@dataclass(frozen=True)
class Seen:
    """A candidate, or several that are alike."""

    relation: str
    score: float
    true: bool
    share: float  # of false ones that is promised of those that are as good or better
    weight: float = 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--max-false", type=float, default=0.1)
    parser.add_argument("--missing", type=float, default=0.0, help="share of the edges that kgsync never learns of")
    parser.add_argument("--hard-negatives", action="store_true", help="judge edges of the plan that people checked")
    parser.add_argument("--voices", nargs="+", choices=VOICES, default=VOICES, help="text only where there are texts")
    parser.add_argument("--budget", type=float, default=0.0, help="seconds for all voices of a seed")
    arguments = parser.parse_args()
    graph = read(arguments.folder)
    checked = labelled(arguments.folder) if arguments.hard_negatives else None
    runs, pooled = [], []
    for seed in range(arguments.seeds):
        model, hidden = learned(graph, seed, arguments, checked)
        found = planned(model, hidden, checked) if arguments.missing or checked else on_test(model)
        sure = [each for each in found if each.score >= SURE]
        runs.append(about(model, seed) | row(found, sure, arguments.max_false))
        pooled += sure
        print(runs[-1], flush=True)
    kind = "hard-negatives-" if checked else "missing-" if arguments.missing else ""
    name = kind + arguments.folder.resolve().name
    whole = summary(runs, pooled, arguments.max_false)
    print(f"\n{name}: {whole}")
    settings = {"max_false": arguments.max_false, "missing": arguments.missing, "budget": arguments.budget}
    print(save(f"promise-{name}", settings | {"voices": list(arguments.voices), "summary": whole, "runs": runs}))


def read(folder: Path) -> Snapshot:
    """Return the graph in a folder, all parts together, with the names, types and descriptions that it has."""
    files = triple_files.find(folder)
    entities, triples = {}, []
    for path in files.triples:
        for line in triple_files.read_triples(path, refuse):
            triples.append((entity(line.head), line.relation, entity(line.tail)))
    if files.entities is not None:
        for known in triple_files.read_entities(files.entities, refuse):
            entities[entity(known.id)] = known
    ends = sorted({end for head, _, tail in triples for end in (head, tail)}, key=str)
    rows = []
    for each in ends:
        about = entities.get(each)
        types = about.types if about else ()
        rows.append((each, [each.label, *types], about and about.name, about and about.description))
    return replace(Snapshot.from_names(triples), entities=entity_table(rows))


def refuse(bad: BadLine) -> None:
    raise DataError(str(bad), fix="correct that line")


def entity(key: str) -> Entity:
    return Entity("Entity", "id", key)


def labelled(folder: Path) -> dict[Triple, bool]:
    """Return the edges that people have checked, and whether they are true."""
    parts = ("valid_negatives.tsv", False), ("test_negatives.tsv", False), ("test.tsv", True)
    found = {}
    for name, true in parts:
        for line in triple_files.read_triples(folder / name, refuse):
            found[entity(line.head), line.relation, entity(line.tail)] = true
    return found


def learned(
    graph: Snapshot, seed: int, arguments: argparse.Namespace, checked: dict[Triple, bool] | None
) -> tuple[Model, set[Triple]]:
    """Return the model of a seed, and the edges that were missing from its graph."""
    hidden: set[Triple] = set()
    if checked:
        names, relations = graph.identities, graph.relations
        triples = [(names[head], relations[relation], names[tail]) for head, relation, tail in graph.triples.tolist()]
        hidden = {triple for triple, true in checked.items() if true}
        graph = replace(graph, triples=graph.triples[[triple not in hidden for triple in triples]])
    elif arguments.missing:
        keys = [f"missing {each.key}" for each in graph.identities]  # falls otherwise than kgsync's own split
        parts = split_triples(graph.triples, keys, valid=0.0, test=arguments.missing, seed=seed)
        names, relations = graph.identities, graph.relations
        hidden = {(names[head], relations[relation], names[tail]) for head, relation, tail in parts.test.tolist()}
        graph = replace(graph, triples=parts.train.astype(graph.triples.dtype))
    embeddings, rules, text = (name in arguments.voices for name in VOICES)
    voices = VoicesConfig(embeddings=embeddings, rules=rules, text=text, budget=arguments.budget)
    split = SplitConfig(seed=seed) if hidden else SplitConfig(test=TEST, seed=seed)
    return train(graph, config=TrainConfig(seed=seed), split=split, voices=voices), hidden


def on_test(model: Model) -> list[Seen]:
    """Return the candidates of the test part."""
    parts, calibrator = split_snapshot(model.snapshot, model.split), model.calibrated()
    known = np.concatenate([parts.train, parts.select, parts.fuse, parts.calibrate])
    nothing = parts.test[:0]
    data = label_hidden(
        model.voice, model.snapshot, known=known, hidden=parts.test, competing=nothing, step="", progress=silent
    )
    fitted, _ = calibrator.scores(data.relations, data.features)
    shares = false_shares(calibrator.nulls.p_values(fitted), float(data.weights.sum()), data.weights)
    scores = calibrator.chances(data)
    columns = data.relations, scores, data.true, shares, data.weights
    names = model.snapshot.relations
    return [Seen(names[r], *rest) for r, *rest in zip(*(column.tolist() for column in columns), strict=True)]


def planned(model: Model, hidden: set[Triple], checked: dict[Triple, bool] | None) -> list[Seen]:
    """Return the edges of the plan; with `checked` ones, those of them."""
    edges = {(each.head, each.relation, each.tail): each for each in model.predict().edges}
    return [
        Seen(each.relation, each.score, triple in hidden, each.false_share or 0.0)
        for triple, each in edges.items()
        if checked is None or triple in checked
    ]


def about(model: Model, seed: int) -> dict[str, Any]:
    speaking = [*([] if model.kge is None else [model.kge.name]), *(voice.name for voice in model.others)]
    return {"seed": seed, "parts": dict(model.parts), "voices": speaking, "mrr": round(model.metrics.mrr, 4)}


def row(found: Sequence[Seen], sure: Sequence[Seen], max_false: float) -> dict[str, Any]:
    """Return what became of one seed."""
    return {
        "promised": judged([each for each in found if each.share <= max_false]),
        "threshold": judged([each for each in found if each.score >= 1 - max_false]),
        "sure": gap(sure),
        "per_relation": by_relation(sure),
    }


def judged(edges: Sequence[Seen]) -> dict[str, Any]:
    """Return how many edges there are, and the share of them that is false."""
    total = sum(each.weight for each in edges)
    false = sum(each.weight for each in edges if not each.true)
    return {"edges": round(total), "false": round(false / total, 4) if edges else 0.0}


def gap(edges: Sequence[Seen]) -> dict[str, Any]:
    """Return the mean score of edges less the share that is true."""
    if not edges:
        return {"edges": 0}
    weights = [each.weight for each in edges]
    score = np.average([each.score for each in edges], weights=weights)
    precision = np.average([each.true for each in edges], weights=weights)
    return {"edges": round(sum(weights)), "score": round(float(score), 4), "precision": round(float(precision), 4),
            "gap": round(float(score - precision), 4)}  # fmt: skip


def by_relation(edges: Sequence[Seen]) -> dict[str, Any]:
    """Return the gap of every relation that has enough edges."""
    own: dict[str, list[Seen]] = defaultdict(list)
    for each in edges:
        own[each.relation].append(each)
    return {name: gap(some) for name, some in sorted(own.items()) if sum(each.weight for each in some) >= ENOUGH}


def summary(runs: Sequence[dict[str, Any]], pooled: Sequence[Seen], max_false: float) -> dict[str, Any]:
    """Return what is promised of all seeds."""
    promised, threshold = ([each[name] for each in runs] for name in ("promised", "threshold"))
    edges = [sum(each["edges"] for each in rows) for rows in (promised, threshold)]
    gaps = [each["gap"] for row in runs for each in row["per_relation"].values()]
    return {
        "seeds": len(runs),
        "kept": sum(each["false"] <= max_false for each in promised),
        "with_edges": sum(each["edges"] > 0 for each in promised),
        "false_mean": round(statistics.mean(each["false"] for each in promised), 4),
        "false_most": max(each["false"] for each in promised),
        "edges": edges[0],
        "threshold_edges": edges[1],
        "times_as_many": round(edges[0] / edges[1], 2) if edges[1] else None,
        "threshold_false_mean": round(statistics.mean(each["false"] for each in threshold), 4),
        "sure": gap(pooled),
        "gap_most_of_a_seed": max((abs(each["sure"]["gap"]) for each in runs if each["sure"]["edges"]), default=None),
        "gap_most_of_a_relation_in_a_seed": max(map(abs, gaps), default=None),
        "per_relation": by_relation(pooled),
    }


if __name__ == "__main__":
    main()
