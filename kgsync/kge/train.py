"""Training: mini-batches of distinct queries, early stopping on filtered MRR, resumable, by one process or several.

Reads integer triples; promises the embeddings of the best evaluated epoch, the same bytes for the same seed
on the same processor and number of threads.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kgsync.errors import DataError
from kgsync.kge.checkpoint import Epoch, State, fingerprint
from kgsync.kge.config import TrainConfig
from kgsync.kge.criteria import BinaryCrossEntropy, Criterion, SelfAdversarial, Softmax
from kgsync.kge.defaults import Size, resolve
from kgsync.kge.device import place
from kgsync.kge.evaluate import evaluate
from kgsync.kge.known import KnownAnswers, check_triples
from kgsync.kge.lessons import Floats, Lessons
from kgsync.kge.models import KgeModel, as_tensor, create
from kgsync.kge.negatives import SeenEnds, SharedNegatives
from kgsync.kge.objective import Batch, Weights, gradients
from kgsync.kge.warm import fitting
from kgsync.kge.world import World, world
from kgsync.progress import Progress, silent

__all__ = ["Epoch", "TrainConfig", "Trained", "train"]

CHECKPOINT_SECONDS = 30.0  # between two saves
REPORT_SECONDS = 0.25  # between two reports of progress
VALID_LIMIT = 5_000  # triples that early stopping looks at
WORTH_THREADS = 1 << 18  # floats of entity embeddings; with fewer, threads wait more than they work
BLIND_EPOCHS = 20  # without validation triples: enough to fit, too few to overfit badly


@dataclass(frozen=True)
class Trained:
    """A trained model and how it came about."""

    model: KgeModel  # with the embeddings of `best_epoch`, on the CPU
    config: TrainConfig  # with its automatic settings filled in
    history: list[Epoch]
    best_epoch: int
    steps: int
    seconds: float  # training and evaluation
    stopped: str  # why training ended, in words


def train(
    train: np.ndarray[Any, Any],
    valid: np.ndarray[Any, Any],
    n_entities: int,
    n_relations: int,
    config: TrainConfig,
    *,
    also_true: np.ndarray[Any, Any] | None = None,
    lessons: Lessons | None = None,
    start: KgeModel | None = None,
    checkpoint: Path | None = None,
    progress: Progress = silent,
) -> Trained:
    """Return the model that `config` describes, trained on `train` [n, 3] and stopped by `valid` [m, 3].

    `also_true` are triples hidden for other purposes: they do not compete with those of `valid`, as in published
    results, and nothing is learned from them. `lessons` are learned beside `train`. `start` is a model of the same
    entities and relations whose embeddings come first (see `kgsync.kge.warm`). Without `valid` it trains a fixed
    number of epochs and says so in `stopped`. With a `checkpoint` folder an interrupted training continues where the
    last save left it; the folder is removed at the end.

    Raises:
        ConfigError: a setting is out of range.
        DataError: there are no triples, ids are out of range, or the loss is not finite any more.
    """
    taught = joined(train, None if lessons is None else lessons.triples)
    known = KnownAnswers(taught, n_entities, n_relations)
    shares = None if lessons is None else lessons.shares(known)
    check_triples(valid, n_entities, n_relations)
    true = KnownAnswers(joined(train, valid, also_true), n_entities, n_relations)
    if len(known) == 0:
        raise DataError("there are no triples to train on", fix="pull a larger subgraph")
    if start is not None:
        config = fitting(config, start, n_entities, n_relations)
    config = resolve(config, Size.of(known))
    model = create(config.model, n_entities, n_relations, config.rank, config.seed)
    if start is not None:
        model.load_state_dict(start.state_dict())
    model.to(place(config.device))
    first = [] if start is None else [table.numpy().view(np.int32) for table in start.state_dict().values()]
    counted = [] if shares is None else [shares.view(np.int32)]
    state = State(model, config)
    mark = fingerprint(config, taught, joined(valid, also_true), *first, *counted)
    if checkpoint is not None:
        state.load(checkpoint, mark)
    processes = world()
    with _threads(config, model):
        stopped = _Training(state, known, shares, true, valid, config, progress, processes).run(checkpoint, mark)
    if checkpoint is not None and processes.rank == 0:
        State.delete(checkpoint)
    state.restore_best()
    model.cpu()
    counters = state.counters
    return Trained(
        model=model,
        config=config,
        history=counters.history,
        best_epoch=counters.best_epoch,
        steps=counters.steps,
        seconds=counters.seconds,
        stopped=stopped,
    )


class _Training:
    """The loop, and what stays the same during it."""

    def __init__(
        self,
        state: State,
        known: KnownAnswers,
        shares: Floats | None,
        true: KnownAnswers,
        valid: np.ndarray[Any, Any],
        config: TrainConfig,
        progress: Progress,
        processes: World,
    ) -> None:
        self.state = state
        self.world = processes
        self.model = state.model
        self.device = self.model.entities.device
        self.known, self.shares = known, shares
        self.config = config
        self.epochs = config.epochs if len(valid) else min(config.epochs, BLIND_EPOCHS)
        self.progress = progress
        dtype = torch.bfloat16 if config.precision == "bf16" else torch.float32
        self.weights = Weights(config.n3, config.relation_weight, dtype, _criterion(config, known.n_entities))
        sampled = 0 < config.negatives < known.n_entities
        self.negatives = SharedNegatives(known, config.negatives) if sampled else None
        self.ends = SeenEnds(known) if config.typed_negatives else None
        chosen = np.random.default_rng(config.seed).permutation(len(valid))[:VALID_LIMIT]
        self.valid = valid[np.sort(chosen)]
        self.true = true
        self.began = time.monotonic() - state.counters.seconds
        self.elapsed = state.counters.seconds  # after the last step, by the clock of the first process
        self.reported = 0.0

    def run(self, checkpoint: Path | None, mark: str) -> str:
        """Train until something ends it, and return what did."""
        counters, saved = self.state.counters, time.monotonic()
        while not (stopped := self._reason_to_stop()):
            seconds, loss = self._epoch()
            due = counters.epoch % self.config.eval_every == 0 or bool(self._reason_to_stop())
            mrr = self._evaluate() if due else None
            counters.history.append(Epoch(counters.epoch, seconds, loss, mrr))
            counters.seconds = time.monotonic() - self.began
            if checkpoint is not None and self.world.rank == 0 and time.monotonic() - saved >= CHECKPOINT_SECONDS:
                self.state.save(checkpoint, mark)
                saved = time.monotonic()
        return stopped

    def _limit(self) -> str:
        """Return which limit is reached that may end an epoch in the middle."""
        counters, config = self.state.counters, self.config
        if config.steps and counters.steps >= config.steps:
            return f"the {config.steps} steps asked for are done"
        if config.time_budget and self.elapsed >= config.time_budget:
            return f"the time budget of {config.time_budget:g} s is spent"
        return ""

    def _reason_to_stop(self) -> str:
        counters, config = self.state.counters, self.config
        if limit := self._limit():
            return limit
        if counters.misses >= config.patience:
            return f"no better valid MRR in {counters.misses} evaluations"
        if counters.epoch >= self.epochs:
            note = "" if len(self.valid) else " without validation triples, so without early stopping"
            return f"{counters.epoch} epochs are done{note}"
        return ""

    def _epoch(self) -> tuple[float, float]:
        """Train on every distinct query once, unless a limit comes first; return seconds and mean loss."""
        counters, began = self.state.counters, time.monotonic()
        counters.epoch += 1
        order = torch.randperm(len(self.known), generator=self.state.generator)
        batches = torch.split(order, self.config.batch)
        loss, triples = 0.0, 0
        for queries in batches:
            batch_loss, batch_triples = self._step(queries.numpy())
            loss, triples = loss + batch_loss, triples + batch_triples
            self._report(len(batches))
            if self._limit():
                break
        return time.monotonic() - began, loss / triples

    def _step(self, queries: np.ndarray[Any, Any]) -> tuple[float, int]:
        """Move the embeddings along the gradient of one batch; return its loss and number of triples."""
        table, ids, moved, log_weight = self.model.entities.detach(), None, None, None
        dropout = self._dropout(len(queries), table.shape[1]) if self.config.dropout else None
        if self.negatives is not None:  # the same sample in every process
            own = np.concatenate([self.known.anchors[queries], self.known.expand(queries)[1]])
            ids, log_weight = self.negatives.draw(as_tensor(own), len(queries), self.state.generator)
            moved = ids.to(self.device)
            table = table.index_select(0, moved)
        share = self.world.share(len(queries))
        queries, dropout = queries[share], None if dropout is None else dropout[share]
        rows, answers = (as_tensor(part) for part in self.known.expand(queries))
        anchors, relations = as_tensor(self.known.anchors[queries]), as_tensor(self.known.relations[queries])
        if ids is not None:
            anchors, answers = torch.searchsorted(ids, anchors), torch.searchsorted(ids, answers)
        barred = None if self.ends is None else self.ends.barred(self.known.relations[queries], ids)
        counted = None if self.shares is None else torch.from_numpy(self.shares[self.known.pairs(queries)])
        batch = Batch(anchors, relations, rows, answers, log_weight, barred, counted, dropout).to(self.device)
        loss, for_entities, for_relations = gradients(self.model, table, batch, self.weights)
        self.world.sum(for_entities, for_relations)
        loss, triples = self.world.total(loss, len(rows))
        self.elapsed = self.world.first(time.monotonic() - self.began)
        if not math.isfinite(loss):
            raise DataError(
                f"the loss is not finite in epoch {self.state.counters.epoch}"
                f" with learning rate {self.config.learning_rate:g}",
                fix="lower train.learning_rate",
            )
        self.state.step(for_entities, for_relations, moved)
        return loss, int(triples)

    def _dropout(self, *shape: int) -> Tensor:
        """Return 0 for what is left out, and for the rest what makes up for it."""
        kept = 1 - self.config.dropout
        return torch.empty(shape).bernoulli_(kept, generator=self.state.generator) / kept

    def _evaluate(self) -> float | None:
        """Return the valid MRR after keeping the embeddings if they are the best so far."""
        counters = self.state.counters
        if len(self.valid) == 0:
            counters.best_epoch = counters.epoch
            return None
        with self.state.averaged():
            mrr = self._valid_mrr()
            counters.misses += 1
            if mrr > counters.best_mrr:
                counters.best_mrr, counters.best_epoch, counters.misses = mrr, counters.epoch, 0
                self.state.keep_best()
        return mrr

    def _valid_mrr(self) -> float:
        """Return the MRR of the validation triples, of which every process ranks its share."""
        share = self.valid[self.world.share(len(self.valid))]
        own = evaluate(self.model, share, self.true).mrr if len(share) else 0.0
        return self.world.total(own * len(share))[0] / len(self.valid)

    def _report(self, steps_per_epoch: int) -> None:
        now = time.monotonic()
        if self.world.rank == 0 and now - self.reported >= REPORT_SECONDS:
            self.progress("training", self.state.counters.steps, self.epochs * steps_per_epoch)
            self.reported = now


def _criterion(config: TrainConfig, n_entities: int) -> Callable[[Tensor], Criterion]:
    """Return the loss over entities that the configuration names."""
    if config.loss == "softmax":
        return Softmax
    if config.loss == "bce":
        smoothing = config.label_smoothing
        return partial(BinaryCrossEntropy, margin=config.margin, smoothing=smoothing, n_entities=n_entities)
    return partial(SelfAdversarial, margin=config.margin, temperature=config.adversarial_temperature)


def joined(*parts: np.ndarray[Any, Any] | None) -> np.ndarray[Any, Any]:
    """Return all triples that there are."""
    return np.concatenate([part for part in parts if part is not None])


@contextmanager
def _threads(config: TrainConfig, model: KgeModel) -> Iterator[None]:
    """Compute with the configured number of threads, and set it back afterwards."""
    before = torch.get_num_threads()
    default = before if model.entities.numel() >= WORTH_THREADS else 1
    torch.set_num_threads(config.threads or default)
    try:
        yield
    finally:
        torch.set_num_threads(before)
