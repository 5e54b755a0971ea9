"""Trains the encoder together with its head: slow on a processor, and far better where text defines the relations.

One tower: a step encodes a batch of entities that are neighbours, with gradient, and asks all their triples; everyone
else takes part with the latest vector from the bank. Resumable: going on gives what never stopping would have given,
unless a time budget decides how fast the learning rate falls.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kgsync.errors import ConfigError, DataError
from kgsync.kge import artefact
from kgsync.kge.checkpoint import Epoch
from kgsync.lm.config import TuneConfig
from kgsync.lm.encoder import Encoder
from kgsync.lm.fit import LEAST_RATE, Graph
from kgsync.lm.head import TextVoice
from kgsync.lm.neighbours import Bank, Integers, Neighbours
from kgsync.lm.objective import Objective
from kgsync.lm.optimizer import Adams
from kgsync.progress import Progress, silent

CHECKPOINT = "tuning.safetensors"
CHECKPOINT_SECONDS = 120.0  # between two saves of some hundred MB
AT_ONCE = 40  # texts in one pass through the encoder: less padding than all of a batch together


@dataclass(frozen=True)
class Tuned:
    """A tuned encoder, its voice, and how they came about."""

    voice: TextVoice
    encoder: Encoder
    history: list[Epoch]  # valid MRR with the vectors that the epoch left in the bank
    before: float | None  # valid MRR of the head on frozen vectors
    after: float | None  # of the voice, with all entities encoded anew
    seconds: float
    stopped: str

    def save(self, folder: Path) -> None:
        """Write the encoder and the voice below `folder`."""
        self.encoder.save(folder / "encoder")
        self.voice.save(folder / "voice.safetensors", {"encoder": self.encoder.hash, "stopped": self.stopped})


@dataclass
class _Counters:
    epoch: int = 0
    batch: int = 0  # within the epoch
    steps: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)  # of this epoch
    history: list[dict[str, Any]] = field(default_factory=list)


def tune(
    graph: Graph,
    encoder: Encoder,
    start: TextVoice,
    config: TuneConfig,
    *,
    checkpoint: Path | None = None,
    progress: Progress = silent,
) -> Tuned:
    """Return `encoder`, trained further on the graph, with the head of `start`, which it continues.

    With a `checkpoint` folder an interrupted run goes on from the last save; the file is removed at the end.

    Raises:
        ConfigError: a setting is out of range.
        DataError: the checkpoint belongs to something else, or the loss is not finite any more.
    """
    check(config)
    return _Tuning(graph, encoder, start, config, progress).run(checkpoint)


def check(config: TuneConfig) -> None:
    """Raise `ConfigError` naming the first setting that is out of range."""
    rules = [
        ("layers", config.layers >= 0, "at least 1, or 0 for all"),
        ("batch", config.batch >= 1, "at least 1"),
        ("triples", config.triples >= 1, "at least 1"),
        ("negatives", config.negatives >= 1, "at least 1"),
        ("learning_rate", 0 < config.learning_rate < math.inf, "more than 0"),
        ("head_learning_rate", 0 < config.head_learning_rate < math.inf, "more than 0"),
        ("warm_up", config.warm_up >= 0, "at least 0"),
        ("margin", 0 <= config.margin < 2, "at least 0 and less than 2"),
        ("epochs", config.epochs >= 1, "at least 1"),
        ("time_budget", 0 <= config.time_budget < math.inf, "seconds, or 0 for no limit"),
    ]
    for name, holds, expected in rules:
        if not holds:
            raise ConfigError(f"text.tune.{name} is {getattr(config, name)}", fix=f"make it {expected}")


class _Tuning:
    """The loop, and what stays the same during it."""

    def __init__(
        self, graph: Graph, encoder: Encoder, start: TextVoice, config: TuneConfig, progress: Progress
    ) -> None:
        self.graph, self.config, self.progress = graph, config, progress
        self.origin = encoder.hash
        self.encoder = encoder.copy()
        self.sentences = [text.sentence() for text in graph.texts]
        self.head = copy.deepcopy(start.head)
        self.bank = Bank(start.bank.vectors, graph.neighbours)
        self.before = graph.measure(self.head, self.bank)
        self.encoder.learn(config.layers)
        rates = ("encoder", self.encoder.module, config.learning_rate), ("head", self.head, config.head_learning_rate)
        self.optimizer = Adams(rates)
        self.objective = Objective(
            self.bank,
            graph.words,
            graph.known,
            negatives=config.negatives,
            margin=config.margin,
            seed=config.seed,
        )
        order = np.argsort(graph.rows.anchors, kind="stable")
        self.rows = graph.rows[order]
        self.offsets = np.searchsorted(self.rows.anchors, np.arange(graph.n_entities + 1))
        self.batches = math.ceil(graph.n_entities / config.batch)
        self.counters = _Counters()
        self.began = time.monotonic()

    def run(self, checkpoint: Path | None) -> Tuned:
        """Train until the epochs or the time are over, then encode everyone anew."""
        mark = self._fingerprint()
        if checkpoint is not None:
            self._load(checkpoint / CHECKPOINT, mark)
        counters = self.counters
        saved = time.monotonic()
        self.began = saved - counters.seconds
        while not (stopped := self._reason_to_stop()):
            began = time.monotonic()
            for batch in clusters(self.graph.neighbours, self.config.batch, self._rng(counters.epoch))[
                counters.batch :
            ]:
                self._step(batch)
                counters.batch += 1
                if checkpoint is not None and time.monotonic() - saved >= CHECKPOINT_SECONDS:
                    self._save(checkpoint / CHECKPOINT, mark)
                    saved = time.monotonic()
                if self._share() >= 1:
                    break
            self._end_epoch(time.monotonic() - began)
        return self._finish(checkpoint, stopped)

    def _finish(self, checkpoint: Path | None, stopped: str) -> Tuned:
        self.encoder.tuned(f"{self._fingerprint()} {self.counters.steps}")
        self.bank = Bank(self.encoder.encode(self.sentences, progress=self.progress), self.graph.neighbours)
        after = self.graph.measure(self.head, self.bank)
        history = [Epoch(**epoch) for epoch in self.counters.history]
        seconds = time.monotonic() - self.began
        if checkpoint is not None:
            (checkpoint / CHECKPOINT).unlink(missing_ok=True)
        encoder, voice = self.encoder, self.graph.voice(self.head, self.bank)
        voice.tuned = lambda: encoder
        return Tuned(voice, encoder, history, self.before, after, seconds, stopped)

    def _end_epoch(self, seconds: float) -> None:
        counters = self.counters
        self.bank.refresh()
        loss = float(np.mean(counters.losses)) if counters.losses else 0.0
        counters.epoch += 1
        epoch = Epoch(counters.epoch, seconds, loss, self.graph.measure(self.head, self.bank))
        counters.history.append(asdict(epoch))
        counters.batch, counters.losses = 0, []

    def _rng(self, number: int) -> np.random.Generator:
        return np.random.default_rng([self.config.seed, number, 3])

    def _share(self) -> float:
        """Return how much of the tuning is done."""
        elapsed = time.monotonic() - self.began
        by_time = elapsed / self.config.time_budget if self.config.time_budget else 0.0
        return max(by_time, self.counters.steps / (self.batches * self.config.epochs))

    def _reason_to_stop(self) -> str:
        if self.counters.epoch >= self.config.epochs:
            return f"{self.counters.epoch} epochs are done"
        return f"the time budget of {self.config.time_budget:g} s is spent" if self._share() >= 1 else ""

    def _step(self, entities: Integers) -> None:
        counters = self.counters
        counters.steps += 1
        asked = np.concatenate([np.arange(self.offsets[e], self.offsets[e + 1]) for e in entities])
        if len(asked) > self.config.triples:
            asked = np.random.default_rng([self.config.seed, counters.steps, 4]).choice(
                asked, self.config.triples, replace=False
            )
        if len(asked) == 0:  # entities without a train edge learn nothing, and teach nothing
            return
        vectors = self._encode(entities)
        loss = self.objective.loss(self.head, self.rows[asked], counters.steps, fresh=(entities, vectors))
        self.optimizer.clear()
        loss.backward()  # type: ignore[no-untyped-call]
        warm = min(1.0, counters.steps / max(self.config.warm_up, 1))
        self.optimizer.step(warm * max(LEAST_RATE, 1 - self._share()))
        self.bank.update(entities, vectors.detach())
        counters.losses.append(loss.item())
        if not math.isfinite(counters.losses[-1]):
            raise DataError(
                f"the loss is not finite in step {counters.steps}",
                fix="set voices.tune_encoder to false, and please report it",
            )
        self.progress("tuning the encoder", counters.steps, self.batches * self.config.epochs)

    def _encode(self, entities: Integers) -> Tensor:
        """Return the vectors [n, d] of entities with gradient; 0 where the text is empty."""
        texts = [self.sentences[entity] for entity in entities]
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        parts = [order[low : low + AT_ONCE] for low in range(0, len(order), AT_ONCE)]
        vectors = torch.cat([self.encoder.forward(self.encoder.tokenize([texts[i] for i in part])) for part in parts])
        written = torch.tensor([bool(text) for text in texts])[:, None]
        return vectors[torch.tensor(order).argsort()] * written

    def _fingerprint(self) -> str:
        settings = {name: value for name, value in asdict(self.config).items() if name != "time_budget"}
        digest = hashlib.sha256(json.dumps([settings, self.origin, self.sentences]).encode())
        digest.update(np.ascontiguousarray(self.graph.train, dtype="<i8").tobytes())
        return digest.hexdigest()

    def _state(self) -> dict[str, Tensor]:
        weights = {f"weights.{name}": tensor for name, tensor in self.encoder.module.state_dict().items()}
        head = {f"head.{name}": tensor for name, tensor in self.head.state_dict().items()}
        return weights | head | {"bank": self.bank.vectors, "sums": self.bank.sums}

    def _save(self, path: Path, mark: str) -> None:
        self.counters.seconds = time.monotonic() - self.began
        header = {"kind": "tuning", "fingerprint": mark, "counters": asdict(self.counters)}
        artefact.write(path, self._state() | self.optimizer.memory(), header)

    def _load(self, path: Path, mark: str) -> None:
        if not path.exists():
            return
        tensors, header = artefact.read(path)
        if header.get("fingerprint") != mark:
            raise DataError(f"{path} belongs to another graph, encoder or configuration", fix=f"delete {path}")
        self.counters = _Counters(**header["counters"])
        with torch.no_grad():
            for name, tensor in self._state().items():
                tensor.copy_(tensors[name])
        self.optimizer.restore(tensors, self.counters.steps)


def clusters(neighbours: Neighbours, size: int, rng: np.random.Generator) -> list[Integers]:
    """Return all entities in batches of `size`, each sorted, that keep neighbours together; the order is by chance."""
    free = np.ones(neighbours.n_entities, bool)
    batches: list[Integers] = []
    batch: list[int] = []
    for root in rng.permutation(neighbours.n_entities).tolist():
        queue = deque([root] if free[root] else [])
        free[root] = False
        while queue:
            entity = queue.popleft()
            batch.append(entity)
            if len(batch) == size:
                free[list(queue)] = True  # they stay for later batches
                batches.append(np.sort(np.array(batch)))
                batch = []
                break
            near = neighbours.others[neighbours.offsets[entity] : neighbours.offsets[entity + 1]]
            near = rng.permutation(near[free[near]])
            free[near] = False
            queue.extend(near.tolist())
    return [*batches, np.sort(np.array(batch))] if batch else batches
