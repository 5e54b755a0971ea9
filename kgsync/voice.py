"""A voice: whatever gives every entity a score as the answer to a query, be it embeddings, rules or text."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Ranker(Protocol):
    """What an evaluation asks for."""

    @property
    def name(self) -> str:
        """Return what reports call it."""

    def scores(self, anchors: Tensor, relations: Tensor) -> Tensor:
        """Return scores [B, n_entities] of every entity as an answer to queries, higher is better."""


class Voice(Ranker, Protocol):
    """Scores of entities for queries; fusion and prediction ask for nothing else."""

    def scores(self, anchors: Tensor, relations: Tensor, candidates: Tensor | None = None) -> Tensor:
        """Return scores [B, C] of the candidate ids (None: every entity) as answers to queries, higher is better.

        Anchor ids [B] and relation ids [B]: (h, r) asks for tails, (t, r + n_relations) for heads.
        """

    def exact(self) -> Voice:
        """Return the voice in double precision, whose scores do not depend on what else is asked with them."""

    def tensors(self) -> dict[str, Tensor]:
        """Return all that was learned: voices with equal tensors say the same."""
