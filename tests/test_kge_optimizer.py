"""Adagrad, blocked and row-sparse, against the dense one of torch."""

from __future__ import annotations

import pytest
import torch

from kgsync.kge import optimizer
from kgsync.kge.optimizer import Adagrad


@pytest.mark.parametrize("block", [1 << 18, 10])
def test_row_sparse_steps_equal_dense_steps_of_torch(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimizer, "BLOCK", block)
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(40, 6, generator=generator)
    sparse, dense = Adagrad(start.clone(), 0.1), Adagrad(start.clone(), 0.1)
    parameter = torch.nn.Parameter(start.clone())
    reference = torch.optim.Adagrad([parameter], lr=0.1)
    for _ in range(20):
        rows = torch.randperm(40, generator=generator)[:13]
        gradient = torch.randn(13, 6, generator=generator)
        full = torch.zeros(40, 6)
        full[rows] = gradient
        parameter.grad = full.clone()
        reference.step()
        dense.step(full)
        sparse.step(gradient, rows)
    torch.testing.assert_close(dense.table, parameter.detach())
    assert torch.equal(sparse.table, dense.table)
    assert torch.equal(sparse.sums, dense.sums)
    assert not torch.equal(sparse.table, start)
