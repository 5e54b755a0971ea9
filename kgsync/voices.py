"""The voices that a graph can have: trained here, and those beside the embeddings read again from their files.

Reads a snapshot and its split; promises voices that learned from the train part alone, stopped or chosen by the
select part, and for each that is left out the reason in words.
"""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kgsync.config import VoicesConfig
from kgsync.errors import ConfigError
from kgsync.kge.checkpoint import Epoch
from kgsync.kge.config import TrainConfig
from kgsync.kge.ensemble import train_members
from kgsync.kge.lessons import Lessons
from kgsync.kge.models import KgeModel
from kgsync.kge.train import Trained
from kgsync.lm.config import HeadConfig, TuneConfig
from kgsync.lm.texts import EntityText, of_snapshot
from kgsync.progress import Progress, silent
from kgsync.rules import artefact as rule_files
from kgsync.rules.choose import choose
from kgsync.rules.facts import Facts
from kgsync.rules.mine import mine
from kgsync.rules.voice import RuleVoice
from kgsync.snapshot import Snapshot
from kgsync.split import Split
from kgsync.voice import Voice

if TYPE_CHECKING:
    from torch import Tensor

    from kgsync.lm.encoder import Encoder
    from kgsync.lm.fit import Graph

FEWEST_TEXTS = 200
EMBEDDINGS, TEXT = "embeddings", "text"
PARTS = {EMBEDDINGS: 4, TEXT: 3}  # how a budget is divided among trainings of voices that learn
TRAINING = 0.7  # of a budget, where several speak; the rest is for mining rules, asking and weighing
ENCODER = "encoder"  # the folder of the one that was tuned
NEEDED = "sentence_transformers", "sklearn"  # modules of the extra `lm`


Learner = Callable[[Lessons], Voice]


@dataclass(frozen=True)
class Voices:
    """What was trained."""

    voices: tuple[Voice, ...]  # the embeddings first, where there are any
    embeddings: Trained | None
    left_out: dict[str, str]  # voice -> why
    history: dict[str, Sequence[Epoch]]  # of the voices that learn in epochs
    learners: dict[str, Learner]  # how a voice learns again, with lessons


def time_for(voice: str, voices: VoicesConfig) -> float:
    """Return the seconds that one training of the embeddings or of the text voice has of the budget; 0: no limit.

    Where the encoder learns as well, texts are trained twice, and every round of co-training trains all once more.
    """
    wanted = [voices.embeddings, voices.rules, voices.text]
    parts = PARTS[EMBEDDINGS] * voices.embeddings + PARTS[TEXT] * voices.text * (1 + voices.tune_encoder)
    several = sum(wanted) > 1
    share = (TRAINING if several else 1.0) * PARTS[voice] / max(parts, 1)
    return share * voices.budget / (1 + voices.rounds * several)


def train_voices(
    snapshot: Snapshot,
    parts: Split,
    voices: VoicesConfig,
    config: TrainConfig,
    *,
    start: KgeModel | None = None,
    checkpoint: Path | None = None,
    cache: Path | None = None,
    progress: Progress = silent,
) -> Voices:
    """Return the voices that are asked for and that the graph allows.

    `config` describes the embeddings, their time included (`time_for`), and its seed is everyone's. They begin as
    `start`, where there is one; an interrupted training of them goes on from `checkpoint`; `cache` keeps encoded texts.

    Raises:
        ConfigError: no voice is asked for, or none is possible.
        DataError: there is nothing to learn from.
    """
    size = snapshot.entities.num_rows, len(snapshot.relations)
    also_true = np.concatenate([parts.fuse, parts.calibrate])  # test reaches neither training nor selection
    found, history, learners, left_out = list[Voice](), dict[str, Sequence[Epoch]](), dict[str, Learner](), {}
    trained = None
    if voices.embeddings:

        def embed(lessons: Lessons | None, checkpoint: Path | None = None) -> Trained:
            return train_members(
                parts.train,
                parts.select,
                *size,
                config,
                also_true=also_true,
                lessons=lessons,
                start=start,
                checkpoint=checkpoint,
                progress=progress,
            )

        trained = embed(None, checkpoint)
        name = trained.model.name
        found.append(trained.model)
        history[name], learners[name] = trained.history, lambda lessons: embed(lessons).model
    if voices.rules:
        facts = Facts(parts.train, *size)
        rules = mine(facts, progress=progress)
        found.append(RuleVoice(facts, rules, choose(facts, rules, parts.select, seed=config.seed)))
    if voices.text:
        read = _reader(snapshot, parts, also_true, voices, config.seed, cache, progress)
        if isinstance(read, str):
            left_out[TEXT] = read
        else:
            text, epochs = read(None)
            found.append(text)
            history[text.name], learners[text.name] = epochs, lambda lessons: read(lessons)[0]
    if not found:
        why = "; ".join(f"the voice {voice} is left out: {reason}" for voice, reason in left_out.items())
        raise ConfigError(why or "all voices are switched off", fix="set voices.embeddings or voices.rules to true")
    return Voices(tuple(found), trained, left_out, history, learners)


def _reader(
    snapshot: Snapshot,
    parts: Split,
    also_true: np.ndarray[Any, Any],
    voices: VoicesConfig,
    seed: int,
    cache: Path | None,
    progress: Progress,
) -> Callable[[Lessons | None], tuple[Voice, Sequence[Epoch]]] | str:
    """Return what trains the text voice, or why there can be none."""
    texts = of_snapshot(snapshot)
    if reason := why_no_text(texts):
        return reason
    from kgsync.lm import fit
    from kgsync.lm import reader as readers

    reader = readers.load(voices.encoder)
    encoded = reader.encode([text.sentence() for text in texts], cache, progress)

    def read(lessons: Lessons | None) -> tuple[Voice, Sequence[Epoch]]:
        size = len(snapshot.relations)
        graph = fit.Graph(texts, parts.train, parts.select, size, also_true=also_true, lessons=lessons, seed=seed)
        seconds = time_for(TEXT, voices)
        return learn_texts(
            graph, reader, encoded, seed=seed, seconds=seconds, tune_encoder=voices.tune_encoder, progress=progress
        )

    return read


def why_no_text(texts: Sequence[EntityText]) -> str:
    """Return why there can be no text voice of entities with these `texts`, or nothing."""
    telling = sum(1 for text in texts if text.name or text.description)
    if telling < FEWEST_TEXTS:
        return f"{telling:,} entities have a name or a text, too few to learn from ({FEWEST_TEXTS} are needed)"
    if any(importlib.util.find_spec(module) is None for module in NEEDED):
        return "it needs `pip install kgsync[lm]`"
    return ""


def learn_texts(
    graph: Graph,
    reader: Encoder,
    encoded: Tensor,
    *,
    seed: int,
    seconds: float,
    tune_encoder: bool,
    progress: Progress = silent,
) -> tuple[Voice, Sequence[Epoch]]:
    """Return the text voice that `graph` gives, and its epochs; `encoded` [n, d] is what `reader` made of its texts.

    With `tune_encoder` a copy of `reader` learns, too, and the better of both voices is returned. Each of the two
    trainings ends after so many `seconds`; 0: no limit.
    """
    from kgsync.lm import fit, tune

    fitted = fit.fit(graph, encoded, HeadConfig(seed=seed, time_budget=seconds), progress=progress)
    if not tune_encoder:
        return fitted.voice, fitted.history
    slow = TuneConfig(seed=seed, time_budget=seconds)
    tuned = tune.tune(graph, copy.deepcopy(reader), fitted.voice, slow, progress=progress)
    better = tuned.after is None or tuned.before is None or tuned.after > tuned.before
    return (tuned.voice if better else fitted.voice), [*fitted.history, *tuned.history]


def save(voices: Sequence[Voice], folder: Path) -> None:
    """Write each voice to a file of its own in `folder`, and the encoder if one was tuned."""
    for voice in voices:
        path = folder / f"{voice.name}.safetensors"
        if isinstance(voice, RuleVoice):
            rule_files.save(voice, path, {})
        else:
            from kgsync.lm.head import TextVoice

            assert isinstance(voice, TextVoice)  # noqa: S101 (there is no other)
            voice.save(path, {})
            if voice.tuned:
                voice.tuned().save(folder / ENCODER)


def load(names: Sequence[str], folder: Path, snapshot: Snapshot, train: np.ndarray[Any, Any]) -> dict[str, Voice]:
    """Return the voices of those names in `folder`, which learned from the triples `train` [n, 3] of `snapshot`.

    Raises:
        ConfigError: one needs an extra that is not installed.
        NotFoundError: a file is missing.
        DataError: one is damaged.
    """
    found: dict[str, Voice] = {}
    for name in names:
        path = folder / f"{name}.safetensors"
        if name == RuleVoice.name:
            found[name] = rule_files.load(path)[0]
            continue
        if any(importlib.util.find_spec(module) is None for module in NEEDED):
            raise ConfigError("the model has a text voice", fix="pip install kgsync[lm]")
        from kgsync.lm import encoder
        from kgsync.lm.head import TextVoice

        voice, _ = TextVoice.load(path, of_snapshot(snapshot), train)
        if (folder / ENCODER).is_dir():
            voice.tuned = partial(encoder.load, folder / ENCODER)
        found[name] = voice
    return found
