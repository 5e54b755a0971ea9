"""Likeness: the known facts most like an edge, found by the vectors of embeddings or texts.

Reads vectors [n_entities, d] and the known edges of one relation. It is evidence by analogy, not what the score is
made of.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from kgsync.evidence import short
from kgsync.explain.answer import Alike, Known, Likeness, Thing
from kgsync.snapshot import Snapshot, Triples

LOOKED = 10  # entities that are counted
SHOWN = 3  # of them
ANSWERS = 2  # of each of them


def cosines(vectors: Tensor, entity: int, others: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Tensor:
    """Return the cosine [m] of an entity's vector with those of `others` [m]; 0 where a vector is 0."""
    rows = torch.nn.functional.normalize(vectors[torch.from_numpy(others)].detach().double(), dim=1)
    own = torch.nn.functional.normalize(vectors[entity].detach().double(), dim=0)
    return rows @ own


def alike(
    snapshot: Snapshot,
    known: Triples,
    vectors: Tensor,
    edge: tuple[int, int, int],
    basis: Literal["embeddings", "texts"],
) -> list[Likeness]:
    """Return who is most like the head, and most like the tail, out of the `known` edges of the relation."""
    found = (_of_end(snapshot, known, vectors, edge, basis, end) for end in ("head", "tail"))
    return [one for one in found if one is not None]


def _of_end(
    snapshot: Snapshot,
    known: Triples,
    vectors: Tensor,
    edge: tuple[int, int, int],
    basis: Literal["embeddings", "texts"],
    end: Literal["head", "tail"],
) -> Likeness | None:
    own, other = (edge[0], edge[2]) if end == "head" else (edge[2], edge[0])
    pairs = known[known[:, 1] == edge[1]][:, [0, 2] if end == "head" else [2, 0]].astype(np.int64)
    candidates = np.setdiff1d(pairs[:, 0], [own])
    if len(candidates) == 0:
        return None
    likeness = cosines(vectors, own, candidates).numpy()
    order = np.lexsort([candidates, -likeness])[:LOOKED]
    nearest = [
        _alike(snapshot, int(candidates[i]), float(likeness[i]), pairs[pairs[:, 0] == candidates[i], 1], other)
        for i in order.tolist()
    ]
    return Likeness(basis, end, sum(one.same for one in nearest), len(nearest), tuple(nearest[:SHOWN]))


def _alike(
    snapshot: Snapshot, entity: int, likeness: float, answers: np.ndarray[tuple[int], np.dtype[np.int64]], other: int
) -> Alike:
    shown = sorted(answers.tolist(), key=lambda answer: (answer != other, answer))[:ANSWERS]
    names = tuple(short(snapshot.display_name(answer)) for answer in shown)
    return Alike(thing(snapshot, entity), round(likeness, 4), names, bool((answers == other).any()))


def known_answers(snapshot: Snapshot, known: Triples, vectors: Tensor, edge: tuple[int, int, int]) -> Known:
    """Return what the head has already by the relation, the most like the tail first."""
    answers = known[(known[:, 0] == edge[0]) & (known[:, 1] == edge[1]), 2].astype(np.int64)
    order = np.lexsort([answers, -cosines(vectors, edge[2], answers).numpy()])[:SHOWN]
    return Known(len(answers), tuple(short(snapshot.display_name(int(answers[i]))) for i in order))


def thing(snapshot: Snapshot, row: int) -> Thing:
    """Return an entity as people read it."""
    return Thing(short(snapshot.display_name(row)), str(snapshot.identities[row]))
