"""Filtered ranks equal a naive count; ties, broken models and numbering cannot flatter anybody."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import Tensor

from kgsync.errors import DataError
from kgsync.kge import evaluate as evaluate_module
from kgsync.kge.evaluate import evaluate, rank
from kgsync.kge.known import KnownAnswers
from kgsync.kge.models import DistMult, KgeModel, create
from kgsync.kge.ranks import Metrics
from kgsync.kge.slices import CLASSES, cardinality, slices

ENTITIES, RELATIONS = 25, 3


class Constant(DistMult):
    """Gives every entity the same score."""

    value = 0.5

    def scores(self, anchors: Tensor, relations: Tensor, candidates: Tensor | None = None) -> Tensor:
        return torch.full((len(anchors), self.n_entities), self.value)


def random_triples(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([rng.integers(0, high, count) for high in (ENTITIES, RELATIONS, ENTITIES)], axis=1)


def coarse(name: str = "complex") -> KgeModel:
    """A model with small whole numbers in it, so that many scores are exactly equal."""
    model = create(name, ENTITIES, RELATIONS, 2, seed=0)
    with torch.no_grad():
        for table in (model.entities, model.relations):
            table.mul_(1_000).round_()
    return model


def naive_ranks(model: KgeModel, triples: np.ndarray, known: KnownAnswers) -> np.ndarray:
    own = KnownAnswers(triples, ENTITIES, RELATIONS)
    ranks = []
    for h, r, t in triples.tolist():
        for anchor, relation, target in ((h, r, t), (t, r + RELATIONS, h)):
            scores = model.scores(torch.tensor([anchor]), torch.tensor([relation]))[0].tolist()
            hidden = {*known.answers(anchor, relation).tolist(), *own.answers(anchor, relation).tolist()}
            rivals = [scores[entity] for entity in range(ENTITIES) if entity not in hidden]
            better = sum(score > scores[target] for score in rivals)
            ranks.append(1 + better + sum(score == scores[target] for score in rivals) / 2)
    return np.array(ranks).reshape(-1, 2)


@pytest.mark.parametrize("live", [1 << 23, 1, 3 * ENTITIES])
def test_filtered_mean_ranks_equal_a_naive_count_in_blocks_of_any_size(
    live: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate_module, "LIVE_SCORES", live)
    triples, known = random_triples(60, 1), KnownAnswers(random_triples(80, 2), ENTITIES, RELATIONS)
    model = coarse()
    expected = naive_ranks(model, triples, known)
    assert (expected % 1 == 0.5).any(), "no ties: the test would show nothing"
    np.testing.assert_array_equal(rank(model, triples, known).realistic, expected)


def test_metrics_are_the_means_of_the_ranks_whole_per_side_and_per_relation() -> None:
    triples, known = random_triples(60, 1), KnownAnswers(random_triples(80, 2), ENTITIES, RELATIONS)
    ranks, metrics = rank(coarse(), triples, known).realistic, evaluate(coarse(), triples, known)
    assert metrics.count == 120
    assert metrics.mrr == pytest.approx((1 / ranks).mean())
    assert metrics.mean_rank == pytest.approx(ranks.mean())
    for limit, hits in ((1, metrics.hits_at_1), (3, metrics.hits_at_3), (10, metrics.hits_at_10)):
        assert hits == pytest.approx((ranks <= limit).mean())
    assert metrics.sides["tail"].mrr == pytest.approx((1 / ranks[:, 0]).mean())
    assert metrics.sides["head"].mrr == pytest.approx((1 / ranks[:, 1]).mean())
    of_two = ranks[triples[:, 1] == 2]
    assert metrics.per_relation[2].count == of_two.size
    assert metrics.per_relation[2].sides["head"].hits_at_3 == pytest.approx((of_two[:, 1] <= 3).mean())
    plain = json.loads(json.dumps(metrics.to_dict(), allow_nan=False))
    assert plain["per_relation"]["2"]["sides"]["head"]["count"] == len(of_two)
    assert plain["mrr"] == metrics.mrr


def test_a_constant_model_gets_the_middle_rank_and_never_the_first() -> None:
    known = KnownAnswers(np.empty((0, 3), dtype=np.int64), ENTITIES, RELATIONS)
    triples = np.array([[0, 0, 1], [2, 1, 3], [4, 2, 4]])
    metrics = evaluate(Constant(ENTITIES, RELATIONS, 1, 0), triples, known)
    assert metrics.mean_rank == (ENTITIES + 1) / 2
    assert metrics.hits_at_10 == 0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_model_with_scores_that_are_not_finite_is_refused(value: float) -> None:
    model = Constant(ENTITIES, RELATIONS, 1, 0)
    model.value = value
    known = KnownAnswers(random_triples(10, 0), ENTITIES, RELATIONS)
    with pytest.raises(DataError, match="not finite"):
        evaluate(model, random_triples(5, 1), known)


def test_finite_scores_whose_sum_overflows_are_accepted() -> None:
    model = Constant(ENTITIES, RELATIONS, 1, 0)
    model.value = 3e38
    known = KnownAnswers(random_triples(10, 0), ENTITIES, RELATIONS)
    assert evaluate(model, random_triples(5, 1), known).count == 10


def test_numbering_entities_and_relations_otherwise_changes_nothing() -> None:
    triples, train, model = random_triples(60, 1), random_triples(80, 2), coarse()
    rng = np.random.default_rng(3)
    entity, relation = rng.permutation(ENTITIES), rng.permutation(RELATIONS)

    def renumber(array: np.ndarray) -> np.ndarray:
        return np.stack([entity[array[:, 0]], relation[array[:, 1]], entity[array[:, 2]]], axis=1)

    renumbered = create("complex", ENTITIES, RELATIONS, 2, seed=0)
    with torch.no_grad():
        renumbered.entities[torch.from_numpy(entity)] = model.entities
        both = np.concatenate([relation, relation + RELATIONS])
        renumbered.relations[torch.from_numpy(both)] = model.relations
    before = rank(model, triples, KnownAnswers(train, ENTITIES, RELATIONS))
    after = rank(renumbered, renumber(triples), KnownAnswers(renumber(train), ENTITIES, RELATIONS))
    np.testing.assert_array_equal(before.realistic, after.realistic)


def test_no_triples_is_a_clear_error_and_not_a_division_by_zero() -> None:
    known = KnownAnswers(random_triples(10, 0), ENTITIES, RELATIONS)
    with pytest.raises(DataError, match="no triples to evaluate"):
        evaluate(coarse(), np.empty((0, 3), dtype=np.int64), known)


def test_ties_show_in_the_optimistic_and_pessimistic_ranks_and_in_the_chance_corrected_mean() -> None:
    known = KnownAnswers(np.array([[0, 0, 5], [0, 0, 6]]), ENTITIES, RELATIONS)
    triples = np.array([[0, 0, 1]])
    ranks = rank(Constant(ENTITIES, RELATIONS, 1, 0), triples, known)
    assert ranks.optimistic.tolist() == [[1, 1]]
    assert ranks.pessimistic.tolist() == [[ENTITIES - 2, ENTITIES]] == ranks.competing.tolist()
    metrics = evaluate(Constant(ENTITIES, RELATIONS, 1, 0), triples, known)
    assert metrics.adjusted_mean_rank_index == 0
    assert (metrics.optimistic_mrr, metrics.to_dict()["optimistic_mrr"]) == (1, 1)
    no_ties = evaluate(create("complex", ENTITIES, RELATIONS, 4, seed=0), triples, known)
    assert "optimistic_mrr" not in no_ties.to_dict()


def test_slices_tell_relations_entities_and_reversed_triples_apart_by_train_alone() -> None:
    train = np.array(
        [[0, 0, 1], [2, 0, 3], [0, 1, 4], [0, 1, 5], [4, 2, 0], [5, 2, 0], [0, 3, 1], [0, 3, 2], [1, 3, 1]]
    )
    train = np.concatenate([train, [[1, 3, 2]]])
    triples = np.array([[6, 0, 1], [1, 0, 0], [2, 1, 1], [3, 2, 0], [2, 3, 5]])
    assert [CLASSES[c] for c in cardinality(train, 4)] == ["1-1", "1-N", "N-1", "N-N"]
    parts = {
        name: {part: mask.tolist() for part, mask in masks.items()} for name, masks in slices(triples, train).items()
    }
    assert parts["cardinality"]["1-1"] == [True, True, False, False, False]
    assert parts["cardinality"]["N-N"] == [False, False, False, False, True]
    assert parts["entities"]["unseen"] == [True, False, False, False, False]
    assert parts["reverse"]["known"] == [False, True, True, False, False]
    known = KnownAnswers(train, ENTITIES, 4)
    metrics = evaluate(create("complex", ENTITIES, 4, 2, seed=0), triples, known, train=train)
    assert {name: sum(m.count for m in masks.values()) for name, masks in metrics.slices.items()} == {
        "cardinality": 10,
        "entities": 10,
        "reverse": 10,
    }
    assert metrics.to_dict()["slices"]["entities"]["unseen"]["count"] == 2


@pytest.mark.parametrize(
    "model", [coarse(), Constant(ENTITIES, RELATIONS, 1, 0)], ids=["some ties", "nothing but ties"]
)
def test_metrics_come_back_from_their_json_with_all_their_parts(model: KgeModel) -> None:
    triples = random_triples(60, 4)
    metrics = evaluate(model, triples[:20], KnownAnswers(triples, ENTITIES, RELATIONS), train=triples[20:])
    assert metrics.slices["cardinality"]
    assert Metrics.from_dict(json.loads(json.dumps(metrics.to_dict()))) == metrics
