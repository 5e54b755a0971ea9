"""How the cost of a training step grows with entities, relations and rank, and how close it is to the machine's roof.

    python benchmarks/cost.py [--steps 12] [--plots docs/images]

A random graph with hubs (that of `scale.py`), ComplEx with the default loss. Per setting: the median seconds of a step,
the multiplications and additions that its matrix products need, and their share of the roof: the most that torch's own
product of a whole block does here, in the same precision. Keeps them in results/cost.json; --plots draws one picture
per sweep (needs matplotlib).
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import scale
import torch
from results import save

from kgsync.kge import train as module
from kgsync.kge.checkpoint import State
from kgsync.kge.config import TrainConfig
from kgsync.kge.defaults import Size, resolve
from kgsync.kge.known import KnownAnswers
from kgsync.kge.models import create
from kgsync.kge.world import world
from kgsync.progress import silent

BASE = {"entities": 10_000, "relations": 100, "rank": 100}
SWEEPS = {
    "entities": (1_000, 3_000, 10_000, 30_000, 100_000, 300_000),
    "relations": (10, 30, 100, 300, 1_000, 3_000),
    "rank": (25, 50, 100, 200, 400, 800),
}
EDGES = 200_000
WARM_UP = 3  # steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--plots", type=Path)
    arguments = parser.parse_args()
    peak = roof()
    print(f"roof {peak / 1e9:.0f} GF/s", flush=True)
    rows = [
        row(name, {**BASE, name: value}, arguments.steps, peak) for name, values in SWEEPS.items() for value in values
    ]
    save(
        "cost", {"roof_gflops": round(peak / 1e9), "precision": precision(), "base": BASE, "edges": EDGES, "rows": rows}
    )
    if arguments.plots:
        for name in SWEEPS:
            plot(name, [each for each in rows if each["sweep"] == name], arguments.plots / f"cost-{name}.svg")


def row(sweep: str, size: dict[str, int], steps: int, peak: float) -> dict[str, Any]:
    seconds, flops, sampled = step(size["entities"], size["relations"], size["rank"], steps)
    found = {
        "sweep": sweep,
        **size,
        "milliseconds": round(1e3 * seconds, 1),
        "gflops": round(flops / seconds / 1e9, 1),
        "share_of_roof": round(flops / seconds / peak, 2),
        "candidates": "a sample" if sampled else "all entities",
    }
    print(found, flush=True)
    return found


def step(n_entities: int, n_relations: int, rank: int, steps: int) -> tuple[float, float, bool]:
    """Return the median seconds of a step, what its products need, and whether a sample of entities competes."""
    triples = scale.random_graph(n_entities, EDGES)
    triples[:, 1] = np.random.default_rng(1).integers(n_relations, size=len(triples))
    known = KnownAnswers(np.unique(triples, axis=0), n_entities, n_relations)
    config = resolve(TrainConfig(rank=rank), Size.of(known))
    state = State(create(config.model, n_entities, n_relations, rank, 0), config)
    nothing = triples[:0]
    training = module._Training(
        state, known, None, KnownAnswers(nothing, n_entities, n_relations), nothing, config, silent, world()
    )
    order = torch.randperm(len(known), generator=torch.Generator().manual_seed(0))
    seconds, flops = [], []
    for number, queries in enumerate(torch.split(order, config.batch)[: WARM_UP + steps]):
        began = time.perf_counter()
        _, pairs = training._step(queries.numpy())
        if number >= WARM_UP:
            seconds.append(time.perf_counter() - began)
            candidates = config.negatives or n_entities
            dimension = 2 * rank  # of a ComplEx vector
            over_entities = len(queries) * candidates
            over_relations = pairs * 2 * n_relations if config.relation_weight else 0
            flops.append(6.0 * dimension * (over_entities + over_relations))  # one product forwards, two back
    return statistics.median(seconds), statistics.median(flops), bool(config.negatives)


def roof() -> float:
    """Return the most multiplications and additions per second of a product as large as a block of scores."""
    dtype = torch.bfloat16 if precision() == "bf16" else torch.float32
    best = 0.0
    for size in (256, 512, 1024):
        left, right = torch.randn(4096, size).to(dtype), torch.randn(size, 1024).to(dtype)
        for _ in range(20):
            began = time.perf_counter()
            left @ right
            best = max(best, 2.0 * left.numel() * right.shape[1] / (time.perf_counter() - began))
    return best


def precision() -> str:
    return str(resolve(TrainConfig(), Size(100, 10, 1_000, 1_000)).precision)


def plot(name: str, rows: list[dict[str, Any]], path: Path) -> None:
    """Draw milliseconds and the share of the roof over one size."""
    from matplotlib import pyplot

    figure, (above, below) = pyplot.subplots(2, 1, figsize=(6, 5), sharex=True, height_ratios=(2, 1))
    sizes = [each[name] for each in rows]
    above.loglog(sizes, [each["milliseconds"] for each in rows], "o-", color="#3366aa")
    above.set_ylabel("ms per step")
    above.set_ylim(5, 200)
    above.set_yticks([5, 10, 20, 50, 100, 200], labels=["5", "10", "20", "50", "100", "200"], minor=False)
    above.yaxis.set_minor_formatter("")
    below.semilogx(sizes, [each["share_of_roof"] for each in rows], "o-", color="#cc6633")
    below.set_ylabel("share of roof")
    below.set_ylim(0, 1)
    below.axhline(0.6, color="#999999", linewidth=0.8, linestyle="--")
    below.set_xlabel(name)
    below.set_xticks(sizes, labels=[f"{size:,}" for size in sizes], minor=False)
    below.xaxis.set_minor_formatter("")
    for axis in (above, below):
        axis.grid(visible=True, which="major", color="#dddddd")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


if __name__ == "__main__":
    main()
