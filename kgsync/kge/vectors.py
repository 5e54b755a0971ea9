"""Vectors: a model's embeddings in the form in which an index of nearest neighbours ranks as the model does.

Reads rows of embeddings as arrays; knows neither torch nor Neo4j. The order is exact: for every query, the
similarity of the vectors sorts the entities as the model's score does. How exactly an index follows it, is
the index's affair.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from kgsync.errors import DataError

Rows = np.ndarray[Any, np.dtype[np.float32]]

EUCLIDEAN = ("transe-l2",)  # -||q - t||: the nearest by distance
PRODUCTS = ("distmult", "complex")  # <q, t>: the nearest by angle, once all vectors have the same length


@dataclass(frozen=True)
class Vectors:
    """What goes into the index. Queries are composed as in `kgsync.kge.models`; for "cosine" a 0 is added to them."""

    similarity: Literal["euclidean", "cosine"]
    entities: Rows  # [n_entities, dimension]
    relations: Rows  # [2 * n_relations, d]: the second half asks for heads

    @property
    def dimension(self) -> int:
        """Return how many numbers an entity's vector has."""
        return int(self.entities.shape[1])


def vectors(scoring: str, entities: Rows, relations: Rows) -> Vectors:
    """Return the vectors of a model of kind `scoring` with these rows of embeddings.

    Raises:
        DataError: no distance or angle between vectors ranks as this model does.
    """
    if scoring in EUCLIDEAN:
        return Vectors("euclidean", entities.astype(np.float32), relations.astype(np.float32))
    if scoring in PRODUCTS:
        return Vectors("cosine", pad(entities), relations.astype(np.float32))
    raise DataError(
        f"a vector index cannot rank as {scoring} does",
        fix=f"train one of {', '.join(PRODUCTS + EUCLIDEAN)} (train.model in kgsync.toml)",
    )


def pad(rows: Rows) -> Rows:
    """Return rows [n, d + 1] of the same length M = max ||x||, so that cos((q, 0), x') = <q, x> / (||q|| M).

    The last number of a row is sqrt(M² - ||x||²) (Neyshabur and Srebro 2015, arXiv:1410.5518).
    """
    squares = np.square(rows.astype(np.float64)).sum(axis=1)
    rest = np.sqrt(squares.max(initial=0.0) - squares)
    return np.concatenate([rows, rest[:, None]], axis=1).astype(np.float32)


def further(scoring: str, rows: Rows, entities: Rows) -> tuple[Rows, int]:
    """Return vectors of further rows [m, d] for the index of a model's `entities` [n, d], and how many were shortened.

    A padded vector is as long as the longest of `entities`. A longer row would come out of the index as less like a
    query than it is, so it is shortened to that length: what it ranks itself stays in order, and its own score as an
    answer falls to what the index searches by.

    Raises:
        DataError: as for `vectors`.
    """
    if scoring not in PRODUCTS:
        return vectors(scoring, rows, rows[:0]).entities, 0
    longest = np.square(entities.astype(np.float64)).sum(axis=1).max(initial=0.0)
    squares = np.square(rows.astype(np.float64)).sum(axis=1)
    scale = np.sqrt(longest / np.maximum(squares, longest)) if longest > 0 else np.zeros(len(rows))
    rest = np.sqrt(np.maximum(longest - squares, 0.0))
    found = np.concatenate([rows * scale[:, None], rest[:, None]], axis=1).astype(np.float32)
    return found, int((squares > longest).sum())
