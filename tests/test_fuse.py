"""Fusion: several voices rank better than each, by weights that come from a fold of their own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from example_graphs import folder_of
from torch import Tensor

from kgsync import dataset
from kgsync.errors import DataError
from kgsync.fuse import MIN_TRIPLES, Fusion, fuse, sharpen
from kgsync.kge.config import TrainConfig
from kgsync.kge.evaluate import evaluate
from kgsync.kge.known import KnownAnswers
from kgsync.kge.train import train
from kgsync.rules.facts import Facts
from kgsync.rules.mine import mine
from kgsync.rules.voice import RuleVoice
from kgsync.voice import Voice

UMLS = dataset.read(folder_of("umls"))
SIZE = len(UMLS.entities), len(UMLS.relations)
SELECT, FOLD = UMLS.valid[::2], UMLS.valid[1::2]
EVERY = KnownAnswers(np.concatenate([UMLS.train, UMLS.valid, UMLS.test]), *SIZE)


class Noise:
    """A voice that knows nothing."""

    name = "noise"

    def scores(self, anchors: Tensor, relations: Tensor, candidates: Tensor | None = None) -> Tensor:
        start = torch.Generator().manual_seed(int(anchors.sum() + 1000 * relations.sum()))
        scores = torch.randn(len(anchors), SIZE[0], generator=start)
        return scores if candidates is None else scores[:, candidates]

    def exact(self) -> Noise:
        return self

    def tensors(self) -> dict[str, Tensor]:
        return {}


@dataclass(frozen=True)
class Quiet:
    """A voice that says the same on a smaller scale."""

    loud: Voice
    name = "quiet"

    def scores(self, anchors: Tensor, relations: Tensor, candidates: Tensor | None = None) -> Tensor:
        return self.loud.scores(anchors, relations, candidates) / 20

    def exact(self) -> Quiet:
        return self

    def tensors(self) -> dict[str, Tensor]:
        return {}


@cache
def voices() -> tuple[object, RuleVoice]:
    kge = train(UMLS.train, SELECT, *SIZE, TrainConfig(rank=32, epochs=9, threads=1)).model
    facts = Facts(UMLS.train, *SIZE)
    return kge, RuleVoice(facts, mine(facts))


@cache
def fused() -> Fusion:
    return fuse(voices(), UMLS.train, FOLD, *SIZE, also_true=SELECT)


def test_together_voices_rank_better_than_the_best_of_them() -> None:
    alone = [evaluate(voice, UMLS.test, EVERY).mrr for voice in voices()]
    assert evaluate(fused(), UMLS.test, EVERY).mrr > max(alone)


def test_a_voice_that_knows_nothing_gets_next_to_no_weight() -> None:
    kge, _ = voices()
    fusion = fuse([kge, Noise()], UMLS.train, FOLD, *SIZE, also_true=SELECT)
    weights = {(voice, name): weight for voice, name, weight in fusion.table()}
    assert abs(weights["noise", "log_softmax"]) < 0.2 * weights["complex", "log_softmax"]


def test_too_few_triples_in_the_fold_leave_all_voices_equal() -> None:
    fusion = fuse(voices(), UMLS.train, FOLD[: MIN_TRIPLES - 1], *SIZE)
    assert torch.equal(fusion.weights, torch.tensor([[0.5, 0.0], [0.5, 0.0]]).expand_as(fusion.weights))


def test_in_a_plain_mix_a_voice_counts_alike_on_whatever_scale_it_scores() -> None:
    kge, rules = voices()
    quiet = Quiet(kge)
    sharpness = [sharpen(voice, UMLS.train, SELECT, *SIZE, also_true=FOLD) for voice in (kge, quiet, rules)]
    assert sharpness[1] == pytest.approx(20 * sharpness[0], rel=0.05)

    def mixed(voice: Voice, sharp: float) -> float:
        fusion = fuse([voice, rules], UMLS.train, FOLD[:0], *SIZE, sharpness=[sharp, sharpness[2]])
        return evaluate(fusion, UMLS.test, EVERY).mrr

    loud = mixed(kge, sharpness[0])
    assert mixed(quiet, sharpness[1]) == pytest.approx(loud, abs=0.003)
    assert abs(mixed(quiet, 1.0) - loud) > 0.01, "without, the scale decides"


def test_what_is_known_from_train_never_comes_first() -> None:
    known = KnownAnswers(UMLS.train, *SIZE)
    anchors, relations = torch.from_numpy(known.anchors[::7]), torch.from_numpy(known.relations[::7])
    best = fused().scores(anchors, relations).argmax(dim=1)
    for anchor, relation, answer in zip(anchors.tolist(), relations.tolist(), best.tolist(), strict=True):
        answers = known.answers(anchor, relation)
        assert answer not in answers or len(answers) > SIZE[0] - 2


def test_scores_do_not_depend_on_what_else_is_asked() -> None:
    exact = fused().exact()
    anchors, relations = torch.arange(20), torch.arange(20) % (2 * SIZE[1])
    together = exact.scores(anchors, relations)
    assert together.dtype == torch.float64
    some = torch.tensor([5, 3, 70])
    single = torch.cat([exact.scores(anchors[i : i + 1], relations[i : i + 1], some) for i in range(20)])
    torch.testing.assert_close(single, together[:, some], rtol=0, atol=1e-5)
    torch.testing.assert_close(fused().scores(anchors, relations).double(), together, rtol=1e-4, atol=1e-3)


def test_a_saved_fusion_says_the_same_and_a_missing_voice_is_refused(tmp_path: Path) -> None:
    fused().save(tmp_path / "fusion.safetensors")
    named = {voice.name: voice for voice in voices()}
    again = Fusion.load(tmp_path / "fusion.safetensors", named)
    anchors, relations = torch.arange(9), torch.arange(9)
    assert torch.equal(again.scores(anchors, relations), fused().scores(anchors, relations))
    with pytest.raises(DataError, match="fuses complex, rules"):
        Fusion.load(tmp_path / "fusion.safetensors", {"rules": named["rules"]})


def test_a_relation_without_examples_follows_its_class() -> None:
    counts = np.bincount(FOLD[:, 1], minlength=SIZE[1])
    silent = int(np.argmin(counts))
    kept = FOLD[FOLD[:, 1] != silent]
    fusion = fuse(voices(), UMLS.train, kept, *SIZE, also_true=SELECT)
    plain = replace(fusion, weights=torch.zeros_like(fusion.weights)).weights[silent]
    assert not torch.equal(fusion.weights[silent], plain)
