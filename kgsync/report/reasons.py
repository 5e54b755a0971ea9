"""Why an edge is proposed, in facts of the graph: the rules that speak for it, with how often they held."""

from __future__ import annotations

from dataclasses import dataclass

from kgsync.plan import PlannedEdge
from kgsync.rules.explain import Evidence, explain
from kgsync.rules.voice import RuleVoice
from kgsync.snapshot import Snapshot

MOST = 2  # reasons per edge


@dataclass(frozen=True)
class Reason:
    """One rule with the known facts that it builds on: of `body` such cases, `support` were so."""

    facts: tuple[tuple[str, str, str], ...]  # (head, relation, tail), by the names of people
    support: int
    body: int
    ways: int  # in which it holds here; one is shown


@dataclass(frozen=True)
class Reasoned:
    """A proposed edge with its reasons, the surest first."""

    edge: PlannedEdge
    head: str
    tail: str
    reasons: tuple[Reason, ...]


def reasoned(edges: list[PlannedEdge], snapshot: Snapshot | None, rules: RuleVoice | None) -> list[Reasoned]:
    """Return the edges with the reasons that snapshot and rules give, none where one of the two is missing."""
    return [
        Reasoned(
            edge=edge,
            head=edge.head_name or str(edge.head),
            tail=edge.tail_name or str(edge.tail),
            reasons=() if snapshot is None or rules is None else _reasons(edge, snapshot, rules),
        )
        for edge in edges
    ]


def _reasons(edge: PlannedEdge, snapshot: Snapshot, rules: RuleVoice) -> tuple[Reason, ...]:
    head, tail = snapshot.rows[edge.head], snapshot.rows[edge.tail]
    found = explain(rules, head, snapshot.relations.index(edge.relation), tail, limit=MOST)
    return tuple(_reason(evidence, snapshot) for evidence in found)


def _reason(evidence: Evidence, snapshot: Snapshot) -> Reason:
    facts = tuple(
        (snapshot.display_name(head), snapshot.relations[relation], snapshot.display_name(tail))
        for head, relation, tail in evidence.facts
    )
    return Reason(facts, evidence.support, evidence.body, evidence.groundings)
