"""The loss over distinct queries and its hand-written gradients equal the naive form and autograd."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from n3 import cubes
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, logsigmoid

from kgsync.kge import loss as loss_module
from kgsync.kge import objective
from kgsync.kge.criteria import BinaryCrossEntropy, Criterion, SelfAdversarial, Softmax
from kgsync.kge.known import KnownAnswers
from kgsync.kge.loss import loss_and_gradients
from kgsync.kge.models import MODELS, KgeModel, as_tensor, create
from kgsync.kge.negatives import SeenEnds, SharedNegatives
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
    loss, _, _ = loss_and_gradients(model, queries, model.entities.detach(), batch.rows, batch.answers)
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
    loss, for_queries, for_table = loss_and_gradients(
        model, queries.detach(), table.detach(), batch.rows, batch.answers
    )
    assert loss == pytest.approx(float(expected.detach()), rel=1e-5)
    torch.testing.assert_close(for_queries, queries.grad, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(for_table, table.grad, atol=1e-4, rtol=1e-4)


def test_answers_that_count_less_give_the_weighted_sum_over_triples(model: KgeModel, known: KnownAnswers) -> None:
    batch = whole_batch(known, np.arange(len(known)))
    counted = torch.rand(len(batch.rows), generator=torch.Generator().manual_seed(3))
    counted[::3] = 1.0
    each = cross_entropy(one_row_per_triple(model, batch), batch.answers, reduction="none")
    weighted = replace(batch, shares=counted)
    for criterion in (Softmax, partial(SelfAdversarial, margin=1.0, temperature=0.5), BinaryCrossEntropy):
        half = replace(batch, shares=torch.full_like(counted, 0.5))
        some = Weights(0.0, 0.0, torch.float32, criterion)
        table = model.entities.detach()
        losses = [gradients(model, table, one, some)[0] for one in (batch, weighted, half)]
        assert len({round(loss, 3) for loss in losses}) == 3, "what an answer counts changes nothing"
    (each * counted).sum().backward()
    loss, for_entities, for_relations = gradients(
        model, model.entities.detach(), weighted, Weights(0.0, 0.0, torch.float32)
    )
    assert loss == pytest.approx(float((each.detach() * counted).sum()), rel=1e-5)
    torch.testing.assert_close(for_entities, model.entities.grad, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(for_relations, model.relations.grad, atol=1e-4, rtol=1e-4)


def test_labels_of_yes_or_no_are_what_answers_count(model: KgeModel, known: KnownAnswers) -> None:
    batch = whole_batch(known, np.arange(len(known)))
    counted = torch.rand(len(batch.rows), generator=torch.Generator().manual_seed(4))
    table = model.entities.detach().clone().requires_grad_()
    queries = model.queries(batch.anchors, batch.relations)
    labels = torch.zeros(len(queries), ENTITIES).index_put((batch.rows, batch.answers), counted)
    expected = binary_cross_entropy_with_logits(model.similarity(table, queries).T, labels, reduction="sum")
    expected.backward()
    loss, _, for_table = loss_and_gradients(
        model, queries, table.detach(), batch.rows, batch.answers, BinaryCrossEntropy, shares=counted
    )
    assert loss == pytest.approx(float(expected.detach()), rel=1e-5)
    torch.testing.assert_close(for_table, table.grad, atol=1e-4, rtol=1e-4)


def test_scores_far_beyond_the_range_of_exp_stay_finite(known: KnownAnswers) -> None:
    model = create("complex", ENTITIES, RELATIONS, 6, seed=5)
    with torch.no_grad():
        model.entities.mul_(1e5)
        model.relations.mul_(1e4)
    batch = whole_batch(known, np.arange(len(known)))
    queries = model.queries(batch.anchors, batch.relations)
    assert model.scores(batch.anchors, batch.relations).max() > 1_000
    loss, *both = loss_and_gradients(model, queries, model.entities.detach(), batch.rows, batch.answers)
    assert np.isfinite(loss)
    assert all(torch.isfinite(gradient).all() for gradient in both)


def test_gradients_of_the_whole_objective_equal_autograd(
    model: KgeModel, known: KnownAnswers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objective, "TRIPLES", 10)
    monkeypatch.setattr(objective, "EVEN", 4)  # so that there are rows without meaning
    weights = Weights(n3=0.3, relation=0.5, dtype=torch.float32)
    batch = whole_batch(known, np.random.default_rng(2).permutation(len(known))[:40])
    naive = cross_entropy(one_row_per_triple(model, batch), batch.answers, reduction="sum")
    for anchor, relation, answer in zip(
        batch.anchors[batch.rows], batch.relations[batch.rows], batch.answers, strict=True
    ):
        h, r, t = model.entities[anchor][None], model.relations[relation][None], model.entities[answer][None]
        of_relation = torch.full((1,), float(r.shape[1])) if model.name == "rotate" else cubes(model.name, r)
        naive = naive + 0.3 * (cubes(model.name, h) + of_relation + cubes(model.name, t)).sum()
        by_relation = model.relation_scores(h, model.relations, t)
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
    full, *_ = loss_and_gradients(model, queries, table, batch.rows, batch.answers)
    sampled, *_ = loss_and_gradients(model, queries, table, batch.rows, batch.answers, log_weight=log_weight)
    assert sampled == pytest.approx(full, rel=1e-5)


@pytest.mark.parametrize("even", [1, 8])
def test_weights_of_shared_negatives_estimate_the_sum_over_all_entities(
    known: KnownAnswers, even: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each entity counts 1 on average: weight x share of the batches in whose set it is."""
    monkeypatch.setattr("kgsync.kge.negatives.EVEN", even)
    negatives, generator = SharedNegatives(known, 5), torch.Generator().manual_seed(0)
    totals, rounds = torch.zeros(ENTITIES), 4_000
    for _ in range(rounds):
        queries = torch.randperm(len(known), generator=generator)[:6].numpy()
        own = torch.cat([as_tensor(known.anchors[queries]), as_tensor(known.expand(queries)[1])])
        ids, log_weight = negatives.draw(own, len(queries), generator)
        assert torch.isin(own, ids).all()
        assert len(ids) % even == 0 or len(ids) == ENTITIES
        assert (ids.diff() > 0).all()
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
    loss, *_ = loss_and_gradients(model, queries, table, batch.rows, batch.answers, log_weight=log_weight)
    scores = queries @ table.T
    weight = log_weight.repeat(10, 1)
    weight[batch.rows, batch.answers] = 0
    naive = (torch.bincount(batch.rows) * (scores + weight).logsumexp(1)).sum() - scores[
        batch.rows, batch.answers
    ].sum()
    assert loss == pytest.approx(float(naive), rel=1e-5)


def naive_softmax(scores: Tensor, true: Tensor, weight: Tensor) -> Tensor:
    """-log softmax of every answer, as the sum over candidates is written."""
    total = (weight * scores.exp()).sum(dim=1, keepdim=True)  # [B, 1]
    return -(scores - total.log())[true].sum()


def naive_bce(scores: Tensor, true: Tensor, weight: Tensor) -> Tensor:
    """Labels 1 and 0, of which 0.2 is spread over ENTITIES; answers count once."""
    labels = 0.8 * true + 0.2 / ENTITIES
    return binary_cross_entropy_with_logits(scores + 1.5, labels, weight=weight, reduction="sum")


def naive_margin(scores: Tensor, true: Tensor, weight: Tensor, temperature: float) -> Tensor:
    """Equation 5 of Sun et al. 2019, one triple after the other, with weighted negatives."""
    total = torch.zeros(())
    for row, answer in true.nonzero().tolist():
        negative = ~true[row] & (weight[row] > 0)
        total = total - logsigmoid(2.0 + scores[row, answer])
        if negative.any():
            shares = weight[row, negative] * (temperature * scores[row, negative]).exp().detach()
            total = total - (shares / shares.sum() * logsigmoid(-scores[row, negative] - 2.0)).sum()
    return total


CRITERIA: dict[str, tuple[Callable[[Tensor], Criterion], Callable[[Tensor, Tensor, Tensor], Tensor]]] = {
    "softmax": (Softmax, naive_softmax),
    "bce": (partial(BinaryCrossEntropy, margin=1.5, smoothing=0.2, n_entities=ENTITIES), naive_bce),
    "margin": (partial(SelfAdversarial, margin=2.0, temperature=0.7), partial(naive_margin, temperature=0.7)),
    "uniform margin": (partial(SelfAdversarial, margin=2.0, temperature=0.0), partial(naive_margin, temperature=0.0)),
}


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("typed", [False, True])
@pytest.mark.parametrize(("live", "block"), [(1 << 24, 1024), (5 * ENTITIES, 4)])
def test_every_loss_and_its_gradients_equal_the_naive_form(
    known: KnownAnswers,
    monkeypatch: pytest.MonkeyPatch,
    criterion: str,
    weighted: bool,
    typed: bool,
    live: int,
    block: int,
) -> None:
    monkeypatch.setattr(loss_module, "LIVE_SCORES", live)
    monkeypatch.setattr(loss_module, "BLOCK", block)
    made, naive = CRITERIA[criterion]
    model = create("distmult", ENTITIES, RELATIONS, 6, seed=5)
    batch = whole_batch(known, np.random.default_rng(1).permutation(len(known))[:23])
    table = (model.entities.detach() * 1e3).requires_grad_()
    queries = (model.queries(batch.anchors, batch.relations) * 1e6).requires_grad_()
    log_weight = torch.linspace(-1, 2, ENTITIES) if weighted else None
    barred = SeenEnds(known).barred(batch.relations.numpy()) if typed else None

    scores = queries @ table.T  # [B, C]
    true = torch.zeros(scores.shape, dtype=torch.bool)
    true[batch.rows, batch.answers] = True
    weight = torch.ones(scores.shape) if log_weight is None else log_weight.exp().repeat(len(scores), 1)
    if barred is not None:
        assert barred.any()
        weight = weight * ~barred.T
    weight[true] = 1.0
    expected = naive(scores, true, weight)
    expected.backward()
    loss, for_queries, for_table = loss_and_gradients(
        model, queries.detach(), table.detach(), batch.rows, batch.answers, made, log_weight=log_weight, barred=barred
    )
    assert loss == pytest.approx(float(expected.detach()), rel=1e-5)
    torch.testing.assert_close(for_queries, queries.grad, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(for_table, table.grad, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_a_query_that_every_candidate_answers_has_a_finite_loss(criterion: str) -> None:
    model = create("distmult", 3, 1, 4, seed=0)
    queries, rows, answers = torch.ones(2, 4), torch.tensor([0, 0, 0, 1]), torch.tensor([0, 1, 2, 1])
    barred = torch.tensor([[False, True], [False, False], [False, True]])
    loss, *both = loss_and_gradients(
        model, queries, model.entities.detach(), rows, answers, CRITERIA[criterion][0], barred=barred
    )
    assert np.isfinite(loss)
    assert all(torch.isfinite(gradient).all() for gradient in both)
    if criterion == "margin":  # nothing but -log sigmoid(2 + s) is left
        expected = -logsigmoid(2.0 + (queries @ model.entities.detach().T)[rows, answers]).sum()
        assert loss == pytest.approx(float(expected), rel=1e-5)


def test_entities_never_seen_on_a_side_are_barred_and_those_seen_are_not(known: KnownAnswers) -> None:
    ends, relations = SeenEnds(known), np.array([0, 2 * RELATIONS - 1, 0])
    seen = [known.expand(np.flatnonzero(known.relations == relation))[1].tolist() for relation in relations]
    ids = torch.tensor([1, 5, 9, 29])
    whole, some = ends.barred(relations), ends.barred(relations, ids)
    assert whole.tolist() == [[entity not in side for side in seen] for entity in range(ENTITIES)]
    assert torch.equal(some, whole[ids])
    assert whole.any()
    assert not whole.all()


def test_dropout_takes_coordinates_out_of_queries_and_gradients(known: KnownAnswers) -> None:
    model = create("distmult", ENTITIES, RELATIONS, 6, seed=5)
    with torch.no_grad():
        for table in (model.entities, model.relations):
            table *= 0.7 / table.std()
    batch = whole_batch(known, np.arange(9))
    factors = 2.0 * (torch.rand(9, 6, generator=torch.Generator().manual_seed(0)) < 0.5)
    query = model.compose(model.entities[batch.anchors], model.relations[batch.relations]) * factors
    naive = cross_entropy((query @ model.entities.T)[batch.rows], batch.answers, reduction="sum")
    naive.backward()
    weights = Weights(n3=0.0, relation=0.0, dtype=torch.float32)
    loss, for_entities, for_relations = gradients(
        model, model.entities.detach(), replace(batch, dropout=factors), weights
    )
    assert loss == pytest.approx(float(naive.detach()), rel=1e-5)
    torch.testing.assert_close(for_entities, model.entities.grad, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(for_relations, model.relations.grad, atol=1e-4, rtol=1e-4)
