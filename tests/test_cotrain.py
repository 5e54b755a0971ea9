"""Voices teach each other what they believe beyond the known edges, and nothing that they should not know."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from kgsync.cotrain import (
    BEST,
    CAP,
    DOUBT,
    MISSING,
    TRUST,
    Beliefs,
    Lesson,
    Questions,
    Student,
    believe,
    cotrain,
    make_lessons,
)
from kgsync.errors import DataError
from kgsync.fuse import known_from
from kgsync.kge.config import TrainConfig
from kgsync.kge.evaluate import rank
from kgsync.kge.known import KnownAnswers
from kgsync.kge.lessons import Lessons
from kgsync.kge.train import train
from kgsync.voice import Voice

N, R = 40, 2
SIZE = N, R
CLOSE = TrainConfig(rank=20, epochs=60, n3=0.02, threads=1, patience=30)


@dataclass(frozen=True)
class Oracle:
    """A voice that says what it was told to: `surest` is the best answer to every query."""

    surest: Tensor  # [2R, N]
    strength: float = 8.0
    name: str = "oracle"

    def scores(self, anchors: Tensor, relations: Tensor, candidates: Tensor | None = None) -> Tensor:
        scores = torch.zeros(len(anchors), self.surest.shape[1])
        scores[torch.arange(len(anchors)), self.surest[relations, anchors]] = self.strength
        return scores if candidates is None else scores[:, candidates]

    def exact(self) -> Voice:
        return self

    def tensors(self) -> dict[str, Tensor]:
        return {"surest": self.surest}


def ring(step: int, relation: int, size: int = N) -> np.ndarray:
    heads = np.arange(size)
    return np.stack([heads, np.full(size, relation), (heads + step) % size], axis=1)


EDGES = np.concatenate([ring(1, 0), ring(2, 1)])
HIDDEN = EDGES[::4]
TRAIN = EDGES[np.arange(len(EDGES)) % 4 != 0]
SELECT, TEST = HIDDEN[::2], HIDDEN[1::2]
ANSWERS = torch.tensor([[(i + step) % N for i in range(N)] for step in (1, 2, -1, -2)])


def test_lessons_count_what_they_are_worth_and_known_edges_one() -> None:
    lessons = Lessons(TEST, np.linspace(0.1, 0.9, len(TEST)).astype(np.float32))
    known = KnownAnswers(np.concatenate([TRAIN, TEST]), *SIZE)
    shares = lessons.shares(known)
    rows, answers = known.expand(np.arange(len(known)))
    found = {
        (int(known.anchors[row]), int(known.relations[row]), int(answer)): float(share)
        for row, answer, share in zip(rows, answers, shares, strict=True)
    }
    for (head, relation, tail), weight in zip(TEST.tolist(), lessons.weights.tolist(), strict=True):
        assert found.pop((head, relation, tail)) == found.pop((tail, relation + R, head)) == pytest.approx(weight)
    assert set(found.values()) == {1.0}


@pytest.mark.parametrize("weights", [[0.5], [0.0, 0.5], [0.5, 1.5], [float("nan"), 1.0]])
def test_lessons_whose_weights_do_not_fit_are_refused(weights: list[float]) -> None:
    with pytest.raises(DataError, match="needs a weight"):
        Lessons(TEST[:2], np.array(weights, dtype=np.float32))


def test_a_voice_believes_in_unknown_edges_alone() -> None:
    known, loops = known_from(TRAIN, *SIZE)
    questions = Questions.of(known)
    beliefs = believe(Oracle(ANSWERS), questions, known, loops)
    rest, tails = np.divmod(beliefs.codes, N)
    heads, relations = np.divmod(rest, R)
    assert not {tuple(edge) for edge in TRAIN.tolist()} & set(zip(heads, relations, tails, strict=True))
    assert (heads != tails).all(), "the graph has no loops"
    assert len(beliefs.codes) <= BEST * len(questions)
    surest = {tuple(edge) for edge in np.stack([heads, relations, tails], axis=1)[beliefs.shares > 0.25].tolist()}
    assert surest == {tuple(edge) for edge in HIDDEN.tolist()}


def test_whether_there_is_another_answer_comes_from_how_many_entities_have() -> None:
    """Of 40 entities 30 have their only answer, none has two: the other ten lack one, and the 30 lack nothing."""
    known, _ = known_from(TRAIN, *SIZE)
    questions = Questions.of(known)
    assert len(questions) == 2 * len(HIDDEN)
    assert not np.isin(questions.anchors * 2 * R + questions.relations, known.keys).any()
    assert questions.chances.tolist() == pytest.approx([MISSING * 30 / 10] * len(questions), rel=0.2)


def test_what_is_hidden_has_no_part_in_lessons() -> None:
    """The same lessons come out, whatever the hidden edges are: these only say how sure a voice may be."""
    oracle, other = Oracle(ANSWERS), Oracle(ANSWERS.roll(1, dims=1), name="other")
    taught: list[Lessons] = []

    def learn(lessons: Lessons) -> Voice:
        taught.append(lessons)
        return other

    for hidden in (SELECT, TEST):
        students = {"other": Student(other, learn), "oracle": Student(oracle)}
        cotrain(students, TRAIN, hidden, *SIZE, also_true=hidden[:0])
    first, second = taught
    assert first.triples.tolist() == second.triples.tolist()
    assert first.weights.tolist() == pytest.approx(second.weights.tolist(), rel=1e-3)


def codes(*edges: tuple[int, int, int]) -> np.ndarray:
    return np.sort(np.array([(h * R + r) * N + t for h, r, t in edges]))


def beliefs(**shares: float) -> Beliefs:
    """Beliefs in edges (0, 0, t), by the letter of t."""
    edges = [(0, 0, ord(letter) - ord("a")) for letter in shares]
    return Beliefs(codes(*edges), np.array(list(shares.values()), dtype=np.float32))


def lesson_letters(lessons: Lessons) -> dict[str, float]:
    return {
        chr(ord("a") + tail): round(float(weight) / TRUST, 3)
        for tail, weight in zip(lessons.triples[:, 2].tolist(), lessons.weights, strict=True)
    }


def test_teachers_are_as_sure_as_their_mean_or_as_the_one_that_doubts_most() -> None:
    teachers = [beliefs(b=0.8, c=0.4, d=0.9), beliefs(b=0.6, c=0.2, e=0.9)]
    student = beliefs(b=0.1, c=0.35)
    mean = make_lessons(student, teachers, 1_000, *SIZE, how="mean")
    assert lesson_letters(mean) == {"b": 0.7, "d": 0.45, "e": 0.45}, "of c the student is surer"
    agreed = make_lessons(student, teachers, 1_000, *SIZE, how="agree")
    assert lesson_letters(agreed) == {"b": 0.6}


def test_lessons_are_few_and_never_doubtful() -> None:
    teacher = beliefs(b=DOUBT / 2, c=0.3, d=0.5, e=0.4)
    lessons = make_lessons(beliefs(), [teacher], round(2 / CAP), *SIZE, how="mean")
    assert lesson_letters(lessons) == {"d": 0.5, "e": 0.4}
    assert len(make_lessons(beliefs(), [beliefs(b=DOUBT / 2)], 1_000, *SIZE, how="agree")) == 0


def test_embeddings_learn_the_edges_that_they_are_taught() -> None:
    odd = ring(7, 0)[::4]  # what nothing in the graph speaks for
    everything = KnownAnswers(np.concatenate([EDGES, odd]), *SIZE)
    before = train(TRAIN, SELECT, *SIZE, CLOSE, also_true=TEST).model
    lessons = Lessons(odd, np.full(len(odd), 0.5, np.float32))
    after = train(TRAIN, SELECT, *SIZE, CLOSE, also_true=TEST, lessons=lessons).model
    mean_before, mean_after = ((1 / rank(model, odd, everything).realistic).mean() for model in (before, after))
    assert mean_after > mean_before + 0.2


def test_a_voice_is_kept_as_it_was_unless_it_gains() -> None:
    good, bad = Oracle(ANSWERS), Oracle(ANSWERS.roll(1, dims=1), name="bad")
    told: list[Lesson] = []

    def students(learned: Voice) -> dict[str, Student]:
        return {"bad": Student(bad, lambda lessons: learned), "good": Student(good)}

    same = cotrain(students(bad), TRAIN, SELECT, *SIZE, also_true=TEST, rounds=3, told=told.append)
    assert same.voices == (bad, good)
    assert same.stopped == "no voice gained in round 1"
    assert [(lesson.voice, lesson.outcome) for lesson in told] == [("bad", "dropped"), ("good", "it only teaches")]
    better = cotrain(students(good), TRAIN, SELECT, *SIZE, also_true=TEST, rounds=3)
    assert better.voices == (good, good)
    assert [lesson.voice for lesson in better.lessons if lesson.kept] == ["bad"]


def test_a_voice_that_cannot_be_taught_anything_is_told_of() -> None:
    oracle = Oracle(ANSWERS)
    students = {"oracle": Student(oracle, never), "other": Student(replace(oracle, name="other"))}
    done = cotrain(students, TRAIN, SELECT, *SIZE, also_true=TEST)
    assert [(lesson.voice, lesson.edges, lesson.outcome) for lesson in done.lessons] == [
        ("oracle", 0, "nothing to teach"),
        ("other", None, "it only teaches"),
    ]
    assert all(lesson.before == lesson.after > 0 and lesson.hits_at_10 > 0 for lesson in done.lessons)


def never(lessons: Lessons) -> Voice:
    raise AssertionError("learned all the same")


def taught(teacher: Oracle, edges: np.ndarray, size: int, rejected: np.ndarray | None = None) -> Lessons:
    """Return what one knowing voice teaches an ignorant one; every fourth edge is hidden from both."""
    got = [Lessons(edges[:0], np.empty(0, np.float32))]
    ignorant = replace(teacher, strength=0.0, name="ignorant")

    def learn(lessons: Lessons) -> Voice:
        got.append(lessons)
        return ignorant

    hidden, train = edges[::4], edges[np.arange(len(edges)) % 4 != 0]
    students = {"ignorant": Student(ignorant, learn), "teacher": Student(teacher)}
    cotrain(students, train, hidden[::2], size, R, also_true=hidden[1::2], rejected=rejected)
    return got[-1]


def test_a_voice_with_modest_scores_teaches_in_a_graph_of_thousands_of_entities() -> None:
    """Rules whose confidence is 0.9 score -log(1 - 0.9): among thousands of zeros that is a share of 1 %."""
    size = 3_000
    edges = np.concatenate([ring(1, 0, size), ring(2, 1, size)])
    answers = torch.tensor([[(i + step) % size for i in range(size)] for step in (1, 2, -1, -2)])
    lessons = taught(Oracle(answers, strength=-math.log(1 - 0.9)), edges, size)
    hidden = {tuple(edge) for edge in edges[::4].tolist()}
    assert {tuple(edge) for edge in lessons.triples.tolist()} <= hidden
    assert len(lessons) == int(CAP * (len(edges) - len(hidden)))
    assert lessons.weights.min() > 0.5 * TRUST * MISSING * 3, "as sure as it is that there is an answer"


def test_what_a_person_rejected_is_no_lesson() -> None:
    oracle = Oracle(ANSWERS)
    believed = taught(oracle, EDGES, N)
    without = taught(oracle, EDGES, N, rejected=believed.triples[:2].astype(np.int32))
    assert believed.triples[2:].tolist() == without.triples[: len(believed) - 2].tolist()
    assert not {tuple(e) for e in believed.triples[:2].tolist()} & {tuple(e) for e in without.triples.tolist()}


def test_no_voice_begins_to_learn_when_the_time_is_over() -> None:
    students = {"oracle": Student(Oracle(ANSWERS), never), "other": Student(Oracle(ANSWERS.roll(1, dims=1)))}
    for seconds in (1e-9, -5.0):
        ended = cotrain(students, TRAIN, SELECT, *SIZE, also_true=TEST, seconds=seconds)
        assert (ended.stopped, ended.lessons) == ("the time for it was over", ())
