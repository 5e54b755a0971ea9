"""How often the vector index finds the ten best that the model itself would name, and what a question costs.

    KGSYNC_BENCHMARKS=../shared/data python benchmarks/recall.py [sample] [wn18rr] [--questions 300] [--epochs 5]

Starts a server of its own. Loads each graph under one label (the hardest case for an index), trains TransE-L2,
DistMult and ComplEx on it, a little (random embeddings are harder to search than real ones), writes the vectors as
`kgsync embed` does, and asks the statements of cypher/browse/live for the ten best tails and heads of known edges. The
oversampling in them, "4 * $k", is tried as 1, 2 and 8, too; the entity is found by its key's index, as is advised for
large graphs. The truth is the model's own scores in double precision over all entities, without known edges. Beside it:
the same question as a plain sum over all entities in Cypher, without an index.

Prints recall@10 with a 95 % bootstrap interval over questions and median milliseconds per question, and keeps them in
results/recall-GRAPH.json.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import neo4j
import numpy as np
import platformdirs
import torch
from results import save

from kgsync import sample
from kgsync.config import GraphConfig, LabelConfig, VoicesConfig
from kgsync.graph import server, statements
from kgsync.graph.connection import Connection
from kgsync.graph.embed import embed
from kgsync.graph.load import load
from kgsync.graph.pull import pull
from kgsync.kge.config import TrainConfig
from kgsync.kge.vectors import EUCLIDEAN, PRODUCTS
from kgsync.learn import train
from kgsync.model import Model
from kgsync.report.intervals import bootstrap
from kgsync.snapshot import Snapshot

K = 10
OVERSAMPLING = (1, 2, 4, 8)
SHIPPED = 4
LABEL, KEY = "Entity", "id"
WAYS = {"best-tails": ("h", "t", "tailIndexes"), "best-heads": ("t", "h", "headIndexes")}  # asked, sought, indexes


@dataclass(frozen=True)
class Question:
    """One question, and the true answer."""

    way: str  # which statement asks it
    key: str
    relation: str
    best: frozenset[str]  # keys of the ten best, fewer where there are not so many


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("graphs", nargs="*", default=["sample"])
    parser.add_argument("--questions", type=int, default=300, help="half of them for tails, half for heads")
    parser.add_argument("--plain", type=int, default=20, help="questions that are asked without an index, too")
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--memory", default="2G", help="of the server")
    arguments = parser.parse_args()
    os.environ.setdefault("KGSYNC_JARS", str(Path(platformdirs.user_data_dir("kgsync")) / "jars"))
    for name in arguments.graphs:
        with tempfile.TemporaryDirectory() as home:
            os.environ["KGSYNC_HOME"] = home
            local = server.up("benchmark", memory=arguments.memory)
            try:
                with neo4j.GraphDatabase.driver(local.uri, auth=(local.username, local.password())) as driver:
                    found = measure(Connection.wrap(driver, local.database), folder_of(name), Path(home), arguments)
            finally:
                server.down("benchmark")
        print(save(f"recall-{name}", {"neo4j": local.version, "rank": arguments.rank, **found}))


def folder_of(name: str) -> Path:
    return sample.folder() if name == "sample" else Path(os.environ.get("KGSYNC_BENCHMARKS", "../shared/data")) / name


def measure(connection: Connection, folder: Path, scratch: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of one graph."""
    load(connection, folder, label=LABEL, key=KEY)
    snapshot = pull(connection, GraphConfig(labels={LABEL: LabelConfig(key=KEY)}), folder=scratch / "snapshots")
    size = {"entities": snapshot.entities.num_rows, "relations": len(snapshot.relations)}
    print(f"{folder.name}: {size}, {len(snapshot.triples):,} edges", flush=True)
    models: dict[str, Any] = {}
    kinds: Sequence[Any] = (*EUCLIDEAN, *PRODUCTS)
    for scoring in kinds:
        config = TrainConfig(model=scoring, rank=arguments.rank, epochs=arguments.epochs)
        model = train(snapshot, config=config, voices=VoicesConfig(rules=False, text=False))
        began = time.perf_counter()
        embed(connection, model, commit=True)
        seconds = time.perf_counter() - began
        print(f"\n{scoring}: test MRR {model.metrics.mrr:.3f}, written and indexed in {seconds:.0f} s", flush=True)
        about = {"test_mrr": round(model.metrics.mrr, 3), "embed_seconds": round(seconds, 1)}
        models[scoring] = about | asked(connection.driver, questions(model, arguments.questions), arguments.plain)
    return size | {"edges": len(snapshot.triples), "questions": arguments.questions, "models": models}


def questions(model: Model, count: int) -> list[Question]:
    """Return questions about known edges, drawn by chance, with the ten best unknown answers."""
    snapshot, found = model.snapshot, []
    kge = model.embeddings().exact()
    keys = [str(entity.key) for entity in snapshot.identities]
    rows = np.random.default_rng(0).choice(len(snapshot.triples), min(count, len(snapshot.triples)), replace=False)
    for number, (head, relation, tail) in enumerate(snapshot.triples[rows].tolist()):
        way = list(WAYS)[number % 2]
        anchor, directed = (head, relation) if way == "best-tails" else (tail, relation + len(snapshot.relations))
        scores = kge.scores(torch.tensor([anchor]), torch.tensor([directed]))[0].double().numpy().copy()
        scores[known(snapshot, anchor, relation, heads=way == "best-heads")] = -np.inf
        best = [row for row in np.argsort(-scores)[:K].tolist() if scores[row] > -np.inf]
        answer = frozenset(keys[row] for row in best)
        found.append(Question(way, keys[anchor], snapshot.relations[relation], answer))
    return found


def known(snapshot: Snapshot, anchor: int, relation: int, *, heads: bool) -> list[int]:
    """Return the entities that no question is answered with: the known answers, and the entity itself."""
    mine, others = (2, 0) if heads else (0, 2)
    triples = snapshot.triples
    same = (triples[:, 1] == relation) & (triples[:, mine] == anchor)
    return [anchor, *triples[same][:, others].tolist()]


def asked(driver: neo4j.Driver, all_of_them: list[Question], plain: int) -> dict[str, Any]:
    """Return recall and milliseconds for each oversampling, and of the plain sum."""
    found = {str(times): ask(driver, all_of_them, times) for times in OVERSAMPLING}
    found["plain"] = ask(driver, all_of_them[:plain], None)
    for name, row in found.items():
        what = "plain sum over all" if name == "plain" else f"{name} * k" + (" (shipped)" * (name == str(SHIPPED)))
        interval = f"{row['recall']:.4f} ({row['low']:.4f}-{row['high']:.4f})"
        print(f"  {what:20} recall@{K} {interval}  {row['milliseconds']:8.1f} ms", flush=True)
    return found


def ask(driver: neo4j.Driver, all_of_them: list[Question], times: int | None) -> dict[str, Any]:
    texts = {way: statement(way, times) for way in WAYS}
    hits, milliseconds = [], []
    with driver.session() as session:
        for warm, question in [(True, each) for each in all_of_them[:10]] + [(False, each) for each in all_of_them]:
            sought = WAYS[question.way][1]
            began = time.perf_counter()
            rows = session.run(texts[question.way], value=question.key, relation=question.relation, k=K).data()
            seconds = time.perf_counter() - began
            if not warm:
                milliseconds.append(1e3 * seconds)
                named = {row[sought][KEY] for row in rows}
                hits.append(len(named & question.best) / len(question.best) if question.best else 1.0)
    interval = bootstrap(np.array(hits), np.arange(len(hits)))
    figures = {"recall": interval.value, "low": interval.low, "high": interval.high}
    return {name: round(value, 4) for name, value in figures.items()} | {
        "milliseconds": round(statistics.median(milliseconds), 2)
    }


def statement(way: str, times: int | None) -> str:
    """Return the statement for Browser with another oversampling; None: without the index."""
    text = (statements.folder() / "browse" / "live" / f"{way}.cypher").read_text(encoding="utf-8")
    known_end, sought, indexes = WAYS[way]
    by_key = f"({known_end}:{LABEL} {{{KEY}: $value}})\nWHERE "
    text = once(rf"\({known_end}:\$\(\$label\)\)\nWHERE {known_end}\[\$key\] = \$value AND ", by_key, text)
    if times is None:
        call = rf"UNWIND r\.{indexes} AS index\nCALL db\.index\.vector\.queryNodes\(.*\) YIELD node AS {sought}\n"
        return once(call, f"MATCH ({sought}:{LABEL})\n", text)
    return once(rf"AS q, {SHIPPED} \* \$k ", f"AS q, {times} * $k ", text)


def once(pattern: str, replacement: str, text: str) -> str:
    """Return the text with its one match of `pattern` replaced."""
    changed, count = re.subn(pattern, lambda _: replacement, text)
    assert count == 1, f"{pattern} occurs {count} times"
    return changed


if __name__ == "__main__":
    main()
