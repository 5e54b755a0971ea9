"""The optimisers, blocked and row-sparse, against those of torch; the average against its definition."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from kgsync.kge import optimizer
from kgsync.kge.average import Average
from kgsync.kge.optimizer import OPTIMIZERS, Adagrad, Adam

DENSE: dict[str, Any] = {"adagrad": torch.optim.Adagrad, "adam": torch.optim.Adam}


def a_table(generator: torch.Generator) -> Tensor:
    return torch.randn(40, 6, generator=generator)


def some_rows(generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Return row ids, their gradient and the same as gradient of the whole table."""
    rows = torch.randperm(40, generator=generator)[:13]
    gradient = torch.randn(13, 6, generator=generator)
    return rows, gradient, torch.zeros(40, 6).index_copy(0, rows, gradient)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("block", [1 << 18, 10])
def test_dense_steps_equal_those_of_torch(name: str, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimizer, "BLOCK", block)
    generator = torch.Generator().manual_seed(0)
    start = a_table(generator)
    ours, parameter = OPTIMIZERS[name](start.clone(), 0.1), torch.nn.Parameter(start.clone())
    reference = DENSE[name]([parameter], lr=0.1)
    for _ in range(20):
        _, _, parameter.grad = some_rows(generator)
        ours.step(parameter.grad)
        reference.step()
    torch.testing.assert_close(ours.table, parameter.detach())
    assert not torch.equal(ours.table, start)


@pytest.mark.parametrize("block", [1 << 18, 10])
def test_row_sparse_adagrad_equals_the_dense_one_to_the_bit(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimizer, "BLOCK", block)
    generator = torch.Generator().manual_seed(0)
    start = a_table(generator)
    sparse, dense = Adagrad(start.clone(), 0.1), Adagrad(start.clone(), 0.1)
    for _ in range(20):
        rows, gradient, full = some_rows(generator)
        dense.step(full)
        sparse.step(gradient, rows)
    assert torch.equal(sparse.table, dense.table)
    assert torch.equal(sparse.moments["sums"], dense.moments["sums"])


@pytest.mark.parametrize("block", [1 << 18, 10])
def test_row_sparse_adam_equals_the_lazy_one_of_torch(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimizer, "BLOCK", block)
    generator = torch.Generator().manual_seed(0)
    start = a_table(generator)
    ours, parameter = Adam(start.clone(), 0.1), torch.nn.Parameter(start.clone())
    reference = torch.optim.SparseAdam([parameter], lr=0.1)
    for _ in range(20):
        rows, gradient, _ = some_rows(generator)
        before = ours.table.clone()
        ours.step(gradient, rows)
        parameter.grad = torch.sparse_coo_tensor(rows[None], gradient, (40, 6), check_invariants=True)
        reference.step()
        assert torch.equal((ours.table != before).any(dim=1).nonzero()[:, 0], rows.sort().values)
    # Theirs adds epsilon before it corrects the bias of v, ours and the dense one after it.
    torch.testing.assert_close(ours.table, parameter.detach(), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("block", [1 << 18, 10])
def test_an_optimiser_has_its_average_count_rows_before_they_move(
    sparse: bool, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optimizer, "BLOCK", block)
    generator = torch.Generator().manual_seed(0)
    start = a_table(generator)
    table, alone = start.clone(), Adagrad(start.clone(), 0.1)
    together, by_hand = Adagrad(table, 0.1, Average(table, 8)), Average(alone.table, 8)
    for step in range(20):
        rows, gradient, full = some_rows(generator)
        by_hand.count(step, rows if sparse else slice(None))
        for each in (alone, together):
            each.step(*(gradient, rows) if sparse else (full,))
    assert together.average is not None
    assert torch.equal(together.average.value(20), by_hand.value(20))
    assert torch.equal(table, alone.table)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("power", [1, 8])
def test_the_average_weighs_the_table_after_step_i_by_a_power_of_i(power: int, sparse: bool) -> None:
    generator, steps = torch.Generator().manual_seed(0), 17
    table = a_table(generator)
    average, history = Average(table, power), []
    for step in range(steps):
        rows, gradient, _ = some_rows(generator)
        average.count(step, rows if sparse else slice(None))
        table[rows] += gradient
        history.append(table.double())
        if step == 11:
            average.value(step + 1)  # looking at it changes nothing
    rising = [math.prod(range(step, step + power)) for step in range(1, steps + 1)]  # i (i + 1) ... (i + power - 1)
    weights = torch.tensor(rising, dtype=torch.float64)
    expected = (weights[:, None, None] * torch.stack(history)).sum(dim=0) / weights.sum()
    torch.testing.assert_close(average.value(steps), expected.float())
