"""Trains the head on vectors that stay as they are: minutes, and the best evaluated epoch is what is returned."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kgsync.errors import ConfigError, DataError
from kgsync.kge.checkpoint import Epoch
from kgsync.kge.evaluate import evaluate
from kgsync.kge.known import KnownAnswers, check_triples
from kgsync.kge.lessons import Lessons
from kgsync.lm.config import HeadConfig
from kgsync.lm.head import TextHead, TextVoice, automatic_rank
from kgsync.lm.neighbours import Bank, Neighbours
from kgsync.lm.objective import Objective, Rows
from kgsync.lm.optimizer import Adams
from kgsync.lm.texts import EntityText
from kgsync.lm.words import Words
from kgsync.progress import Progress, silent

STEPS_PER_EPOCH = 200  # that are aimed at: steps count for more than large batches
BATCHES = 64, 1024
NEGATIVES = 1024, 4096  # the least and the most of a third of all entities
LEAST_RATE = 0.02  # share of the learning rate that is left at the end
VALID_LIMIT = 1_000  # triples that early stopping looks at


@dataclass(frozen=True)
class Fitted:
    """A trained text voice and how it came about."""

    voice: TextVoice
    config: HeadConfig  # with its automatic settings filled in
    history: list[Epoch]
    best_epoch: int
    seconds: float
    stopped: str  # why training ended, in words


class Graph:
    """What both ways of training read of a graph, made once."""

    def __init__(
        self,
        texts: Sequence[EntityText],
        train: np.ndarray[Any, Any],
        valid: np.ndarray[Any, Any],
        n_relations: int,
        *,
        also_true: np.ndarray[Any, Any] | None = None,
        lessons: Lessons | None = None,
        seed: int = 0,
    ) -> None:
        n = len(texts)
        self.n_entities, self.n_relations = n, n_relations
        self.texts, self.train = texts, train
        self.rows = Rows.both_ways(train, n_relations)
        taught = train
        if lessons is not None:  # questions and answers, but no neighbours: those are what the graph says
            self.rows = self.rows.and_also(Rows.both_ways(lessons.triples, n_relations, lessons.weights))
            taught = np.concatenate([train, lessons.triples])
        self.known = KnownAnswers(taught, n, n_relations)
        check_triples(valid, n, n_relations)
        if len(self.rows) == 0:
            raise DataError("there are no triples to train on", fix="pull a larger subgraph")
        true = [train, valid] if also_true is None else [train, valid, also_true]
        self.true = KnownAnswers(np.concatenate(true), n, n_relations)
        chosen = np.random.default_rng(seed).permutation(len(valid))[:VALID_LIMIT]
        self.valid = valid[np.sort(chosen)]
        self.words = Words(texts)
        self.neighbours = Neighbours(train, n)
        loops = np.unique(train[train[:, 0] == train[:, 2], 1])
        self.loops = torch.zeros(2 * n_relations, dtype=torch.bool)
        self.loops[np.concatenate([loops, loops + n_relations])] = True

    def voice(self, head: TextHead, bank: Bank) -> TextVoice:
        """Return the voice of a head on the vectors of a bank."""
        return TextVoice(head, bank, self.words, self.loops)

    def measure(self, head: TextHead, bank: Bank) -> float | None:
        """Return the filtered MRR on valid; None where there is none."""
        return evaluate(self.voice(head, bank), self.valid, self.true).mrr if len(self.valid) else None


def fit(graph: Graph, vectors: Tensor, config: HeadConfig, *, progress: Progress = silent) -> Fitted:
    """Return the voice that a head trained on `vectors` [n, d] gives, stopped by the graph's valid triples.

    Raises:
        ConfigError: a setting is out of range.
        DataError: the vectors do not fit the graph, or the loss is not finite any more.
    """
    check(config)
    if len(vectors) != graph.n_entities:
        raise DataError(f"there are {len(vectors)} vectors for {graph.n_entities} entities", fix="encode every entity")
    config = replace(
        config,
        rank=config.rank or automatic_rank(vectors.shape[1], graph.n_relations),
        batch=config.batch or min(max(len(graph.rows) // STEPS_PER_EPOCH, BATCHES[0]), BATCHES[1]),
        negatives=config.negatives or min(max(graph.n_entities // 3, NEGATIVES[0]), NEGATIVES[1]),
    )
    return _Fit(graph, vectors, config, progress).run()


def check(config: HeadConfig) -> None:
    """Raise `ConfigError` naming the first setting that is out of range."""
    rules = [
        ("rank", config.rank >= 0, "at least 1, or 0 for automatic"),
        ("batch", config.batch >= 0, "at least 1, or 0 for automatic"),
        ("negatives", config.negatives >= 0, "at least 1, or 0 for automatic"),
        ("learning_rate", 0 < config.learning_rate < math.inf, "more than 0"),
        ("margin", 0 <= config.margin < 2, "at least 0 and less than 2"),
        ("dropout", 0 <= config.dropout < 1, "at least 0 and less than 1"),
        ("epochs", config.epochs >= 1, "at least 1"),
        ("patience", config.patience >= 1, "at least 1"),
        ("time_budget", 0 <= config.time_budget < math.inf, "seconds, or 0 for no limit"),
    ]
    for name, holds, expected in rules:
        if not holds:
            raise ConfigError(f"text.{name} is {getattr(config, name)}", fix=f"make it {expected}")


class _Fit:
    """The loop, and what stays the same during it."""

    def __init__(self, graph: Graph, vectors: Tensor, config: HeadConfig, progress: Progress) -> None:
        self.graph, self.config, self.progress = graph, config, progress
        self.bank = Bank(vectors, graph.neighbours)
        self.head = TextHead(vectors.shape[1], graph.n_relations, graph.words.ways, config.rank, config.seed)
        self.optimizer = Adams([("head", self.head, config.learning_rate)])
        self.objective = Objective(
            self.bank,
            graph.words,
            graph.known,
            negatives=config.negatives,
            margin=config.margin,
            seed=config.seed,
        )
        self.batches = math.ceil(len(graph.rows) / config.batch)
        self.steps = 0
        self.began = time.monotonic()

    def run(self) -> Fitted:
        """Train until something ends it."""
        best, best_mrr, best_epoch, history = self.head, -math.inf, 0, list[Epoch]()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.config.seed)
            while not (stopped := self._reason_to_stop(len(history), best_epoch)):
                began = time.monotonic()
                loss = self._epoch(len(history))
                seconds, mrr = time.monotonic() - began, self.graph.measure(self.head, self.bank)
                history.append(Epoch(len(history) + 1, seconds, loss, mrr))
                if mrr is None or mrr > best_mrr:
                    best, best_mrr, best_epoch = copy.deepcopy(self.head), mrr or 0.0, len(history)
        voice = self.graph.voice(best, self.bank)
        return Fitted(voice, self.config, history, best_epoch, time.monotonic() - self.began, stopped)

    def _share(self) -> float:
        """Return how much of the training is done."""
        by_time = (time.monotonic() - self.began) / self.config.time_budget if self.config.time_budget else 0.0
        return max(by_time, self.steps / (self.batches * self.config.epochs))

    def _reason_to_stop(self, epochs: int, best_epoch: int) -> str:
        if epochs >= self.config.epochs:
            return f"{epochs} epochs are done"
        if self._share() >= 1:
            return f"the time budget of {self.config.time_budget:g} s is spent"
        if epochs - best_epoch >= self.config.patience:
            return f"no better valid MRR in {epochs - best_epoch} epochs"
        return ""

    def _epoch(self, number: int) -> float:
        """Train on every triple once, unless the time is spent; return the mean loss."""
        order = np.random.default_rng([self.config.seed, number, 2]).permutation(len(self.graph.rows))
        losses = []
        for batch in np.array_split(order, self.batches):
            loss = self.objective.loss(self.head, self.graph.rows[batch], self.steps, dropped=self.config.dropout)
            self.optimizer.clear()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step(max(LEAST_RATE, 1 - self._share()))
            losses.append(loss.item())
            self.steps += 1
            if not math.isfinite(losses[-1]):
                raise DataError(
                    f"the loss is not finite in step {self.steps}", fix="set voices.text to false, and please report it"
                )
            self.progress("training text", self.steps, self.batches * self.config.epochs)
            if self._share() >= 1:
                break
        return float(np.mean(losses))
