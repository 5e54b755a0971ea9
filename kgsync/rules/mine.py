"""Mining: every rule of the shapes below that the facts support, counted exactly, in one sparse product.

- closed paths: r(x, y) <- s(x, y) and r(x, y) <- s(x, z), t(z, y), each s and t in either direction;
- with constants: r(x, c) <- s(x, d).

Two queries meet in the product A A' of `Facts.answers` where they share answers. (x, s) and (y, u) sharing z is the
path s(x, z), u(y, z); (d, s) and (c, r) sharing k answers is a rule with constants of support k. So each block of the
product counts both kinds. The shapes and the confidence are AnyBURL's (Meilicke et al. 2020, arXiv:2004.04412).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from kgsync.kge.known import Integers
from kgsync.progress import Progress, silent
from kgsync.rules.facts import Facts, rows_of

UNSEEN = 5  # cases added to every rule's body in which it fails, as in AnyBURL: few cases prove little


@dataclass(frozen=True)
class MineConfig:
    """Which rules are worth keeping. The defaults suit graphs of 100 to 100,000 entities."""

    min_support: int = 2  # of closed paths
    min_support_constants: int = 3
    min_confidence: float = 0.01
    per_relation: int = 30_000  # rules of one kind for one relation, those with constants per direction; the best stay
    paths: int = 4_000_000  # that are held at a time, about 100 bytes each


@dataclass(frozen=True)
class Rules:
    """Rules as rows of integers. `support` of `body` pairs for which the body holds are facts of the head."""

    single: Integers  # [n, 4]: r, s, support, body of r(x, y) <- s(x, y); r < n_relations, s in either direction
    double: Integers  # [n, 5]: r, s, u, support, body of r(x, y) <- s(x, z), u(y, z)
    constant: Integers  # [n, 4]: query (d, s), query (c, r), support, body of "who answers (d, s) answers (c, r)"

    def __len__(self) -> int:
        return len(self.single) + len(self.double) + len(self.constant)


def confidence(support: np.ndarray[Any, Any], body: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return support / (body + UNSEEN)."""
    shares: np.ndarray[Any, np.dtype[np.float64]] = support / (body + UNSEEN)
    return shares


def mine(facts: Facts, config: MineConfig | None = None, *, progress: Progress = silent) -> Rules:
    """Return the rules of `facts`, always the same in the same order."""
    config = config or MineConfig()
    pairs = _Pairs(facts)
    double, constant = [np.empty((0, 5), np.int64)], [np.empty((0, 3), np.int64)]
    for relation in range(2 * facts.n_relations):
        paths, sharing = _meetings(facts, pairs, relation, config)
        double.append(paths)
        constant.append(sharing)
        progress("mining", relation + 1, 2 * facts.n_relations)
    single = _supported(pairs.single(), config.min_support, config)
    paths, sharing = np.concatenate(double), np.concatenate(constant)
    sharing = np.column_stack([sharing, facts.counts[sharing[:, 0]]])
    return Rules(
        single=_best(single, single[:, 0], config),
        double=_best(paths, paths[:, 0], config),
        constant=_best(sharing, facts.relations[sharing[:, 1]], config),
    )


class _Pairs:
    """The pairs (x, y) that a fact links, in the direction of the relation."""

    BITS = 26  # of a table that most pairs without a fact miss, so that few have to be searched for

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        heads, relations, tails = facts.proper.T
        keys = heads * facts.n_entities + tails
        order = np.lexsort((relations, keys))
        self.relations = relations[order]
        self.keys, starts = np.unique(keys[order], return_index=True)
        self.offsets = np.append(starts, len(order))
        self.table = np.zeros(1 << self.BITS, bool)
        self.table[self._slot(self.keys // facts.n_entities, self.keys % facts.n_entities)] = True

    def _slot(self, x: Integers, y: Integers) -> Integers:
        mixed: Integers = ((x * 0x9E3779B1 + y * 0x85EBCA6B) >> 7) & ((1 << self.BITS) - 1)
        return mixed

    def linked(self, x: Integers, y: Integers) -> tuple[Integers, Integers]:
        """Return (position in `x`, relation) of each fact r(x, y)."""
        maybe = np.flatnonzero(self.table[self._slot(x, y)])
        at, there = self._search(x[maybe] * self.facts.n_entities + y[maybe])
        return self._expand(maybe[there], at[there])

    def single(self) -> Integers:
        """Return r, s, support, body of all r(x, y) <- s(x, y) and r(x, y) <- s(y, x) with support."""
        n, ones = self.facts.n_entities, np.ones(len(self.relations))
        links = csr_array((ones, self.relations, self.offsets), shape=(len(self.keys), self.facts.n_relations))
        at, there = self._search(self.keys % n * n + self.keys // n)
        found = []
        for other, shift in ((links, 0), (links[at[there]], self.facts.n_relations)):
            shared = (csr_array((links if shift == 0 else links[there]).T) @ other).tocoo()
            found.append(np.stack([shared.row, shared.col + shift, shared.data], axis=1).astype(np.int64))
        rules = np.concatenate(found)
        rules = rules[rules[:, 0] != rules[:, 1]]  # a fact is no evidence for itself
        sizes = np.tile(np.bincount(self.relations, minlength=self.facts.n_relations), 2)
        return np.column_stack([rules, sizes[rules[:, 1]]])

    def _search(self, keys: Integers) -> tuple[Integers, np.ndarray[Any, np.dtype[np.bool_]]]:
        if len(self.keys) == 0:
            return np.zeros(len(keys), np.int64), np.zeros(len(keys), bool)
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return at, self.keys[at] == keys

    def _expand(self, positions: Integers, at: Integers) -> tuple[Integers, Integers]:
        counts = self.offsets[at + 1] - self.offsets[at]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.repeat(positions, counts), self.relations[np.repeat(self.offsets[at], counts) + within]


def _meetings(facts: Facts, pairs: _Pairs, relation: int, config: MineConfig) -> tuple[Integers, Integers]:
    """Return what the queries of one relation have in common with all others: double and constant rules."""
    width = 2 * facts.n_relations
    body = np.zeros(width, np.int64)
    codes, sharing = [np.empty(0, np.int64)], [np.empty((0, 3), np.int64)]
    for low, high in _blocks(facts, relation, config.paths):
        product = csr_array(facts.answers[low:high] @ facts.answering)
        first, second = rows_of(product) + low, product.indices.astype(np.int64)
        rules = np.stack([first, second, product.data.astype(np.int64)], axis=1)
        enough = (product.data >= config.min_support_constants) & (first != second)
        sure = confidence(product.data, facts.counts[first]) >= config.min_confidence
        sharing.append(rules[enough & sure])
        x, y, last = facts.anchors[first], facts.anchors[second], facts.relations[second]
        body += np.bincount(last[x != y], minlength=width)
        position, head = pairs.linked(x, y)
        codes.append(head * width + last[position])
    code, support = np.unique(np.concatenate(codes), return_counts=True)
    head, last = np.divmod(code, max(width, 1))
    rules = np.stack([head, np.full(len(code), relation), last, support, body[last]], axis=1)
    return _supported(rules, config.min_support, config), np.concatenate(sharing)


def _blocks(facts: Facts, relation: int, paths: int) -> list[tuple[int, int]]:
    """Return ranges of the relation's queries with about `paths` paths each; at least one query."""
    low, end = int(facts.starts[relation]), int(facts.starts[relation + 1])
    sums = np.append(0, np.cumsum(facts.answers[low:end] @ np.diff(facts.answering.indptr)))
    blocks, done = [], 0
    while low + done < end:
        until = max(done + 1, int(np.searchsorted(sums, sums[done] + paths, "right")) - 1)
        blocks.append((low + done, low + until))
        done = until
    return blocks


def _supported(rules: Integers, least: int, config: MineConfig) -> Integers:
    """Return the rules, rows that end in support and body, that are worth keeping."""
    support, body = rules[:, -2], rules[:, -1]
    kept: Integers = rules[(support >= least) & (confidence(support, body) >= config.min_confidence)]
    return kept


def _best(rules: Integers, groups: Integers, config: MineConfig) -> Integers:
    """Return the surest rules of each group, as many as are allowed, in the order of their rows."""
    support = rules[:, -2]
    order = np.lexsort((*rules.T[::-1], -support, -confidence(support, rules[:, -1]), groups))
    groups = groups[order]
    place = np.arange(len(order)) - np.searchsorted(groups, groups)
    kept = rules[order[place < config.per_relation]]
    ordered: Integers = kept[np.lexsort(kept.T[::-1])]
    return ordered
