"""Candidate edges of one relation, with the evidence that a voice has for each.

Scores are made in blocks of queries against all admissible answers, never as a table of all pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from kgsync.calibrate import Floats, features
from kgsync.candidates.admissible import Admissible, Rows
from kgsync.errors import DataError
from kgsync.voice import Voice

BEST = 10  # answers per query that become candidates; part of what the score is calibrated for
MEMORY = 128 << 20  # bytes for one block of scores


@dataclass(frozen=True)
class Candidates:
    """Edges of one relation that may be proposed: columns of the same length."""

    heads: Rows
    tails: Rows
    features: Floats  # [n, FEATURES], see `kgsync.calibrate.features`
    from_head: np.ndarray[Any, np.dtype[np.bool_]]  # found among the best tails of its head; else only from its tail

    def __len__(self) -> int:
        return len(self.heads)


@dataclass(frozen=True)
class Exact:
    """The evidence for given edges in double precision: the same in blocks of any size."""

    features: Floats
    rank: Rows  # of the tail among the admissible answers to (head, relation, ?), 1 is best
    score: Floats  # the model's own value for (head, relation, tail)


@dataclass(frozen=True)
class _Table:
    """All scores of a relation in one direction, where they fit into one block; then no score is made twice."""

    scores: torch.Tensor  # [anchors, n answers], -inf where barred
    offered: Rows  # [n answers], ascending

    def at(self, rows: Rows, answers: Rows) -> Floats:
        columns = np.searchsorted(self.offered, answers)
        found: Floats = self.scores.numpy()[rows, columns].astype(np.float64)
        return found


@dataclass(frozen=True)
class _Answers:
    """The best answers to queries, one row per anchor."""

    anchors: Rows  # [n], ascending
    best: Rows  # [n, m] entities, -1 where there are fewer
    log_total: Floats  # [n]: log of the sum of exp(score) over all admissible answers
    table: _Table | None = None  # of these anchors

    def total_of(self, anchors: Rows) -> Floats:
        found: Floats = self.log_total[np.searchsorted(self.anchors, anchors)]
        return found


class Scorer:
    """Asks a voice for the admissible answers of one relation, block by block."""

    def __init__(self, model: Voice, admissible: Admissible, *, memory: int = MEMORY) -> None:
        self.model, self.admissible, self.memory = model, admissible, memory

    def candidates(
        self, relation: int, heads: Rows | None = None, tails: Rows | None = None, *, best: int = BEST
    ) -> Candidates:
        """Return the `best` tails of every head together with the best heads of every tail.

        With `heads` and `tails` (ascending, out of `Admissible.ends`), only these are asked. An edge
        that is among the best tails of a head which is not asked is then left out, so that every
        candidate is found through one certain query and can be weighted by that query's chance.
        """
        all_heads, all_tails = self.admissible.ends(relation)
        forward = self._ask(relation, all_heads if heads is None else heads, best, backward=False)
        backward = self._ask(relation, all_tails if tails is None else tails, best, backward=True)
        from_heads, from_tails = _pairs(forward), _pairs(backward)[:, [1, 0]]
        forward = _merge(forward, self._ask(relation, _missing(from_tails[:, 0], forward), best, backward=False))
        n = self.admissible.n_entities
        only_tail = ~np.isin(_code(from_tails, n), _code(_pairs(forward), n))
        pairs = np.concatenate([from_heads, from_tails[only_tail]])
        backward = _merge(backward, self._ask(relation, _missing(pairs[:, 1], backward), best, backward=True))
        heads, tails = pairs.T
        to_tail = self._found_scores(relation, heads, tails, forward, backward=False) - forward.total_of(heads)
        to_head = self._found_scores(relation, tails, heads, backward, backward=True) - backward.total_of(tails)
        return Candidates(
            heads=heads,
            tails=tails,
            features=self._features(relation, heads, tails, to_tail, to_head),
            from_head=np.arange(len(pairs)) < len(from_heads),
        )

    def exact(self, relation: int, heads: Rows, tails: Rows) -> Exact:
        """Return the evidence for given admissible edges; meant for a model in double precision."""
        score, to_tail, rank = self._place(relation, heads, tails, backward=False)
        _, to_head, _ = self._place(relation, tails, heads, backward=True)
        return Exact(features=self._features(relation, heads, tails, to_tail, to_head), rank=rank, score=score)

    def _features(self, relation: int, heads: Rows, tails: Rows, to_tail: Floats, to_head: Floats) -> Floats:
        tails_of, heads_of = self.admissible.answer_counts(relation)
        return features(to_tail, to_head, tails_of[heads], heads_of[tails])

    def _blocks(self, relation: int, anchors: Rows, *, backward: bool) -> Iterator[tuple[slice, torch.Tensor, Rows]]:
        """Yield (which anchors, scores [b, n answers] with -inf where barred, the answers)."""
        answers = self.admissible.ends(relation)[0 if backward else 1]
        if len(answers) == 0 or len(anchors) == 0:
            return
        everything = len(answers) == self.admissible.n_entities
        chosen = None if everything else torch.from_numpy(answers)
        column = np.full(self.admissible.n_entities, -1)
        column[answers] = np.arange(len(answers))
        directed = relation + self.admissible.n_relations if backward else relation
        size = max(1, self.memory // (8 * len(answers)))
        for start in range(0, len(anchors), size):
            block = anchors[start : start + size]
            with torch.inference_mode():
                scores = self.model.scores(
                    torch.from_numpy(block), torch.full((len(block),), directed), chosen
                )  # [b, n answers]
            positions, entities = self.admissible.barred_answers(block, relation, backward=backward)
            columns = column[entities]
            kept = columns >= 0
            with torch.inference_mode():
                scores[torch.from_numpy(positions[kept]), torch.from_numpy(columns[kept])] = -torch.inf
            yield slice(start, start + len(block)), scores, answers

    def _name(self, relation: int) -> str:
        return self.admissible.snapshot.relations[relation]

    def _ask(self, relation: int, anchors: Rows, count: int, *, backward: bool) -> _Answers:
        best = np.full((len(anchors), count), -1)
        log_total = np.full(len(anchors), -np.inf)
        table = None
        for where, block, answers in self._blocks(relation, anchors, backward=backward):
            if len(block) == len(anchors):
                table = _Table(block.clone(), answers)
            with torch.inference_mode():
                top = block.topk(min(count, block.shape[1]), dim=1)  # [b, m]
            found = answers[top.indices.numpy()]
            best[where, : found.shape[1]] = np.where(np.isfinite(top.values.numpy()), found, -1)
            log_total[where] = _log_total(block, top.values[:, :1], self._name(relation))
        return _Answers(anchors, best, log_total, table)

    def _found_scores(self, relation: int, anchors: Rows, answers: Rows, found: _Answers, *, backward: bool) -> Floats:
        """Return the score of `answers[i]`, which is admissible, to the query of `anchors[i]`, which was asked."""
        if found.table is None:
            return self.pair_scores(relation, anchors, answers, backward=backward)
        return found.table.at(np.searchsorted(found.anchors, anchors), answers)

    def pair_scores(self, relation: int, anchors: Rows, answers: Rows, *, backward: bool) -> Floats:
        """Return the score of `answers[i]` to the query of `anchors[i]`, for many i, by small products."""
        directed = relation + self.admissible.n_relations if backward else relation
        scores = np.empty(len(anchors))
        order = np.argsort(anchors, kind="stable")
        for start in range(0, len(order), 1024):
            rows = order[start : start + 1024]
            asked, row = np.unique(anchors[rows], return_inverse=True)
            offered, column = np.unique(answers[rows], return_inverse=True)
            with torch.inference_mode():
                block = self.model.scores(
                    torch.from_numpy(asked), torch.full((len(asked),), directed), torch.from_numpy(offered)
                )
            scores[rows] = block.numpy()[row, column]
        return scores

    def _place(self, relation: int, anchors: Rows, answers: Rows, *, backward: bool) -> tuple[Floats, Floats, Rows]:
        """Return (score, log-probability, rank) of `answers[i]` among all answers to the query of `anchors[i]`."""
        score, log_probability = np.empty(len(anchors)), np.empty(len(anchors))
        rank = np.empty(len(anchors), dtype=np.int64)
        asked, query = np.unique(anchors, return_inverse=True)
        order = np.argsort(query, kind="stable")
        for where, block, offered in self._blocks(relation, asked, backward=backward):
            low, high = np.searchsorted(query[order], [where.start, where.stop])
            pairs = order[low:high]
            table = block.double()
            for pair in pairs.tolist():
                row = table[query[pair] - where.start].numpy()
                column = int(np.searchsorted(offered, answers[pair]))
                score[pair] = row[column]
                rank[pair] = 1 + np.count_nonzero(row > row[column]) + np.count_nonzero(row[:column] == row[column])
            total = _log_total(table, table.max(dim=1, keepdim=True).values, self._name(relation))
            log_probability[pairs] = score[pairs] - total[query[pairs] - where.start]
        return score, log_probability, rank


def _pairs(answers: _Answers) -> Rows:
    """Return [n, 2]: every anchor with each of its best answers."""
    pairs = np.stack([np.repeat(answers.anchors, answers.best.shape[1]), answers.best.ravel()], axis=1)
    kept: Rows = pairs[pairs[:, 1] >= 0]
    return kept


def _code(pairs: Rows, n_entities: int) -> Rows:
    codes: Rows = pairs[:, 0] * n_entities + pairs[:, 1]
    return codes


def _missing(anchors: Rows, answers: _Answers) -> Rows:
    return np.setdiff1d(anchors, answers.anchors)


def _merge(one: _Answers, other: _Answers) -> _Answers:
    """Return the answers of both."""
    if len(other.anchors) == 0:
        return one
    order = np.argsort(np.concatenate([one.anchors, other.anchors]))
    anchors, best, log_total = (
        np.concatenate([getattr(one, name), getattr(other, name)])[order] for name in ("anchors", "best", "log_total")
    )
    table = None
    if one.table is not None and other.table is not None:
        scores = torch.cat([one.table.scores, other.table.scores])
        table = _Table(scores[torch.from_numpy(order)], one.table.offered)
    return _Answers(anchors, best, log_total, table)


def _log_total(scores: torch.Tensor, peak: torch.Tensor, relation: str) -> Floats:
    """Return log of the sum of exp(score) of every row [b], given the largest [b, 1]; overwrites `scores`."""
    if not bool((peak < torch.inf).all()):  # not a number is never less
        raise DataError(f"the model gives scores that are no numbers for {relation}", fix="train it again")
    with torch.inference_mode():
        shift = peak.clamp(min=torch.finfo(scores.dtype).min)  # a row of -inf stays -inf
        total: Floats = (scores.sub_(shift).exp_().sum(dim=1).log_() + shift[:, 0]).double().numpy()
    return total
