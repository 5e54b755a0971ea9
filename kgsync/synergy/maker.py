"""Makes voices, each once: one that is in the cache is read again. They are what `kgsync train` makes, seed by seed.

Every further training of a voice gets as many steps, or as much time, as its first one had.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from torch import Tensor

import kgsync
from kgsync.config import VoicesConfig
from kgsync.kge import artefact
from kgsync.kge.config import TrainConfig
from kgsync.kge.ensemble import train_members, train_within
from kgsync.kge.lessons import Lessons
from kgsync.kge.train import Trained
from kgsync.lm import reader as readers
from kgsync.progress import Progress, silent
from kgsync.rules import artefact as rule_files
from kgsync.rules.choose import choose
from kgsync.rules.facts import Facts
from kgsync.rules.mine import mine
from kgsync.rules.voice import RuleVoice
from kgsync.synergy.cost import Cost, measured
from kgsync.synergy.task import Task
from kgsync.voice import Voice
from kgsync.voices import learn_texts

EMBEDDINGS, RULES, TEXT, TUNED = "embeddings", "rules", "text", "tuned text"
LEARNERS = EMBEDDINGS, TEXT  # rules say what the graph says, and only teach
SEEDS_APART, TWIN = 1_000, 500  # so that no member of an ensemble has the seed of another


@dataclass(frozen=True)
class Settings:
    """How voices are trained."""

    train: TrainConfig
    voices: VoicesConfig  # which there are; rounds and budget do not count
    embeddings_seconds: float = 0.0  # of one training; 0: as `train` says
    text_seconds: float = 0.0  # of one training; 0: its own epochs

    def hash(self) -> str:
        """Return a hash of everything that decides what is learned."""
        train = {name: value for name, value in asdict(self.train).items() if name != "threads"}
        asked = {name: getattr(self.voices, name) for name in ("embeddings", "rules", "text", "tune_encoder")}
        content = [train, asked, self.embeddings_seconds, self.text_seconds, kgsync.__version__]
        if self.voices.encoder and self.voices.text:
            content.append(readers.digest(self.voices.encoder))
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Made:
    """A voice, and what its training cost, whenever that was."""

    voice: Voice
    cost: Cost
    cached: bool


class Maker:
    """Makes the voices of one task below `folder`."""

    def __init__(
        self, task: Task, settings: Settings, folder: Path, *, vectors: Path | None = None, progress: Progress = silent
    ) -> None:
        self.task, self.settings, self.progress = task, settings, progress
        self.vectors = vectors  # cache of encoded texts
        self.folder = folder / hashlib.sha256((task.hash() + settings.hash()).encode()).hexdigest()[:16]
        self._makers: dict[str, Callable[[Path, int, Lessons | None], None]] = {
            EMBEDDINGS: self._embeddings,
            RULES: self._rules,
            TEXT: self._text,
            TUNED: partial(self._text, tune_encoder=True),
        }

    def names(self) -> list[str]:
        """Return which voices are wanted and possible."""
        wanted = self.settings.voices
        possible = {EMBEDDINGS: wanted.embeddings, RULES: wanted.rules, TEXT: wanted.text and bool(self.task.texts)}
        return [name for name, there in possible.items() if there]

    def place(self, number: int) -> Path:
        """Return the folder of a seed."""
        return self.folder / f"seed-{number}"

    def make(
        self, name: str, number: int, *, twin: bool = False, arm: str = "", lessons: Lessons | None = None
    ) -> Made:
        """Return a voice of seed `number`, or its twin with another seed; `arm` names what lessons it had.

        Raises:
            ConfigError, DataError: it cannot be trained like that, or its file is damaged.
        """
        label = "-".join([name, *(["twin"] if twin else []), *([arm] if arm else [])]).replace(" ", "-")
        path = self.place(number) / f"{label}.safetensors"
        cached = path.is_file()
        if not cached:
            seed = self.settings.train.seed + SEEDS_APART * number + (TWIN if twin else 0)
            self._makers[name](path, seed, lessons)
        voice, meta = self._read(name, path)
        return Made(voice, Cost(**meta["cost"]), cached)

    def _read(self, name: str, path: Path) -> tuple[Voice, dict[str, Any]]:
        if name == EMBEDDINGS:
            return artefact.load(path)
        if name == RULES:
            return rule_files.load(path)
        from kgsync.lm.head import TextVoice

        return TextVoice.load(path, self.task.texts, self.task.parts.train)

    def _embeddings(self, path: Path, seed: int, lessons: Lessons | None) -> None:
        first = path.with_name(f"{EMBEDDINGS}.safetensors")
        config = replace(self.settings.train, seed=seed)
        with measured() as meter:
            if path != first:
                before = artefact.load(first)[1]
                config = replace(config, members=before["members"], steps=before["steps"], time_budget=0.0)
                trained = self._train(config, path, lessons)
            elif self.settings.embeddings_seconds:
                parts, seconds = self.task.parts, self.settings.embeddings_seconds
                trained = train_within(
                    parts.train, parts.select, *self.task.size, config, seconds=seconds, progress=self.progress
                )
            else:
                trained = self._train(config, path, lessons)
        earlier = Cost(round(trained.seconds, 1))  # an interrupted training has cost more than its last part
        cost = meter.cost if meter.cost.seconds >= earlier.seconds else replace(meter.cost, seconds=earlier.seconds)
        about = {"members": trained.config.members, "steps": trained.steps, "stopped": trained.stopped}
        artefact.save(trained.model, path, {**about, "config": asdict(trained.config), "cost": asdict(cost)})

    def _train(self, config: TrainConfig, path: Path, lessons: Lessons | None) -> Trained:
        return train_members(
            self.task.parts.train,
            self.task.parts.select,
            *self.task.size,
            config,
            also_true=self.task.also_true(),
            lessons=lessons,
            checkpoint=path.with_name(f".{path.stem}.training"),
            progress=self.progress,
        )

    def _rules(self, path: Path, seed: int, lessons: Lessons | None) -> None:
        with measured() as meter:
            facts = Facts(self.task.parts.train, *self.task.size)
            rules = mine(facts, progress=self.progress)
            voice = RuleVoice(facts, rules, choose(facts, rules, self.task.parts.select, seed=seed))
        rule_files.save(voice, path, {"cost": asdict(meter.cost)})

    @cached_property
    def _encoded(self) -> tuple[Any, Tensor]:
        """Return the encoder, and the vectors of all texts; which all arms share, so that they are nobody's cost."""
        reader = readers.load(self.settings.voices.encoder)
        return reader, reader.encode([text.sentence() for text in self.task.texts], self.vectors, self.progress)

    def _text(self, path: Path, seed: int, lessons: Lessons | None, *, tune_encoder: bool = False) -> None:
        from kgsync.lm.fit import Graph
        from kgsync.lm.head import TextVoice

        reader, encoded = self._encoded
        with measured() as meter:
            task = self.task
            graph = Graph(
                task.texts,
                task.parts.train,
                task.parts.select,
                task.n_relations,
                also_true=task.also_true(),
                lessons=lessons,
                seed=seed,
            )
            voice, _ = learn_texts(
                graph,
                reader,
                encoded,
                seed=seed,
                seconds=self.settings.text_seconds,
                tune_encoder=tune_encoder,
                progress=self.progress,
            )
        assert isinstance(voice, TextVoice)  # noqa: S101 (there is no other)
        voice.save(path, {"cost": asdict(meter.cost)})
