"""Predicts in a graph of 100,000 entities; prints the number of edges and the growth of peak memory in bytes."""

from __future__ import annotations

import resource

import numpy as np
from example_graphs import made_up_model

from kgsync.identity import Entity
from kgsync.predict import predict
from kgsync.snapshot import Snapshot, entity_table, sorted_unique

ENTITIES, HEADS = 100_000, 2_000


def peak() -> int:
    """Return the peak resident memory in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Build, predict, print."""
    random = np.random.default_rng(0)
    rows = [(Entity("Thing", "id", i), ["Maker" if i < HEADS else "Made"], None, None) for i in range(ENTITIES)]
    triples = np.stack(
        [random.integers(0, HEADS, 50_000), np.zeros(50_000, int), random.integers(HEADS, ENTITIES, 50_000)], axis=1
    )
    snapshot = Snapshot(entity_table(rows), ("MAKES",), sorted_unique(triples), sorted_unique([]), {"Thing": "id"})
    model = made_up_model(snapshot, rank=16)
    model.card()
    assert len(snapshot.rows) == ENTITIES  # what every use of a snapshot needs
    before = peak()
    plan = predict(model, min_score=0.0, memory=32 << 20)
    print(len(plan), peak() - before)


if __name__ == "__main__":
    main()
