"""The voices that a graph can have beside its embeddings: trained here, and read again from their files.

Reads a snapshot and its split; promises voices that learned from the train part alone, stopped or chosen by the
select part, and for each that is left out the reason in words.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kgsync.config import VoicesConfig
from kgsync.errors import ConfigError
from kgsync.lm.config import HeadConfig
from kgsync.lm.texts import of_snapshot
from kgsync.progress import Progress, silent
from kgsync.rules import artefact as rule_files
from kgsync.rules.choose import choose
from kgsync.rules.facts import Facts
from kgsync.rules.mine import mine
from kgsync.rules.voice import RuleVoice
from kgsync.snapshot import Snapshot
from kgsync.split import Split
from kgsync.voice import Voice

FEWEST_TEXTS = 200
NEEDED = "sentence_transformers", "sklearn"  # modules of the extra `lm`


@dataclass(frozen=True)
class Voices:
    """What was trained beside the embeddings."""

    voices: tuple[Voice, ...]
    left_out: dict[str, str]  # voice -> why


def train_voices(
    snapshot: Snapshot,
    parts: Split,
    config: VoicesConfig,
    *,
    cache: Path | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Voices:
    """Return the voices that `config` asks for and the graph allows; `cache` keeps encoded texts."""
    size = snapshot.entities.num_rows, len(snapshot.relations)
    found: list[Voice] = []
    if config.rules:
        facts = Facts(parts.train, *size)
        rules = mine(facts, progress=progress)
        found.append(RuleVoice(facts, rules, choose(facts, rules, parts.select, seed=seed)))
    left_out = {}
    if config.text:
        text = _text(snapshot, parts, cache, seed, progress)
        if isinstance(text, str):
            left_out["text"] = text
        else:
            found.append(text)
    return Voices(tuple(found), left_out)


def _text(snapshot: Snapshot, parts: Split, cache: Path | None, seed: int, progress: Progress) -> Voice | str:
    """Return the text voice, or why there is none."""
    texts = of_snapshot(snapshot)
    telling = sum(1 for text in texts if text.name or text.description)
    if telling < FEWEST_TEXTS:
        return f"{telling:,} entities have a name or a text, too few to learn from ({FEWEST_TEXTS} are needed)"
    if any(importlib.util.find_spec(module) is None for module in NEEDED):
        return "it needs `pip install kgsync[lm]`"
    from kgsync.lm import encoder, fit

    encoded = encoder.load().encode([text.sentence() for text in texts], cache, progress)
    also_true = np.concatenate([parts.fuse, parts.calibrate])
    graph = fit.Graph(texts, parts.train, parts.select, len(snapshot.relations), also_true=also_true, seed=seed)
    return fit.fit(graph, encoded, HeadConfig(seed=seed), progress=progress).voice


def save(voices: Sequence[Voice], folder: Path) -> None:
    """Write each voice to a file of its own in `folder`."""
    for voice in voices:
        path = folder / f"{voice.name}.safetensors"
        if isinstance(voice, RuleVoice):
            rule_files.save(voice, path, {})
        else:
            from kgsync.lm.head import TextVoice

            assert isinstance(voice, TextVoice)  # noqa: S101 (there is no other)
            voice.save(path, {})


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
        from kgsync.lm.head import TextVoice

        found[name] = TextVoice.load(path, of_snapshot(snapshot), train)[0]
    return found
