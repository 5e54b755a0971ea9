"""What a large graph costs: pairs learned per second and memory, beside the way that DGL-KE and PyTorch-BigGraph learn.

    python benchmarks/scale.py [--entities 1000000] [--edges 10000000] [--rank 100] [--seconds 60]

A random graph with hubs (the k-th entity is drawn with a chance that falls as k^-0.6). A pair is a question (h, r) with
one right answer; every edge gives two. Each engine is a process of its own, on all cores:

    kgsync, kgsync f32   `kgsync.kge.train` as it is, in its precision for this processor and in float32
    shared negatives     DGL-KE's kernel in plain torch: 1,024 edges a step, 256 negatives shared by chunks of 256,
                         logsigmoid loss, gathers and scatters, row-sparse Adagrad
    whole table          the plain way to write it: torch.nn.Embedding(sparse=False) and torch.optim.Adagrad

With --line, kgsync alone on 10^5, 10^6 and 10^7 edges: seconds per epoch, from as many steps as there is time for.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from results import save
from torch import Tensor
from torch.nn.functional import logsigmoid

RELATIONS = 100
ENGINES = "kgsync", "kgsync f32", "shared negatives", "whole table"
EDGES, NEGATIVES, CHUNK = 1024, 256, 256  # per step, as DGL-KE's defaults
LINE = 100_000, 1_000_000, 10_000_000

Array = np.ndarray[Any, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entities", type=int, default=1_000_000)
    parser.add_argument("--edges", type=int, default=10_000_000)
    parser.add_argument("--rank", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--line", action="store_true")
    parser.add_argument("--engine", choices=ENGINES, help=argparse.SUPPRESS)  # this is one of the processes
    arguments = parser.parse_args()
    if arguments.engine:
        print(json.dumps(measure(arguments.engine, arguments)))
        return
    if arguments.line:
        rows = [_process("kgsync", edges // 10, edges, arguments) for edges in LINE]
        save("scale-line", {"rank": arguments.rank, "rows": rows})
        return
    rows = [_process(engine, arguments.entities, arguments.edges, arguments) for engine in ENGINES]
    save(f"scale-{arguments.edges:.0e}".replace("+0", ""), {"rank": arguments.rank, "rows": rows})


def _process(engine: str, entities: int, edges: int, arguments: argparse.Namespace) -> dict[str, Any]:
    size = ["--entities", str(entities), "--edges", str(edges), "--rank", str(arguments.rank)]
    command = [sys.executable, __file__, "--engine", engine, *size, "--seconds", str(arguments.seconds)]
    row: dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    print(row, flush=True)
    return row


def measure(engine: str, arguments: argparse.Namespace) -> dict[str, Any]:
    triples = random_graph(arguments.entities, arguments.edges)
    empty = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    runs: dict[str, Callable[[], tuple[int, int, float]]] = {
        "kgsync": lambda: ours(triples, arguments, "auto"),
        "kgsync f32": lambda: ours(triples, arguments, "f32"),
        "shared negatives": lambda: shared_negatives(triples, arguments, sparse=True),
        "whole table": lambda: shared_negatives(triples, arguments, sparse=False),
    }
    steps, pairs, seconds = runs[engine]()
    return {
        "engine": engine,
        "entities": arguments.entities,
        "edges": len(triples),
        "steps": steps,
        "pairs_per_second": round(pairs / seconds),
        "seconds_per_epoch": round(seconds / pairs * 2 * len(triples), 1),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "of_which_the_graph_mb": round(empty),
    }


def random_graph(entities: int, edges: int) -> Array:
    """Return distinct edges without loops between entities of which a few are hubs; the same every time."""
    random = np.random.default_rng(0)
    ends = np.cumsum(np.arange(1, entities + 1) ** -0.6)
    ends /= ends[-1]
    codes = np.empty(0, np.int64)
    while len(codes) < edges:
        missing = int(1.1 * (edges - len(codes))) + 10
        heads, tails = (np.searchsorted(ends, random.random(missing)) for _ in range(2))
        new = (heads * RELATIONS + random.integers(RELATIONS, size=missing)) * entities + tails
        codes = np.unique(np.concatenate([codes, new[heads != tails]]))
    codes = np.sort(random.permutation(codes)[:edges])
    rest, tails = np.divmod(codes, entities)
    return np.stack([rest // RELATIONS, rest % RELATIONS, tails], axis=1).astype(np.int32)


def ours(triples: Array, arguments: argparse.Namespace, precision: Any) -> tuple[int, int, float]:
    """Return steps, pairs and seconds of training, without what comes before the first step."""
    from kgsync.kge import train as module
    from kgsync.kge.config import TrainConfig

    seen: list[tuple[float, int]] = []
    step = module._Training._step

    def watched(self: Any, queries: Any) -> tuple[float, int]:
        done = step(self, queries)
        seen.append((time.monotonic(), done[1]))
        return done

    module._Training._step = watched  # type: ignore[method-assign]
    config = TrainConfig(rank=arguments.rank, epochs=1, time_budget=arguments.seconds, precision=precision)
    module.train(triples, triples[:0], arguments.entities, RELATIONS, config)
    first, rest = seen[0], seen[1:]
    return len(rest), sum(pairs for _, pairs in rest), rest[-1][0] - first[0]


def shared_negatives(triples: Array, arguments: argparse.Namespace, *, sparse: bool) -> tuple[int, int, float]:
    """Return steps, pairs and seconds of ComplEx with negatives that a chunk of edges shares, on alternating sides."""
    torch.manual_seed(0)
    width = 2 * arguments.rank
    entities = torch.nn.Embedding(arguments.entities, width, sparse=sparse)
    relations = torch.nn.Embedding(RELATIONS, width, sparse=sparse)
    for table in (entities, relations):
        torch.nn.init.uniform_(table.weight, -0.1, 0.1)
    optimizer = torch.optim.Adagrad([*entities.parameters(), *relations.parameters()], lr=0.1)
    random = np.random.default_rng(1)
    steps, began = 0, 0.0
    while not steps or time.monotonic() - began < arguments.seconds:
        edges = torch.from_numpy(triples[random.integers(len(triples), size=EDGES)].astype(np.int64))
        false = torch.from_numpy(random.integers(arguments.entities, size=(EDGES // CHUNK, NEGATIVES)))
        asked, right = (0, 2) if steps % 2 else (2, 0)
        query = _compose(entities(edges[:, asked]), relations(edges[:, 1]), conjugate=asked == 2)
        true = (query * entities(edges[:, right])).sum(dim=1)
        wrong = torch.bmm(query.view(-1, CHUNK, width), entities(false).transpose(1, 2))
        loss = -(logsigmoid(true).mean() + logsigmoid(-wrong).mean())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if not steps:
            began = time.monotonic()
        steps += 1
    return steps - 1, (steps - 1) * EDGES, time.monotonic() - began


def _compose(anchors: Tensor, relations: Tensor, *, conjugate: bool) -> Tensor:
    a, b = anchors.chunk(2, dim=1)
    c, d = relations.chunk(2, dim=1)
    d = -d if conjugate else d
    return torch.cat([a * c - b * d, a * d + b * c], dim=1)


if __name__ == "__main__":
    main()
