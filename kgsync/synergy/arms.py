"""All arms of the comparison with one seed, measured on the same test triples.

    each voice alone
    plain mix      all of them, counted alike
    fused          all of them, weighed on the fuse part
    two seeds      two of each that learns, fused
    exchange       each learns once more, with lessons from the others (their mean); fused
    tri-training   the same, with lessons that all others agree on, where there are at least two
    sham           the same, with lessons from a voice of its own kind and another seed
    LM             tri-training (or the exchange), and the encoder of the text voice learns as well; where
                   voices.tune_encoder asks for it

A voice that learned once more is kept where it is better on the select part. The test triples are ranked, and nothing
is decided by them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kgsync.cotrain import Beliefs, How, Questions, believe, make_lessons
from kgsync.fuse import fuse, known_from, sharpen
from kgsync.kge import artefact
from kgsync.kge.evaluate import rank
from kgsync.kge.known import KnownAnswers
from kgsync.kge.lessons import Lessons
from kgsync.logbook import MIX
from kgsync.synergy.cost import Cost, measured
from kgsync.synergy.maker import LEARNERS, TEXT, TUNED, Made, Maker
from kgsync.synergy.statistics import Floats
from kgsync.synergy.task import Task
from kgsync.voice import Voice

FUSED, TWO_SEEDS, EXCHANGE, AGREED, SHAM, LM = "fused", "two seeds", "exchange", "tri-training", "sham", "LM"
OUTCOME = "arms.safetensors"
Told = Callable[[str], None]


@dataclass(frozen=True)
class Taught:
    """What lessons did to one voice."""

    arm: str
    voice: str
    edges: int  # that it was taught
    in_test: int  # of them that are test triples, which nobody knew
    before: float  # MRR on the select part
    after: float

    @property
    def kept(self) -> bool:
        """Return whether the voice is better for it."""
        return self.after > self.before


@dataclass(frozen=True)
class Outcome:
    """What the arms came to with one seed."""

    ranks: Mapping[str, Floats]  # [n, 2] of each arm: of tails, then heads; 1 is best
    unseen: Mapping[str, float]  # MRR of each arm on the calibrate part, by which nothing was learned or chosen
    costs: Mapping[str, Cost]
    taught: tuple[Taught, ...]

    def save(self, path: Path) -> None:
        """Write it to the file at `path`."""
        header = {
            "kind": "synergy",
            "unseen": dict(self.unseen),
            "costs": {arm: asdict(cost) for arm, cost in self.costs.items()},
            "taught": [asdict(each) for each in self.taught],
        }
        artefact.write(path, {arm: torch.from_numpy(ranks) for arm, ranks in self.ranks.items()}, header)

    @classmethod
    def load(cls, path: Path) -> Outcome:
        """Return the outcome in the file at `path`.

        Raises:
            NotFoundError: there is none.
            DataError: it is damaged.
        """
        tensors, header = artefact.read(path)
        costs = {arm: Cost(**cost) for arm, cost in header["costs"].items()}
        ranks = {arm: tensors[arm].numpy() for arm in costs}  # in their order, which the file does not keep
        return cls(ranks, header["unseen"], costs, tuple(Taught(**each) for each in header["taught"]))


def outcome(maker: Maker, number: int, told: Told) -> Outcome:
    """Return what the arms came to with seed `number`; one that is finished is read, and its voices are deleted."""
    path = maker.place(number) / OUTCOME
    if not path.is_file():
        torch.optim.LBFGS([torch.zeros(1)])  # reads its modules once, seconds that are no arm's cost
        _Arms(maker, number, told).run().save(path)
    for voice in set(path.parent.glob("*.safetensors")) - {path}:
        voice.unlink()
    return Outcome.load(path)


class _Arms:
    """One seed. Every method adds arms."""

    def __init__(self, maker: Maker, number: int, told: Told) -> None:
        self.maker, self.number, self.told = maker, number, told
        self.task: Task = maker.task
        self.known, self.loops = known_from(self.task.parts.train, *self.task.size)
        self.questions = Questions.of(self.known)
        self.validated, self.tested = self.task.known(test=False), self.task.known(test=True)
        self.ranks: dict[str, Floats] = {}
        self.unseen: dict[str, float] = {}
        self.costs: dict[str, Cost] = {}
        self.taught: list[Taught] = []

    def run(self) -> Outcome:
        """Make and measure all arms."""
        first = {name: self._make(name) for name in self.maker.names()}
        for made in first.values():
            self._measure(made.voice.name, made.voice, made.cost)
        beliefs, asking = self._ask(first)
        twins = {name: self._make(name, twin=True) for name in first if name in LEARNERS}
        self._fuse(MIX, list(first.values()), weighed=False)
        self._fuse(FUSED, list(first.values()))
        self._fuse(TWO_SEEDS, [*first.values(), *twins.values()])
        others = {name: [beliefs[other] for other in first if other != name] for name in twins}
        taught = self._learn_again(EXCHANGE, first, self._lessons(beliefs, others, "mean"), asking)
        agreed = self._lessons(beliefs, others, "agree")
        if len(first) > 2:  # one other voice always agrees with itself
            taught = self._learn_again(AGREED, first, agreed, asking)
        doubles, asking_twins = self._ask(twins)
        own = self._lessons(beliefs, {name: [double] for name, double in doubles.items()}, "mean")
        self._learn_again(SHAM, first, own, asking + asking_twins + _sum(twins.values()))
        if self.maker.settings.voices.tune_encoder and TEXT in first:
            self._tuned(taught, agreed[TEXT], self.costs[AGREED if len(first) > 2 else EXCHANGE])
        return Outcome(self.ranks, self.unseen, self.costs, tuple(self.taught))

    def _make(self, name: str, *, twin: bool = False, arm: str = "", lessons: Lessons | None = None) -> Made:
        made = self.maker.make(name, self.number, twin=twin, arm=arm, lessons=lessons)
        what = f"{name}, another seed" if twin else f"{name}, {arm}" if arm else name
        self.told(f"{what}: {'there already' if made.cached else f'{made.cost.seconds:,.1f} s'}")
        return made

    def _ask(self, voices: Mapping[str, Made]) -> tuple[dict[str, Beliefs], Cost]:
        """Return what each voice believes, and what it cost to ask."""
        asked, progress = (self.questions, self.known, self.loops), self.maker.progress
        with measured() as meter:
            beliefs = {
                name: believe(made.voice, *asked, sharpness=self._sharpen(made.voice), progress=progress)
                for name, made in voices.items()
            }
        return beliefs, meter.cost

    def _sharpen(self, voice: Voice) -> float:
        parts = self.task.parts
        return sharpen(voice, parts.train, parts.select, *self.task.size, also_true=self.task.also_true())

    def _lessons(
        self, beliefs: Mapping[str, Beliefs], teachers: Mapping[str, Sequence[Beliefs]], how: How
    ) -> dict[str, Lessons]:
        """Return what each voice is taught."""
        n_train = len(self.task.parts.train)
        return {
            name: make_lessons(beliefs[name], each, n_train, *self.task.size, how=how, rejected=self.task.rejected)
            for name, each in teachers.items()
        }

    def _learn_again(
        self, arm: str, first: Mapping[str, Made], lessons: Mapping[str, Lessons], asking: Cost
    ) -> dict[str, Made]:
        """Measure the fusion of the better of before and after of each voice, and return these."""
        kept, cost = dict(first), _sum(first.values()) + asking
        for name, some in lessons.items():
            if len(some) == 0:
                self.told(f"{name}, {arm}: nothing to teach")
                continue
            again = self._make(name, arm=arm, lessons=some)
            cost += again.cost
            if self._note(arm, some, first[name], again):
                kept[name] = again
        self._fuse(arm, list(kept.values()), cost)
        return kept

    def _tuned(self, taught: Mapping[str, Made], lessons: Lessons, cost: Cost) -> None:
        """Measure the last fusion with a text voice whose encoder learned the lessons, too, where that is better."""
        again = self._make(TUNED, arm=LM, lessons=lessons if len(lessons) else None)
        kept = dict(taught)
        if self._note(LM, lessons, taught[TEXT], again):
            kept[TEXT] = again
        self._fuse(LM, list(kept.values()), cost + again.cost)

    def _note(self, arm: str, lessons: Lessons, before: Made, after: Made) -> bool:
        """Note what lessons did, and return whether the voice is better for them."""
        tested = {tuple(triple) for triple in self.task.parts.test.tolist()}
        hidden = sum(tuple(triple) in tested for triple in lessons.triples.tolist())
        scores = (self._on(self.task.parts.select, made.voice) for made in (before, after))
        self.taught.append(Taught(arm, after.voice.name, len(lessons), hidden, *scores))
        return self.taught[-1].kept

    def _on(self, part: np.ndarray[Any, Any], voice: Voice) -> float:
        """Return the filtered MRR on a part that is not the test."""
        return _mrr(voice, part, self.validated) if len(part) else 0.0

    def _fuse(self, arm: str, made: Sequence[Made], cost: Cost | None = None, *, weighed: bool = True) -> None:
        parts = self.task.parts
        fold, voices = parts.fuse if weighed else parts.fuse[:0], [each.voice for each in made]
        with measured() as meter:
            sharpness = None if weighed else [self._sharpen(voice) for voice in voices]
            fused = fuse(voices, parts.train, fold, *self.task.size, also_true=parts.select, sharpness=sharpness)
        self._measure(arm, fused, (_sum(made) if cost is None else cost) + meter.cost)

    def _measure(self, arm: str, voice: Voice, cost: Cost) -> None:
        self.unseen[arm], self.costs[arm] = self._on(self.task.unseen(), voice), cost
        self.ranks[arm] = rank(voice, self.task.parts.test, self.tested, progress=self.maker.progress).realistic


def _mrr(voice: Voice, triples: np.ndarray[Any, Any], known: KnownAnswers) -> float:
    return round(float((1 / rank(voice, triples, known).realistic).mean()), 5)


def _sum(made: Iterable[Made]) -> Cost:
    total = Cost()
    for each in made:
        total += each.cost
    return total
