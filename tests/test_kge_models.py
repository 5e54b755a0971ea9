"""Every score function equals its paper's formula, written naively."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from n3 import cubes
from torch.utils._python_dispatch import TorchDispatchMode

from kgsync.errors import ConfigError
from kgsync.kge import models
from kgsync.kge.models import MODELS, KgeModel, create


def formula(model: KgeModel, anchor: int, relation: int, answer: int) -> float:
    h, r, t = (
        row.detach().double() for row in (model.entities[anchor], model.relations[relation], model.entities[answer])
    )
    if model.name == "complex":
        h, r, t = (torch.complex(*row.chunk(2)) for row in (h, r, t))
        return float(sum(a * b * c.conj() for a, b, c in zip(h, r, t, strict=True)).real)
    if model.name == "distmult":
        return float(sum(a * b * c for a, b, c in zip(h, r, t, strict=True)))
    if model.name == "rescal":
        d = len(h)
        return float(sum(h[i] * r[i * d + j] * t[j] for i in range(d) for j in range(d)))
    if model.name == "rotate":
        h, t = (torch.complex(*row.chunk(2)) for row in (h, t))
        return -sum(abs(complex(a * torch.exp(1j * phase) - b)) for a, phase, b in zip(h, r, t, strict=True))
    distances = [abs(float(a + b - c)) for a, b, c in zip(h, r, t, strict=True)]
    return -sum(distances) if model.name == "transe-l1" else -(sum(d * d for d in distances) ** 0.5)


def scaled(name: str, n_entities: int, n_relations: int, rank: int, seed: int) -> KgeModel:
    """A model whose embeddings are about 1, so that an error shows."""
    model = create(name, n_entities, n_relations, rank, seed)
    with torch.no_grad():
        for table in (model.entities, model.relations):
            table /= table.square().mean().sqrt()
    return model


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(sorted(MODELS)), st.integers(1, 7), st.integers(1, 3), st.integers(1, 9), st.integers(0, 99))
def test_scores_equal_the_formula_of_the_paper(name: str, entities: int, relations: int, rank: int, seed: int) -> None:
    model = scaled(name, entities, relations, rank, seed)
    anchors = torch.arange(entities).repeat_interleave(2 * relations)
    asked = torch.arange(2 * relations).repeat(entities)
    expected = [
        [formula(model, anchor, relation, answer) for answer in range(entities)]
        for anchor, relation in zip(anchors.tolist(), asked.tolist(), strict=True)
    ]
    torch.testing.assert_close(model.scores(anchors, asked), torch.tensor(expected), atol=2e-3, rtol=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_candidates_and_blocks_give_the_columns_of_the_full_scores(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = scaled(name, 50, 3, 8, seed=1)
    anchors, asked = torch.tensor([0, 7, 7, 49]), torch.tensor([0, 5, 2, 3])
    full = model.scores(anchors, asked)
    assert full.shape == (4, 50)
    assert full.dtype == torch.float32
    assert not full.requires_grad
    chosen = torch.tensor([3, 3, 41, 0])
    torch.testing.assert_close(model.scores(anchors, asked, chosen), full[:, chosen])
    monkeypatch.setattr(models, "SCORE_BLOCK", 7)
    torch.testing.assert_close(model.scores(anchors, asked), full)


@pytest.mark.parametrize("name", MODELS)
def test_asking_for_the_relation_gives_the_same_score_as_asking_for_the_tail(name: str) -> None:
    model = scaled(name, 9, 4, 6, seed=2)
    heads, tails = torch.tensor([0, 3, 8]), torch.tensor([1, 3, 2])
    with torch.no_grad():
        by_relation = model.relation_scores(model.entities[heads], model.relations, model.entities[tails])  # [3, 2R]
    by_tail = torch.stack(
        [model.scores(heads, torch.full((3,), relation))[torch.arange(3), tails] for relation in range(8)], dim=1
    )
    torch.testing.assert_close(by_relation, by_tail, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_queries_are_one_row_per_anchor_and_relation(name: str) -> None:
    model = scaled(name, 9, 4, 6, seed=2)
    queries = model.queries(torch.tensor([0, 3]), torch.tensor([7, 0]))
    assert queries.shape == (2, model.entities.shape[1])
    rows = model.entities[torch.tensor([0, 3])], model.relations[torch.tensor([7, 0])]
    torch.testing.assert_close(queries, model.compose(*rows).detach())
    scores = model.similarity(model.entities.detach(), queries).T
    torch.testing.assert_close(scores, model.scores(torch.tensor([0, 3]), torch.tensor([7, 0])))


def test_the_same_seed_gives_the_same_model_and_another_seed_another() -> None:
    first, again, other = (create("complex", 5, 2, 4, seed) for seed in (1, 1, 2))
    assert torch.equal(first.entities, again.entities)
    assert torch.equal(first.relations, again.relations)
    assert not torch.equal(first.entities, other.entities)
    assert first.relations.shape == (4, 8)


def test_an_unknown_model_or_an_impossible_size_is_refused_with_the_choices() -> None:
    with pytest.raises(ConfigError, match="complex, distmult, transe-l1, transe-l2, rotate, rescal"):
        create("bert", 5, 2, 4, 0)
    with pytest.raises(ConfigError, match="at least 1"):
        create("complex", 0, 2, 4, 0)


@pytest.mark.parametrize("name", MODELS)
def test_the_n3_norm_is_the_sum_of_cubed_absolute_values_with_a_finite_gradient_at_zero(name: str) -> None:
    model = scaled(name, 3, 1, 5, seed=3)
    rows = model.entities.detach().clone()
    rows[0] = 0
    rows.requires_grad_()
    expected = cubes(name, rows)
    expected.sum().backward()
    sums, slopes = model.cubes(rows.detach())
    torch.testing.assert_close(sums, expected.detach())
    torch.testing.assert_close(slopes, rows.grad)
    assert torch.isfinite(slopes).all()


def test_rotations_have_the_modulus_one_so_that_n3_leaves_their_phases_alone() -> None:
    model = create("rotate", 3, 2, 5, seed=3)
    assert model.relations.shape == (4, 5)
    assert model.relations.abs().max() <= torch.pi
    rotated = torch.complex(*model.queries(torch.tensor([0, 1, 2]), torch.tensor([0, 3, 1])).chunk(2, dim=1))
    torch.testing.assert_close(rotated.abs(), torch.complex(*model.entities.detach().chunk(2, dim=1)).abs())
    norms, slopes = model.relation_cubes(model.relations.detach())
    assert norms.tolist() == [5.0] * 4
    assert not slopes.any()


def test_a_rotation_onto_the_answer_itself_has_a_finite_gradient() -> None:
    model = create("rotate", 4, 1, 5, seed=3)
    rows = model.entities.detach()
    for gradient in model.pull_back(rows, rows[:2].clone(), torch.ones(4, 2)):
        assert torch.isfinite(gradient).all()


class Largest(TorchDispatchMode):
    """Remembers how many numbers the largest tensor made inside held."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        made = func(*args, **(kwargs or {}))
        if isinstance(made, torch.Tensor):
            self.numbers = max(self.numbers, made.numel())
        return made


def test_rotate_compares_a_few_coordinates_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "LIVE_DIFFERENCES", 700)
    monkeypatch.setattr(models, "RELATION_DIFFERENCES", 700)
    model = scaled("rotate", 60, 5, 10, seed=1)
    queries = model.queries(torch.arange(7), torch.arange(7))
    with Largest() as largest:
        model.pull_back(model.entities.detach(), queries, model.similarity(model.entities.detach(), queries))
        model.relation_scores(model.entities.detach(), model.relations.detach(), model.entities.detach())
    assert largest.numbers <= 60 * 2 * 10, "more than the table: batch x entities x rank would be 4,200"
    monkeypatch.setattr(models, "LIVE_DIFFERENCES", 1)
    assert torch.isfinite(model.similarity(model.entities.detach(), queries)).all()
