"""Known answers: for each distinct query (anchor, relation), the entities that answer it.

Reads triples as an integer array [n, 3]; holds both directions in one compressed sparse row layout, built
once. Query (h, r) asks for tails; (t, r + n_relations) asks for heads.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kgsync.errors import DataError

Integers = np.ndarray[Any, np.dtype[np.int64]]


class KnownAnswers:
    """The distinct queries of a set of triples, sorted by (anchor, relation), with their sorted answers."""

    def __init__(self, triples: np.ndarray[Any, Any], n_entities: int, n_relations: int) -> None:
        check_triples(triples, n_entities, n_relations)
        self.n_entities = n_entities
        self.n_relations = n_relations
        heads, relations, tails = triples.astype(np.int64).reshape(-1, 3).T
        pairs = np.concatenate(
            [
                self._keys(heads, relations) * n_entities + tails,
                self._keys(tails, relations + n_relations) * n_entities + heads,
            ]
        )
        keys, self.entities = np.divmod(np.unique(pairs), max(n_entities, 1))  # a duplicate counts once
        self.keys, starts = np.unique(keys, return_index=True)
        self.offsets = np.append(starts, len(keys))  # answers of query i: entities[offsets[i] : offsets[i + 1]]
        self.anchors, self.relations = np.divmod(self.keys, max(2 * n_relations, 1))

    def __len__(self) -> int:
        """Return the number of distinct queries."""
        return len(self.keys)

    def _keys(self, anchors: Integers, relations: Integers) -> Integers:
        return anchors * (2 * self.n_relations) + relations

    def triples(self) -> Integers:
        """Return the distinct triples [n, 3], sorted by head, relation and tail."""
        forward = np.flatnonzero(self.relations < self.n_relations)
        rows, tails = self.expand(forward)
        return np.stack([self.anchors[forward][rows], self.relations[forward][rows], tails], axis=1)

    def counts(self) -> Integers:
        """Return the number of answers of each distinct query."""
        return np.diff(self.offsets)

    def answers(self, anchor: int, relation: int) -> Integers:
        """Return the sorted entities that answer one query; empty where none is known."""
        return self.mask(np.array([anchor]), np.array([relation]))[1]

    def mask(self, anchors: np.ndarray[Any, Any], relations: np.ndarray[Any, Any]) -> tuple[Integers, Integers]:
        """Return (row, entity) of every known answer in a block of scores with one row per query."""
        if len(self.keys) == 0:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        wanted = self._keys(anchors.astype(np.int64), relations.astype(np.int64))
        found = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        rows = np.flatnonzero(self.keys[found] == wanted)
        row, entities = self.expand(found[rows])
        return rows[row], entities

    def expand(self, queries: Integers) -> tuple[Integers, Integers]:
        """Return (position in `queries`, entity) of every answer of the distinct queries numbered so."""
        counts = self.offsets[queries + 1] - self.offsets[queries]
        return np.repeat(np.arange(len(queries)), counts), self.entities[self.pairs(queries)]

    def pairs(self, queries: Integers) -> Integers:
        """Return where in `entities` the answers of the distinct queries numbered so are, query by query."""
        starts, counts = self.offsets[queries], self.offsets[queries + 1] - self.offsets[queries]
        within: Integers = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.repeat(starts, counts) + within


def check_triples(triples: np.ndarray[Any, Any], n_entities: int, n_relations: int) -> None:
    """Raise `DataError` unless `triples` is an integer array [n, 3] whose ids are in range."""
    if triples.ndim != 2 or triples.shape[1] != 3 or not np.issubdtype(triples.dtype, np.integer):
        raise DataError(
            f"triples have shape {triples.shape} and type {triples.dtype}",
            fix="give integers in the shape [n, 3]: head, relation, tail",
        )
    for name, column, end in (("head", 0, n_entities), ("relation", 1, n_relations), ("tail", 2, n_entities)):
        outside = np.flatnonzero((triples[:, column] < 0) | (triples[:, column] >= end))
        if len(outside):
            row = int(outside[0])
            raise DataError(
                f"triple {row} has {name} {triples[row, column]}, outside 0 to {end - 1}",
                fix="number entities and relations from 0 without gaps",
            )
