"""What is counted of the proposals of several methods, against the facts that were hidden from them."""

from __future__ import annotations

import csv
import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from gds_library import Target

from kgsync import demo
from kgsync.candidates.admissible import Admissible
from kgsync.report.intervals import wilson
from kgsync.snapshot import Snapshot

FIRST = (100, 500)
COVERED = 0.8  # share of the hidden facts that the pipelines are trained for
REASONS = {
    "against a type of one way": "the reverse edge",
    "known already": "is in the graph",
    "labels that the type does not join": "is none of what",
    "a second answer where there is one": "has its one",
    "an entity with itself": "with itself",
}

T = TypeVar("T")
Triple = tuple[str, str, str]


@dataclass(frozen=True)
class Proposal:
    """What a method proposes, best first."""

    head: str
    relation: str
    tail: str
    either: bool = False  # its direction is unknown

    @property
    def pair(self) -> tuple[str, frozenset[str]]:
        return self.relation, frozenset((self.head, self.tail))


class Case:
    """One seed: the graph, what is hidden from it, and what was seen."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.facts, self.hidden = demo.hide(folder, seed=seed)
        with (self.facts / "entities.tsv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
        self.label: dict[str, str] = {row["id"]: row["types"].split("|")[0] for row in rows}
        lines = (self.facts / "triples.tsv").read_text(encoding="utf-8").splitlines()
        self.known: list[Triple] = [(h, r, t) for h, r, t in (line.split("\t") for line in lines)]
        self.types = sorted({relation for _, relation, _ in self.known})
        self.seconds: dict[str, float] = {}
        self.rows: dict[str, list[Proposal]] = {}
        self.impossible: dict[str, dict[str, int]] = {}
        self.pipelines: list[dict[str, Any]] = []

    def timed(self, name: str, work: Callable[[], T]) -> T:
        began = time.perf_counter()
        result = work()
        self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - began, 1)
        return result

    def target(self, triple: Triple) -> Target:
        head, relation, tail = triple
        return Target(self.label[head], relation, self.label[tail])

    def targets(self) -> list[Target]:
        """Return what has most hidden facts, until it is `COVERED` of them."""
        chosen: list[Target] = []
        covered = 0
        for target, count in Counter(map(self.target, self.hidden)).most_common():
            if covered >= COVERED * len(self.hidden):
                break
            chosen.append(target)
            covered += count
        return chosen

    def class_ratio(self, target: Target) -> float:
        """Return how many pairs of these labels are not joined, per pair that is, as the documentation counts it."""
        heads, tails = (sum(label == end for label in self.label.values()) for end in (target.head, target.tail))
        pairs = heads * (heads - 1) // 2 if target.head == target.tail else heads * tails
        joined = len({frozenset((h, t)) for h, r, t in self.known if self.target((h, r, t)) == target})
        return (pairs - joined) / joined

    def found(self, proposal: Proposal, *, either: bool = False) -> bool:
        """Return whether it was hidden; with `either`, whichever way round."""
        backward = (proposal.tail, proposal.relation, proposal.head) in self.hidden
        forward = (proposal.head, proposal.relation, proposal.tail) in self.hidden
        return forward or (backward and (either or proposal.either))


class Rules:
    """What kgsync knows of edges that cannot be new."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.row = {str(entity.key): row for row, entity in enumerate(snapshot.identities)}
        self.number = {relation: number for number, relation in enumerate(snapshot.relations)}
        self.rules = Admissible(snapshot, snapshot.triples, snapshot.rejected)

    def objections(self, proposals: Sequence[Proposal]) -> dict[str, int]:
        """Return why some cannot be new edges, and how many; of two directions both must be impossible."""
        counts = Counter[str]()
        for each in sorted(proposals, key=lambda each: each.relation):
            ends = [(each.head, each.tail), *([(each.tail, each.head)] if each.either else [])]
            counts[min((self._objection(head, each.relation, tail) for head, tail in ends), key=bool)] += 1
        return {why: count for why, count in counts.items() if why}

    def admissible(self, proposals: Sequence[Proposal]) -> list[Proposal]:
        """Return those that can be new edges, at least one way round."""
        places: dict[str, list[int]] = defaultdict(list)
        for place, each in enumerate(proposals):
            places[each.relation].append(place)
        may = np.zeros(len(proposals), dtype=bool)
        for relation, some in places.items():
            heads, tails = (
                np.array([self.row[getattr(proposals[place], end)] for place in some]) for end in ("head", "tail")
            )
            either = np.array([proposals[place].either for place in some])
            forward = self.rules.allowed(self.number[relation], heads, tails)
            may[some] = forward | (either & self.rules.allowed(self.number[relation], tails, heads))
        return [each for each, allowed in zip(proposals, may.tolist(), strict=True) if allowed]

    def _objection(self, head: str, relation: str, tail: str) -> str:
        why = self.rules.objection(self.row[head], self.number[relation], self.row[tail])
        return "" if why is None else next((name for name, part in REASONS.items() if part in why), why)


def counts(case: Case, *, pairs: bool = False) -> dict[str, dict[str, list[int]]]:
    """Return for each method how many of its first proposals were hidden facts, and how many those are."""
    counted: dict[str, dict[str, list[int]]] = {}
    for name, proposals in case.rows.items():
        counted[name] = {}
        for n in FIRST:
            first = _first(proposals, n, pairs)
            counted[name][str(n)] = [sum(case.found(p, either=pairs) for p in first), len(first)]
    return counted


def table(seeds: Sequence[Mapping[str, Mapping[str, Sequence[int]]]]) -> dict[str, Any]:
    """Return for each method the share of hidden facts among its first proposals, over the `counts` of all seeds."""
    return {name: {str(n): _share([seed[name][str(n)] for seed in seeds]) for n in FIRST} for name in seeds[0]}


def _share(counted: Sequence[Sequence[int]]) -> dict[str, Any]:
    found, of = ([each[part] for each in counted] for part in (0, 1))
    interval = wilson(sum(found) / max(sum(of), 1), sum(of))
    return {
        "share": round(interval.value, 3),
        "low": round(interval.low, 3),
        "high": round(interval.high, 3),
        "found": found,  # by seed
        "of": of,
    }


def _first(proposals: Sequence[Proposal], count: int, pairs: bool) -> Sequence[Proposal]:
    """Return the first of them; with `pairs`, each pair of entities once for a type, at its better place."""
    if not pairs:
        return proposals[:count]
    chosen: dict[tuple[str, frozenset[str]], Proposal] = {}
    for proposal in proposals:
        if len(chosen) == count:
            break
        chosen.setdefault(proposal.pair, proposal)
    return list(chosen.values())


def differences(rows: Mapping[str, Any]) -> dict[str, Any]:
    """Return how much more of the first is found by kgsync than by each other, with Newcombe's interval (1998)."""
    ours = rows["kgsync"]
    return {
        name: {n: _difference(ours[n], theirs[n]) for n in theirs} for name, theirs in rows.items() if name != "kgsync"
    }


def _difference(ours: Mapping[str, float], theirs: Mapping[str, float]) -> list[float]:
    """Return difference, low and high."""
    more = ours["share"] - theirs["share"]
    below = math.hypot(ours["share"] - ours["low"], theirs["high"] - theirs["share"])
    above = math.hypot(ours["high"] - ours["share"], theirs["share"] - theirs["low"])
    return [round(more, 3), round(more - below, 3), round(more + above, 3)]


def by_type(case: Case) -> dict[str, dict[str, list[int]]]:
    """Return what the first hundred of each method are, by type: how many, and how many of them were hidden."""
    found: dict[str, dict[str, list[int]]] = {}
    for name, proposals in case.rows.items():
        counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for proposal in proposals[: FIRST[0]]:
            counts[proposal.relation][0] += 1
            counts[proposal.relation][1] += case.found(proposal)
        found[name] = dict(sorted(counts.items(), key=lambda item: -item[1][0]))
    return found


def by_target(case: Case) -> dict[str, dict[str, list[int]]]:
    """Return for each pair of labels and type that has a pipeline, and each method, its first hundred: hidden, all."""
    found: dict[str, dict[str, list[int]]] = {str(target): {} for target in case.targets()}
    for name, proposals in case.rows.items():
        counts: dict[Target, list[int]] = {target: [0, 0] for target in case.targets()}
        for proposal in proposals:
            count = counts.get(case.target((proposal.head, proposal.relation, proposal.tail)))
            if count is not None and count[1] < FIRST[0]:
                count[0] += case.found(proposal)
                count[1] += 1
        for target, count in counts.items():
            found[str(target)][name] = count
    return found
