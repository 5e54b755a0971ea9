"""Fusion: many voices, one score per candidate, by a listwise conditional logit (McFadden 1974).

Reads voices and a fold of true triples that none of them was trained on; promises a voice whose weights a person can
read. What is known from train, and nothing else, is left out of its softmaxes and ranks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from kgsync.errors import DataError
from kgsync.kge import artefact
from kgsync.kge.known import KnownAnswers
from kgsync.kge.models import as_tensor
from kgsync.kge.slices import CLASSES, cardinality
from kgsync.voice import Voice

TOP = 50  # candidates of each voice that the weights are fitted on
OTHERS = 50  # entities drawn beside them, which stand for all the rest: else weights could lift what no voice named
LIVE_SCORES = 1 << 23  # scores of a voice kept at a time (32 MiB)
LOWEST = -50.0  # the log-softmax of what cannot be an answer, or hardly
FEATURES = "log_softmax", "lead"  # a reciprocal rank beside them fitted the fold better, and the test worse
POOLING = 1.0, 3.0, 30.0  # precisions of the normal priors: of global weights, and of deviations of class and relation
SHARPEN = 1_000  # triples at most that a temperature is fitted on: it is one number
SHARPEST = 100.0  # and its inverse: no temperature is further from 1
STEPS = 60  # of L-BFGS at most; the problem is convex
MIN_TRIPLES = 30  # in the fold: with fewer, all voices count alike


@dataclass(frozen=True)
class Fusion:
    """A voice made of others: sum over voices and features of a weight of the relation and direction."""

    voices: tuple[Voice, ...]
    train: KnownAnswers
    loops: Tensor  # [2R] bool: relations that join an entity to itself somewhere in train
    weights: Tensor  # [2R, V, F], float32

    name = "fused"

    @torch.no_grad()
    def scores(self, anchors: Tensor, relations: Tensor, candidates: Tensor | None = None) -> Tensor:
        """Return scores [B, C] of the candidate ids (None: every entity); very low for what is known from train."""
        weights = self.weights[relations]  # [B, V, F]
        total = torch.zeros(())
        for number, voice in enumerate(self.voices):
            for feature, values in enumerate(_features(voice, anchors, relations, self.train, self.loops)):
                chosen = values if candidates is None else values[:, candidates]
                total = total + chosen * weights[:, number, feature, None]
        return total

    def exact(self) -> Fusion:
        """Return the fusion of the voices in double precision."""
        return replace(self, voices=tuple(voice.exact() for voice in self.voices), weights=self.weights.double())

    def tensors(self) -> dict[str, Tensor]:
        """Return the weights, and what every voice has learned."""
        own = {f"{voice.name}.{name}": tensor for voice in self.voices for name, tensor in voice.tensors().items()}
        return {"weights": self.weights, **own}

    def save(self, path: Path) -> None:
        """Write weights and train triples to the file at `path`; the voices have files of their own."""
        facts = torch.from_numpy(self.train.triples().astype(np.int32))
        names = [voice.name for voice in self.voices]
        size = {"n_entities": self.train.n_entities, "n_relations": self.train.n_relations}
        artefact.write(path, {"weights": self.weights, "train": facts}, {"kind": "fusion", "voices": names, **size})

    @staticmethod
    def learned_from(path: Path) -> np.ndarray[Any, Any]:
        """Return the train triples [n, 3] of the fusion in the file at `path`.

        Raises:
            NotFoundError: there is no such file.
            DataError: it is damaged.
        """
        triples: np.ndarray[Any, Any] = artefact.read(path)[0]["train"].numpy()
        return triples

    @classmethod
    def load(cls, path: Path, voices: Mapping[str, Voice]) -> Fusion:
        """Return the fusion in the file at `path` of those `voices`, by name.

        Raises:
            NotFoundError: there is no such file.
            DataError: it is damaged, or fuses other voices.
        """
        tensors, header = artefact.read(path)
        names = header.get("voices", [])
        if header.get("kind") != "fusion" or not set(names) <= set(voices):
            raise DataError(f"{path} fuses {', '.join(names) or 'nothing'}", fix="train the model again")
        size = header["n_entities"], header["n_relations"]
        known, loops = known_from(tensors["train"].numpy(), *size)
        return cls(tuple(voices[name] for name in names), known, loops, tensors["weights"])

    def table(self) -> list[tuple[str, str, float]]:
        """Return the mean weight over relations of every voice and feature."""
        means = self.weights.mean(dim=0)
        return [
            (voice.name, name, float(means[v, f]))
            for v, voice in enumerate(self.voices)
            for f, name in enumerate(FEATURES)
        ]


def fuse(
    voices: Sequence[Voice],
    train: np.ndarray[Any, Any],
    fold: np.ndarray[Any, Any],
    n_entities: int,
    n_relations: int,
    *,
    also_true: np.ndarray[Any, Any] | None = None,
    sharpness: Sequence[float] | None = None,
) -> Fusion:
    """Return the fusion of `voices` whose weights make the triples `fold` [m, 3] most likely among their candidates.

    w_r = w + w_class(r) + w_r', with normal priors around 0 on all three, so that a relation with few triples in the
    fold follows its cardinality class, and that follows all. `also_true` are other triples that are no mistakes. A fold
    of fewer than `MIN_TRIPLES` gives the mean of the voices, each as sharp as `sharpness` [V] says.
    """
    known, loops = known_from(train, n_entities, n_relations)
    weights = torch.zeros(2 * n_relations, len(voices), len(FEATURES))
    weights[:, :, 0] = 1 / len(voices)
    plain = Fusion(tuple(voices), known, loops, weights)
    if len(fold) < MIN_TRIPLES or len(voices) == 1:
        return plain if sharpness is None else replace(plain, weights=weights * torch.tensor(sharpness)[:, None])
    true = np.concatenate([train, fold] if also_true is None else [train, fold, also_true])
    examples = _Examples.of(plain, fold, KnownAnswers(true, n_entities, n_relations))
    classes = cardinality(train, n_relations)  # 1-1, 1-N, N-1, N-N: seen from the head
    turned = np.array([0, 2, 1, 3])  # the same relations seen from the tail
    of_relation = torch.from_numpy(np.concatenate([classes, turned[classes]]))
    fitted = _fit(examples, of_relation, weights)
    return Fusion(tuple(voices), known, loops, fitted)


def known_from(train: np.ndarray[Any, Any], n_entities: int, n_relations: int) -> tuple[KnownAnswers, Tensor]:
    """Return the known answers, and for each relation id [2R] whether it joins any entity to itself."""
    loops = np.bincount(train[train[:, 0] == train[:, 2], 1], minlength=n_relations) > 0
    return KnownAnswers(train, n_entities, n_relations), torch.from_numpy(np.tile(loops, 2))


def sharpen(
    voice: Voice,
    train: np.ndarray[Any, Any],
    fold: np.ndarray[Any, Any],
    n_entities: int,
    n_relations: int,
    *,
    also_true: np.ndarray[Any, Any] | None = None,
) -> float:
    """Return by what the scores of a voice are multiplied so that its softmax fits the triples `fold` [m, 3] best.

    It is one over the temperature of Guo et al. (2017, arXiv:1706.04599). Voices score on scales of their own: rules
    say 0 of nearly every entity, and among thousands the softmax of their scores would hardly be sure of anything.
    """
    known, loops = known_from(train, n_entities, n_relations)
    alone = Fusion((voice,), known, loops, torch.zeros(2 * n_relations, 1, len(FEATURES)))
    true = np.concatenate([train, fold] if also_true is None else [train, fold, also_true])
    if len(fold) == 0:
        return 1.0
    some = fold[np.linspace(0, len(fold) - 1, min(len(fold), SHARPEN)).astype(np.int64)]
    examples = _Examples.of(alone, some, KnownAnswers(true, n_entities, n_relations))
    scores = examples.features[:, :, 0].double()

    def loss(log: float) -> float:
        values = (scores * math.exp(log) + examples.stands_for).masked_fill(examples.barred, -torch.inf)
        lost = (values.logsumexp(dim=1) - values[:, 0]).sum()
        return float(lost) + 0.5 * log**2  # few triples leave it near 1

    reach = math.log(SHARPEST)
    return math.exp(minimize_scalar(loss, bounds=(-reach, reach), method="bounded").x)


@dataclass(frozen=True)
class _Examples:
    """What the weights are fitted on: queries, each with its candidates, the answer first."""

    relations: Tensor  # [n]
    features: Tensor  # [n, c, V * F]
    barred: Tensor  # [n, c] bool: no candidate, or one that stands there already
    stands_for: Tensor  # [n, c]: log of how many entities a candidate counts as

    @classmethod
    def of(cls, plain: Fusion, fold: np.ndarray[Any, Any], true: KnownAnswers) -> _Examples:
        heads, relations, tails = fold.astype(np.int64).T
        anchors, answers = np.concatenate([heads, tails]), np.concatenate([tails, heads])
        asked = np.concatenate([relations, relations + true.n_relations])
        size = max(1, LIVE_SCORES // true.n_entities)
        random = torch.Generator().manual_seed(0)
        parts = [
            cls._part(plain, as_tensor(anchors[at]), as_tensor(asked[at]), as_tensor(answers[at]), true, random)
            for at in (slice(start, start + size) for start in range(0, len(anchors), size))
        ]
        features, barred, stands_for = (torch.cat(column) for column in zip(*parts, strict=True))
        return cls(as_tensor(asked), features, barred, stands_for)

    @staticmethod
    def _part(
        plain: Fusion, anchors: Tensor, asked: Tensor, answers: Tensor, true: KnownAnswers, random: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        values = [list(_features(voice, anchors, asked, plain.train, plain.loops)) for voice in plain.voices]
        n = true.n_entities  # `values` is [V][F] of [b, n]
        barred = torch.zeros(len(anchors), n, dtype=torch.bool)
        rows, entities = true.mask(anchors.numpy(), asked.numpy())
        barred[as_tensor(rows), as_tensor(entities)] = True
        tops = [each[0].masked_fill(barred, -torch.inf).topk(min(TOP, n)).indices for each in values]
        drawn = torch.randint(n, (len(anchors), OTHERS), generator=random)
        ids = torch.cat([answers[:, None], *tops, drawn], dim=1)  # [b, c]
        excluded = barred.gather(1, ids) | _repeated(ids)
        excluded[:, 0] = False
        named = (~excluded[:, :-OTHERS]).sum(dim=1, keepdim=True)
        rest = (n - barred.sum(dim=1, keepdim=True) - named).clamp(min=1)
        kept = (~excluded[:, -OTHERS:]).sum(dim=1, keepdim=True).clamp(min=1)
        stands_for = torch.zeros(ids.shape)
        stands_for[:, -OTHERS:] = (rest / kept).log()
        features = [feature.gather(1, ids) for each in values for feature in each]
        return torch.stack(features, dim=2), excluded, stands_for


def _features(voice: Voice, anchors: Tensor, relations: Tensor, known: KnownAnswers, loops: Tensor) -> Iterator[Tensor]:
    """Yield the features [B, n_entities] of one voice, as `FEATURES` names them.

    The lead is the log-softmax, counted as much as the voice's first choice is ahead of its second.
    """
    scores = log_softmax(voice, anchors, relations, known, loops)
    yield scores
    first = scores.topk(min(2, scores.shape[1]), dim=1).values
    yield scores * (first[:, :1] - first[:, -1:]).clamp_(max=1.0)


def log_softmax(
    voice: Voice, anchors: Tensor, relations: Tensor, known: KnownAnswers, loops: Tensor, *, sharpness: float = 1.0
) -> Tensor:  # [B, n_entities]
    """Return how sure the voice is of every answer that is not known yet; entities that it cannot be are at `LOWEST`.

    `loops` [2R] says which relations join entities to themselves; `sharpness` multiplies the scores (see `sharpen`).
    """
    scores = voice.scores(anchors, relations)
    scores *= sharpness
    rows, entities = known.mask(anchors.numpy(), relations.numpy())
    scores[as_tensor(rows), as_tensor(entities)] = -torch.inf
    at_itself = torch.arange(len(anchors))[~loops[relations]]
    scores[at_itself, anchors[at_itself]] = -torch.inf
    scores -= scores.logsumexp(dim=1, keepdim=True)
    return scores.clamp_(min=LOWEST)


def _repeated(ids: Tensor) -> Tensor:
    """Return where a row [n, c] names an id that stands further left already."""
    ordered, order = ids.sort(dim=1, stable=True)
    again = torch.zeros_like(ids, dtype=torch.bool)
    again[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    return torch.zeros_like(again).scatter_(1, order, again)


def _fit(examples: _Examples, classes: Tensor, start: Tensor) -> Tensor:
    """Return the weights [2R, V, F] that maximise likelihood times prior."""
    scale = examples.features.std(dim=(0, 1)).clamp(min=1e-6)
    features = examples.features / scale
    width = features.shape[2]
    first = start.reshape(len(start), width)[0] * scale
    parts = [torch.zeros(1, width), torch.zeros(len(CLASSES), width), torch.zeros(len(start), width)]
    for part in parts:
        part.requires_grad_()
    optimizer = torch.optim.LBFGS(parts, max_iter=STEPS, history_size=20, line_search_fn="strong_wolfe")

    def weights() -> Tensor:
        return first + parts[0] + parts[1][classes] + parts[2]

    def loss() -> Tensor:
        optimizer.zero_grad()
        values = torch.einsum("ncf,nf->nc", features, weights()[examples.relations])
        values = (values + examples.stands_for).masked_fill(examples.barred, -torch.inf)
        lost = (values.logsumexp(dim=1) - values[:, 0]).sum()
        total = lost + sum(0.5 * k * part.square().sum() for k, part in zip(POOLING, parts, strict=True))
        total.backward()  # type: ignore[no-untyped-call]
        return total

    with torch.enable_grad():
        optimizer.step(loss)  # type: ignore[no-untyped-call]
    return (weights().detach() / scale).reshape(start.shape)
