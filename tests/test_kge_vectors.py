"""Vectors: their similarity orders the entities exactly as the model's score does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kgsync.errors import DataError
from kgsync.kge.models import MODELS, KgeModel, create
from kgsync.kge.vectors import EUCLIDEAN, PRODUCTS, Vectors, pad, vectors

N_ENTITIES, N_RELATIONS = 50, 3


def model_of(scoring: str, seed: int, spread: float = 1.0) -> KgeModel:
    """Return a random model in double precision whose entities' lengths differ by orders of magnitude."""
    model = create(scoring, N_ENTITIES, N_RELATIONS, 6, seed).double()
    lengths = torch.logspace(-spread, spread, N_ENTITIES, dtype=torch.float64)[:, None]
    model.entities.data *= 1e3 * lengths
    model.relations.data *= 1e3
    return model


def vectors_of(model: KgeModel) -> Vectors:
    return vectors(model.name, model.entities.detach().numpy(), model.relations.detach().numpy())


@pytest.mark.parametrize("scoring", PRODUCTS + EUCLIDEAN)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), relation=st.integers(0, 2 * N_RELATIONS - 1))
def test_the_similarity_of_vectors_orders_as_the_score_in_both_directions(
    scoring: str, seed: int, relation: int
) -> None:
    model = model_of(scoring, seed)
    anchors, relations = torch.arange(N_ENTITIES), torch.full((N_ENTITIES,), relation)
    scores = model.similarity(model.entities.detach(), model.queries(anchors, relations)).T.numpy()
    index = vectors_of(model)
    queries, rows = model.queries(anchors, relations).numpy(), index.entities.astype(np.float64)
    if index.similarity == "cosine":
        queries = np.concatenate([queries, np.zeros((N_ENTITIES, 1))], axis=1)
        lengths = np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(rows, axis=1)
        similarity = queries @ rows.T / lengths
    else:
        similarity = -np.square(queries[:, None] - rows[None]).sum(axis=2)
    for score, likeness in zip(scores, similarity, strict=True):
        ordered = score[np.argsort(-likeness)]  # falls, up to what single precision stores
        assert (np.diff(ordered) <= 1e-5 * np.abs(score).max()).all()


def test_padded_rows_have_one_length_and_begin_with_the_embedding() -> None:
    rows = np.random.default_rng(0).standard_normal((200, 16)).astype(np.float32)
    padded = pad(rows)
    assert padded.shape == (200, 17)
    assert np.array_equal(padded[:, :16], rows)
    np.testing.assert_allclose(np.linalg.norm(padded, axis=1), np.linalg.norm(rows, axis=1).max(), rtol=1e-6)


@pytest.mark.parametrize("scoring", sorted(set(MODELS) - {*PRODUCTS, *EUCLIDEAN}))
def test_a_model_that_no_index_can_serve_is_refused_with_those_that_can(scoring: str) -> None:
    model = create(scoring, N_ENTITIES, N_RELATIONS, 4, 0)
    with pytest.raises(DataError, match=f"cannot rank as {scoring} does; train one of distmult, complex, transe-l2"):
        vectors_of(model)
