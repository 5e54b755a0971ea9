"""The settings of embedding training; imported by the configuration, so without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class TrainConfig:
    """How an embedding model is trained. The defaults suit graphs of 100 to 100,000 entities."""

    model: Literal["complex", "distmult", "transe-l1", "transe-l2"] = "complex"
    rank: int = 0  # complex numbers (complex) or floats (others) per entity; 0: 100 to 400, by size
    epochs: int = 100  # at most; early stopping usually ends sooner
    steps: int = 0  # at most; 0: no limit. Repeats exactly what a time budget cut short
    batch: int = 0  # distinct queries per step; 0: a twentieth of all, between 50 and 500
    negatives: int = 0  # entities that compete in a step; 0: all, or 4,096 in a large graph
    learning_rate: float = 0.1  # of Adagrad
    n3: float = 0.02  # weight of the N3 regulariser
    relation_weight: float = 0.25  # weight of the relation-prediction head
    patience: int = 3  # evaluations without a better MRR before stopping
    eval_every: int = 3  # epochs between evaluations
    time_budget: float = 0.0  # seconds of training; 0: no limit
    precision: Literal["auto", "bf16", "f32"] = "auto"  # of the score products; sums are always f32
    threads: int = 0  # 0: all cores, or one for a small graph
    seed: int = 0
