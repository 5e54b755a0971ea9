"""Ensembles: the joined model scores exactly the weighted sum, and its weights come from valid alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from example_graphs import folder_of

from kgsync import dataset
from kgsync.errors import ConfigError
from kgsync.kge.config import TrainConfig
from kgsync.kge.ensemble import join, train_members, train_within, weigh
from kgsync.kge.evaluate import evaluate
from kgsync.kge.finished import FILE
from kgsync.kge.known import KnownAnswers
from kgsync.kge.models import create
from kgsync.kge.train import train

UMLS = dataset.read(folder_of("umls"))
SIZE = len(UMLS.entities), len(UMLS.relations)
KNOWN = KnownAnswers(np.concatenate([UMLS.train, UMLS.valid]), *SIZE)
QUICK = TrainConfig(rank=16, epochs=9, threads=1)


@pytest.mark.parametrize("name", ["complex", "distmult"])
def test_the_joined_model_scores_the_weighted_sum(name: str) -> None:
    members = [create(name, 7, 3, rank, seed) for rank, seed in ((4, 1), (6, 2), (5, 3))]
    for member in members:
        torch.nn.init.normal_(member.entities)
        torch.nn.init.normal_(member.relations)
    weights = torch.rand(3, 6)
    anchors, relations = torch.arange(6), torch.tensor([0, 5, 2, 3, 4, 1])
    expected = sum(w[relations][:, None] * m.scores(anchors, relations) for m, w in zip(members, weights, strict=True))
    whole = join(members, weights)
    assert (whole.name, whole.rank) == (name, 15)
    torch.testing.assert_close(whole.scores(anchors, relations), expected)


def test_models_whose_scores_do_not_add_up_are_refused() -> None:
    with pytest.raises(ConfigError, match="transe-l2, transe-l2 cannot be joined"):
        join([create("transe-l2", 5, 2, 4, 0)] * 2, torch.ones(2, 4))
    with pytest.raises(ConfigError, match="complex, distmult cannot be joined"):
        join([create("complex", 5, 2, 4, 0), create("distmult", 5, 2, 8, 0)], torch.ones(2, 4))
    with pytest.raises(ConfigError, match="models of kind rotate cannot be joined"):
        train_members(UMLS.train, UMLS.valid, *SIZE, replace(QUICK, model="rotate", members=2))


def test_members_that_share_a_time_budget_can_be_repeated_by_their_steps() -> None:
    timed = train_members(UMLS.train, UMLS.valid, *SIZE, replace(QUICK, epochs=1_000, members=2, time_budget=1.0))
    again = train_members(UMLS.train, UMLS.valid, *SIZE, replace(QUICK, epochs=1_000, members=2, steps=timed.steps))
    torch.testing.assert_close(timed.model.entities, again.model.entities, rtol=0, atol=0)


def test_a_budget_alone_decides_how_many_members_there_are() -> None:
    once = train_within(UMLS.train, UMLS.valid, *SIZE, replace(QUICK, epochs=1_000, members=3), seconds=0.2)
    assert once.config.members == 1


def test_a_member_that_knows_nothing_gets_the_smallest_share() -> None:
    good = train(UMLS.train, UMLS.valid, *SIZE, QUICK).model
    noise = create("complex", *SIZE, 16, seed=9)
    torch.nn.init.normal_(noise.entities)
    torch.nn.init.normal_(noise.relations)
    weights = weigh([noise, good], UMLS.valid, KNOWN)
    torch.testing.assert_close(weights.sum(dim=0), torch.ones(2 * SIZE[1]))
    assert (weights[1] >= weights[0]).all()
    assert weights[1].median() == pytest.approx(0.8)  # 4 to 1, the most that is tried


def test_two_members_rank_better_than_either_and_are_the_same_every_time() -> None:
    config = replace(QUICK, members=2)
    both = train_members(UMLS.train, UMLS.valid, *SIZE, config)
    assert (both.config.members, both.model.rank) == (2, 32)
    again = train_members(UMLS.train, UMLS.valid, *SIZE, config)
    torch.testing.assert_close(both.model.entities, again.model.entities, rtol=0, atol=0)
    every = KnownAnswers(np.concatenate([UMLS.train, UMLS.valid, UMLS.test]), *SIZE)
    alone = [train(UMLS.train, UMLS.valid, *SIZE, replace(QUICK, seed=seed)).model for seed in (0, 1)]
    assert evaluate(both.model, UMLS.test, every).mrr > max(evaluate(m, UMLS.test, every).mrr for m in alone)


def test_what_a_time_budget_made_is_repeated_by_its_members_and_steps() -> None:
    short = replace(QUICK, epochs=3)
    within = train_within(UMLS.train, UMLS.valid, *SIZE, short, seconds=30.0)  # a fraction of which is enough for all
    assert within.config.members > 1
    repeated = replace(short, members=within.config.members, steps=within.steps)
    again = train_members(UMLS.train, UMLS.valid, *SIZE, repeated)
    torch.testing.assert_close(within.model.relations, again.model.relations, rtol=0, atol=0)


def test_an_ensemble_that_was_interrupted_in_its_second_member_trains_no_first_again(tmp_path: Path) -> None:
    config, folder = replace(QUICK, epochs=3, members=2), tmp_path / "models" / "training"
    whole = train_members(UMLS.train, UMLS.valid, *SIZE, config)
    first: list[int] = []

    def interrupted(_: str, done: int, total: int | None) -> None:
        first.append(done)
        if first.count(1) == 2:  # the second member begins
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_members(UMLS.train, UMLS.valid, *SIZE, config, checkpoint=folder, progress=interrupted)
    assert (folder / FILE).is_file()
    rest: list[int] = []
    again = train_members(
        UMLS.train, UMLS.valid, *SIZE, config, checkpoint=folder, progress=lambda _, done, __: rest.append(done)
    )
    assert rest.count(1) == 1
    assert torch.equal(again.model.entities, whole.model.entities)
    assert torch.equal(again.model.relations, whole.model.relations)
    assert (again.steps, again.history[0].loss) == (whole.steps, whole.history[0].loss)
    assert list((tmp_path / "models").iterdir()) == []
    train_members(UMLS.train, UMLS.valid, *SIZE, replace(config, epochs=1), checkpoint=folder)
    assert list((tmp_path / "models").iterdir()) == []
