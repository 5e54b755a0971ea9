"""The average of embeddings over the steps of a training, exact although only the rows that move are touched."""

from __future__ import annotations

import torch
from torch import Tensor

from kgsync.kge.device import put


class Average:
    """The mean of a table's values after each of t steps, those after step i weighing about i^power.

    Polynomial-decay averaging (Shamir and Zhang 2013, arXiv:1212.1824): step t takes the mean to
    (1 - a) mean + a value, a = (power + 1) / (t + power). It looks back on a part of the steps so far, not on a fixed
    number of them, so that it suits short and long trainings; the first embeddings, which are noise, have no share.
    """

    def __init__(self, table: Tensor, power: int) -> None:
        self.table = table
        self.power = power
        self.means = torch.zeros_like(table)
        self.counted = torch.zeros(len(table), dtype=torch.int64, device=table.device)  # steps in the mean of a row

    @torch.no_grad()
    def count(self, steps: int, rows: Tensor | slice = slice(None)) -> None:
        """Bring rows, all or the given ones, up to `steps`; to be called before a row moves.

        A row had its present value after every step that it has not counted yet: what its mean keeps over those is
        the product of (i - 1) / (i + power), in which all but power + 1 factors above and below cancel.
        """
        if steps == 0:
            return
        counted = self.counted[rows].double()
        more = torch.arange(self.power + 1, dtype=torch.float64, device=counted.device)
        kept = ((counted[:, None] + more) / (steps + more)).prod(dim=1)
        shares = kept.to(self.means.dtype)[:, None]
        if isinstance(rows, slice):
            self.means[rows] = torch.lerp(self.table[rows], self.means[rows], shares)
        else:
            values, means = self.table.index_select(0, rows), self.means.index_select(0, rows)
            put(self.means, rows, torch.lerp(values, means, shares))
        self.counted[rows] = steps

    def value(self, steps: int) -> Tensor:
        """Return the mean over `steps` steps, at least 1; a view, until the next step."""
        self.count(steps)
        return self.means
