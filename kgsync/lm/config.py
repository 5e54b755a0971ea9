"""The settings of the text voice; without torch, so that the configuration can import them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HeadConfig:
    """How the head on frozen vectors is trained."""

    rank: int = 0  # of a relation's map; 0: a full matrix where there are few relations, else 32
    batch: int = 0  # triples per step, each counted both ways; 0: so many that an epoch has some hundred steps
    negatives: int = 0  # entities of the bank that compete in a step, beside the batch's own answers; 0: a third
    learning_rate: float = 2e-3
    margin: float = 0.02  # taken off the cosine of the right answer
    dropout: float = 0.1  # share of the inputs that a step leaves out
    epochs: int = 4  # at most; the learning rate falls to 0 towards the end
    patience: int = 2  # evaluations without a better MRR before stopping
    time_budget: float = 0.0  # seconds; 0: no limit
    seed: int = 0


@dataclass(frozen=True)
class TuneConfig:
    """How the encoder is trained together with its head."""

    layers: int = 0  # of the encoder that learn, from the top; 0: all, and the embeddings
    batch: int = 160  # entities per step, each with all its triples
    triples: int = 1_024  # per step at most: a hub gives a sample of its own
    negatives: int = 6_000
    learning_rate: float = 1e-4  # of the encoder
    head_learning_rate: float = 1e-3
    warm_up: int = 100  # steps
    margin: float = 0.02
    epochs: int = 6
    time_budget: float = 0.0  # seconds; 0: no limit. Learning rates fall to 0 towards the nearer end
    seed: int = 0
