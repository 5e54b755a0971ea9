"""What each relation joins, learned from triples: the labels of its heads and tails, loops, symmetry, cardinality.

Labels that nearly every entity carries say nothing and are left out, unless there is nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from kgsync.snapshot import Snapshot

Edges = np.ndarray[Any, np.dtype[np.integer[Any]]]  # [n, 3]: head row, relation number, tail row
Mask = np.ndarray[Any, np.dtype[np.bool_]]  # [n_entities]

COMMON = 0.95  # a label on more than this share of all entities carries no information
RARE = 0.01  # a label on less than this share of the heads of a relation is noise, not its domain
ENOUGH = 20  # triples, or heads, or tails, from which a habit is taken as a rule; as the checks in cypher/validate do
RULE = 0.95  # share of heads with one tail from which "one tail" is the rule


@dataclass(frozen=True)
class Signature:
    """What one relation was seen to do."""

    triples: int
    domain: tuple[str, ...]  # the informative labels of its heads, sorted
    range: tuple[str, ...]  # the informative labels of its tails, sorted
    untyped_heads: bool  # some heads have no informative label
    untyped_tails: bool
    loops: bool  # some entity is joined with itself
    symmetric: float  # share of the triples (loops aside) whose reverse is there as well
    heads: int  # distinct ones
    tails: int
    single_tail: float  # share of the heads that have one tail
    single_head: float  # share of the tails that have one head

    @property
    def one_way(self) -> bool:
        """Whether the reverse of a triple does not hold (`parent of`)."""
        return self.triples >= ENOUGH and self.symmetric < 0.01

    @property
    def functional(self) -> bool:
        """Whether a head has one tail (`born in`)."""
        return self.heads >= ENOUGH and self.single_tail >= RULE

    @property
    def inverse_functional(self) -> bool:
        """Whether a tail has one head (`mother of`)."""
        return self.tails >= ENOUGH and self.single_head >= RULE


class Signatures:
    """The signatures of the relations of a snapshot, as far as `triples` show them."""

    def __init__(self, snapshot: Snapshot, triples: Edges) -> None:
        self.n_entities = snapshot.entities.num_rows
        self._triples = {relation: triples[triples[:, 1] == relation] for relation in range(len(snapshot.relations))}
        self._learned: dict[int, Signature] = {}
        carried = snapshot.entities["labels"].to_pylist()
        self._names = sorted({label for labels in carried for label in labels})
        numbers = {name: number for number, name in enumerate(self._names)}
        entities = np.repeat(np.arange(self.n_entities), [len(labels) for labels in carried])
        labels = np.array([numbers[label] for labels in carried for label in labels], dtype=np.int64)
        share = np.bincount(labels, minlength=len(self._names)) / max(self.n_entities, 1)
        informative = share <= COMMON
        if not informative.any():
            informative[:] = True
        kept = informative[labels]
        self._entities, self._labels = entities[kept], labels[kept]  # [m] each: entity i carries label l

    def __getitem__(self, relation: int) -> Signature:
        if relation not in self._learned:
            self._learned[relation] = self._learn(self._triples[relation])
        return self._learned[relation]

    def heads(self, relation: int) -> Mask:
        """Return which entities are in the domain of a relation."""
        signature = self[relation]
        return self._carriers(signature.domain, signature.untyped_heads)

    def tails(self, relation: int) -> Mask:
        """Return which entities are in the range of a relation."""
        signature = self[relation]
        return self._carriers(signature.range, signature.untyped_tails)

    @cached_property
    def _untyped(self) -> Mask:
        untyped = np.ones(self.n_entities, dtype=bool)
        untyped[self._entities] = False
        return untyped

    def _carriers(self, labels: tuple[str, ...], untyped: bool) -> Mask:
        wanted = np.isin(self._names, labels)
        carriers = self._untyped.copy() if untyped else np.zeros(self.n_entities, dtype=bool)
        carriers[self._entities[wanted[self._labels]]] = True
        return carriers

    def _learn(self, triples: Edges) -> Signature:
        heads, head_counts = np.unique(triples[:, 0], return_counts=True)
        tails, tail_counts = np.unique(triples[:, 2], return_counts=True)
        open_ends = triples[triples[:, 0] != triples[:, 2]].astype(np.int64)
        pairs = open_ends[:, 0] * self.n_entities + open_ends[:, 2]
        reversed_pairs = open_ends[:, 2] * self.n_entities + open_ends[:, 0]
        return Signature(
            triples=len(triples),
            domain=self._typical(heads),
            range=self._typical(tails),
            untyped_heads=bool(self._untyped[heads].any()),
            untyped_tails=bool(self._untyped[tails].any()),
            loops=len(open_ends) < len(triples),
            symmetric=float(np.isin(pairs, reversed_pairs).mean()) if len(pairs) else 0.0,
            heads=len(heads),
            tails=len(tails),
            single_tail=float((head_counts == 1).mean()) if len(heads) else 0.0,
            single_head=float((tail_counts == 1).mean()) if len(tails) else 0.0,
        )

    def _typical(self, entities: np.ndarray[Any, Any]) -> tuple[str, ...]:
        """Return the labels that a fair share of `entities` carry."""
        members = np.zeros(self.n_entities, dtype=bool)
        members[entities] = True
        counts = np.bincount(self._labels[members[self._entities]], minlength=len(self._names))
        typical = (counts > 0) & (counts >= RARE * len(entities))
        return tuple(sorted(name for name, is_typical in zip(self._names, typical, strict=True) if is_typical))
