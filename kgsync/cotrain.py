"""Co-training: voices that learned from the same edges teach each other what they believe beyond them.

Reads voices, each with a way to learn again, and the train edges; promises for each the better of before and after,
by the validation edges. Lessons are made from train alone: what is hidden for validation and test is as unknown to the
teachers as any other edge. Only how sharp a voice's scores are, one number, is fitted on the validation edges.

A lesson is an edge that the other voices together are surer of than the student (co-training: Blum and Mitchell 1998,
doi:10.1145/279943.279962; two that agree teach the third: Zhou and Li 2005, doi:10.1109/TKDE.2005.186). It counts as
much as they believe in it (soft labels: Hinton et al. 2015, arXiv:1503.02531). Every round makes them anew, so that an
edge that is not believed any more is forgotten. A voice's softmax only says which answer, if there is one more; whether
there is comes from how many answers entities have (`Questions`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from scipy.sparse import csr_array

from kgsync.fuse import known_from, log_softmax, sharpen
from kgsync.kge.evaluate import evaluate
from kgsync.kge.known import Integers, KnownAnswers
from kgsync.kge.lessons import Floats, Lessons
from kgsync.kge.models import as_tensor
from kgsync.progress import Progress, silent
from kgsync.voice import Voice

BEST = 5  # candidates of a query that a voice says something about
MISSING = 0.1  # share of all edges that is assumed to be missing
USUAL = 0.1  # share of the entities with some relation that have another one too, from which on it is expected of all
QUERIES = 50_000  # that are asked at most in a round
LIVE_SCORES = 1 << 23  # scores kept at a time (32 MiB)
DOUBT = 0.05  # of a lesson, at least: belief below is no belief
CAP = 0.1  # lessons per train edge at most
OVER = "the time for it was over"
TRUST = 0.5  # what the surest lesson counts beside a known edge

How = Literal["mean", "agree"]


@dataclass(frozen=True)
class Student:
    """A voice, and how it learns the same again with lessons. Without that it only teaches, as rules do."""

    voice: Voice
    learn: Callable[[Lessons], Voice] | None = None


@dataclass(frozen=True)
class Lesson:
    """What one round did to one voice."""

    round: int
    voice: str
    edges: int | None  # that it was taught; None: it only teaches
    before: float  # MRR on the validation edges
    after: float
    hits_at_10: float  # after
    seconds: float  # to ask it and to teach it

    @property
    def kept(self) -> bool:
        """Return whether the voice is better for it."""
        return self.after > self.before

    @property
    def outcome(self) -> str:
        """Return what came of it, in words."""
        if self.edges is None:
            return "it only teaches"
        return "kept" if self.kept else "dropped" if self.edges else "nothing to teach"


@dataclass(frozen=True)
class Cotrained:
    """The voices after all rounds, in their order, and what happened."""

    voices: tuple[Voice, ...]
    lessons: tuple[Lesson, ...]
    stopped: str  # why, in words


@dataclass(frozen=True)
class Beliefs:
    """Edges that a voice names among the best answers to a known question, and how sure it is."""

    codes: Integers  # sorted: ((head * n_relations) + relation) * n_entities + tail
    shares: Floats  # chance that there is an edge x softmax of what is not known, from the side that is surer

    def of(self, codes: Integers) -> Floats:
        """Return how sure the voice is of the edges; 0 where it did not name them."""
        if len(self.codes) == 0:
            return np.zeros(len(codes), np.float32)
        at = np.minimum(np.searchsorted(self.codes, codes), len(self.codes) - 1)
        return np.where(self.codes[at] == codes, self.shares[at], np.float32(0))


@dataclass(frozen=True)
class Questions:
    """Queries that may have an answer that is not known, and how probable that is."""

    anchors: Integers  # [q]
    relations: Integers  # [q], up to 2R
    chances: Floats  # [q], all of them at least `DOUBT`

    @classmethod
    def of(cls, known: KnownAnswers) -> Questions:
        """Return those of a graph; entities without answer are asked if entities like them have some.

        If every edge is missing with probability d, then of the entities that have k + 1 answers about (k + 1) d show
        k of them. So an entity with k known answers has one more with chance (k + 1) d c(k + 1) / c(k), where c(k)
        counts the entities with k known answers to that relation.
        """
        n, asked = known.n_entities, 2 * known.n_relations
        has: csr_array[Any] = csr_array((np.ones(len(known), np.int64), (known.anchors, known.relations)), (n, asked))
        together = np.asarray((has.T @ has).todense())  # [2R, 2R]: entities with both relations
        usual = csr_array((together >= USUAL * np.maximum(np.diag(together)[:, None], 1)).astype(np.int64))
        expected = (has @ usual).tocoo()
        new = np.setdiff1d(expected.row.astype(np.int64) * asked + expected.col, known.keys)
        keys = np.concatenate([known.keys, new])
        counts = np.concatenate([known.counts(), np.zeros(len(new), np.int64)])
        anchors, relations = np.divmod(keys, asked)
        width = int(counts.max(initial=0)) + 2
        places = relations * width + counts
        tally = np.bincount(places, minlength=asked * width)
        chances = np.minimum(MISSING * (counts + 1) * tally[places + 1] / tally[places], 1).astype(np.float32)
        open_ones = chances >= DOUBT
        return cls(anchors[open_ones], relations[open_ones], chances[open_ones])

    def __len__(self) -> int:
        """Return the number of queries."""
        return len(self.anchors)


def cotrain(
    students: Mapping[str, Student],
    train: np.ndarray[Any, Any],
    select: np.ndarray[Any, Any],
    n_entities: int,
    n_relations: int,
    *,
    also_true: np.ndarray[Any, Any],
    rejected: np.ndarray[Any, Any] | None = None,
    rounds: int = 1,
    how: How = "agree",
    seconds: float = math.inf,
    told: Callable[[Lesson], None] = lambda lesson: None,
    progress: Progress = silent,
) -> Cotrained:
    """Return the voices after at most `rounds` of teaching each other, or when no voice gains by it any more.

    `select` [m, 3] says which is better, ranked among what is in neither `train`, `select` nor `also_true`. Nobody is
    taught an edge that is `rejected`. No voice is asked or starts to learn when the `seconds` are over.
    """
    known, loops = known_from(train, n_entities, n_relations)
    true = KnownAnswers(np.concatenate([train, select, also_true]), n_entities, n_relations)
    questions = Questions.of(known)
    now = {name: student.voice for name, student in students.items()}
    done, began = list[Lesson](), time.monotonic()
    scores = {name: evaluate(voice, select, true) for name, voice in now.items()}

    def over() -> bool:
        return time.monotonic() - began > seconds

    def result(stopped: str) -> Cotrained:
        return Cotrained(tuple(now.values()), tuple(done), stopped)

    for number in range(1, rounds + 1):
        beliefs, asking = dict[str, Beliefs](), dict[str, float]()
        for name, voice in now.items():
            if over():
                return result(OVER)
            start = time.monotonic()
            sharpness = sharpen(voice, train, select, n_entities, n_relations, also_true=also_true)
            beliefs[name] = believe(voice, questions, known, loops, sharpness=sharpness, seed=number, progress=progress)
            asking[name] = time.monotonic() - start
        gained = False
        for name, student in students.items():
            start, after, edges = time.monotonic(), scores[name], None
            if student.learn is not None:
                others = [belief for other, belief in beliefs.items() if other != name]
                lessons = make_lessons(
                    beliefs[name], others, len(train), n_entities, n_relations, how=how, rejected=rejected
                )
                edges = len(lessons)
                if edges:
                    if over():
                        return result(OVER)
                    voice = student.learn(lessons)
                    after = evaluate(voice, select, true)
            row = scores[name].mrr, after.mrr, after.hits_at_10, asking[name] + time.monotonic() - start
            done.append(Lesson(number, name, edges, *row))
            told(done[-1])
            if done[-1].kept:
                now[name], scores[name], gained = voice, after, True
        if not gained:
            return result(f"no voice gained in round {number}")
    return result("the last round was done")


@torch.no_grad()
def believe(
    voice: Voice,
    questions: Questions,
    known: KnownAnswers,
    loops: torch.Tensor,
    *,
    sharpness: float = 1.0,
    seed: int = 0,
    progress: Progress = silent,
) -> Beliefs:
    """Return what a voice believes beyond `known`: its best answers to the questions; `sharpness` is from `sharpen`."""
    n, n_relations = known.n_entities, known.n_relations
    asked = np.arange(len(questions))
    if len(asked) > QUERIES:
        asked = np.sort(np.random.default_rng(seed).choice(asked, QUERIES, replace=False))
    size, codes, shares = max(1, LIVE_SCORES // n), list[Integers](), list[Floats]()
    for start in range(0, len(asked), size):
        progress(f"asking {voice.name}", start, len(asked))
        part = asked[start : start + size]
        anchors, relations = questions.anchors[part], questions.relations[part]
        sure = log_softmax(voice, as_tensor(anchors), as_tensor(relations), known, loops, sharpness=sharpness)
        best = sure.topk(min(BEST, n), dim=1)
        answers, ends = best.indices.numpy(), np.repeat(anchors[:, None], min(BEST, n), axis=1)
        inverse = (relations >= n_relations)[:, None]
        heads, tails = np.where(inverse, answers, ends), np.where(inverse, ends, answers)
        codes.append(((heads * n_relations + (relations % n_relations)[:, None]) * n + tails).ravel())
        shares.append((best.values.exp().numpy() * questions.chances[part][:, None]).ravel())
    progress(f"asking {voice.name}", len(asked), len(asked))
    found, place = np.unique(np.concatenate([np.empty(0, np.int64), *codes]), return_inverse=True)
    surest = np.zeros(len(found), np.float32)
    np.maximum.at(surest, place.reshape(-1), np.concatenate([np.empty(0, np.float32), *shares]))
    return Beliefs(found, surest)


def make_lessons(
    student: Beliefs,
    teachers: Sequence[Beliefs],
    n_train: int,
    n_entities: int,
    n_relations: int,
    *,
    how: How,
    rejected: np.ndarray[Any, Any] | None = None,
) -> Lessons:
    """Return the edges that the teachers are surer of than the student, the surest `CAP` per train edge.

    Teachers are as sure as their mean, or, where all have to "agree", as the one that doubts most. What a person has
    `rejected` [m, 3] is no lesson, whoever believes it.
    """
    codes = np.unique(np.concatenate([teacher.codes for teacher in teachers]))
    if rejected is not None:
        heads, relations, tails = rejected.astype(np.int64).T
        codes = np.setdiff1d(codes, (heads * n_relations + relations) * n_entities + tails)
    each = np.stack([teacher.of(codes) for teacher in teachers])  # [teachers, n]
    belief = each.mean(axis=0) if how == "mean" else each.min(axis=0)
    at = np.flatnonzero((belief >= DOUBT) & (belief > student.of(codes)))
    at = at[np.argsort(-belief[at], kind="stable")[: int(CAP * n_train)]]
    rest, tails = np.divmod(codes[at], n_entities)
    heads, relations = np.divmod(rest, n_relations)
    return Lessons(np.stack([heads, relations, tails], axis=1), np.minimum(TRUST * belief[at], 1).astype(np.float32))
