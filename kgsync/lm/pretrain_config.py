"""The settings of graph to text and of pre-training; without torch, so that the configuration can import them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kgsync.errors import ConfigError


@dataclass(frozen=True)
class VerbalizeConfig:
    """How triples are put into words."""

    templates: Mapping[str, str] = field(default_factory=dict)  # relation -> "{head} … {tail}"; others are derived


@dataclass(frozen=True)
class PretrainConfig:
    """How a language model reads the graph."""

    ratio: float = 0.75  # share of the texts that come from the graph; the rest is other text
    batch: int = 768  # tokens per step, padding included
    longest: int = 128  # tokens of one text
    facts: int = 6  # sentences of a paragraph
    hops: int = 2  # edges from an entity that its paragraph may go
    lora_rank: int = 16  # of a decoder's adapter
    learning_rate: float = 1e-3  # of a decoder's adapter
    encoder_learning_rate: float = 1e-4  # of an encoder, all of which learns
    warm_up: float = 0.05  # share of the budget until the learning rate is reached; then it falls to 0
    masked: float = 0.15  # share of the words of other text that an encoder guesses
    evaluations: int = 6  # within the budget
    general_rise: float = 0.05  # of the perplexity on other text, from which on training stops
    questions: int = 200  # about hidden edges, before and after
    ways: int = 10  # answers to choose from, of the right type
    time_budget: float = 600.0  # seconds; 0: no limit
    tokens: int = 0  # read at most; 0: no limit
    seed: int = 0


def check(config: PretrainConfig) -> None:
    """Refuse settings that cannot be meant.

    Raises:
        ConfigError: there is one.
    """
    rules = [
        ("pretrain.time_budget", config.time_budget > 0 or config.tokens > 0, "more than 0, or give pretrain.tokens"),
        ("pretrain.ratio", 0 < config.ratio <= 1, "more than 0 and at most 1"),
        ("pretrain.ways", config.ways >= 3, "at least 3"),
        ("pretrain.longest", config.longest >= 8, "at least 8"),
        ("pretrain.batch", config.batch >= config.longest, "at least pretrain.longest"),
        ("pretrain.evaluations", config.evaluations >= 1, "at least 1"),
        ("pretrain.general_rise", config.general_rise >= 0, "at least 0"),
    ]
    for key, holds, expected in rules:
        if not holds:
            raise ConfigError(f"{key} is out of range", fix=f"make it {expected}")
