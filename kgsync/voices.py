"""The voices that a graph can have beside its embeddings: trained here, and read again from their files.

Reads a snapshot and its split; promises voices that learned from the train part alone, stopped or chosen by the
select part, and for each that is left out the reason in words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kgsync.config import VoicesConfig
from kgsync.progress import Progress, silent
from kgsync.rules import artefact as rule_files
from kgsync.rules.choose import choose
from kgsync.rules.facts import Facts
from kgsync.rules.mine import mine
from kgsync.rules.voice import RuleVoice
from kgsync.snapshot import Snapshot
from kgsync.split import Split
from kgsync.voice import Voice


@dataclass(frozen=True)
class Voices:
    """What was trained beside the embeddings."""

    voices: tuple[Voice, ...]
    left_out: dict[str, str]  # voice -> why


def train_voices(
    snapshot: Snapshot, parts: Split, config: VoicesConfig, *, seed: int = 0, progress: Progress = silent
) -> Voices:
    """Return the voices that `config` asks for and the graph allows."""
    size = snapshot.entities.num_rows, len(snapshot.relations)
    found: list[Voice] = []
    if config.rules:
        facts = Facts(parts.train, *size)
        rules = mine(facts, progress=progress)
        found.append(RuleVoice(facts, rules, choose(facts, rules, parts.select, seed=seed)))
    return Voices(tuple(found), {})


def save(voices: Sequence[Voice], folder: Path) -> None:
    """Write each voice to a file of its own in `folder`."""
    for voice in voices:
        if isinstance(voice, RuleVoice):
            rule_files.save(voice, folder / "rules.safetensors", {})


def load(names: Sequence[str], folder: Path) -> tuple[Voice, ...]:
    """Return the voices of those names in `folder`.

    Raises:
        NotFoundError: a file is missing.
        DataError: one is damaged.
    """
    found: list[Voice] = []
    for name in names:
        if name == RuleVoice.name:
            found.append(rule_files.load(folder / "rules.safetensors")[0])
    return tuple(found)
