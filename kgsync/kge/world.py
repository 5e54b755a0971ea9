"""The processes that train together: one, unless `torchrun` started several.

Each takes its share of every batch; gradients are summed where they are, so all move alike, as one process would on
the whole batch.
"""

from __future__ import annotations

import atexit
import os
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from kgsync.kge.device import gpus


@dataclass(frozen=True)
class World:
    """A group of processes with the same model."""

    rank: int = 0  # of this process; the first one speaks for all
    size: int = 1

    def share(self, amount: int) -> slice:
        """Return which of `amount` things this process takes: an even part, in order."""
        return slice(amount * self.rank // self.size, amount * (self.rank + 1) // self.size)

    def sum(self, *tensors: Tensor) -> None:
        """Replace the tensors by their sums over all processes, the same bits in each."""
        if self.size > 1:
            for tensor in tensors:
                dist.all_reduce(tensor)

    def total(self, *values: float) -> list[float]:
        """Return the sums of the values over all processes."""
        if self.size == 1:
            return list(values)
        sums = torch.tensor(values, dtype=torch.float64)
        self.sum(sums)
        return sums.tolist()

    def first(self, value: float) -> float:
        """Return the value of the first process, so that all decide alike."""
        return self.total(value if self.rank == 0 else 0.0)[0]


def world() -> World:
    """Join the other processes that `torchrun` started, or those of the process group that is there already."""
    if started() == 1 and not (dist.is_available() and dist.is_initialized()):
        return World()
    if not dist.is_initialized():
        dist.init_process_group("cpu:gloo,cuda:nccl" if gpus() else "gloo")
        atexit.register(dist.destroy_process_group)
    return World(dist.get_rank(), dist.get_world_size())


def started() -> int:
    """Return how many processes `torchrun` started."""
    return int(os.environ.get("WORLD_SIZE", "1"))
