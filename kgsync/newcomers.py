"""Newcomers: rows of embeddings for entities that came after the training, from their texts and their first edges.

Reads a model, and labels, texts and edges of the new entities; trains nothing. Promises rows in the space of the
model's own, found by fold-in (`kgsync.kge.foldin`) from two sorts of edges:

- the known ones;
- expected ones, where the model has a text voice: w = min(0.9, m p), m being how many edges of a relation entities with
  these labels have on average, less those that are known, and p the probability that the text voice gives an answer.
  Such an edge counts w, always less than a known one. It is a guess, and is written nowhere.

An entity with neither gets the mean row of the entities with the same labels.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from kgsync.errors import DataError
from kgsync.kge.foldin import fold_in
from kgsync.kge.known import Integers, KnownAnswers
from kgsync.kge.models import KgeModel, as_tensor
from kgsync.kge.vectors import Rows
from kgsync.lm.texts import EntityText, of_snapshot
from kgsync.progress import Progress, silent
from kgsync.voice import Voice

if TYPE_CHECKING:
    from kgsync.lm.head import TextVoice
    from kgsync.model import Model

FEWEST = 5  # known entities with the same labels, from which on they stand for new ones
ANSWERS = 10  # per entity and relation that are expected, at most
MOST = 0.9  # of an edge that is expected: it counts less than a known one
LEAST = 0.05  # of an edge that is expected: less counts for nothing
ASKED = 0.1  # edges of a relation that must be expected for the text voice to be asked
LIVE_SCORES = 1 << 24  # kept at a time (64 MiB)
SAME = 0.99  # cosine of two vectors of one text, from which on one encoder made them
SAMPLE = 3  # texts by which encoders are compared


@dataclass(frozen=True)
class Group:
    """New entities, and the known ones that stand for them."""

    new: Integers  # from 0
    known: Integers


def no_text(model: Model) -> str:
    """Return why texts of new entities cannot be read; empty where they can."""
    if any(voice.name == "text" for voice in model.others):
        return ""
    return model.left_out.get("text") or "the model has no text voice"


class Placer:
    """Gives new entities rows beside those of a model."""

    def __init__(self, model: Model, cache: Path | None = None) -> None:
        """Read the model; `cache` keeps encoded texts.

        Raises:
            ConfigError: the model has no embeddings.
        """
        self.kge = model.embeddings()
        self.triples = model.snapshot.triples.astype(np.int64)
        self.texts = of_snapshot(model.snapshot)
        voices: list[Any] = [] if no_text(model) else [voice for voice in model.others if voice.name == "text"]
        self.voice: TextVoice | None = voices[0] if voices else None
        self.encoder = model.voices.encoder
        self.cache = cache

    def rows(self, texts: Sequence[EntityText], edges: Integers, progress: Progress = silent) -> Rows:
        """Return the rows [n, d] of new entities with these `texts` and `edges` [m, 3].

        Edges number the new entities from the model's entities on; each has at least one new end.

        Raises:
            DataError: ids are out of range, an edge joins two known entities, or the encoder is another one.
        """
        groups = alike([text.types for text in self.texts], [text.types for text in texts])
        voice = None if self.voice is None else self._reading(self.voice, texts, edges, progress)
        return place(self.kge, voice, groups, self.triples, edges)

    def _reading(self, voice: TextVoice, texts: Sequence[EntityText], edges: Integers, progress: Progress) -> TextVoice:
        """Return the text voice, which knows the new entities, too."""
        from kgsync.lm import reader as readers

        reader = voice.tuned() if voice.tuned else readers.load(self.encoder)
        sample = [row for row, text in enumerate(self.texts) if text.sentence()][:SAMPLE]
        again = reader.encode([self.texts[row].sentence() for row in sample], self.cache)
        before = voice.bank.vectors[sample]
        if again.shape != before.shape or torch.cosine_similarity(again, before).lt(SAME).any():
            name = self.encoder or "the packaged one"
            raise DataError(f"the text voice learned with another encoder than {name} is now", fix="train again")
        encoded = reader.encode([text.sentence() for text in texts], self.cache, progress)
        return voice.extended(encoded, texts, np.concatenate([self.triples, edges]))


def place(kge: KgeModel, voice: Voice | None, groups: Sequence[Group], triples: Integers, edges: Integers) -> Rows:
    """Return the rows [n, d] of the new entities in `groups`, numbered from `kge.n_entities` on in `edges` [m, 3].

    `voice`, where there is one, ranks known and new entities; `triples` [k, 3] are those between known ones.
    """
    n_new = sum(len(group.new) for group in groups)
    means = torch.zeros(n_new, kge.entities.shape[1])
    for group in groups:
        means[as_tensor(group.new)] = kge.entities.detach()[as_tensor(group.known)].mean(dim=0)
    weights = np.ones(len(edges))
    if voice is not None:
        expected, shares = expect(voice, groups, triples, edges, kge.n_entities, kge.n_relations)
        edges, weights = np.concatenate([edges, expected]), np.concatenate([weights, shares])
    rows = fold_in(kge, edges, n_new, trained_on=triples, weights=weights, otherwise=means)
    found: Rows = rows.numpy()
    return found


def alike(known: Sequence[tuple[str, ...]], new: Sequence[tuple[str, ...]]) -> list[Group]:
    """Return groups of new entities and the known ones with the same types.

    Where fewer than `FEWEST` have the same, those with the rarest of the types count that enough have; else all.
    """
    same: dict[tuple[str, ...], list[int]] = defaultdict(list)
    sharing: dict[str, list[int]] = defaultdict(list)
    for row, types in enumerate(known):
        same[types].append(row)
        for kind in types:
            sharing[kind].append(row)
    members: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for row, types in enumerate(new):
        members[types].append(row)
    groups = []
    for types, rows in members.items():
        options = [same.get(types, []), *sorted((sharing.get(kind, []) for kind in types), key=len)]
        like = next((option for option in options if len(option) >= FEWEST), range(len(known)))
        groups.append(Group(np.array(rows, dtype=np.int64), np.array(like, dtype=np.int64)))
    return groups


def expect(
    voice: Voice, groups: Sequence[Group], triples: Integers, edges: Integers, n_known: int, n_relations: int
) -> tuple[Integers, np.ndarray[Any, np.dtype[np.float64]]]:
    """Return the edges [m, 3] that `voice` expects of new entities beside their known `edges`, and w [m] of each."""
    n_new = sum(len(group.new) for group in groups)
    known = KnownAnswers(edges, n_known + n_new, n_relations)
    anchors = np.concatenate([triples[:, 0], triples[:, 2]])
    asked = np.concatenate([triples[:, 1], triples[:, 1] + n_relations])
    found, shares = [np.empty((0, 3), dtype=np.int64)], [np.empty(0)]
    size = max(1, LIVE_SCORES // n_known)
    for group in groups:
        among = np.zeros(n_known, dtype=bool)
        among[group.known] = True
        usual = np.bincount(asked[among[anchors]], minlength=2 * n_relations) / len(group.known)  # [2R]
        for relation in np.flatnonzero(usual >= ASKED).tolist():
            for start in range(0, len(group.new), size):
                who = n_known + group.new[start : start + size]
                place, answers, w = _answers(voice, who, relation, usual[relation], known, n_known)
                ends = who[place], np.full(len(place), relation % n_relations), answers
                found.append(np.stack(ends if relation < n_relations else ends[::-1], axis=1))
                shares.append(w)
    return np.concatenate(found), np.concatenate(shares)


def _answers(
    voice: Voice, who: Integers, relation: int, usual: float, known: KnownAnswers, n_known: int
) -> tuple[Integers, Integers, np.ndarray[Any, np.dtype[np.float64]]]:
    """Return (place in `who`, known entity, w) of the answers that are expected to one relation."""
    asked = np.full(len(who), relation)
    scores = voice.scores(as_tensor(who), as_tensor(asked), torch.arange(n_known))  # [b, n_known]
    row, entity = known.mask(who, asked)
    left = usual - np.bincount(row, minlength=len(who))
    scores[as_tensor(row[entity < n_known]), as_tensor(entity[entity < n_known])] = -torch.inf
    p, answers = torch.softmax(scores, dim=1).topk(min(ANSWERS, n_known), dim=1)
    w = np.minimum(left[:, None] * p.double().numpy(), MOST)
    place, rank = np.nonzero((w >= LEAST) & (left >= ASKED)[:, None])
    return place, answers.numpy()[place, rank], w[place, rank]
