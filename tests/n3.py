"""The N3 regulariser, written naively."""

from __future__ import annotations

import torch
from torch import Tensor


def cubes(name: str, rows: Tensor) -> Tensor:
    """Return the sum of cubed absolute values [n] of each row of entities of the model `name`."""
    absolute = torch.complex(*rows.chunk(2, dim=1)).abs() if name in ("complex", "rotate") else rows.abs()
    return (absolute**3).sum(dim=1)
