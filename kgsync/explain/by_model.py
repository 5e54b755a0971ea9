"""Explaining with a model: asks each of its voices, and what they have learned from.

Reads a model with its snapshot. An edge that is known, or was rejected, is explained as if it were not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from kgsync.candidates.admissible import Admissible
from kgsync.candidates.search import MEMORY, Scorer
from kgsync.errors import DataError
from kgsync.evidence import Evidence, Witness, short
from kgsync.explain import likeness, removal
from kgsync.explain.answer import Explanation, Likeness, Removal, Rival
from kgsync.explain.shared_words import shared_words
from kgsync.fuse import known_from
from kgsync.identity import Entity, prediction_id
from kgsync.lm.phrases import phrase
from kgsync.model import Model
from kgsync.question import ask
from kgsync.snapshot import Snapshot, Triples
from kgsync.voice import Voice

SHOWN = 3  # removals of each voice
LEAST_RULES, LEAST_LEAD = 0.005, 0.01  # changes below which a removal is not worth a line


def explain(model: Model, head: str | Entity, relation: str, tail: str | Entity) -> Explanation:
    """Return why `model` gives an edge its score; the ends by `Label:key`, key, name or `Entity`.

    Raises:
        NotFoundError: the snapshot has no such entity or relation.
        DataError: the relation cannot join these entities, so that no voice has ranked it.
    """
    question = ask(model.snapshot, [relation], [head], [tail])
    assert question.pairs is not None  # noqa: S101 (both ends are named)
    return _Case(model, (int(question.pairs[0][0]), question.relations[0], int(question.pairs[1][0]))).explanation()


@dataclass(frozen=True)
class _Case:
    """One edge, as if it were not known."""

    model: Model
    edge: tuple[int, int, int]

    @property
    def snapshot(self) -> Snapshot:
        return self.model.snapshot

    @cached_property
    def known(self) -> Triples:
        """Return what is known beside the edge."""
        return self._without(self.snapshot.triples)

    def _without(self, triples: Triples) -> Triples:
        rest: Triples = triples[(triples != np.array(self.edge)).any(axis=1)]
        return rest

    @cached_property
    def admissible(self) -> Admissible:
        return Admissible(self.snapshot, self.known, self._without(self.snapshot.rejected))

    @cached_property
    def voices(self) -> list[Voice]:
        """Return the voices in double precision: that which decides first, then each alone."""
        if self.model.fusion is None:
            return [self.model.embeddings().exact()]
        fused = self.model.fusion.exact()
        size = self.snapshot.entities.num_rows, len(self.snapshot.relations)
        known, loops = known_from(self._without(self.learned), *size)
        return [replace(fused, train=known, loops=loops), *fused.voices]

    @cached_property
    def witness(self) -> Witness:
        return Witness(self.voices, self.admissible, memory=MEMORY)

    @cached_property
    def evidence(self) -> Evidence:
        head, relation, tail = self.edge
        return self.witness.of(relation, np.array([head]), np.array([tail]))[0]

    @cached_property
    def rival(self) -> int | None:
        """Return the row of the best other tail."""
        key = self.evidence.opinions[0].rival_key
        answers = self.admissible.ends(self.edge[1])[1]
        return next((int(row) for row in answers if str(self.snapshot.identities[row]) == key), None)

    def explanation(self) -> Explanation:
        """Return all that there is to say.

        Raises:
            DataError: the relation cannot join the two.
        """
        head, relation, tail = self.edge
        snapshot, name = self.snapshot, self.snapshot.relations[relation]
        if reason := self.admissible.objection(*self.edge):
            raise DataError(f"there is nothing to explain: {reason}", fix="ask for another edge")
        calibrator = self.model.calibrator
        ends = likeness.thing(snapshot, head), likeness.thing(snapshot, tail)
        scores = self._scores()
        return Explanation(
            id=prediction_id(snapshot.identities[head], name, snapshot.identities[tail]),
            head=ends[0],
            relation=name,
            tail=ends[1],
            score=scores[0][0] if scores else None,
            score_low=scores[0][1] if scores else None,
            base_rate=calibrator.base_rate if calibrator else None,
            base_rate_basis=str(self.model.card().get("baseRateBasis", "")),
            opinions=self.evidence.opinions,
            rules=self.evidence.rules,
            rival=self._rival(scores),
            known=likeness.known_answers(snapshot, self.known, self._vectors, self.edge),
            likeness=tuple(self._likeness()),
            words=shared_words(snapshot, head, tail),
            removals=tuple(self._removals()),
            in_words=f"{ends[0]} {phrase(short(snapshot.relation_names.get(name, name)))} {ends[1]}",
            model=self.model.card(),
            gaps=tuple(self._gaps()),
        )

    @property
    def learned(self) -> Triples:
        """Return the facts that the model has learned from, as far as it knows them itself."""
        fusion = self.model.fusion
        return self.snapshot.triples if fusion is None else fusion.train.triples().astype(np.int32)

    def _gaps(self) -> Iterable[str]:
        if self.model.calibrator is None:
            yield self.model.uncalibrated
        if len(self._without(self.learned)) < len(self.learned):
            yield "the edge is known, and the model has learned from it: its score proves nothing"
        elif len(self.known) < len(self.snapshot.triples):
            yield "the edge is known; the model has not learned from it"

    def _scores(self) -> list[tuple[float, float]]:
        """Return (score, its lower bound) of the edge and of its rival."""
        if self.model.calibrator is None:
            return []
        head, relation, tail = self.edge
        tails = np.array([tail] if self.rival is None else [tail, self.rival])
        scorer = Scorer(self.voices[0], self.admissible)
        exact = scorer.exact(relation, np.full(len(tails), head), tails)
        score, low = self.model.calibrator.scores(relation, exact.features)
        return list(zip(score.round(6).tolist(), low.round(6).tolist(), strict=True))

    def _rival(self, scores: list[tuple[float, float]]) -> Rival | None:
        if self.rival is None:
            return None
        score, low = scores[1] if scores else (None, None)
        return Rival(likeness.thing(self.snapshot, self.rival), score, low, self.evidence.opinions[0].times)

    @property
    def _vectors(self) -> Tensor:
        """Return what tells how alike entities are: embeddings, or what texts say; none are alike without both."""
        if self.model.kge is not None:
            return self.model.kge.entities
        text = next((voice.tensors()["vectors"] for voice in self.model.others if voice.name == "text"), None)
        return torch.ones(self.snapshot.entities.num_rows, 1) if text is None else text

    def _likeness(self) -> Iterable[Likeness]:
        if self.model.kge is not None:
            yield from likeness.alike(self.snapshot, self.known, self.model.kge.entities, self.edge, "embeddings")
        text = next((voice for voice in self.model.others if voice.name == "text"), None)
        if text is not None:
            yield from likeness.alike(self.snapshot, self.known, text.tensors()["vectors"], self.edge, "texts")

    def _removals(self) -> Iterable[Removal]:
        if self.witness.by_rules is not None:
            before, left = removal.by_rules(self.witness.by_rules, self.edge)
            for fact, after in left[:SHOWN]:
                if before - after >= LEAST_RULES:
                    yield Removal(self._named(fact), "rules", round(before, 6), round(after, 6))
        if self.rival is not None and self.model.kge is not None:
            before, left = removal.by_embeddings(self.model.kge, self.learned, self.edge, self.rival)
            lower = [pair for pair in left[:SHOWN] if before - pair[1] >= LEAST_LEAD]
            higher = [pair for pair in left[-1:] if pair[1] - before >= LEAST_LEAD]
            for fact, after in lower + higher:  # what carries the edge, and what holds it back most
                yield Removal(self._named(fact), "embeddings", round(before, 4), round(after, 4))

    def _named(self, fact: tuple[int, int, int]) -> tuple[str, str, str]:
        snapshot = self.snapshot
        head, tail = (short(snapshot.display_name(end)) for end in (fact[0], fact[2]))
        return head, snapshot.relations[fact[1]], tail
