"""Going on from an earlier model, so that a graph that grew a little need not be learned anew.

Reads the earlier model and the changed snapshot. Promises that no edge from which the earlier model has learned, or
by which it was stopped, tests the new one.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from kgsync.config import SplitConfig
from kgsync.errors import ConfigError
from kgsync.kge.config import TrainConfig
from kgsync.kge.models import KgeModel
from kgsync.kge.warm import ABSENT, carry_over, positions
from kgsync.model import Model
from kgsync.snapshot import Snapshot
from kgsync.split import Split, unhidden


@dataclass(frozen=True)
class Start:
    """Where a training goes on: embeddings of the changed graph, and which of its edges stay hidden."""

    model: KgeModel
    parts: Split


def go_on(previous: Model, snapshot: Snapshot, split: SplitConfig, parts: Split, config: TrainConfig) -> Start:
    """Return where the training on `parts` of `snapshot`, which is its `split`, goes on from `previous`.

    Raises:
        ConfigError: `previous` has no embeddings or another split, or `config` asks for several.
        DataError: the two graphs have no entity or no relation in common.
    """
    before = asdict(previous.split)
    for name, value in asdict(split).items():
        if value != before[name]:  # what stopped or weighed the earlier model would test this one
            raise ConfigError(
                f"split.{name} is {value}, and model {previous.id} was trained with {before[name]}",
                fix=f"set split.{name} to {before[name]}, or train without --from-model",
            )
    if config.members > 1:
        raise ConfigError(
            f"train.members is {config.members}, and one model goes on from model {previous.id}",
            fix="set train.members to 1, or train without --from-model",
        )
    entities = positions(snapshot.identities, previous.snapshot.identities)
    relations = positions(snapshot.relations, previous.snapshot.relations)
    parts = unhidden(parts, _renumbered(previous, entities))
    return Start(carry_over(previous.embeddings(), entities, relations, parts.train, config.seed), parts)


def _renumbered(previous: Model, entities: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the pairs [n, 2] that `previous` has learned from, by the numbers of the changed graph."""
    numbers = np.full(previous.snapshot.entities.num_rows, ABSENT)
    kept = np.flatnonzero(entities != ABSENT)
    numbers[entities[kept]] = kept
    pairs: np.ndarray[Any, Any] = numbers[previous.learned()[:, [0, 2]]]
    known: np.ndarray[Any, Any] = pairs[(pairs != ABSENT).all(axis=1)]
    return known
