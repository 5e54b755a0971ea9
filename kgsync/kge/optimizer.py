"""Adagrad (Duchi et al. 2011) fused into the update, for a whole table or for some of its rows."""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 1 << 18  # floats updated at a time, so that all operands stay in the cache
EPSILON = 1e-10


class Adagrad:
    """x -= rate * g / (sqrt(sum of g²) + epsilon), each row on its own; rows without gradient never move."""

    def __init__(self, table: Tensor, rate: float) -> None:
        self.table = table
        self.rate = rate
        self.sums = torch.zeros_like(table)

    @torch.no_grad()
    def step(self, gradient: Tensor, rows: Tensor | None = None) -> None:
        """Apply `gradient`: of the whole table, or of the given rows (distinct ids, in its order)."""
        size = max(1, BLOCK // max(1, self.table.shape[1]))
        for start in range(0, len(gradient), size):
            part = slice(start, start + size)
            at = part if rows is None else rows[part]
            sums, values = self.sums[at], self.table[at]  # views of a slice, copies of chosen rows
            sums.addcmul_(gradient[part], gradient[part])
            values.addcdiv_(gradient[part], sums.sqrt().add_(EPSILON), value=-self.rate)
            if rows is not None:
                self.sums[at], self.table[at] = sums, values
