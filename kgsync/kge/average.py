"""The average of embeddings over the steps of a training, exact although only the rows that move are touched."""

from __future__ import annotations

import torch
from torch import Tensor


class Average:
    """The mean of a table's values after each of t steps, those after step i weighing decay^(t - i).

    That is the exponential moving average from zero, divided by 1 - decay^t as in Adam (Kingma and Ba 2015), so
    that the first embeddings, which are noise, have no share.
    """

    def __init__(self, table: Tensor, decay: float) -> None:
        self.table = table
        self.decay = decay
        self.sums = torch.zeros_like(table)
        self.counted = torch.zeros(len(table), dtype=torch.int64, device=table.device)  # steps that the row's sum holds

    @torch.no_grad()
    def count(self, steps: int, rows: Tensor | None = None) -> None:
        """Bring all rows, or the given ones, up to `steps`; to be called before a row moves.

        A row had its present value after every step that it has not counted yet.
        """
        at = slice(None) if rows is None else rows
        kept = (self.decay ** (steps - self.counted[at]).double()).to(self.sums.dtype)[:, None]
        self.sums[at] = torch.lerp(self.table[at], self.sums[at], kept)
        self.counted[at] = steps

    def value(self, steps: int) -> Tensor:
        """Return the mean over `steps` steps, at least 1."""
        self.count(steps)
        return self.sums / (1 - self.decay**steps)
