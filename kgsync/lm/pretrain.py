"""A language model reads the graph, within a budget, and forgets nothing else on the way.

Reads a learner (a decoder's adapter, or an encoder) and questions about hidden edges; promises the weights that
answered best among those whose perplexity on other text has not risen beyond the limit. A training that was cut off
goes on from its checkpoint.

The loop is kgsync's own: the Trainer of transformers keeps its state in pickles, and knows no budget in minutes.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from kgsync.errors import DataError
from kgsync.kge import artefact
from kgsync.lm import quiz
from kgsync.lm.corpus import Item
from kgsync.lm.optimizer import Adams
from kgsync.lm.pretrain_config import PretrainConfig, check
from kgsync.lm.quiz import Answers, Task
from kgsync.progress import Progress, silent
from kgsync.verbalize import Cloze

CHECKPOINT_SECONDS = 60.0  # between two saves
POOL = 8  # batches that are sorted by length together
LONGEST_GRADIENT = 1.0
GENERAL = 32  # paragraphs of other text that measure
FILE = "pretraining.safetensors"


class Learner(Protocol):
    """A language model that learns from a corpus."""

    module: nn.Module  # whose parameters with gradient learn
    learning_rate: float

    @property
    def base_hash(self) -> str:
        """Return what identifies the model before it learned."""

    def item(self, number: int) -> Item:
        """Return the text `number` of the corpus."""

    def size(self, item: Item) -> int:
        """Return about how many tokens it has."""

    def loss(self, items: Sequence[Item], seed: int) -> tuple[Tensor, int]:
        """Return the loss of some texts, and their tokens."""

    def scores(self, clozes: Sequence[Cloze], names: Sequence[Sequence[str]]) -> list[list[float]]:
        """Return how well names fit into gaps."""

    def general_loss(self, texts: Sequence[str]) -> float:
        """Return the mean negative log-probability of a token of other text."""

    def save(self, folder: Path) -> None:
        """Write what was learned."""


@dataclass(frozen=True)
class Moment:
    """What was seen at one moment of the training."""

    seconds: float
    tokens: int
    loss: float | None  # mean since the moment before; None at the start
    graph_perplexity: float  # of the right answers to questions about edges that choose, per token
    general_perplexity: float  # of other text, per token


@dataclass(frozen=True)
class Pretrained:
    """How it went."""

    history: list[Moment]
    kept: int  # the moment in `history` whose weights were kept; 0: those of before
    before: Answers  # to questions about the edges that measure
    after: Answers
    seconds: float
    tokens: int
    steps: int
    stopped: str  # why training ended, in words


@dataclass
class _Counters:
    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    history: list[Moment] = field(default_factory=list)
    kept: int = 0
    risen: bool = False
    due: float = 0.0  # share of the budget at which it is looked again


def pretrain(
    learner: Learner,
    choosing: Sequence[Task],
    measuring: Sequence[Task],
    general: Sequence[str],
    config: PretrainConfig,
    *,
    checkpoint: Path | None = None,
    progress: Progress = silent,
    seen: Callable[[Moment], None] = lambda moment: None,
) -> Pretrained:
    """Train `learner`, which then has the weights that were kept.

    `choosing` are questions about edges that choose the weights, `measuring` about edges used for nothing else;
    `general` is other text that is not learned from.

    Raises:
        ConfigError: there is no budget, or a setting is out of range.
        DataError: there is no other text, the loss is not finite, or the checkpoint belongs to another training.
    """
    check(config)
    if not general:
        raise DataError("there is no other text to see what the model forgets by", fix="give a folder with --text")
    before = quiz.ask(learner, measuring, _named(progress, "asking before"))
    run = _Run(learner, choosing, general[:GENERAL], config, progress, seen)
    stopped = run.train(checkpoint / FILE if checkpoint else None)
    if checkpoint:
        (checkpoint / FILE).unlink(missing_ok=True)
    counters = run.counters
    after = quiz.ask(learner, measuring, _named(progress, "asking after")) if counters.kept else before
    return Pretrained(
        history=counters.history,
        kept=counters.kept,
        before=before,
        after=after,
        seconds=counters.seconds,
        tokens=counters.tokens,
        steps=counters.steps,
        stopped=stopped,
    )


class _Run:
    """The loop, and what stays the same during it."""

    def __init__(
        self,
        learner: Learner,
        choosing: Sequence[Task],
        general: Sequence[str],
        config: PretrainConfig,
        progress: Progress,
        seen: Callable[[Moment], None],
    ) -> None:
        self.learner, self.choosing, self.general = learner, choosing, general
        self.config, self.progress, self.seen = config, progress, seen
        self.learning = {n: p for n, p in learner.module.named_parameters() if p.requires_grad}
        self.optimizer = Adams([("model", learner.module, learner.learning_rate)])
        self.best = self._copy()
        self.counters = _Counters()
        self.pool: tuple[int, list[list[Item]]] = (-1, [])
        self.began = time.monotonic()

    def train(self, checkpoint: Path | None) -> str:
        """Train until something ends it, and return what did."""
        mark = self._fingerprint()
        self._load(checkpoint, mark)
        counters = self.counters
        self.began, saved = time.monotonic() - counters.seconds, time.monotonic()
        if not counters.history:
            self._look()
        while not (stopped := self._reason_to_stop()):
            self._step()
            due = self._share() >= counters.due
            if due or self._reason_to_stop():
                self._look()
            if checkpoint and (due or time.monotonic() - saved >= CHECKPOINT_SECONDS):
                self._save(checkpoint, mark)
                saved = time.monotonic()
        with torch.no_grad():
            for name, weight in self.learning.items():
                weight.copy_(self.best[name])
        return stopped

    def _share(self) -> float:
        """Return how much of the budget is spent."""
        self.counters.seconds = time.monotonic() - self.began
        of_time = self.counters.seconds / self.config.time_budget if self.config.time_budget else 0.0
        return max(of_time, self.counters.tokens / self.config.tokens if self.config.tokens else 0.0)

    def _reason_to_stop(self) -> str:
        if self.counters.risen:
            first, last = (self.counters.history[i].general_perplexity for i in (0, -1))
            return f"the perplexity on other text rose from {first:.1f} to {last:.1f}"
        return "the budget is spent" if self._share() >= 1 else ""

    def _step(self) -> None:
        counters, config = self.counters, self.config
        loss, tokens = self.learner.loss(self._batch(counters.steps), counters.steps)
        counters.steps += 1
        counters.tokens += tokens
        if loss.requires_grad:  # else the texts are so long that nothing of what is asked is left
            self.optimizer.clear()
            loss.backward()  # type: ignore[no-untyped-call]
            share = self._share()
            rate = min(share / config.warm_up, 1.0) if config.warm_up else 1.0
            self.optimizer.step(max(0.02, rate * (1 - share)), LONGEST_GRADIENT)
            counters.losses.append(loss.item())
        if not math.isfinite(loss.item()):
            raise DataError(f"the loss is not finite in step {counters.steps}", fix="lower the learning rate")
        self.progress("reading", round(1000 * min(self._share(), 1)), 1000)

    def _batch(self, step: int) -> list[Item]:
        """Return the texts of a step: the same ones whenever it is taken.

        Texts of like length go together, those of the graph and others apart: of other text every token counts.
        """
        round_, place = divmod(step, POOL)
        if self.pool[0] != round_:
            self.pool = round_, self._batches(round_)
        batches = self.pool[1]
        return batches[place % len(batches)]

    def _batches(self, round_: int) -> list[list[Item]]:
        first = round_ * POOL * self._per_batch
        items = [self.learner.item(first + i) for i in range(POOL * self._per_batch)]
        ordered = sorted(items, key=lambda item: (item.of_graph, self.learner.size(item)))
        batches: list[list[Item]] = [[]]
        for item in ordered:
            longest = max([self.learner.size(item), *map(self.learner.size, batches[-1])])
            mixed = batches[-1] and batches[-1][0].of_graph != item.of_graph
            if mixed or (batches[-1] and longest * (len(batches[-1]) + 1) > self.config.batch):
                batches.append([])
            batches[-1].append(item)
        order = torch.randperm(len(batches), generator=torch.Generator().manual_seed(self.config.seed + round_))
        return [batches[i] for i in order.tolist()]

    @property
    def _per_batch(self) -> int:
        return max(1, self.config.batch // 32)

    def _look(self) -> None:
        """Measure, and keep the weights if they are the best that may be kept."""
        counters = self.counters
        moment = Moment(
            seconds=round(time.monotonic() - self.began, 2),
            tokens=counters.tokens,
            loss=sum(counters.losses) / len(counters.losses) if counters.losses else None,
            graph_perplexity=_exp(quiz.loss(self.learner, self.choosing)),
            general_perplexity=_exp(self.learner.general_loss(self.general)),
        )
        counters.history.append(moment)
        counters.losses = []
        limit = counters.history[0].general_perplexity * (1 + self.config.general_rise)
        counters.risen = not moment.general_perplexity <= limit
        better = moment.graph_perplexity < counters.history[counters.kept].graph_perplexity
        if len(counters.history) > 1 and better and not counters.risen:
            counters.kept = len(counters.history) - 1
            self.best = self._copy()
        counters.due = self._share() + 1 / self.config.evaluations  # after the look: of a short budget it takes a part
        self.seen(moment)

    def _copy(self) -> dict[str, Tensor]:
        return {name: weight.detach().clone() for name, weight in self.learning.items()}

    def _fingerprint(self) -> str:
        settings = asdict(self.config)
        for name in ("time_budget", "tokens"):  # may be longer the second time
            del settings[name]
        texts = [self.learner.item(number).text for number in range(64)]
        said = json.dumps([settings, self.learner.base_hash, texts], sort_keys=True)
        return hashlib.sha256(said.encode()).hexdigest()

    def _save(self, path: Path, mark: str) -> None:
        self._share()
        tensors: dict[str, Tensor] = {f"weights.{name}": weight for name, weight in self.learning.items()}
        tensors |= {f"best.{name}": weight for name, weight in self.best.items()} | self.optimizer.memory()
        cpu = {name: tensor.detach().cpu() for name, tensor in tensors.items()}
        artefact.write(path, cpu, {"kind": "pretraining", "fingerprint": mark, "counters": asdict(self.counters)})

    def _load(self, path: Path | None, mark: str) -> None:
        if path is None or not path.exists():
            return
        tensors, header = artefact.read(path)
        if header.get("fingerprint") != mark:
            raise DataError(f"{path} belongs to another graph, model or configuration", fix=f"delete {path}")
        values = header["counters"]
        self.counters = _Counters(**values | {"history": [Moment(**moment) for moment in values["history"]]})
        with torch.no_grad():
            for name, weight in self.learning.items():
                weight.copy_(tensors[f"weights.{name}"])
                self.best[name].copy_(tensors[f"best.{name}"])
        self.optimizer.restore(tensors, self.counters.steps)


def _exp(loss: float) -> float:
    return math.exp(min(loss, 50.0))


def _named(progress: Progress, step: str) -> Progress:
    return lambda _, done, total: progress(step, done, total)
