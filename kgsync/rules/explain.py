"""Evidence: the rules that speak for one answer, each with facts of the graph that make its body true.

What `RuleVoice` adds up is what is shown, no more and no less: (sum w_i^p)^(1/p) over the evidence is the score, but
for what parts ties.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from kgsync.kge.known import Integers
from kgsync.rules.facts import rows
from kgsync.rules.mine import UNSEEN

if TYPE_CHECKING:
    from kgsync.rules.voice import RuleVoice

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Evidence:
    """One rule that speaks for an answer, with its grounding."""

    kind: Literal["path", "constant"]
    relations: tuple[int, ...]  # along `path`, in either direction
    path: tuple[int, ...]  # entities: from the anchor to the answer; for a constant, from who has it to the constant
    facts: tuple[Triple, ...]  # train triples that make the body true
    support: int  # pairs for which body and head hold
    body: int  # pairs for which the body holds
    groundings: int  # ways in which the body holds here; the first is shown

    @property
    def confidence(self) -> float:
        """Return support / (body + UNSEEN)."""
        return self.support / (self.body + UNSEEN)


def explain(voice: RuleVoice, anchor: int, relation: int, entity: int, *, limit: int | None = 10) -> list[Evidence]:
    """Return the evidence that `entity` answers (anchor, relation), the surest first; `limit` None: all of it."""
    if anchor == entity:
        return []
    found = [*_singles(voice, anchor, relation, entity), *_doubles(voice, anchor, relation, entity)]
    inverse = voice.facts.inverse(relation)
    found += _constants(voice, anchor, voice.facts.find(entity, inverse))  # relation(x, entity) <- s(x, d)
    found += _constants(voice, entity, voice.facts.find(anchor, relation))  # inverse(x, anchor) <- s(x, d)
    found.sort(key=lambda evidence: (-evidence.confidence, -evidence.support, evidence.relations, evidence.path))
    return found[:limit]


def _between(voice: RuleVoice, anchor: int, entity: int) -> list[int]:
    """Return the relations, in either direction, of the facts from one entity to another, sorted."""
    facts = voice.facts
    asked = facts.asked(anchor)
    places, answers, _ = rows(facts.answers, asked)
    return sorted(int(facts.relations[asked[place]]) for place in places[answers == entity])


def _singles(voice: RuleVoice, anchor: int, relation: int, entity: int) -> Iterator[Evidence]:
    for body in _between(voice, anchor, entity):
        number = int(voice.single[relation, body])
        if number:
            _, _, support, size = voice.rules.single[number - 1].tolist()
            fact = voice.facts.triple(anchor, body, entity)
            yield Evidence("path", (body,), (anchor, entity), (fact,), support, size, 1)


def _doubles(voice: RuleVoice, anchor: int, relation: int, entity: int) -> Iterator[Evidence]:
    facts = voice.facts
    rules, shapes = voice.double_rules(relation)
    rule_of = dict(zip(shapes.tolist(), rules.tolist(), strict=True))
    ways: dict[tuple[int, int, int], list[int]] = {}
    for first, last, between in _meetings(voice, facts.asked(anchor), facts.asked(entity)):
        rule = rule_of.get(int(voice.number[first, last]))
        if rule is not None:
            ways.setdefault((rule, first, last), []).append(between)
    for (rule, first, last), through in ways.items():
        support, size = voice.rules.double[rule, 3:].tolist()
        between = min(through)
        edges = facts.triple(anchor, first, between), facts.triple(entity, last, between)
        relations = first, int(facts.inverse(last))
        yield Evidence("path", relations, (anchor, between, entity), edges, support, size, len(through))


def _meetings(voice: RuleVoice, first: Integers, second: Integers) -> Iterator[tuple[int, int, int]]:
    """Yield (relation of a first query, of a second one, entity) for each answer that two queries share."""
    facts = voice.facts
    for query in first.tolist():
        _, answers, _ = rows(facts.answers, np.array([query]))
        places, entities, _ = rows(facts.answers, second)
        shared = np.isin(entities, answers)
        for place, entity in zip(places[shared].tolist(), entities[shared].tolist(), strict=True):
            yield int(facts.relations[query]), int(facts.relations[second[place]]), entity


def _constants(voice: RuleVoice, holder: int, head: int) -> Iterator[Evidence]:
    """Yield the rules with constants for a head query whose body holds for `holder`."""
    if head < 0:
        return
    facts = voice.facts
    _, held, _ = rows(facts.answering, np.array([holder]))
    _, bodies, _ = rows(voice.for_head, np.array([head]))
    for body in np.intersect1d(held, bodies).tolist():
        constant, inverse = int(facts.anchors[body]), int(facts.relations[body])
        relation = int(facts.inverse(inverse))
        fact = facts.triple(holder, relation, constant)
        yield Evidence(
            kind="constant",
            relations=(relation,),
            path=(holder, constant),
            facts=(fact,),
            support=voice.support(body, head),
            body=int(facts.counts[body]),
            groundings=1,
        )
