"""The settings of embedding training; imported by the configuration, so without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class TrainConfig:
    """How an embedding model is trained. The defaults suit graphs of 100 to 100,000 entities."""

    model: Literal["complex", "distmult", "transe-l1", "transe-l2", "rotate", "rescal"] = "complex"
    rank: int = 0  # complex numbers (complex, rotate) or floats (others) per entity; 0: 100 to 400, by size
    members: int = 1  # models of different seeds that are joined into one (complex and distmult): better, and slower
    loss: Literal["softmax", "bce", "margin"] = "softmax"  # cross-entropy, yes or no per entity, or self-adversarial
    margin: float = 0.0  # added to scores by bce and margin; 0: 9 for rotate and transe-l1, 3 for transe-l2, else none
    adversarial_temperature: float = 1.0  # of margin: how much more the hardest negatives count; 0: all count alike
    label_smoothing: float = 0.0  # of bce: share of the labels that is spread over all entities
    dropout: float = 0.0  # share of a query's coordinates that a step leaves out
    epochs: int = 100  # at most; early stopping usually ends sooner
    steps: int = 0  # at most; 0: no limit. Repeats exactly what a time budget cut short
    batch: int = 0  # distinct queries per step; 0: a twentieth of all, between 50 and 500
    negatives: int = 0  # entities that compete in a step; 0: all, or 2,048 where there are more than 8,000
    typed_negatives: bool = False  # only entities seen on that side of the relation compete; ranks among all get worse
    optimizer: Literal["adagrad", "adam"] = "adagrad"
    learning_rate: float = 0.0  # 0: 0.1 for adagrad, 0.001 for adam
    averaging: int = 8  # the result is the mean over all steps, step i counting about i^averaging; 0: the last step's
    n3: float = -1.0  # weight of the N3 regulariser; -1: the less the denser the graph is, 0.005 to 0.1
    relation_weight: float = -1.0  # weight of the relation-prediction head; -1: by relations, 0.05 to 1
    patience: int = 3  # evaluations without a better MRR before stopping
    eval_every: int = 3  # epochs between evaluations
    time_budget: float = 0.0  # seconds of training; 0: no limit
    precision: Literal["auto", "bf16", "f32"] = "auto"  # of the score products; sums are always f32
    device: Literal["auto", "cpu", "cuda"] = "auto"  # auto: a GPU if there is one and the graph is large enough
    threads: int = 0  # 0: all cores, or one for a small graph
    seed: int = 0
