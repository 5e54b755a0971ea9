"""Ensembles: several trained models as one, whose score is a weighted sum of theirs.

Inner products add up: with the members' rows side by side, and every relation row times its weight, the sum is the
score of one larger model of the same kind. So ranking, files, exports and the vector index know nothing of ensembles.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kgsync.errors import ConfigError
from kgsync.kge import finished
from kgsync.kge.checkpoint import fingerprint
from kgsync.kge.config import TrainConfig
from kgsync.kge.evaluate import rank
from kgsync.kge.known import KnownAnswers
from kgsync.kge.lessons import Lessons
from kgsync.kge.models import MODELS, ComplEx, KgeModel, ProductModel, made_of
from kgsync.kge.train import VALID_LIMIT, Trained, joined, train
from kgsync.progress import Progress, silent

SHARES = (1.0, 2.0, 4.0)  # of a member's weight to the others', before they are made to sum to 1
MEMBERS = 8  # at most where there is time for more
MIXED = 3  # members up to which all their mixtures are tried
MARGIN = 1.3  # times as long as the others a further training may take
SHRINK = 50  # ranks from which on a relation's own weights count more than those of all relations


def join(members: Sequence[KgeModel], weights: Tensor) -> KgeModel:
    """Return the model that scores sum_k weights[k, r] s_k(h, r, t), for weights [K, 2R]; all rows side by side.

    Raises:
        ConfigError: the members are not all DistMult, or not all ComplEx.
    """
    kind = type(members[0])
    if not issubclass(kind, ProductModel) or any(type(member) is not kind for member in members) or not _adds(kind):
        raise ConfigError(
            f"{', '.join(member.name for member in members)} cannot be joined into one model",
            fix="set train.members to 1, or train.model to complex or distmult",
        )
    scaled = [member.relations.detach() * weight[:, None] for member, weight in zip(members, weights, strict=True)]
    entities = _side_by_side(kind, [member.entities.detach() for member in members])
    return made_of(kind.name, sum(member.rank for member in members), entities, _side_by_side(kind, scaled))


def weigh(members: Sequence[KgeModel], valid: np.ndarray[Any, Any], known: KnownAnswers) -> Tensor:
    """Return the weights [K, 2R] that rank `valid` [m, 3] best among a few mixtures, with few looks at it.

    Of a large `valid` a sample decides. Every relation and direction takes the mixture with the best mean of its own
    reciprocal ranks and of `SHRINK` average ones of all relations: where it has few, what is good for all decides.
    """
    chosen = np.random.default_rng(0).permutation(len(valid))[:VALID_LIMIT]
    valid = valid[np.sort(chosen)]
    asked = np.stack([valid[:, 1], valid[:, 1] + known.n_relations], axis=1)  # [m, 2]: as `rank` has them
    mixtures = torch.tensor(_mixtures(len(members)))  # [M, K]
    own, overall = np.zeros((len(mixtures), 2 * known.n_relations)), np.zeros((len(mixtures), 1))
    for number, mixture in enumerate(mixtures):
        model = join(members, mixture[:, None].expand(-1, 2 * known.n_relations))
        gained = 1 / rank(model, valid, known).realistic
        own[number] = np.bincount(asked.ravel(), gained.ravel(), minlength=own.shape[1])
        overall[number] = gained.mean()
    best = (own + SHRINK * overall).argmax(axis=0)  # equal shares come first, so they win ties
    return mixtures[torch.from_numpy(best)].T.contiguous()


def train_members(
    triples: np.ndarray[Any, Any],
    valid: np.ndarray[Any, Any],
    n_entities: int,
    n_relations: int,
    config: TrainConfig,
    *,
    also_true: np.ndarray[Any, Any] | None = None,
    lessons: Lessons | None = None,
    start: KgeModel | None = None,
    checkpoint: Path | None = None,
    progress: Progress = silent,
) -> Trained:
    """Return what `kgsync.kge.train.train` does, but `config.members` trainings with different seeds as one model.

    The history is that of the first member, `steps` are the most that one took, and `seconds` the sum. A time budget is
    the first member's in equal parts; the others take as many steps as that was enough for.

    Raises:
        ConfigError: a setting is out of range, or models of that kind cannot be joined.
        DataError: as `train`.
    """
    if config.members > 1 and not _adds(MODELS.get(config.model, ComplEx)):
        raise ConfigError(
            f"train.members is {config.members}, and models of kind {config.model} cannot be joined",
            fix="make it 1, or set train.model to complex or distmult",
        )
    trained: list[Trained] = []
    folders = [_folder(checkpoint, number) for number in range(config.members)]
    for number, folder in enumerate(folders):
        single = replace(config, seed=config.seed + number, members=1)
        if config.time_budget and number == 0:
            single = replace(single, time_budget=config.time_budget / config.members)
        elif config.time_budget:  # by steps, so that they can be repeated
            single = replace(single, time_budget=0.0, steps=trained[0].steps)
        member = partial(
            train,
            triples,
            valid,
            n_entities,
            n_relations,
            single,
            also_true=also_true,
            lessons=lessons,
            start=start,
            checkpoint=folder,
            progress=progress,
        )
        if folder is None or len(folders) == 1:
            trained.append(member())
        else:
            extra: list[np.ndarray[Any, Any]] = []
            if lessons is not None:
                extra += [lessons.triples, lessons.weights.view(np.int32)]
            if start is not None:
                extra += [table.numpy().view(np.int32) for table in start.state_dict().values()]
            mark = _mark(single, triples, joined(valid, also_true), *extra)
            trained.append(finished.once(member, folder, mark))
    whole = together(trained, valid, KnownAnswers(joined(triples, valid, also_true), n_entities, n_relations))
    for folder in folders:
        finished.delete(folder)
    return whole


def _mark(config: TrainConfig, *arrays: np.ndarray[Any, Any]) -> str:
    """Return what two trainings share that come to the same."""
    return f"{fingerprint(config, *arrays)} {config.epochs} {config.steps} {config.time_budget}"


def _folder(checkpoint: Path | None, number: int) -> Path | None:
    return checkpoint if checkpoint is None or number == 0 else checkpoint.with_name(f"{checkpoint.name}-{number}")


def train_within(
    triples: np.ndarray[Any, Any],
    valid: np.ndarray[Any, Any],
    n_entities: int,
    n_relations: int,
    config: TrainConfig,
    *,
    seconds: float,
    spent: float = 0.0,
    checkpoint: Path | None = None,
    progress: Progress = silent,
) -> Trained:
    """Return the best that `seconds` are enough for: one training, and others beside it while there is time for them.

    `train_members` repeats it with the returned `members` and `steps`. With a `checkpoint` folder an interrupted call
    goes on, if it is made with the same `seconds` and told how many of them are `spent`; the folder is removed at the
    end.

    Raises:
        ConfigError: a setting is out of range.
        DataError: as `train`.
    """
    began = time.monotonic() - spent
    single = replace(config, members=1, time_budget=seconds)
    most = MEMBERS if _adds(MODELS.get(config.model, ComplEx)) else 1
    trained: list[Trained] = []
    folders: list[Path | None] = []
    while len(trained) < most:
        folder = _folder(checkpoint, len(trained))
        if trained and (folder is None or not folder.exists()):  # else it was begun in time
            slowest = max(each.seconds for each in trained)
            if time.monotonic() - began + MARGIN * slowest > seconds:
                break
        member = partial(train, triples, valid, n_entities, n_relations, single, checkpoint=folder, progress=progress)
        if folder is None:
            trained.append(member())
        else:
            trained.append(finished.once(member, folder, _mark(single, triples, valid)))
        folders.append(folder)
        single = replace(config, members=1, seed=config.seed + len(trained))
    whole = together(trained, valid, KnownAnswers(joined(triples, valid), n_entities, n_relations))
    for folder in folders:
        finished.delete(folder)
    return whole


def together(trained: Sequence[Trained], valid: np.ndarray[Any, Any], known: KnownAnswers) -> Trained:
    """Return several trainings as one whose model is their ensemble; equal weights where `valid` is empty."""
    if len(trained) == 1:
        return trained[0]
    models = [each.model for each in trained]
    equal = torch.full((len(models), 2 * known.n_relations), 1 / len(models))
    first = trained[0]
    return replace(
        first,
        model=join(models, weigh(models, valid, known) if len(valid) else equal),
        config=replace(first.config, members=len(models)),
        steps=max(each.steps for each in trained),
        seconds=sum(each.seconds for each in trained),
    )


def _adds(kind: type[KgeModel]) -> bool:
    """Return whether a relation row times w is a score times w, and rows side by side are a sum of scores."""
    return kind.name in ("complex", "distmult")


def _side_by_side(kind: type[KgeModel], tables: Sequence[Tensor]) -> Tensor:
    if kind is ComplEx:  # all real parts, then all imaginary ones
        halves = [table.chunk(2, dim=1) for table in tables]
        return torch.cat([real for real, _ in halves] + [imaginary for _, imaginary in halves], dim=1)
    return torch.cat(list(tables), dim=1)


def _mixtures(members: int) -> list[list[float]]:
    """Return the mixtures that are tried, equal shares first; of many members only those in which one stands out."""
    raw: Iterable[Sequence[float]] = product(SHARES, repeat=members)
    if members > MIXED:
        raw = [[share if k == i else 1.0 for k in range(members)] for share in SHARES for i in range(members)]
    shares = sorted({tuple(np.divide(each, sum(each)).tolist()) for each in raw})
    equal = [1 / members] * members
    return [equal, *(list(each) for each in shares if not np.allclose(each, equal))]
