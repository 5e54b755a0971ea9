"""Questions about edges that a model has not read: which of ten names of the right type belongs in the gap?

Reads hidden triples; promises wrong answers that no known triple makes right, and the same quiz for the same seed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from kgsync.progress import Progress, silent
from kgsync.verbalize import Cloze, Verbalizer

AT_ONCE = 8  # questions that a model answers together


@dataclass(frozen=True)
class Task:
    """One question."""

    cloze: Cloze
    names: tuple[str, ...]  # to choose from; the first is right
    relation: int
    tail: bool  # what is asked for


class Reader(Protocol):
    """A language model that says how well names fit into gaps."""

    def scores(self, clozes: Sequence[Cloze], names: Sequence[Sequence[str]]) -> list[list[float]]:
        """Return for each cloze the log-probability of each name in its place, per token of the name."""


@dataclass(frozen=True)
class Answers:
    """How a model did."""

    accuracy: float  # share of questions whose right answer has the highest score; ties count as wrong
    loss: float  # mean negative log-probability of the right answers, per token
    per_relation: dict[int, tuple[int, float]]  # questions and accuracy


def make(
    verbalizer: Verbalizer,
    hidden: np.ndarray[Any, Any],
    known: np.ndarray[Any, Any],
    *,
    ways: int,
    limit: int,
    seed: int,
    sentences: bool = False,
) -> list[Task]:
    """Return up to `limit` questions about the triples of `hidden` [n, 3], half of them for heads.

    `known` [m, 3] are all true triples. With `sentences` the gap may be anywhere in one (for an encoder), else it is
    at the end (for a decoder). Where fewer than two names of the right type can be wrong, nothing is asked.
    """
    rng = np.random.default_rng([seed, 7])
    alike: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for entity, (name, kinds) in enumerate(zip(verbalizer.names, verbalizer.types, strict=True)):
        if name:
            alike[kinds].append(entity)
    true = _answers(known)
    tasks: list[Task] = []
    for number, row in enumerate(rng.permutation(len(hidden)).tolist()):
        if len(tasks) >= limit:
            break
        triple, tail = hidden[row].tolist(), number % 2 == 0
        cloze = _cloze(verbalizer, triple, tail=tail, sentences=sentences)
        if cloze is None:
            continue
        right = true[_query(triple, tail)]
        wrong = _distractors(verbalizer, alike[verbalizer.types[cloze.asked]], right | {cloze.asked}, ways - 1, rng)
        if len(wrong) > 1:
            tasks.append(Task(cloze, (verbalizer.names[cloze.asked], *wrong), triple[1], tail))
    return tasks


def ask(reader: Reader, tasks: Sequence[Task], progress: Progress = silent) -> Answers:
    """Return how a model answers."""
    right: list[bool] = []
    losses: list[float] = []
    by_relation: dict[int, list[bool]] = defaultdict(list)
    for part in _parts(tasks):
        found = reader.scores([task.cloze for task in part], [task.names for task in part])
        for task, scores in zip(part, found, strict=True):
            right.append(scores[0] > max(scores[1:]))
            by_relation[task.relation].append(right[-1])
            losses.append(-scores[0])
        progress("asking", len(right), len(tasks))
    if not tasks:
        return Answers(float("nan"), float("nan"), {})
    return Answers(
        accuracy=sum(right) / len(right),
        loss=sum(losses) / len(losses),
        per_relation={r: (len(hits), sum(hits) / len(hits)) for r, hits in sorted(by_relation.items())},
    )


def loss(reader: Reader, tasks: Sequence[Task]) -> float:
    """Return the mean negative log-probability of the right answers, per token; a tenth of the work of `ask`."""
    found = [
        -score
        for part in _parts(tasks)
        for (score,) in reader.scores([task.cloze for task in part], [task.names[:1] for task in part])
    ]
    return sum(found) / max(len(found), 1)


def _parts(tasks: Sequence[Task]) -> Iterator[Sequence[Task]]:
    """Yield the questions some at a time, those of like length together."""
    ordered = sorted(tasks, key=lambda task: len(task.cloze.text))
    for start in range(0, len(ordered), AT_ONCE):
        yield ordered[start : start + AT_ONCE]


def _cloze(verbalizer: Verbalizer, triple: Sequence[int], *, tail: bool, sentences: bool) -> Cloze | None:
    sentence = verbalizer.sentence(triple)
    if sentence is None:
        return None
    cloze = sentence.cloze(tail=tail)
    if sentences or (tail and cloze.before):
        return cloze
    return verbalizer.question(triple, tail=tail)


def _query(triple: Sequence[int], tail: bool) -> tuple[int, int, bool]:
    return (triple[0] if tail else triple[2]), triple[1], tail


def _answers(triples: np.ndarray[Any, Any]) -> dict[tuple[int, int, bool], set[int]]:
    found: dict[tuple[int, int, bool], set[int]] = defaultdict(set)
    for triple in triples.tolist():
        found[_query(triple, True)].add(triple[2])
        found[_query(triple, False)].add(triple[0])
    return found


def _distractors(
    verbalizer: Verbalizer, pool: Sequence[int], right: set[int], count: int, rng: np.random.Generator
) -> list[str]:
    """Return `count` different names of entities in `pool` that are not right; fewer where there are not so many."""
    taken = {verbalizer.names[entity] for entity in right}
    wrong: list[str] = []
    for entity in rng.permutation(pool).tolist():
        name = verbalizer.names[entity]
        if len(wrong) == count:
            break
        if name not in taken:
            taken.add(name)
            wrong.append(name)
    return wrong
