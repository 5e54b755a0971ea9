"""A changed graph is learned from where the model before left off: who is still there keeps what was learned."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from example_graphs import BENCHMARKS
from hypothesis import given
from hypothesis import strategies as st

from kgsync import dataset
from kgsync.errors import ConfigError, DataError
from kgsync.identity import Entity
from kgsync.kge.config import TrainConfig
from kgsync.kge.models import MODELS, KgeModel, create
from kgsync.kge.train import Trained, train
from kgsync.kge.warm import carry_over, fitting, positions

ENTITIES, RELATIONS = 12, 3
CONFIG = TrainConfig(rank=50, epochs=9, eval_every=1, threads=1)


def previous(name: str = "complex") -> KgeModel:
    model = create(name, ENTITIES, RELATIONS, 4, seed=3)
    with torch.no_grad():
        for table in (model.entities, model.relations):
            table *= 0.7 / table.std()
    return model


def some_triples(n_entities: int, n_relations: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.stack([rng.integers(0, high, 60) for high in (n_entities, n_relations, n_entities)], axis=1)


def test_entities_are_matched_by_identity_and_not_by_key_alone() -> None:
    before = [Entity("Person", "id", 1), Entity("City", "id", 1), Entity("Person", "id", "1")]
    now = [Entity("Person", "id", "1"), Entity("Person", "id", 2), Entity("Person", "id", 1)]
    assert positions(now, before).tolist() == [2, -1, 0]
    assert positions(["KNOWS", "LIKES"], ["LIKES"]).tolist() == [-1, 0]


@given(st.permutations(range(10)), st.integers(0, 10))
def test_positions_say_where_everything_was(order: list[int], gone: int) -> None:
    before = list(range(gone, 10))
    found = positions(order, before)
    assert [None if place < 0 else before[place] for place in found] == [x if x >= gone else None for x in order]


@pytest.mark.parametrize("name", sorted(MODELS))
def test_who_is_still_there_keeps_the_row_under_another_number(name: str) -> None:
    before = previous(name)
    entities = np.array([-1, 4, 7, 0, -1, 11])
    relations = np.array([2, -1, 0])
    model = carry_over(before, entities, relations, some_triples(6, 3), seed=1)
    assert (model.n_entities, model.n_relations, model.rank, model.name) == (6, 3, 4, name)
    assert torch.equal(model.entities[[1, 2, 3, 5]], before.entities[[4, 7, 0, 11]])
    assert torch.equal(model.relations[[0, 2, 3, 5]], before.relations[[2, 0, 5, 3]])
    assert torch.equal(model.relations[[1, 4]], create(name, 6, 3, 4, seed=1).relations[[1, 4]])
    assert torch.isfinite(model.entities).all()


def test_only_relations_that_the_model_before_knew_say_something_about_new_entities() -> None:
    before, entities = previous(), np.append(np.arange(ENTITIES), -1)
    relations = np.array([0, 1, 2, -1])
    mean = before.entities.detach().mean(dim=0)
    by_new = carry_over(before, entities, relations, np.array([[ENTITIES, 3, 2], [0, 0, 1]]), seed=0)
    by_old = carry_over(before, entities, relations, np.array([[ENTITIES, 2, 2], [0, 0, 1]]), seed=0)
    torch.testing.assert_close(by_new.entities[-1], mean)
    assert not torch.allclose(by_old.entities[-1], mean, atol=1e-2)


def test_the_same_change_gives_the_same_bits() -> None:
    entities, relations = np.array([5, -1, 3, -1]), np.array([1, -1])
    first, second = (carry_over(previous(), entities, relations, some_triples(4, 2), seed=9) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


@pytest.mark.parametrize(
    ("entities", "relations", "message"),
    [
        ([0, 12], [0], "entity places run from 0 to 12, outside 0 to 11"),
        ([0, -2], [0], "entity places run from -2"),
        ([3, 3], [0], "two of the changed graph are the same entity"),
        ([0, 1], [-1], "knows no relation of the changed graph"),
        ([-1, -1], [0], "knows no entity of the changed graph"),
    ],
)
def test_places_that_cannot_be_are_refused(entities: list[int], relations: list[int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        carry_over(previous(), np.array(entities), np.array(relations), np.array([[0, 0, 1]]), seed=0)


def test_a_training_takes_the_rank_of_its_start_and_refuses_another_kind() -> None:
    model = previous()
    assert fitting(TrainConfig(), model, ENTITIES, RELATIONS).rank == 4
    assert fitting(TrainConfig(rank=4), model, ENTITIES, RELATIONS).rank == 4
    with pytest.raises(ConfigError, match=r"train\.rank is 8, the start has 4"):
        fitting(TrainConfig(rank=8), model, ENTITIES, RELATIONS)
    with pytest.raises(ConfigError, match=r"train\.model is rotate, the start has complex"):
        fitting(TrainConfig(model="rotate"), model, ENTITIES, RELATIONS)
    with pytest.raises(DataError, match="12 entities and 3 relations, the graph 13 and 3"):
        fitting(TrainConfig(), model, ENTITIES + 1, RELATIONS)


@cache
def grown_umls() -> tuple[np.ndarray, np.ndarray, Trained]:
    """Return train and valid of UMLS, and a model of it without the last tenth of its entities."""
    graph = dataset.read(BENCHMARKS / "umls")
    old = len(graph.entities) * 9 // 10
    parts = [part[(part[:, [0, 2]] < old).all(axis=1)] for part in (graph.train, graph.valid)]
    return graph.train, graph.valid, train(*parts, old, len(graph.relations), CONFIG)


def start() -> KgeModel:
    triples, _, before = grown_umls()
    n_entities, n_relations = sizes()
    entities = positions(range(n_entities), range(before.model.n_entities))
    return carry_over(before.model, entities, np.arange(n_relations), triples, CONFIG.seed)


def sizes() -> tuple[int, int]:
    triples = grown_umls()[0]
    return int(triples[:, [0, 2]].max()) + 1, int(triples[:, 1].max()) + 1


def trained_from(model: KgeModel, folder: Path) -> Trained:
    """Return the training of the grown graph that goes on from `model`."""
    triples, valid, _ = grown_umls()
    return train(triples, valid, *sizes(), CONFIG, start=model, checkpoint=folder)


def test_a_warm_start_is_as_good_as_a_cold_one_in_a_third_of_the_epochs(tmp_path: Path) -> None:
    triples, valid, _ = grown_umls()
    cold = train(triples, valid, *sizes(), replace(CONFIG, patience=CONFIG.epochs))
    warm = trained_from(start(), tmp_path)
    third = CONFIG.epochs // 3
    cold_mrr, warm_mrr = ([epoch.valid_mrr or 0.0 for epoch in result.history] for result in (cold, warm))
    assert max(warm_mrr[:third]) >= max(cold_mrr) - 0.01 > max(cold_mrr[:third])


def test_a_warm_start_repeats_to_the_bit(tmp_path: Path) -> None:
    first, second = (trained_from(start(), tmp_path / name) for name in ("first", "second"))
    assert [epoch.loss for epoch in first.history] == [epoch.loss for epoch in second.history]
    assert all(torch.equal(a, b) for a, b in zip(first.model.parameters(), second.model.parameters(), strict=True))
