"""New entities get rows from their edges alone: useful ones, the same every time, at nobody else's expense."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
import torch
from example_graphs import folder_of
from hypothesis import given, settings
from hypothesis import strategies as st

from kgsync import dataset
from kgsync.errors import DataError
from kgsync.kge import foldin, partition
from kgsync.kge.config import TrainConfig
from kgsync.kge.descent import descend
from kgsync.kge.evaluate import evaluate
from kgsync.kge.foldin import extended, fold_in
from kgsync.kge.known import KnownAnswers
from kgsync.kge.models import MODELS, KgeModel, create
from kgsync.kge.partition import log_sum_exp, paired
from kgsync.kge.train import train

ENTITIES, RELATIONS = 30, 4
NONE = np.empty((0, 3), dtype=np.int64)


@pytest.fixture(params=sorted(MODELS))
def model(request: pytest.FixtureRequest) -> KgeModel:
    return some_model(request.param)


def some_model(name: str) -> KgeModel:
    """Return a model whose scores differ, as after a training."""
    model = create(name, ENTITIES, RELATIONS, 6, seed=5)
    with torch.no_grad():
        for table in (model.entities, model.relations):
            table *= 0.7 / table.std()
    return model


def edges(*rows: tuple[int, int, int]) -> np.ndarray:
    return np.array(rows, dtype=np.int64)


def some_edges(n_new: int, each: int = 3) -> np.ndarray:
    """Return edges of new entities to known ones, in both directions."""
    rng = np.random.default_rng(1)
    rows = [(ENTITIES + i, rng.integers(RELATIONS), rng.integers(ENTITIES)) for i in range(n_new) for _ in range(each)]
    return edges(*(row if place % 2 else row[::-1] for place, row in enumerate(rows)))


@dataclass(frozen=True)
class Held:
    """UMLS without every ninth entity; of those, some edges are known and the others are to be found."""

    model: KgeModel
    trained_on: np.ndarray
    n_new: int
    support: np.ndarray  # up to five edges of each new entity
    hidden: np.ndarray  # the others
    kept: np.ndarray  # valid triples of known entities
    known: KnownAnswers


@cache
def umls() -> Held:
    graph = dataset.read(folder_of("umls"))
    n = len(graph.entities)
    new = np.arange(n) % 9 == 0
    numbers = np.empty(n, dtype=np.int64)
    numbers[np.argsort(new, kind="stable")] = np.arange(n)
    n_known = int((~new).sum())

    def renumbered(triples: np.ndarray) -> np.ndarray:
        return np.stack([numbers[triples[:, 0]], triples[:, 1], numbers[triples[:, 2]]], axis=1)

    train_part, valid = (
        part[(part[:, [0, 2]] < n_known).all(1)] for part in map(renumbered, (graph.train, graph.valid))
    )
    config = TrainConfig(rank=50, epochs=9, threads=1)
    trained = train(train_part, valid, n_known, len(graph.relations), config)
    everything = renumbered(np.concatenate([graph.train, graph.valid, graph.test]))
    touching = everything[(everything[:, [0, 2]] >= n_known).sum(1) == 1]
    touching = touching[np.random.default_rng(0).permutation(len(touching))]
    who = touching[:, [0, 2]].max(axis=1)
    order = np.argsort(who, kind="stable")
    touching, who = touching[order], who[order]
    place = np.arange(len(who)) - np.searchsorted(who, who)
    return Held(
        model=trained.model,
        trained_on=train_part,
        n_new=n - n_known,
        support=touching[place < 5],
        hidden=touching[place >= 5],
        kept=valid,
        known=KnownAnswers(everything, n, len(graph.relations)),
    )


def found(held: Held, rows: torch.Tensor, triples: np.ndarray) -> float:
    return evaluate(extended(held.model, rows), triples, held.known).mrr


def test_a_few_edges_find_most_of_the_others() -> None:
    held = umls()
    mean = held.model.entities.detach().mean(dim=0).repeat(held.n_new, 1)
    folded = fold_in(held.model, held.support, held.n_new, trained_on=held.trained_on)
    assert found(held, folded, held.hidden) > 2 * found(held, mean, held.hidden)


def test_knowing_the_training_keeps_new_entities_from_crowding_out_known_ones() -> None:
    held = umls()
    blind = fold_in(held.model, held.support, held.n_new)
    aware = fold_in(held.model, held.support, held.n_new, trained_on=held.trained_on)
    assert found(held, aware, held.kept) > found(held, blind, held.kept) + 0.05
    assert found(held, aware, held.hidden) > found(held, blind, held.hidden)


def test_more_edges_help() -> None:
    held = umls()
    _, first = np.unique(held.support[:, [0, 2]].max(axis=1), return_index=True)
    one, five = (
        found(held, fold_in(held.model, part, held.n_new, trained_on=held.trained_on), held.hidden)
        for part in (held.support[first], held.support)
    )
    assert five > one


def test_an_entity_without_edges_gets_the_mean_row(model: KgeModel) -> None:
    rows = fold_in(model, NONE, 2)
    torch.testing.assert_close(rows, model.entities.detach().mean(dim=0).repeat(2, 1))
    assert fold_in(model, NONE, 0).shape == (0, model.entities.shape[1])


def test_nothing_but_the_new_rows_is_touched(model: KgeModel) -> None:
    before = {name: table.clone() for name, table in model.state_dict().items()}
    rows = fold_in(model, some_edges(3), 3)
    assert rows.shape == (3, model.entities.shape[1])
    assert torch.isfinite(rows).all()
    larger = extended(model, rows)
    for name, table in before.items():
        assert torch.equal(model.state_dict()[name], table)
        assert torch.equal(larger.state_dict()[name][: len(table)], table)


def test_the_same_edges_give_the_same_bits_in_any_order_and_however_often(model: KgeModel) -> None:
    given_edges = some_edges(4)
    shuffled = np.random.default_rng(2).permutation(np.concatenate([given_edges, given_edges]))
    assert torch.equal(fold_in(model, given_edges, 4), fold_in(model, shuffled, 4))


def test_a_row_does_not_depend_on_who_else_is_new(model: KgeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    given_edges = some_edges(5)
    together = fold_in(model, given_edges, 5)
    monkeypatch.setattr(foldin, "ROWS", 2)
    torch.testing.assert_close(fold_in(model, given_edges, 5), together, rtol=1e-2, atol=3e-3)
    for number in range(5):
        own = given_edges[(given_edges[:, [0, 2]] == ENTITIES + number).any(axis=1)].copy()
        own[:, [0, 2]] = np.where(own[:, [0, 2]] >= ENTITIES, ENTITIES, own[:, [0, 2]])
        torch.testing.assert_close(fold_in(model, own, 1)[0], together[number], rtol=1e-2, atol=3e-3)


def test_a_new_entity_that_only_new_ones_know_is_reached_through_them(model: KgeModel) -> None:
    chain = edges((ENTITIES, 0, 3), (ENTITIES, 1, ENTITIES + 1), (ENTITIES + 2, 2, ENTITIES + 1))
    rows = fold_in(model, chain, 4)
    mean = model.entities.detach().mean(dim=0)
    moved = (rows - mean).abs().amax(dim=1) > 1e-3
    assert moved.tolist() == [True, True, True, False]
    swapped = chain.copy()
    swapped[:, [0, 2]] = np.where(chain[:, [0, 2]] >= ENTITIES, 2 * ENTITIES + 3 - chain[:, [0, 2]], chain[:, [0, 2]])
    torch.testing.assert_close(fold_in(model, swapped, 4).flip(0), rows, rtol=1e-2, atol=3e-3)


def test_two_new_entities_that_know_only_each_other_get_the_mean_row(model: KgeModel) -> None:
    rows = fold_in(model, edges((ENTITIES, 0, ENTITIES + 1), (ENTITIES, 1, ENTITIES)), 2)
    torch.testing.assert_close(rows, model.entities.detach().mean(dim=0).repeat(2, 1))


def test_edges_that_say_nothing_about_new_entities_are_refused(model: KgeModel) -> None:
    with pytest.raises(DataError, match="edge 1 joins two known entities, 2 and 3"):
        fold_in(model, edges((0, 0, ENTITIES), (2, 1, 3)), 1)
    with pytest.raises(DataError, match="outside 0 to 30"):
        fold_in(model, edges((0, 0, ENTITIES + 1)), 1)


def test_a_graph_in_which_all_entities_are_alike_does_no_harm() -> None:
    model = create("complex", 1, RELATIONS, 4, seed=0)
    rows = fold_in(model, edges((1, 0, 0)), 1, trained_on=edges((0, 0, 0)))
    assert torch.isfinite(rows).all()


def test_the_log_sum_and_its_gradient_equal_the_naive_form(model: KgeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partition, "BLOCK", 7)
    queries = model.queries(torch.arange(5), torch.arange(5)).requires_grad_()
    table = model.entities.detach()
    blockwise = log_sum_exp(model, table, queries)
    naive = model.similarity(table, queries).logsumexp(dim=0)
    torch.testing.assert_close(blockwise, naive)
    weights = torch.arange(1.0, 6.0)
    gradients = [torch.autograd.grad((sums * weights).sum(), queries)[0] for sums in (blockwise, naive)]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-5)


def test_the_scores_of_pairs_are_those_of_the_whole_matrix(model: KgeModel) -> None:
    queries = model.queries(torch.arange(20), torch.arange(20) % 8)
    table = model.entities.detach()[:20]
    torch.testing.assert_close(paired(model, table, queries), model.similarity(table, queries).diagonal())


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), name=st.sampled_from(sorted(MODELS)))
def test_no_row_ends_worse_than_it_starts(seed: int, name: str) -> None:
    model = some_model(name)
    rng = np.random.default_rng(seed)
    own = edges(*((ENTITIES, rng.integers(RELATIONS), rng.integers(ENTITIES)) for _ in range(rng.integers(1, 6))))
    trained_on = np.stack([rng.integers(0, high, 40) for high in (ENTITIES, RELATIONS, ENTITIES)], axis=1)
    with torch.no_grad():
        background = foldin._background(model, trained_on)
        ends = torch.cat([model.entities.detach(), torch.zeros(1, model.entities.shape[1])])
        group = foldin._Group(model, ends, foldin._links(own, ENTITIES, RELATIONS), 1, background)
        row = group.rows()
        assert float(group._losses(row)) <= float(group._losses(group.start))


def test_descent_finds_the_minimum_of_every_row_by_itself() -> None:
    curvature = torch.tensor([[1.0], [30.0], [900.0]])
    goal = torch.arange(6.0).reshape(3, 2)

    def loss(rows: torch.Tensor) -> torch.Tensor:
        return (curvature * (rows - goal).square()).sum(dim=1)

    torch.testing.assert_close(descend(loss, torch.zeros(3, 2), 1.0, 30), goal)
