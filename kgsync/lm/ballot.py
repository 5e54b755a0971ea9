"""A ballot: one query put to every voice of a model, and the entities that may be the answer.

Reads a model and its snapshot; promises entities of the types that the relation joins, none of which is the answer
already or was rejected, with the rank that each voice alone gives them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from kgsync.candidates.admissible import Admissible, Rows
from kgsync.candidates.search import Scorer
from kgsync.errors import DataError
from kgsync.evidence import SILENT
from kgsync.rules.voice import RuleVoice

if TYPE_CHECKING:
    from kgsync.model import Model
    from kgsync.voice import Voice

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Said:
    """What a voice says of an answer."""

    rank: int  # 1 is best; of a language model: among its candidates
    score: float | None  # in the voice's own measure; None: put in order without one
    speaks: bool = True  # rules without a rule have nothing to say


class Ballot:
    """(anchor, relation, ?), or, without `tail`, (?, relation, anchor), as every voice answers it."""

    def __init__(self, model: Model, anchor: int, relation: int, *, tail: bool) -> None:
        """Ask the voices.

        Raises:
            DataError: nothing may be the answer.
        """
        self.model, self.anchor, self.relation, self.tail = model, anchor, relation, tail
        snapshot = model.snapshot
        self._admissible = Admissible(snapshot, snapshot.triples, snapshot.rejected)
        signatures = self._admissible.signatures
        may = (signatures.tails(relation) if tail else signatures.heads(relation)).copy()
        may[self._admissible.barred_answers(np.array([anchor]), relation, backward=not tail)[1]] = False
        self.possible: Rows = np.flatnonzero(may)
        if not len(self.possible):
            name = snapshot.relations[relation]
            raise DataError(
                f"there is nothing to complete: {snapshot.display_name(anchor)} has every {name} that it can have",
                fix="ask for another edge",
            )
        self._scores = {voice.name: self._asked(voice) for voice in self._voices()}
        order = {name: np.argsort(-scores, kind="stable") for name, scores in self._scores.items()}
        self._ranks = {name: np.argsort(each) + 1 for name, each in order.items()}
        self.order: Mapping[str, Rows] = {name: self.possible[each] for name, each in order.items()}

    @property
    def rules(self) -> RuleVoice | None:
        """Return the voice of the rules, if the model has one."""
        return next((voice for voice in self.model.others if isinstance(voice, RuleVoice)), None)

    def best(self, count: int) -> list[int]:
        """Return the first `count` answers of every voice, in the order of the one that decides."""
        return self.sorted({int(row) for order in self.order.values() for row in order[:count]})

    def sorted(self, rows: set[int]) -> list[int]:
        """Return possible answers in the order of the voice that decides."""
        ranks = next(iter(self._ranks.values()))
        found = np.array(sorted(rows), dtype=np.int64)
        return [int(row) for row in found[np.argsort(ranks[np.searchsorted(self.possible, found)])]]

    def said(self, row: int) -> dict[str, Said]:
        """Return what every voice says of a possible answer."""
        place = int(np.searchsorted(self.possible, row))
        return {
            name: Said(
                rank=int(self._ranks[name][place]),
                score=round(float(scores[place]), 6),
                speaks=name != RuleVoice.name or bool(scores[place] >= SILENT),
            )
            for name, scores in self._scores.items()
        }

    def known(self) -> list[int]:
        """Return the answers that the graph has."""
        triples = self.model.snapshot.triples
        given, asked = (0, 2) if self.tail else (2, 0)
        rows = triples[(triples[:, given] == self.anchor) & (triples[:, 1] == self.relation)]
        return [int(row) for row in rows[:, asked]]

    def objection(self) -> str:
        """Return why nothing would be proposed here; empty where something may."""
        return self._admissible.end_objection(self.anchor, self.relation, backward=not self.tail) or ""

    def triple(self, answer: int) -> tuple[int, int, int]:
        """Return the edge that an answer means."""
        return (self.anchor, self.relation, answer) if self.tail else (answer, self.relation, self.anchor)

    def probabilities(self, answers: Sequence[int]) -> dict[int, float]:
        """Return the calibrated scores of those answers that may be proposed."""
        edges = np.array([self.triple(answer) for answer in answers], dtype=np.int64).reshape(-1, 3)
        heads, tails = edges[:, 0], edges[:, 2]
        allowed = self._admissible.allowed(self.relation, heads, tails)
        if self.model.calibrator is None or not allowed.any():
            return {}
        scorer = Scorer(self.model.voice.exact(), self._admissible)
        exact = scorer.exact(self.relation, heads[allowed], tails[allowed])
        found, _ = self.model.calibrator.scores(self.relation, exact.features)
        return dict(zip(np.array(answers)[allowed].tolist(), found.round(6).tolist(), strict=True))

    def _voices(self) -> Iterator[Voice]:
        """Yield the voice that decides, then each alone."""
        yield self.model.voice
        if self.model.fusion is not None:
            yield from self.model.fusion.voices

    def _asked(self, voice: Voice) -> Floats:
        directed = self.relation if self.tail else self.relation + self._admissible.n_relations
        query = torch.tensor([self.anchor]), torch.tensor([directed])
        with torch.inference_mode():
            found: Floats = voice.exact().scores(*query, torch.from_numpy(self.possible))[0].double().numpy()
        return found
