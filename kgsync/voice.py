"""A voice: whatever gives every entity a score as the answer to a query, be it embeddings, rules or text."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Voice(Protocol):
    """Scores of all entities for queries; ranking and fusion ask for nothing else."""

    @property
    def name(self) -> str:
        """Return what reports call it."""

    def scores(self, anchors: Tensor, relations: Tensor) -> Tensor:
        """Return float32 scores [B, n_entities] for anchor ids [B] and relation ids [B], higher is better.

        (h, r) asks for tails, (t, r + n_relations) for heads.
        """
