"""Prediction: from a model to a plan of the edges most worth proposing.

Candidates come from both directions and get calibrated scores; the best of each relation are scored again in
double precision, so that the plan does not depend on block sizes, and chosen best first under the caps.
A relation that the graph stores both ways may be proposed both ways; one that holds one way only, or has one
tail per head (one head per tail), is proposed at most that often.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from kgsync.calibrate import Calibrator
from kgsync.candidates.admissible import Admissible, Rows
from kgsync.candidates.search import BEST, MEMORY, Scorer
from kgsync.candidates.signatures import Signatures
from kgsync.errors import DataError
from kgsync.evidence import Evidence, Witness
from kgsync.identity import Entity
from kgsync.plan import Plan, PlannedEdge, Scope, sort_edges
from kgsync.progress import Progress, silent
from kgsync.promise import false_shares
from kgsync.question import Question, ask
from kgsync.snapshot import Snapshot

if TYPE_CHECKING:
    from kgsync.model import Model

SHORT = {"rules": "rule", "text": "text"}  # what a voice is called in the names of properties
MIN_SCORE = 0.1
SPARE = 3  # times `top_k` edges per relation are scored exactly; the caps take some of them away


def predict(
    model: Model,
    *,
    relations: Sequence[str] | None = None,
    heads: Sequence[str | Entity] | None = None,
    tails: Sequence[str | Entity] | None = None,
    top_k: int = 100,
    min_score: float | None = None,
    per_entity: int = 10,
    memory: int = MEMORY,
    progress: Progress = silent,
) -> Plan:
    """Return the plan of the most probable missing edges. It never holds a known, rejected or impossible edge.

    Args:
        model: a calibrated model.
        relations: only these, by type, by the id that they had in loaded files, or by name; None: all.
        heads: only edges from these entities (`Label:key`, key, name or `Entity`).
        tails: only edges to these. Where both ends are named, every edge between them is scored and kept;
            `top_k` and `per_entity` are for searches.
        top_k: proposals per relation, at most.
        min_score: probability that a proposal has, at least. None: 0.1, or 0 where both ends are named.
        per_entity: proposals that touch one entity over all relations, at most; entities named in `heads`
            or `tails` are not capped.
        memory: bytes for one block of scores; changes speed, never the plan.
        progress: told of every relation.

    Raises:
        NotFoundError: a relation or entity is not in the snapshot.
        DataError: the model is not calibrated, or no edge that is asked for may be proposed (and why).
    """
    snapshot = model.snapshot
    question = ask(snapshot, relations, heads, tails)
    if min_score is None:
        min_score = 0.0 if question.pairs else MIN_SCORE
    prediction = _Prediction(
        snapshot=snapshot,
        calibrator=model.calibrated(),
        scorer=Scorer(
            model.voice, admissible := Admissible(snapshot, snapshot.triples, snapshot.rejected), memory=memory
        ),
        exact=Scorer(model.voice.exact(), admissible, memory=memory),
        alone={
            f"{SHORT[voice.name]}_score": Scorer(voice.exact(), admissible, memory=memory) for voice in model.others
        },
        kge=None if model.kge is None else Scorer(model.kge.exact(), admissible, memory=memory),
        memory=memory,
        question=question,
        limits=_Limits.of(question, top_k, per_entity),
        min_score=min_score,
    )
    prediction.refuse_impossible()
    return Plan(
        edges=prediction.edges(progress),
        scope=_scope(snapshot, question),
        model=model.card(),
        snapshot_id=snapshot.id,
        database=snapshot.origin.get("database", {}),
        origin={"pulledAt": snapshot.origin.get("startedAt"), "keys": dict(snapshot.key_properties)},
    )


@dataclass(frozen=True)
class _Limits:
    """How much of the same a plan may hold."""

    top_k: int | None  # None: no limits
    per_entity: int
    uncapped: frozenset[int]  # entities that were asked for by name

    @classmethod
    def of(cls, question: Question, top_k: int, per_entity: int) -> _Limits:
        named = [end.tolist() for end in (question.heads, question.tails) if end is not None]
        return cls(None if question.pairs else top_k, per_entity, frozenset(row for rows in named for row in rows))

    def spare(self) -> _Limits:
        """Return wider limits for a first choice."""
        return _Limits(None if self.top_k is None else SPARE * self.top_k, SPARE * self.per_entity, self.uncapped)

    def choose(self, signatures: Signatures, edges: Iterable[tuple[int, int, int]]) -> list[int]:
        """Return the numbers of the (relation, head, tail) that fit in, best first."""
        if self.top_k is None:
            return [number for number, _ in enumerate(edges)]
        chosen: list[int] = []
        of_relation, of_entity = Counter[int](), Counter[int]()
        taken: set[tuple[int, int | None, int | None]] = set()
        for number, (relation, head, tail) in enumerate(edges):
            ends = {head, tail}
            if of_relation[relation] >= self.top_k or any(
                of_entity[end] >= self.per_entity for end in ends - self.uncapped
            ):
                continue
            rules = signatures[relation]
            claims: set[tuple[int, int | None, int | None]] = set()
            if rules.functional:
                claims.add((relation, head, None))
            if rules.inverse_functional:
                claims.add((relation, None, tail))
            if rules.one_way:
                claims.add((relation, min(ends), max(ends)))
            if claims & taken:
                continue
            taken |= claims
            of_relation[relation] += 1
            of_entity.update(ends)
            chosen.append(number)
        return chosen


@dataclass(frozen=True)
class _Scored:
    """Edges of one relation with their exact evidence."""

    relation: int
    heads: Rows
    tails: Rows
    columns: Mapping[str, Any] = field(default_factory=dict)  # score, score_low, rank, kge_score: [n] each


@dataclass(frozen=True)
class _Prediction:
    snapshot: Snapshot
    calibrator: Calibrator
    scorer: Scorer
    exact: Scorer
    alone: Mapping[str, Scorer]  # column -> the voice that it holds the values of, beside the embeddings
    kge: Scorer | None
    memory: int
    question: Question
    limits: _Limits
    min_score: float

    def edges(self, progress: Progress) -> tuple[PlannedEdge, ...]:
        """Return the edges of the plan in its order."""
        found, looked_at = [], dict[str, int]()
        for number, relation in enumerate(self.question.relations):
            progress("predicting", number, len(self.question.relations))
            heads, tails, candidates = self._shortlist(relation)
            found.append(self._score(relation, heads, tails))
            looked_at[self.snapshot.relations[relation]] = candidates
        progress("predicting", len(found), len(found))
        rows = [
            (-part.columns["score"][i], part.relation, int(part.heads[i]), int(part.tails[i]), part, i)
            for part in found
            for i in np.flatnonzero(part.columns["score"] >= self.min_score).tolist()
        ]
        rows.sort(key=lambda row: row[:4])
        numbers = self.limits.choose(self.scorer.admissible.signatures, (row[1:4] for row in rows))
        chosen: dict[int, list[tuple[_Scored, int]]] = defaultdict(list)
        for number in numbers:
            chosen[rows[number][1]].append(rows[number][4:])
        edges = [edge for parts in chosen.values() for edge in self._edges(parts)]
        return sort_edges(self._promised(edges, looked_at) if self.question.whole else edges)

    def _promised(self, edges: list[PlannedEdge], candidates: Mapping[str, int]) -> list[PlannedEdge]:
        """Return the edges with what can be promised of them, being the best of so many candidates of each relation."""
        scores, relations = np.array([edge.score for edge in edges]), np.array([edge.relation for edge in edges])
        shares = false_shares(self.calibrator.nulls.p_values(scores), sum(candidates.values())).round(6)
        alone = np.ones(len(edges))
        for number, nulls in enumerate(self.calibrator.own_nulls):
            own = np.flatnonzero(relations == self.snapshot.relations[number])
            if len(own):
                p_values = nulls.p_values(scores[own])
                alone[own] = false_shares(p_values, candidates[self.snapshot.relations[number]]).round(6)
        return [
            replace(edge, false_share=share, own_false_share=own)
            for edge, share, own in zip(edges, shares.tolist(), alone.tolist(), strict=True)
        ]

    def _edges(self, chosen: Sequence[tuple[_Scored, int]]) -> list[PlannedEdge]:
        """Return edges of one relation with the evidence for them."""
        part = chosen[0][0]
        places = np.array([i for _, i in chosen])
        found = self.witness.of(part.relation, part.heads[places], part.tails[places])
        return [self._edge(part, int(i), evidence) for i, evidence in zip(places, found, strict=True)]

    @cached_property
    def witness(self) -> Witness:
        """Return what gives the evidence: that which decides, then each voice alone."""
        alone = [*([] if self.kge is None else [self.kge]), *self.alone.values()] if self.alone else []
        voices = [scorer.model for scorer in (self.exact, *alone)]
        return Witness(voices, self.scorer.admissible, memory=self.memory)

    def refuse_impossible(self) -> None:
        """Raise with a reason if entities are named and none of them may have a new edge that is asked for."""
        question, admissible, relation = self.question, self.scorer.admissible, self.question.relations[0]
        if any(self._is_possible(relation) for relation in question.relations):
            return
        if question.pairs is not None:
            heads, tails = question.pairs
            reason = admissible.objection(int(heads[0]), relation, int(tails[0]))
        elif question.heads is not None:
            reason = admissible.end_objection(int(question.heads[0]), relation, backward=False)
        elif question.tails is not None:
            reason = admissible.end_objection(int(question.tails[0]), relation, backward=True)
        else:
            return
        raise DataError(f"there is nothing to predict: {reason}", fix="ask for another edge")

    def _is_possible(self, relation: int) -> bool:
        question, admissible = self.question, self.scorer.admissible
        if question.pairs is not None:
            return bool(admissible.allowed(relation, *question.pairs).any())
        starts, ends = admissible.ends(relation)
        asked = starts if question.heads is None else np.intersect1d(starts, question.heads)
        sought = ends if question.tails is None else np.intersect1d(ends, question.tails)
        return len(asked) > 0 and len(sought) > 0

    def _shortlist(self, relation: int) -> tuple[Rows, Rows, int]:
        """Return (heads, tails) worth an exact score, and how many candidates there were."""
        admissible, question = self.scorer.admissible, self.question
        if question.pairs is not None:
            heads, tails = question.pairs
            allowed = admissible.allowed(relation, heads, tails)
            return heads[allowed], tails[allowed], len(heads)
        heads, tails = admissible.ends(relation)
        nobody, best = np.empty(0, dtype=np.int64), BEST
        if question.heads is not None:
            heads, tails, best = np.intersect1d(heads, question.heads), nobody, self._most()
        elif question.tails is not None:
            heads, tails, best = nobody, np.intersect1d(tails, question.tails), self._most()
        found = self.scorer.candidates(relation, heads, tails, best=best)
        score, _ = self.calibrator.scores(relation, found.features)
        order = np.lexsort([found.tails, found.heads, -score])
        order = order[score[order] >= self.min_score - 1e-3]  # single precision: not the last word
        pairs = zip(found.heads[order].tolist(), found.tails[order].tolist(), strict=True)
        kept = order[self.limits.spare().choose(admissible.signatures, ((relation, h, t) for h, t in pairs))]
        return found.heads[kept], found.tails[kept], len(found)

    def _most(self) -> int:
        """Return how many answers to look at where a query is asked by name."""
        return max(BEST, SPARE * (self.limits.top_k or 1))

    def _score(self, relation: int, heads: Rows, tails: Rows) -> _Scored:
        exact = self.exact.exact(relation, heads, tails)
        score, low = self.calibrator.scores(relation, exact.features)
        columns = {"score": score.round(6), "score_low": low.round(6), "rank": exact.rank}
        if self.kge is not None:
            own = self.kge.pair_scores(relation, heads, tails, backward=False) if self.alone else exact.score
            columns["kge_score"] = own
        for column, scorer in self.alone.items():
            columns[column] = scorer.pair_scores(relation, heads, tails, backward=False)
        return _Scored(relation, heads, tails, columns)

    def _edge(self, part: _Scored, i: int, evidence: Evidence) -> PlannedEdge:
        head, tail = int(part.heads[i]), int(part.tails[i])
        return PlannedEdge(
            head=self.snapshot.identities[head],
            relation=self.snapshot.relations[part.relation],
            tail=self.snapshot.identities[tail],
            head_name=self.snapshot.display_name(head),
            tail_name=self.snapshot.display_name(tail),
            evidence=evidence.lines(),
            details=evidence.to_json(),
            **{name: column[i].item() for name, column in part.columns.items()},
        )


def _scope(snapshot: Snapshot, question: Question) -> Scope:
    """Return what was looked at: everything that the question covers, among the entities of the snapshot.

    A snapshot around seeds or of a query knows only some entities of its labels, so it names them.
    """
    selection = snapshot.origin.get("selection") or {}
    partial = bool(selection.get("cypher") or selection.get("seeds"))

    def ends(named: Rows | None) -> tuple[Entity, ...]:
        if named is None:
            return tuple(snapshot.identities) if partial else ()
        return tuple(snapshot.identities[row] for row in named)

    return Scope(
        relations=tuple(snapshot.relations[relation] for relation in question.relations),
        labels=tuple(sorted(set(snapshot.entities["label"].to_pylist()))),
        heads=ends(question.heads),
        tails=ends(question.tails),
    )
