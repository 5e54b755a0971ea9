"""Which edges may be proposed at all, given what is known: the one place that says no, with the reason.

Never a known edge, a rejected one, or one between entities that the relation does not join. Training,
calibration and prediction differ only in what they pass as known.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from kgsync.candidates.signatures import Edges, Mask, Signatures
from kgsync.kge.known import KnownAnswers
from kgsync.snapshot import Snapshot

Rows = np.ndarray[Any, np.dtype[np.int64]]  # entity rows


class Admissible:
    """The edges that may be proposed when `known` is all that is known and `barred` is never to be proposed."""

    def __init__(self, snapshot: Snapshot, known: Edges, barred: Edges) -> None:
        self.snapshot = snapshot
        self.known = known
        self.signatures = Signatures(snapshot, known)
        self.n_entities, self.n_relations = snapshot.entities.num_rows, len(snapshot.relations)
        one_way = [relation for relation in range(self.n_relations) if self.signatures[relation].one_way]
        reverses = known[np.isin(known[:, 1], one_way)][:, [2, 1, 0]]
        self._known = KnownAnswers(known, self.n_entities, self.n_relations)
        self._barred = KnownAnswers(np.concatenate([known, barred, reverses]), self.n_entities, self.n_relations)
        self.ends = lru_cache(maxsize=4)(self._ends)  # relations are worked on one after the other
        self.answer_counts = lru_cache(maxsize=4)(self._answer_counts)

    def _ends(self, relation: int) -> tuple[Rows, Rows]:
        """Return the entities that may be (heads, tails) of a new edge of `relation`, ascending."""
        signature = self.signatures[relation]
        heads, tails = self.signatures.heads(relation), self.signatures.tails(relation)
        tails_of, heads_of = self.answer_counts(relation)
        if signature.functional:
            heads &= tails_of == 0
        if signature.inverse_functional:
            tails &= heads_of == 0
        return np.flatnonzero(heads), np.flatnonzero(tails)

    def _answer_counts(self, relation: int) -> tuple[Rows, Rows]:
        """Return for every entity how many tails it has, and how many heads, in known edges of `relation`."""
        edges = self.known[self.known[:, 1] == relation]
        return (
            np.bincount(edges[:, 0], minlength=self.n_entities),
            np.bincount(edges[:, 2], minlength=self.n_entities),
        )

    def barred_answers(self, anchors: Rows, relation: int, *, backward: bool) -> tuple[Rows, Rows]:
        """Return (position in `anchors`, entity) of every answer that may not be proposed to these anchors."""
        directed = relation + self.n_relations if backward else relation
        positions, entities = self._barred.mask(anchors, np.full(len(anchors), directed))
        if not self.signatures[relation].loops:
            positions = np.concatenate([positions, np.arange(len(anchors))])
            entities = np.concatenate([entities, anchors])
        return positions, entities

    def allowed(self, relation: int, heads: Rows, tails: Rows) -> Mask:
        """Return which of the edges (heads[i], relation, tails[i]) may be proposed."""
        may_start, may_end = self.ends(relation)
        anchors = np.unique(heads)
        positions, entities = self.barred_answers(anchors, relation, backward=False)
        barred = np.isin(heads * self.n_entities + tails, anchors[positions] * self.n_entities + entities)
        allowed: Mask = np.isin(heads, may_start) & np.isin(tails, may_end) & ~barred
        return allowed

    def objection(self, head: int, relation: int, tail: int) -> str | None:
        """Return why this edge may not be proposed, or None if it may."""
        name, signature = self.snapshot.relations[relation], self.signatures[relation]
        if tail in self._known.answers(head, relation):
            return "the edge is in the graph"
        if (self.snapshot.rejected == [head, relation, tail]).all(axis=1).any():
            return "a reviewer rejected the edge"
        if head == tail and not signature.loops:
            return f"no {name} joins an entity with itself"
        if signature.one_way and head in self._known.answers(tail, relation):
            return f"the reverse edge is in the graph, and {name} holds one way only"
        return self.end_objection(head, relation, backward=False) or self.end_objection(tail, relation, backward=True)

    def end_objection(self, entity: int, relation: int, *, backward: bool) -> str | None:
        """Return why this entity may not be the head (or, backward, the tail) of a new edge, or None if it may."""
        name, signature = self.snapshot.relations[relation], self.signatures[relation]
        who = self.snapshot.identities[entity]
        mask = self.signatures.tails(relation) if backward else self.signatures.heads(relation)
        if not mask[entity]:
            labels = ", ".join(signature.range if backward else signature.domain) or "nothing"
            return f"{who} is none of what {name} {'leads to' if backward else 'starts at'}: {labels}"
        if entity not in self.ends(relation)[backward]:
            return f"{who} has its one {name} already, {'incoming' if backward else 'outgoing'}"
        return None
