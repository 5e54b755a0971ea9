"""Adagrad and Adam fused into the update, for a whole table or for some of its rows."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from kgsync.kge.average import Average
from kgsync.kge.device import at_once, put

BLOCK = 1 << 18  # floats updated at a time, so that all operands stay in the cache


class Optimizer(ABC):
    """Moves the rows of a table against their gradient; rows without gradient never move.

    An `average` of the table counts each row just before it moves, while the row is in the cache.
    """

    keeps: tuple[str, ...]  # names of what it remembers for every float

    def __init__(self, table: Tensor, rate: float, average: Average | None = None) -> None:
        self.table = table
        self.rate = rate
        self.average = average
        self.moments = {name: torch.zeros_like(table) for name in self.keeps}
        self.steps = 0

    @torch.no_grad()
    def step(self, gradient: Tensor, rows: Tensor | None = None) -> None:
        """Apply `gradient`: of the whole table, or of the given rows (distinct ids, in its order)."""
        self.steps += 1
        size = max(1, at_once(BLOCK, self.table.device) // max(1, self.table.shape[1]))
        for start in range(0, len(gradient), size):
            part = slice(start, start + size)
            at = part if rows is None else rows[part]
            if self.average is not None:
                self.average.count(self.steps - 1, at)
            wholes = self.table, *self.moments.values()
            if isinstance(at, slice):
                self.move(gradient[part], *(whole[at] for whole in wholes))
                continue
            chosen = [whole.index_select(0, at) for whole in wholes]
            self.move(gradient[part], *chosen)
            for whole, values in zip(wholes, chosen, strict=True):
                put(whole, at, values)

    @abstractmethod
    def move(self, gradient: Tensor, values: Tensor, *moments: Tensor) -> None:
        """Update `values` and `moments` in place."""


class Adagrad(Optimizer):
    """Duchi et al. 2011 (JMLR 12): x -= rate * g / (sqrt(sum of g²) + epsilon)."""

    keeps = ("sums",)
    epsilon = 1e-10

    def move(self, gradient: Tensor, values: Tensor, *moments: Tensor) -> None:
        """Update values and sums in place."""
        (sums,) = moments
        sums.addcmul_(gradient, gradient)
        values.addcdiv_(gradient, sums.sqrt().add_(self.epsilon), value=-self.rate)


class Adam(Optimizer):
    """Kingma and Ba 2015, arXiv:1412.6980: x -= rate * m' / (sqrt(v') + epsilon).

    m' and v' are the averages of g and g², divided by 1 - beta^steps. With chosen rows it is "lazy": the averages
    of the other rows wait, too, while the steps count for all.
    """

    keeps = ("mean", "square")
    betas = 0.9, 0.999
    epsilon = 1e-8

    def move(self, gradient: Tensor, values: Tensor, *moments: Tensor) -> None:
        """Update values, mean and square in place."""
        mean, square = moments
        mean.lerp_(gradient, 1 - self.betas[0])
        square.mul_(self.betas[1]).addcmul_(gradient, gradient, value=1 - self.betas[1])
        first, second = (1 - beta**self.steps for beta in self.betas)
        values.addcdiv_(mean, (square / second).sqrt_().add_(self.epsilon), value=-self.rate / first)


OPTIMIZERS: dict[str, type[Optimizer]] = {"adagrad": Adagrad, "adam": Adam}
