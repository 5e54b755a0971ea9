"""kgsync beside PyKEEN and TorchKGE, in the same run: evaluation, top answers, and time to a quality.

    pip install pykeen torchkge
    python benchmarks/peers.py ../shared/data --jobs evaluate predict train [--minutes 40]

- evaluate: the filtered ranks of FB15k-237's test triples, both sides, by ComplEx of 128 complex numbers whose vectors
  are the same in both; the MRRs must be equal.
- predict: the ten best unknown tails for (entity, relation) of WN18RR: kgsync for all of them, PyKEEN's
  `predict_target` for a sample, because all of them would take hours.
- train: seconds of training until the valid MRR of FB15k-237 is .30 and .33, ComplEx of 128 complex numbers, evaluation
  not counted and the same for all, filtered by all parts. PyKEEN learns as kgsync does: LCWA loop, cross-entropy,
  reciprocal relations, N3, Adagrad; TorchKGE from Bernoulli negatives, ten per triple, logistic loss, Adam.

Each part runs in a process of its own, so that peak memory is its own. Keeps all in results/peers-JOB.json.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from results import save

from kgsync import dataset
from kgsync.dataset import Dataset
from kgsync.kge.config import TrainConfig
from kgsync.kge.evaluate import evaluate
from kgsync.kge.known import KnownAnswers
from kgsync.kge.models import KgeModel, create

RANK = 128
GRAPHS = {"evaluate": "fb15k-237", "predict": "wn18rr", "train": "fb15k-237"}
PARTS = {
    "evaluate": ["kgsync", "pykeen"],
    "predict": ["kgsync", "pykeen"],
    "train": ["kgsync bf16", "kgsync f32", "pykeen", "torchkge"],
}
MARKS = 0.30, 0.33
N3 = 0.05  # of kgsync and of PyKEEN, which comes to a valid MRR of .30 with .015, .31 with .05, .18 with .25
NEGATIVES = 10  # per triple, of TorchKGE
SAMPLE = 300  # queries that PyKEEN is asked for the best tails
TOP = 10

Curve = list[tuple[float, float]]  # seconds of training, valid MRR


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--jobs", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--minutes", type=float, default=40.0, help="of training after which a peer is given up")
    parser.add_argument("--part", help="for the processes that this script starts")
    arguments = parser.parse_args()
    if arguments.part:
        print(json.dumps(run(arguments.jobs[0], arguments.part, arguments.folder, arguments.minutes)))
        return
    for job in arguments.jobs:
        found = {}
        for part in PARTS[job]:
            command = [sys.executable, __file__, str(arguments.folder), "--jobs", job, "--part", part]
            command += ["--minutes", str(arguments.minutes)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            found[part] = json.loads(done.stdout.splitlines()[-1])
            print(job, part, found[part], flush=True)
        if job == "evaluate":
            assert abs(found["kgsync"]["mrr"] - found["pykeen"]["mrr"]) < 1e-4, found
        save(f"peers-{job}", found | {"speedup_vs_fastest_peer": speedups(found)})


def speedups(found: dict[str, Any]) -> dict[str, Any]:
    """Return how many times faster than the fastest peer each row of ours is, by measure.

    A mark that no peer reached in its time gives a lower bound, as text.
    """
    peers = [row for part, row in found.items() if not part.startswith("kgsync")]
    times: dict[str, Any] = {}
    for part, row in found.items():
        if not part.startswith("kgsync"):
            continue
        for name in (name for name in row if name.startswith("seconds")):
            reached = [peer[name] for peer in peers if name in peer]
            if reached:
                times[f"{part}: {name}"] = round(min(reached) / row[name], 1)
            else:
                times[f"{part}: {name}"] = f"more than {min(peer['trained'] for peer in peers) / row[name]:.1f}"
    return times


def run(job: str, part: str, folder: Path, minutes: float) -> dict[str, Any]:
    graph = dataset.read(folder / GRAPHS[job])
    who, _, precision = part.partition(" ")
    if job == "evaluate":
        found = evaluate_ours(graph) if who == "kgsync" else evaluate_pykeen(graph)
    elif job == "predict":
        found = predict_ours(graph) if who == "kgsync" else predict_pykeen(graph)
    else:
        trainers = {"kgsync": train_ours, "pykeen": train_pykeen, "torchkge": train_torchkge}
        found = trainers[who](graph, precision if who == "kgsync" else minutes)  # type: ignore[operator]
    return found | {"peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6)}


def size(graph: Dataset) -> tuple[int, int]:
    return len(graph.entities), len(graph.relations)


def random_model(graph: Dataset) -> KgeModel:
    model = create("complex", *size(graph), RANK, seed=0)
    with torch.no_grad():
        for table in model.parameters():
            table.mul_(300)
    return model


def evaluate_ours(graph: Dataset) -> dict[str, Any]:
    known = KnownAnswers(np.concatenate([graph.train, graph.valid, graph.test]), *size(graph))
    model = random_model(graph)
    began = time.perf_counter()
    mrr = evaluate(model, graph.test, known).mrr
    return {"seconds": round(time.perf_counter() - began, 2), "mrr": mrr}


def pykeen_factory(graph: Dataset) -> Any:
    from pykeen.triples import CoreTriplesFactory

    triples = torch.from_numpy(graph.train.astype(np.int64))
    return CoreTriplesFactory(triples, *size(graph), create_inverse_triples=True)


def pykeen_model(graph: Dataset, **more: Any) -> Any:
    from pykeen.models import ComplEx

    return ComplEx(triples_factory=pykeen_factory(graph), embedding_dim=RANK, random_seed=0, **more)


def give(model: Any, ours: KgeModel) -> None:
    """Put our vectors into PyKEEN's model: relation r and its inverse are its numbers 2r and 2r + 1."""
    relations = torch.stack(ours.relations.detach().chunk(2), dim=1).flatten(0, 1)
    for representation, rows in (
        (model.entity_representations[0], ours.entities),
        (model.relation_representations[0], relations),
    ):
        real, imaginary = rows.detach().chunk(2, dim=1)
        weight = representation._embeddings.weight
        weight.data.copy_(torch.stack([real, imaginary], dim=-1).reshape(weight.shape))


def take(model: Any, ours: KgeModel) -> None:
    """Put PyKEEN's vectors into our model."""
    tables = []
    for representation in (model.entity_representations[0], model.relation_representations[0]):
        weight = representation._embeddings.weight.data
        pairs = weight.reshape(len(weight), RANK, 2)
        tables.append(torch.cat([pairs[..., 0], pairs[..., 1]], dim=1))
    ours.entities.data.copy_(tables[0])
    ours.relations.data.copy_(tables[1].reshape(-1, 2, 2 * RANK).transpose(0, 1).flatten(0, 1))


def evaluate_pykeen(graph: Dataset) -> dict[str, Any]:
    from pykeen.evaluation import RankBasedEvaluator

    model = pykeen_model(graph)
    give(model, random_model(graph))
    test, *others = (torch.from_numpy(part.astype(np.int64)) for part in (graph.test, graph.train, graph.valid))
    evaluator = RankBasedEvaluator(filtered=True)
    began = time.perf_counter()
    found = evaluator.evaluate(model, test, additional_filter_triples=others, batch_size=256, use_tqdm=False)
    seconds = time.perf_counter() - began
    return {"seconds": round(seconds, 2), "mrr": found.get_metric("both.realistic.inverse_harmonic_mean_rank")}


def predict_ours(graph: Dataset) -> dict[str, Any]:
    known = KnownAnswers(graph.train, *size(graph))
    model = random_model(graph)
    anchors = np.arange(len(graph.entities))
    began = time.perf_counter()
    for relation in range(len(graph.relations)):
        for start in range(0, len(anchors), 512):
            block = anchors[start : start + 512]
            asked = np.full(len(block), relation)
            scores = model.scores(torch.from_numpy(block), torch.from_numpy(asked))
            rows, entities = known.mask(block, asked)
            scores[torch.from_numpy(rows), torch.from_numpy(entities)] = -torch.inf
            scores.topk(TOP, dim=1)
    seconds = time.perf_counter() - began
    queries = len(anchors) * len(graph.relations)
    return {"queries": queries, "seconds_per_1000": round(1000 * seconds / queries, 4), "in_all": round(seconds, 1)}


def predict_pykeen(graph: Dataset) -> dict[str, Any]:
    from pykeen.predict import predict_target
    from pykeen.triples import CoreTriplesFactory

    model = pykeen_model(graph)
    give(model, random_model(graph))
    factory = CoreTriplesFactory(torch.from_numpy(graph.train.astype(np.int64)), *size(graph))
    random = np.random.default_rng(0)
    began = time.perf_counter()
    for head in random.integers(len(graph.entities), size=SAMPLE).tolist():
        predict_target(model, head=head, relation=0, triples_factory=factory).filter_triples(factory).df.nlargest(
            TOP, "score"
        )
    seconds = time.perf_counter() - began
    return {"queries": SAMPLE, "seconds_per_1000": round(1000 * seconds / SAMPLE, 4)}


def train_ours(graph: Dataset, precision: str) -> dict[str, Any]:
    from kgsync.kge import train as training

    curve: Curve = []
    evaluating = 0.0
    plain = training._Training._evaluate

    def watched(self: Any) -> float | None:
        nonlocal evaluating
        began = time.monotonic()
        mrr = plain(self)
        trained = began - self.began - evaluating
        evaluating += time.monotonic() - began
        print(f"{precision}: MRR {mrr:.4f} after {trained:.0f} s", file=sys.stderr, flush=True)
        curve.append((trained, mrr or 0.0))
        if curve[-1][1] >= MARKS[-1]:
            self.state.counters.misses = 10**9
        return mrr

    training._Training._evaluate = watched  # type: ignore[method-assign]
    config = TrainConfig(
        rank=RANK,
        n3=N3,
        batch=500,
        epochs=60,
        eval_every=1,
        patience=10,
        precision=precision,  # type: ignore[arg-type]
    )
    training.train(graph.train, graph.valid, *size(graph), config, also_true=graph.test)
    return told(curve)


def train_pykeen(graph: Dataset, minutes: float) -> dict[str, Any]:
    from pykeen.regularizers import PowerSumRegularizer
    from pykeen.training import LCWATrainingLoop
    from torch.optim import Adagrad

    small = partial(torch.nn.init.normal_, std=1e-3)
    model = pykeen_model(
        graph,
        loss="crossentropy",
        regularizer=PowerSumRegularizer,
        regularizer_kwargs={"p": 3.0, "weight": N3},
        entity_initializer=small,
        relation_initializer=small,
    )
    factory = pykeen_factory(graph)
    loop = LCWATrainingLoop(
        model=model,
        triples_factory=factory,
        optimizer=Adagrad(model.parameters(), lr=0.1),
        automatic_memory_optimization=False,
    )

    def one_more(epoch: int) -> None:
        loop.train(factory, num_epochs=epoch, batch_size=1000, use_tqdm=False, continue_training=epoch > 1)

    return watch("pykeen", graph, minutes, one_more, lambda ours: take(model, ours))


def train_torchkge(graph: Dataset, minutes: float) -> dict[str, Any]:
    import pandas as pd
    from torchkge.data_structures import KnowledgeGraph
    from torchkge.models import ComplExModel
    from torchkge.sampling import BernoulliNegativeSampler
    from torchkge.utils import DataLoader, LogisticLoss

    frame = pd.DataFrame(graph.train, columns=["from", "rel", "to"])
    ids = [{number: number for number in range(amount)} for amount in size(graph)]
    triples = KnowledgeGraph(df=frame, ent2ix=ids[0], rel2ix=ids[1])
    model = ComplExModel(RANK, *size(graph))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    sampler, criterion = BernoulliNegativeSampler(triples, n_neg=NEGATIVES), LogisticLoss()

    def one_more(epoch: int) -> None:
        for heads, tails, relations in DataLoader(triples, batch_size=1000):
            false_heads, false_tails = sampler.corrupt_batch(heads, tails, relations)
            optimizer.zero_grad()
            true = model.scoring_function(heads, tails, relations).repeat(NEGATIVES)
            false = model.scoring_function(false_heads, false_tails, relations.repeat(NEGATIVES))
            criterion(true, false).backward()
            optimizer.step()

    def give_back(ours: KgeModel) -> None:
        entities = torch.cat([model.re_ent_emb.weight, model.im_ent_emb.weight], dim=1)
        real, imaginary = model.re_rel_emb.weight, model.im_rel_emb.weight
        inverse = torch.cat([real, -imaginary], dim=1)  # Re(h r conj(t)) = Re(t conj(r) conj(h))
        ours.entities.data.copy_(entities.data)
        ours.relations.data.copy_(torch.cat([torch.cat([real, imaginary], dim=1), inverse]).data)

    return watch("torchkge", graph, minutes, one_more, give_back)


def watch(
    who: str, graph: Dataset, minutes: float, one_more: Callable[[int], None], give_back: Callable[[KgeModel], None]
) -> dict[str, Any]:
    """Return the seconds of training after which a peer reached each mark; only its epochs count."""
    known = KnownAnswers(np.concatenate([graph.train, graph.valid, graph.test]), *size(graph))
    ours = random_model(graph)
    curve: Curve = []
    spent, epoch, mrr = 0.0, 0, 0.0
    while spent < 60 * minutes and mrr < MARKS[-1]:
        epoch += 1
        began = time.monotonic()
        one_more(epoch)
        spent += time.monotonic() - began
        give_back(ours)
        mrr = evaluate(ours, graph.valid, known).mrr
        curve.append((spent, mrr))
        print(f"{who}: epoch {epoch}, MRR {mrr:.4f} after {spent:.0f} s", file=sys.stderr, flush=True)
    return told(curve)


def told(curve: Curve) -> dict[str, Any]:
    """Return when each mark was reached, on a straight line between two evaluations: epochs differ in length."""
    row: dict[str, Any] = {}
    for mark in MARKS:
        at = next((number for number, (_, mrr) in enumerate(curve) if mrr >= mark), None)
        if at is not None:
            (before, low), (after, high) = curve[at - 1] if at else (0.0, 0.0), curve[at]
            row[f"seconds_to_{mark:.2f}"] = round(before + (after - before) * (mark - low) / (high - low), 1)
    rounded = [(round(seconds, 1), round(mrr, 4)) for seconds, mrr in curve]
    return row | {"trained": rounded[-1][0], "best_mrr": max(mrr for _, mrr in rounded), "curve": rounded}


if __name__ == "__main__":
    main()
