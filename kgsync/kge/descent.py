"""Descent of many rows at once, each at its own pace, so that no row's path depends on what else is in the batch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

SMALLEST = 1e-12  # curvature that counts as one


def descend(loss: Callable[[Tensor], Tensor], start: Tensor, longest: float, steps: int) -> Tensor:
    """Return rows [n, d] that make `loss` (rows [n, d] to the loss of each, [n]) smaller than `start` does.

    Gradient steps as long as the last two gradients say (Barzilai and Borwein 1988, IMA J. Numer. Anal. 8), at
    most `longest`. A step that makes its row worse is not taken, and is half as long the next time.
    """
    rows, (losses, gradient) = start, _slope(loss, start)
    lengths = torch.full((len(rows), 1), longest)
    for _ in range(steps):
        tried = rows - lengths * gradient
        found, slope = _slope(loss, tried)
        better = found <= losses
        moved, turned = tried - rows, slope - gradient
        secant = moved.square().sum(1, keepdim=True) / (moved * turned).sum(1, keepdim=True).clamp_min(SMALLEST)
        lengths = torch.minimum(secant, torch.where(better[:, None], longest, lengths / 2))
        rows = torch.where(better[:, None], tried, rows)
        gradient = torch.where(better[:, None], slope, gradient)
        losses = torch.where(better, found, losses)
    return rows


def _slope(loss: Callable[[Tensor], Tensor], rows: Tensor) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        rows = rows.detach().requires_grad_()
        losses = loss(rows)
        (gradient,) = torch.autograd.grad(losses.sum(), rows)
    return losses.detach(), gradient
