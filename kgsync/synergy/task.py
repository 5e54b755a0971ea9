"""What voices are compared on: one graph, split once, the same for every seed and every arm."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from kgsync.config import SplitConfig
from kgsync.errors import DataError
from kgsync.kge.known import KnownAnswers
from kgsync.lm.reader import unread
from kgsync.lm.texts import EntityText, of_snapshot
from kgsync.report.intervals import pairs_of
from kgsync.snapshot import Snapshot
from kgsync.split import Split, Triples, split_snapshot
from kgsync.voices import why_no_text

RARE = 2  # train degree up to which an answer has little to be learned from


def _no_triples() -> Triples:
    return np.empty((0, 3), np.int64)


@dataclass(frozen=True)
class Task:
    """A graph and its parts."""

    name: str
    parts: Split
    n_entities: int
    n_relations: int
    texts: tuple[EntityText, ...] = ()  # of all entities; empty: there is nothing to read
    left_out: Mapping[str, str] = field(default_factory=dict)  # voices that the graph does not allow, and why
    aside: Triples = field(default_factory=_no_triples)  # true, but nobody learns from them or is asked for them
    rejected: Triples = field(default_factory=_no_triples)  # false, as a person said: nobody is taught them

    @classmethod
    def of_snapshot(cls, snapshot: Snapshot, split: SplitConfig, encoder: str = "") -> Task:
        """Return the task that a snapshot sets, divided as for training with the `encoder` of texts.

        Raises:
            DataError: too little can be hidden to measure anything.
        """
        texts = of_snapshot(snapshot)
        reason = why_no_text(texts)
        parts = unread(split_snapshot(snapshot, split), snapshot, "" if reason else encoder)
        for name, purpose in (("select", "to choose by"), ("test", "to measure on")):
            if len(getattr(parts, name)) == 0:
                raise DataError(
                    f"none of the {len(snapshot.triples):,} triples of snapshot {snapshot.id} can be hidden {purpose}",
                    fix="pull a larger or denser subgraph, or raise split.valid and split.test",
                )
        return cls(
            name=snapshot.id,
            parts=parts,
            n_entities=snapshot.entities.num_rows,
            n_relations=len(snapshot.relations),
            texts=() if reason else texts,
            left_out={"text": reason} if reason else {},
            rejected=snapshot.rejected.astype(np.int64),
        )

    def thinned(self, keep: float) -> Task:
        """Return the task with a share of the train triples alone; the others are true, and not there."""
        if keep >= 1:
            return self
        train = self.parts.train
        order = np.random.default_rng(0).permutation(len(train))
        kept, aside = (np.sort(part) for part in np.split(order, [max(1, int(keep * len(train)))]))
        return replace(self, parts=replace(self.parts, train=train[kept]), aside=train[aside])

    @property
    def size(self) -> tuple[int, int]:
        """Return how many entities and relations there are."""
        return self.n_entities, self.n_relations

    def also_true(self) -> Triples:
        """Return what is hidden beside `select` and `test`: no mistakes, and nothing to learn from."""
        return np.concatenate([self.parts.fuse, self.parts.calibrate, self.aside])

    def unseen(self) -> Triples:
        """Return what no voice is chosen by and no fusion weighed by: the calibrate part, where there is one."""
        return self.parts.calibrate if len(self.parts.calibrate) else self.parts.fuse

    def known(self, *, test: bool) -> KnownAnswers:
        """Return what does not compete: all that is true, the test triples only where they are asked for."""
        parts = [self.parts.train, self.parts.select, self.also_true(), *([self.parts.test] if test else [])]
        return KnownAnswers(np.concatenate(parts), *self.size)

    def pairs(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Return the number [n] of the pair of entities of each test triple."""
        return pairs_of(self.parts.test)

    def rare(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return which answers [n, 2] of the test triples, tails then heads, have a train degree of `RARE` at most."""
        degree = np.bincount(self.parts.train[:, [0, 2]].ravel(), minlength=self.n_entities)
        rare: np.ndarray[Any, np.dtype[np.bool_]] = degree[self.parts.test[:, [2, 0]]] <= RARE
        return rare

    def hash(self) -> str:
        """Return a hash of everything that voices learn from and are measured on."""
        digest = hashlib.sha256(json.dumps([self.size, len(self.texts)]).encode())
        for name in ("train", "select", "fuse", "calibrate", "test"):
            digest.update(name.encode() + np.ascontiguousarray(getattr(self.parts, name), dtype="<i8").tobytes())
        digest.update(b"aside" + np.ascontiguousarray(self.aside, dtype="<i8").tobytes())
        if len(self.rejected):
            digest.update(b"rejected" + np.ascontiguousarray(self.rejected, dtype="<i8").tobytes())
        for text in self.texts:
            digest.update(text.sentence().encode("utf-8", "surrogatepass") + b"\0")
        return digest.hexdigest()
