"""Completion: what each voice answers to one query, side by side, with a language model among them and its reason.

Reads a model and its snapshot; promises entities that exist and may be the answer, the ranks that each voice alone
gives them, and an order that the language model does not decide.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kgsync.errors import AccessError, DataError, NotFoundError, SpentError, UnavailableError
from kgsync.identity import Entity
from kgsync.lm import rationale
from kgsync.lm.ballot import Ballot, Said
from kgsync.lm.rationale import Names, Rationale
from kgsync.lm.templates import STOPS
from kgsync.lm.unlisted import Unlisted, unlisted
from kgsync.progress import Progress, silent
from kgsync.question import ask
from kgsync.verbalize import BLANK, Cloze, Verbalizer

if TYPE_CHECKING:
    from kgsync.lm.assistant import Assistant
    from kgsync.model import Model

OF_EACH = 20  # answers of every voice that the language model is asked about
LM = "lm"  # the language model's name among the voices
# What a served model may end with while the voices have answered.
SILENT = UnavailableError, DataError, AccessError, NotFoundError, SpentError
RULES = 2  # rules whose facts a rationale is given


@dataclass(frozen=True)
class Answer:
    """An entity that may be the answer."""

    row: int
    entity: str  # as Label:key
    name: str
    score: float | None  # calibrated probability; None where the edge would not be proposed, or nothing is calibrated
    said: Mapping[str, Said]  # voice -> what it says


@dataclass(frozen=True)
class Completion:
    """The answers to a query."""

    anchor: str
    relation: str
    tail: bool  # what is asked for
    question: str  # in words
    answers: tuple[Answer, ...]  # as the first voice orders them
    voices: tuple[str, ...]  # the one that decides first, the language model last
    candidates: int  # that the language model was asked about
    possible: int  # entities that may be the answer
    known: tuple[str, ...]  # names of the answers that the graph has
    objection: str  # why none would be proposed, where that is so
    rationale: Rationale | None  # of the first answer
    missing: str = ""  # why the language model has no say, where it was asked
    unlisted: tuple[Unlisted, ...] = ()  # names that it answers with when it may name what is not in the graph

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return asdict(self)


def complete(
    model: Model,
    anchor: str | Entity,
    relation: str,
    *,
    tail: bool = True,
    top: int = 10,
    assistant: Assistant | None = None,
    free: bool = False,
    allow_new: bool = False,
    templates: Mapping[str, str] | None = None,
    told: np.ndarray[Any, Any] | None = None,
    progress: Progress = silent,
) -> Completion:
    """Return what every voice answers to (anchor, relation, ?), or, without `tail`, to (?, relation, anchor).

    Args:
        model: a trained model, calibrated or not.
        anchor: `Label:key`, key, name or `Entity`.
        relation: a relation, by type or by its name in words.
        tail: whether tails are asked for.
        top: answers of the deciding voice; what another voice puts first is shown as well.
        assistant: a language model that ranks the best answers of all voices, and gives a reason for the first.
        free: the language model may add entities that it comes up with by itself.
        allow_new: it is also asked for names that need not be in the graph; they are held against it, and never more.
        templates: relations in words, by type.
        told: triples [n, 3] that may be put into words; None: all of the snapshot.
        progress: told of every step.

    Raises:
        NotFoundError: the snapshot has no such entity or relation, or a name fits several.
        DataError: no entity can be the answer.
    """
    asked = ask(model.snapshot, [relation], [anchor], None)
    assert asked.heads is not None  # noqa: S101 (one is named)
    progress("asking the voices", 0, None)
    ballot = Ballot(model, int(asked.heads[0]), asked.relations[0], tail=tail)
    words = Verbalizer.of_snapshot(
        model.snapshot, model.snapshot.triples if told is None else told, templates=templates
    )
    rows, missing = ballot.best(OF_EACH), ""
    cloze = gap(words, ballot.anchor, ballot.relation, rows, tail=tail)
    judged: dict[int, Said] = {}
    named: tuple[Unlisted, ...] = ()
    if assistant is not None and cloze is not None:
        progress("asking the language model", 0, None)
        try:
            judged = _judged(assistant, ballot, words, cloze, rows, free=free)
            named = _named(assistant, model, words, cloze, ballot.anchor) if allow_new else ()
        except SILENT as error:
            assistant, missing = None, str(error)
    answers = _answers(ballot, rows[:top], judged)
    return Completion(
        anchor=model.snapshot.display_name(ballot.anchor),
        relation=model.snapshot.relations[ballot.relation],
        tail=tail,
        question=f"{cloze.before} {BLANK}" if cloze else "",
        answers=answers,
        voices=(*ballot.order, *([LM] if judged else [])),
        candidates=len(judged),
        possible=len(ballot.possible),
        known=tuple(model.snapshot.display_name(row) for row in ballot.known()),
        objection=ballot.objection(),
        rationale=_rationale(ballot, words, answers[0].row, assistant),
        missing=missing,
        unlisted=named,
    )


def _named(assistant: Assistant, model: Model, words: Verbalizer, cloze: Cloze, anchor: int) -> tuple[Unlisted, ...]:
    """Return what the language model answers with no list to choose from, held against the whole graph."""
    from kgsync.lm import encoder

    here = model.snapshot.triples
    near = {anchor}
    for _ in range(2):
        touched = np.isin(here[:, 0], list(near)) | np.isin(here[:, 2], list(near))
        near |= set(here[touched][:, [0, 2]].ravel().tolist())
    everyone = list(enumerate(words.names))
    return unlisted(assistant, cloze, everyone, near, encoder=encoder.load() if encoder.at_hand() else None)


def gap(words: Verbalizer, anchor: int, relation: int, candidates: Sequence[int], *, tail: bool) -> Cloze | None:
    """Return the query in words, with a gap at the end; None where the anchor or every candidate has no name.

    A question asks for the type that most candidates have, so that it gives none of them away.
    """
    if not words.names[anchor]:
        return None
    named = [row for row in candidates if words.names[row]]
    if not named:
        return None
    kind, _ = Counter(words.types[row] for row in named).most_common(1)[0]
    usual = next(row for row in named if words.types[row] == kind)
    triple = (anchor, relation, usual) if tail else (usual, relation, anchor)
    sentence = words.sentence(triple)
    cloze = sentence.cloze(tail=tail) if sentence else None
    return cloze if tail and cloze and cloze.before else words.question(triple, tail=tail)


def _judged(
    assistant: Assistant, ballot: Ballot, words: Verbalizer, cloze: Cloze, rows: Sequence[int], *, free: bool
) -> dict[int, Said]:
    """Return what the language model says of answers that have a name."""
    if free:
        own = assistant.propose(cloze, [(row, words.names[row]) for row in ballot.possible.tolist()])
        rows = ballot.sorted({*rows, *own})
    named = [row for row in rows if words.names[row]]
    given = [fact.text for fact in rationale.facts(words, (), [ballot.anchor])]
    verdict = assistant.rank(cloze, given, [words.names[row] for row in named])
    return {
        named[place]: Said(rank, verdict.scores.get(place), speaks=place in verdict.scores)
        for rank, place in enumerate(verdict.order, 1)
    }


def _answers(ballot: Ballot, rows: Sequence[int], judged: Mapping[int, Said]) -> tuple[Answer, ...]:
    """Return `rows` and what any voice puts first, with what each says."""
    first = {int(order[0]) for order in ballot.order.values()} | {row for row in judged if judged[row].rank == 1}
    shown = ballot.sorted({*rows, *first})
    probable, snapshot = ballot.probabilities(shown), ballot.model.snapshot
    return tuple(
        Answer(
            row=row,
            entity=str(snapshot.identities[row]),
            name=snapshot.display_name(row),
            score=probable.get(row),
            said=ballot.said(row) | ({LM: judged[row]} if row in judged else {}),
        )
        for row in shown
    )


def _rationale(ballot: Ballot, words: Verbalizer, answer: int, assistant: Assistant | None) -> Rationale | None:
    """Return why an answer fits; None where it or the anchor has no name."""
    head, relation, tail = ballot.triple(answer)
    claim = words.sentence((head, relation, tail))
    if claim is None:
        return None
    grounds = ballot.rules.explain(head, relation, tail, limit=RULES) if ballot.rules else []
    given = rationale.facts(words, [fact for each in grounds for fact in each.facts], [ballot.anchor, answer])
    said = claim.text.rstrip("".join(STOPS))
    if assistant is None or not given:
        return rationale.template(said, given)
    try:
        written = assistant.explain(said, [fact.text for fact in given])
    except SILENT as error:
        return rationale.template(said, given, str(error))
    return rationale.accept(written, assistant.name, said, given, words, Names(words.names))
