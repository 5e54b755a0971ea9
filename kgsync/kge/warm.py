"""Warm start: a model of a changed graph to go on training from, made of the rows of an earlier one.

Reads the earlier model and who is who in both graphs. Promises a model of the same kind and rank: known entities and
relations keep their rows, new entities get theirs by fold-in, new relations are drawn like those of a new model.
Equal arguments give equal rows.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from kgsync.errors import ConfigError, DataError
from kgsync.kge.config import TrainConfig
from kgsync.kge.foldin import fold_in
from kgsync.kge.known import Integers, check_triples
from kgsync.kge.models import KgeModel, as_tensor, create

ABSENT = -1
REFIT = "match them by identity and name (kgsync.kge.warm.positions)"


def positions(now: Sequence[Hashable], before: Sequence[Hashable]) -> Integers:
    """Return for each of `now` its position in `before`, or -1: entities by identity, relations by name."""
    places = {name: place for place, name in enumerate(before)}
    return np.array([places.get(name, ABSENT) for name in now], dtype=np.int64)


def carry_over(
    previous: KgeModel, entities: Integers, relations: Integers, triples: np.ndarray[Any, Any], seed: int
) -> KgeModel:
    """Return what to start the training on `triples` [n, 3] of the changed graph from.

    `entities` and `relations` hold, for each one of the changed graph, its number in `previous`, or -1 if it is new
    there (see `positions`). New relations say nothing about new entities yet; `seed` draws them.

    Raises:
        DataError: a number is out of range or stands twice, or nothing of `previous` is left.
    """
    _check("entity", entities, previous.n_entities)
    _check("relation", relations, previous.n_relations)
    check_triples(triples, len(entities), len(relations))
    model = create(previous.name, len(entities), len(relations), previous.rank, seed)
    kept, new = np.flatnonzero(entities != ABSENT), np.flatnonzero(entities == ABSENT)
    with torch.no_grad():
        both = np.concatenate([relations, np.where(relations == ABSENT, ABSENT, relations + previous.n_relations)])
        old = np.flatnonzero(both != ABSENT)
        model.relations[as_tensor(old)] = previous.relations[as_tensor(both[old])]
        model.entities[as_tensor(kept)] = previous.entities[as_tensor(entities[kept])]
        model.entities[as_tensor(new)] = _folded_in(previous, entities, relations, triples)
    return model


def fitting(config: TrainConfig, start: KgeModel, n_entities: int, n_relations: int) -> TrainConfig:
    """Return `config` with the rank of `start`, where that is automatic.

    Raises:
        ConfigError: `config` asks for another kind of model, or another rank.
        DataError: `start` is a model of another number of entities or relations.
    """
    if (start.n_entities, start.n_relations) != (n_entities, n_relations):
        raise DataError(
            f"the start has {start.n_entities} entities and {start.n_relations} relations,"
            f" the graph {n_entities} and {n_relations}",
            fix="make one for this graph (kgsync.kge.warm.carry_over)",
        )
    for name, wanted, found in (("model", config.model, start.name), ("rank", config.rank or start.rank, start.rank)):
        if wanted != found:
            raise ConfigError(f"train.{name} is {wanted}, the start has {found}", fix="make it so, or start anew")
    return replace(config, rank=start.rank)


def _folded_in(
    previous: KgeModel, entities: Integers, relations: Integers, triples: np.ndarray[Any, Any]
) -> torch.Tensor:
    """Return the rows of the entities that `previous` does not know, in their order."""
    new = np.flatnonzero(entities == ABSENT)
    numbers = entities.copy()
    numbers[new] = previous.n_entities + np.arange(len(new))
    sayable = triples[relations[triples[:, 1]] != ABSENT]
    heads, asked, tails = numbers[sayable[:, 0]], relations[sayable[:, 1]], numbers[sayable[:, 2]]
    renumbered = np.stack([heads, asked, tails], axis=1)
    touched = np.maximum(heads, tails) >= previous.n_entities
    return fold_in(previous, renumbered[touched], len(new), trained_on=renumbered[~touched])


def _check(what: str, places: Integers, size: int) -> None:
    """Refuse places that cannot be those of a graph that `size` of them were known of."""
    kept = places[places != ABSENT]
    if len(kept) and (kept.min() < ABSENT or kept.max() >= size):
        raise DataError(f"{what} places run from {kept.min()} to {kept.max()}, outside 0 to {size - 1}", fix=REFIT)
    if len(np.unique(kept)) < len(kept):
        raise DataError(f"two of the changed graph are the same {what} of the model before", fix=REFIT)
    if len(kept) == 0:
        raise DataError(f"the model before knows no {what} of the changed graph", fix="train without a start")
