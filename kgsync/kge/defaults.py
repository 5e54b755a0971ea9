"""What the automatic settings of `TrainConfig` mean for one graph on this machine, and which are possible."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from kgsync.errors import ConfigError
from kgsync.kge.config import TrainConfig
from kgsync.kge.device import choose, multiplies_bf16
from kgsync.kge.known import KnownAnswers
from kgsync.kge.models import MODELS
from kgsync.kge.optimizer import OPTIMIZERS

RANKS = 100, 400  # the smaller a graph, the more room per entity helps, and the less it costs
ENTITY_FLOATS = 400_000  # rank x entities that is aimed at between the two
BATCHES = 50, 500
STEPS_PER_EPOCH = 20  # small graphs need small batches to learn in time
MATRIX_RANK = 100  # of RESCAL at most, whose relations are matrices
ALL_ENTITIES = {"transe-l1": 2_000, "rotate": 2_000}  # up to which all compete: their scores are no matrix product
ALL_ENTITIES_ELSE = 8_000
NEGATIVES = 2_048  # with as many, an epoch teaches as much as one against all: seen on FB15k-237
LOSSES = "softmax", "bce", "margin"
AUTOMATIC = -1.0  # where 0 means none
N3, N3_BY_DEGREE = (0.005, 0.1), 0.4  # between the two, inversely to the mean degree
RELATION_WEIGHTS, RELATIONS = (0.05, 1.0), 300  # between the two, by their number
RATES = {"adagrad": 0.1, "adam": 0.001}
MOST_AVERAGING = 64


@dataclass(frozen=True)
class Size:
    """What automatic settings go by."""

    entities: int
    relations: int
    triples: int
    queries: int  # distinct, of both directions

    @classmethod
    def of(cls, known: KnownAnswers) -> Size:
        """Return the size of a graph."""
        return cls(known.n_entities, known.n_relations, len(known.entities) // 2, len(known))


def resolve(config: TrainConfig, size: Size) -> TrainConfig:
    """Return `config` with its automatic settings filled in; once filled in, nothing changes any more.

    Raises:
        ConfigError: a setting is out of range, or names a device that is not there.
    """
    check(config)
    kind = MODELS[config.model]
    rank = min(max(ENTITY_FLOATS // size.entities, RANKS[0]), MATRIX_RANK if config.model == "rescal" else RANKS[1])
    batch = min(max(size.queries // STEPS_PER_EPOCH, BATCHES[0]), BATCHES[1])
    sampled = size.entities > ALL_ENTITIES.get(config.model, ALL_ENTITIES_ELSE)
    # Decided by what the machine has, not by timing it: the same machine must always give the same bytes.
    device = choose(config.device, size.entities * kind.widths(config.rank or rank)[0])
    precise = config.precision == "f32" or not kind.bf16_safe
    bf16 = not precise and (config.precision == "bf16" or multiplies_bf16(device))
    degree = 2 * size.triples / size.entities
    return replace(
        config,
        rank=config.rank or rank,
        batch=config.batch or batch,
        margin=config.margin or (0.0 if config.loss == "softmax" else kind.margin),
        negatives=config.negatives or (NEGATIVES if sampled else 0),
        learning_rate=config.learning_rate or RATES[config.optimizer],
        n3=min(max(N3_BY_DEGREE / degree, N3[0]), N3[1]) if config.n3 == AUTOMATIC else config.n3,
        relation_weight=(
            min(max(size.relations / RELATIONS, RELATION_WEIGHTS[0]), RELATION_WEIGHTS[1])
            if config.relation_weight == AUTOMATIC
            else config.relation_weight
        ),
        precision="bf16" if bf16 else "f32",
        device=device,
    )


def check(config: TrainConfig) -> None:
    """Raise `ConfigError` naming the first setting that is out of range."""
    rules = [
        ("model", config.model in MODELS, f"one of {', '.join(MODELS)}"),
        ("rank", config.rank >= 0, "at least 1, or 0 for automatic"),
        ("members", config.members >= 1, "at least 1"),
        ("loss", config.loss in LOSSES, f"one of {', '.join(LOSSES)}"),
        ("margin", 0 <= config.margin < math.inf, "at least 0"),
        ("adversarial_temperature", 0 <= config.adversarial_temperature < math.inf, "at least 0"),
        ("label_smoothing", 0 <= config.label_smoothing < 1, "at least 0 and less than 1"),
        ("label_smoothing", config.label_smoothing == 0 or config.loss == "bce", "0, or set train.loss to bce"),
        ("dropout", 0 <= config.dropout < 1, "at least 0 and less than 1"),
        ("epochs", config.epochs >= 1, "at least 1"),
        ("steps", config.steps >= 0, "at least 1, or 0 for no limit"),
        ("batch", config.batch >= 0, "at least 1, or 0 for automatic"),
        ("negatives", config.negatives >= 0, "at least 1, or 0 for automatic"),
        ("optimizer", config.optimizer in OPTIMIZERS, f"one of {', '.join(OPTIMIZERS)}"),
        ("learning_rate", 0 <= config.learning_rate < math.inf, "more than 0, or 0 for automatic"),
        ("averaging", 0 <= config.averaging <= MOST_AVERAGING, f"0 to {MOST_AVERAGING}"),
        ("n3", config.n3 == AUTOMATIC or 0 <= config.n3 < math.inf, "at least 0, or -1 for automatic"),
        (
            "relation_weight",
            config.relation_weight == AUTOMATIC or 0 <= config.relation_weight < math.inf,
            "at least 0, or -1 for automatic",
        ),
        ("patience", config.patience >= 1, "at least 1"),
        ("eval_every", config.eval_every >= 1, "at least 1"),
        ("time_budget", 0 <= config.time_budget < math.inf, "seconds, or 0 for no limit"),
        ("precision", config.precision in ("auto", "bf16", "f32"), "auto, bf16 or f32"),
        ("device", config.device in ("auto", "cpu", "cuda"), "auto, cpu or cuda"),
        ("threads", config.threads >= 0, "at least 1, or 0 for automatic"),
    ]
    for name, holds, expected in rules:
        if not holds:
            raise ConfigError(f"train.{name} is {getattr(config, name)}", fix=f"make it {expected}")
