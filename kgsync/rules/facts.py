"""Facts: the train triples as one sparse matrix, on which rules are counted, applied and grounded.

Reads triples as an integer array [n, 3]. Row q of the matrix is a distinct query (anchor, relation), column e an
entity: 1 where e answers q. Queries are sorted by relation, then anchor. Loops r(x, x) are set apart: without them no
path of two edges can walk the edge that it is to predict.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_array

from kgsync.kge.known import Integers, KnownAnswers

Matrix = csr_array[Any]


class Facts:
    """The distinct queries of `triples`, their answers, and which queries an entity answers or asks."""

    def __init__(self, triples: np.ndarray[Any, Any], n_entities: int, n_relations: int) -> None:
        known = KnownAnswers(triples, n_entities, n_relations)  # refuses ids out of range
        self.n_entities = n_entities
        self.n_relations = n_relations
        self.triples = np.unique(triples.astype(np.int64).reshape(-1, 3), axis=0)
        loops = self.triples[:, 0] == self.triples[:, 2]
        self.loops = np.tile(np.bincount(self.triples[loops, 1], minlength=n_relations), 2)  # [2 * n_relations]
        self.proper = self.triples[~loops]
        if loops.any():
            known = KnownAnswers(self.proper, n_entities, n_relations)
        order = np.lexsort((known.anchors, known.relations))
        self.anchors, self.relations = known.anchors[order], known.relations[order]  # [q]
        self.counts = known.counts()[order]
        entities = known.expand(order)[1]
        offsets = np.append(0, np.cumsum(self.counts))
        shape = len(order), n_entities
        self.answers: Matrix = csr_array((np.ones(len(entities), np.int32), entities, offsets), shape=shape)
        self.answering: Matrix = csr_array(self.answers.T)  # [n_entities, q]
        self.starts = np.searchsorted(self.relations, np.arange(2 * n_relations + 1))  # first query of each relation
        self.domain = np.diff(self.starts)  # entities that have the relation
        self._asking = np.argsort(self.anchors, kind="stable")
        self._offsets = np.searchsorted(self.anchors[self._asking], np.arange(n_entities + 1))

    def __len__(self) -> int:
        """Return the number of distinct queries."""
        return len(self.anchors)

    def inverse(self, relation: Any) -> Any:
        """Return the relation id, or ids, of the other direction."""
        return (relation + self.n_relations) % max(2 * self.n_relations, 1)

    def asked(self, anchor: int) -> Integers:
        """Return the queries of an anchor, sorted."""
        return self._asking[self._offsets[anchor] : self._offsets[anchor + 1]]

    def find(self, anchor: int, relation: int) -> int:
        """Return the number of a query, -1 where it has no answer."""
        low, high = self.starts[relation], self.starts[relation + 1]
        found = int(low + np.searchsorted(self.anchors[low:high], anchor))
        return found if found < high and self.anchors[found] == anchor else -1

    def triple(self, anchor: int, relation: int, answer: int) -> tuple[int, int, int]:
        """Return (head, relation, tail) of an answer to a query in either direction."""
        if relation < self.n_relations:
            return anchor, relation, answer
        return answer, relation - self.n_relations, anchor


def rows(matrix: Matrix, numbers: np.ndarray[Any, Any]) -> tuple[Integers, Integers, np.ndarray[Any, Any]]:
    """Return (place in `numbers`, column, value) of all values stored in some rows."""
    counts = matrix.indptr[numbers + 1] - matrix.indptr[numbers]
    places = np.repeat(np.arange(len(numbers)), counts)
    within = np.arange(len(places)) - np.repeat(np.cumsum(counts) - counts, counts)
    positions = matrix.indptr[numbers][places] + within
    return places, matrix.indices[positions].astype(np.int64), matrix.data[positions]


def rows_of(matrix: Matrix) -> Integers:
    """Return the row of each stored value."""
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
