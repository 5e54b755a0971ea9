"""Adam over the named parameters of several modules, each module at its own learning rate."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from kgsync.kge.optimizer import Adam


class Adams:
    """Moves parameters against their gradients; those that never learn are left out."""

    def __init__(self, modules: Sequence[tuple[str, nn.Module, float]]) -> None:
        self._parts = [
            (f"{prefix}.{name}", parameter, Adam(_flat(parameter), rate), rate)
            for prefix, module, rate in modules
            for name, parameter in module.named_parameters()
            if parameter.requires_grad and parameter.numel()
        ]

    def clear(self) -> None:
        """Forget the gradients."""
        for _, parameter, _, _ in self._parts:
            parameter.grad = None

    @torch.no_grad()
    def step(self, share: float = 1.0, longest: float = torch.inf) -> None:
        """Take one step at `share` of the learning rates; a gradient longer than `longest` is shortened to that."""
        squares = [float(p.grad.square().sum()) for _, p, _, _ in self._parts if p.grad is not None]
        shorter = min(1.0, longest / max(sum(squares) ** 0.5, 1e-12)) if longest < torch.inf else 1.0
        for _, parameter, adam, rate in self._parts:
            if parameter.grad is not None:
                adam.rate = rate * share
                adam.step(_flat(parameter.grad) * shorter if shorter < 1 else _flat(parameter.grad))

    def memory(self) -> dict[str, Tensor]:
        """Return what it remembers, by the name it has in a checkpoint."""
        return {f"{m}.{name}": moment for name, _, adam, _ in self._parts for m, moment in adam.moments.items()}

    def restore(self, tensors: dict[str, Tensor], steps: int) -> None:
        """Continue from what `memory` gave, after as many steps."""
        for name, moment in self.memory().items():
            moment.copy_(tensors[name])
        for _, _, adam, _ in self._parts:
            adam.steps = steps


def _flat(tensor: Tensor) -> Tensor:
    """Return a matrix that shares the memory of `tensor`."""
    return tensor.detach().view(-1, tensor.shape[-1] if tensor.dim() else 1)
