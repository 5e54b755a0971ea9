"""The loss over distinct queries and its hand-written gradients equal the naive form and autograd."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from kgsync.kge import loss as loss_module
from kgsync.kge import objective
from kgsync.kge.known import KnownAnswers
from kgsync.kge.loss import softmax_loss
from kgsync.kge.models import MODELS, KgeModel, as_tensor, create
from kgsync.kge.negatives import SharedNegatives
from kgsync.kge.objective import Batch, Weights, gradients

ENTITIES, RELATIONS = 30, 4


@pytest.fixture
def known() -> KnownAnswers:
    rng = np.random.default_rng(0)
    triples = np.stack([rng.integers(0, high, 150) for high in (8, RELATIONS, ENTITIES)], axis=1)
    return KnownAnswers(triples, ENTITIES, RELATIONS)


@pytest.fixture(params=sorted(MODELS))
def model(request: pytest.FixtureRequest) -> KgeModel:
    model = create(request.param, ENTITIES, RELATIONS, 6, seed=5)
    with torch.no_grad():
        for table in (model.entities, model.relations):
            table *= 0.7 / table.std()
    return model


def whole_batch(known: KnownAnswers, queries: np.ndarray) -> Batch:
    rows, answers = known.expand(queries)
    return Batch(*map(as_tensor, (known.anchors[queries], known.relations[queries], rows, answers)))


def one_row_per_triple(model: KgeModel, batch: Batch) -> torch.Tensor:
    """Scores [T, E] with gradients, as an implementation without any grouping computes them."""
    query = model.compose(model.entities[batch.anchors[batch.rows]], model.relations[batch.relations[batch.rows]])
    return model.similarity(model.entities, query).T


def test_loss_over_distinct_queries_equals_the_naive_one_per_triple(model: KgeModel, known: KnownAnswers) -> None:
    batch = whole_batch(known, np.arange(len(known)))
    assert len(batch.rows) > len(batch.anchors), "no query has two answers: the test would show nothing"
    naive = cross_entropy(one_row_per_triple(model, batch), batch.answers, reduction="sum")
    queries = model.queries(batch.anchors, batch.relations)
    loss, _, _ = softmax_loss(model, queries, model.entities.detach(), batch.rows, batch.answers)
    assert loss == pytest.approx(float(naive.detach()), rel=1e-5)


@pytest.mark.parametrize(("live", "block"), [(1 << 24, 1024), (1, 7), (4 * ENTITIES, 4), (5 * ENTITIES, ENTITIES)])
def test_chunked_log_sum_exp_and_its_gradients_equal_autograd(
    model: KgeModel, known: KnownAnswers, monkeypatch: pytest.MonkeyPatch, live: int, block: int
) -> None:
    monkeypatch.setattr(loss_module, "LIVE_SCORES", live)
    monkeypatch.setattr(loss_module, "BLOCK", block)
    batch = whole_batch(known, np.random.default_rng(1).permutation(len(known))[:23])
    queries = model.queries(batch.anchors, batch.relations).requires_grad_()
    table = model.entities.detach().clone().requires_grad_()
    scores = model.similarity(table, queries).T
    counts = torch.bincount(batch.rows)
    expected = (counts * scores.logsumexp(dim=1)).sum() - scores[batch.rows, batch.answers].sum()
    expected.backward()
    loss, for_queries, for_table = softmax_loss(model, queries.detach(), table.detach(), batch.rows, batch.answers)
    assert loss == pytest.approx(float(expected.detach()), rel=1e-5)
    torch.testing.assert_close(for_queries, queries.grad, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(for_table, table.grad, atol=1e-4, rtol=1e-4)


def test_scores_far_beyond_the_range_of_exp_stay_finite(known: KnownAnswers) -> None:
    model = create("complex", ENTITIES, RELATIONS, 6, seed=5)
    with torch.no_grad():
        model.entities.mul_(1e5)
        model.relations.mul_(1e4)
    batch = whole_batch(known, np.arange(len(known)))
    queries = model.queries(batch.anchors, batch.relations)
    assert model.scores(batch.anchors, batch.relations).max() > 1_000
    loss, *both = softmax_loss(model, queries, model.entities.detach(), batch.rows, batch.answers)
    assert np.isfinite(loss)
    assert all(torch.isfinite(gradient).all() for gradient in both)


def test_gradients_of_the_whole_objective_equal_autograd(
    model: KgeModel, known: KnownAnswers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objective, "TRIPLES", 10)
    weights = Weights(n3=0.3, relation=0.5, dtype=torch.float32)
    batch = whole_batch(known, np.random.default_rng(2).permutation(len(known))[:40])
    naive = cross_entropy(one_row_per_triple(model, batch), batch.answers, reduction="sum")
    for anchor, relation, answer in zip(
        batch.anchors[batch.rows], batch.relations[batch.rows], batch.answers, strict=True
    ):
        h, r, t = model.entities[anchor][None], model.relations[relation][None], model.entities[answer][None]
        naive = naive + 0.3 * (model.cubes(h) + model.cubes(r) + model.cubes(t))
        by_relation = model.similarity(model.relations, model.relate(h, t)).T
        naive = naive + 0.5 * cross_entropy(by_relation, relation[None])
    naive.backward()
    loss, for_entities, for_relations = gradients(model, model.entities.detach(), batch, weights)
    assert loss == pytest.approx(float(naive.detach()), rel=1e-5)
    torch.testing.assert_close(for_entities, model.entities.grad, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(for_relations, model.relations.grad, atol=1e-4, rtol=1e-4)


def test_a_shared_sample_of_every_entity_gives_the_loss_over_all_entities(model: KgeModel, known: KnownAnswers) -> None:
    batch = whole_batch(known, np.arange(20))
    generator = torch.Generator().manual_seed(0)
    ids, log_weight = SharedNegatives(known, 5_000).draw(batch.answers, 20, generator)
    assert ids.tolist() == list(range(ENTITIES))
    queries = model.queries(batch.anchors, batch.relations)
    table = model.entities.detach()
    full, *_ = softmax_loss(model, queries, table, batch.rows, batch.answers)
    sampled, *_ = softmax_loss(model, queries, table, batch.rows, batch.answers, log_weight=log_weight)
    assert sampled == pytest.approx(full, rel=1e-5)


def test_weights_of_shared_negatives_estimate_the_sum_over_all_entities(known: KnownAnswers) -> None:
    """Each entity counts 1 on average: weight x share of the batches in whose set it is."""
    negatives, generator = SharedNegatives(known, 5), torch.Generator().manual_seed(0)
    totals, rounds = torch.zeros(ENTITIES), 4_000
    for _ in range(rounds):
        queries = torch.randperm(len(known), generator=generator)[:6].numpy()
        own = torch.cat([as_tensor(known.anchors[queries]), as_tensor(known.expand(queries)[1])])
        ids, log_weight = negatives.draw(own, len(queries), generator)
        assert torch.isin(own, ids).all()
        totals[ids] += log_weight.exp() / rounds
    assert (totals - 1).abs().max() < 0.2
    assert abs(float(totals.mean()) - 1) < 0.05


def test_a_weight_counts_an_entity_several_times_except_where_it_is_an_answer(known: KnownAnswers) -> None:
    model = create("distmult", ENTITIES, RELATIONS, 6, seed=5)
    with torch.no_grad():
        model.entities *= 700
    batch = whole_batch(known, np.arange(10))
    queries, table = model.queries(batch.anchors, batch.relations) * 1e3, model.entities.detach()
    log_weight = torch.linspace(0, 3, ENTITIES)
    loss, *_ = softmax_loss(model, queries, table, batch.rows, batch.answers, log_weight=log_weight)
    scores = queries @ table.T
    weight = log_weight.repeat(10, 1)
    weight[batch.rows, batch.answers] = 0
    naive = (torch.bincount(batch.rows) * (scores + weight).logsumexp(1)).sum() - scores[
        batch.rows, batch.answers
    ].sum()
    assert loss == pytest.approx(float(naive), rel=1e-5)
