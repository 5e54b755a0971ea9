"""A training on another device is that on the CPU; `elsewhere` stands in for a GPU, which no test machine has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kgsync.errors import ConfigError
from kgsync.kge import device
from kgsync.kge.config import TrainConfig
from kgsync.kge.defaults import Size, resolve
from kgsync.kge.models import MODELS
from kgsync.kge.objective import Batch
from kgsync.kge.train import train

EVERY_PART = {"n3": 0.05, "relation_weight": 0.5}
LOSSES: list[dict[str, Any]] = [
    {"loss": "bce", "label_smoothing": 0.1, "typed_negatives": True},
    {"loss": "bce", "lessons": True, "negatives": 8, "start": True},
    {"loss": "margin", "negatives": 8, "typed_negatives": True},
    {"loss": "margin", "lessons": True, "dropout": 0.2},
    {"loss": "softmax", "negatives": 8, "optimizer": "adam"},
    {"loss": "softmax", "optimizer": "adam", "dropout": 0.3, "lessons": True},
]
KILLED = [{"killed": first, "optimizer": "adam", "negatives": 8} for first in ("cpu", "cuda")]
CASES: list[dict[str, Any]] = [
    *({"model": name, **EVERY_PART} for name in MODELS),
    *({"model": name, **case} for name in ("complex", "rotate") for case in LOSSES),
    *({"model": "complex", **case} for case in KILLED),
]


@pytest.fixture(scope="module")
def differences() -> list[str]:
    """Return what each case does differently on the other device."""
    script = Path(__file__).with_name("elsewhere.py")
    done = subprocess.run(
        [sys.executable, str(script), json.dumps(CASES)],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("number", range(len(CASES)), ids=[str(case) for case in CASES])
def test_a_training_on_another_device_gives_the_bits_of_the_cpu(differences: list[str], number: int) -> None:
    assert differences[number] == ""


def test_a_graph_goes_to_the_gpu_where_there_is_one_and_it_is_large_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = Size(100, 3, 600, 700), Size(20_000, 3, 60_000, 70_000)
    config = TrainConfig(precision="f32")
    monkeypatch.setattr(device, "gpus", lambda: 0)
    assert [resolve(config, size).device for size in (small, large)] == ["cpu", "cpu"]
    monkeypatch.setattr(device, "gpus", lambda: 1)
    assert [resolve(config, size).device for size in (small, large)] == ["cpu", "cuda"]
    assert resolve(replace(config, device="cpu"), large).device == "cpu"
    assert resolve(replace(config, device="cuda"), small).device == "cuda"
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert resolve(config, large).device == "cpu", "two processes would share a GPU"


def test_every_process_of_a_machine_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert device.place("cpu") == torch.device("cpu")
    assert device.place("cuda") == torch.device("cuda", 0)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert device.place("cuda") == torch.device("cuda", 1)


def test_a_gpu_that_is_not_there_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    triples = np.array([(0, 0, 1)])
    config = TrainConfig(device="cuda")
    monkeypatch.setattr(device, "gpus", lambda: 0)
    with pytest.raises(ConfigError, match=r"train.device is cuda, and torch finds no GPU; set it to auto or cpu"):
        train(triples, triples[:0], 2, 1, config)
    monkeypatch.setattr(device, "gpus", lambda: 1)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match=r"torch finds 1 for 2 processes"):
        train(triples, triples[:0], 2, 1, config)
    with pytest.raises(ConfigError, match=r"train.device is gpu.*auto, cpu or cuda"):
        train(triples, triples[:0], 2, 1, replace(config, device="gpu"))  # type: ignore[arg-type]


def test_on_the_cpu_nothing_is_copied() -> None:
    parts = torch.arange(3), torch.zeros(3, dtype=torch.int64), torch.arange(3), torch.arange(3)
    batch = Batch(*parts, log_weight=torch.zeros(3))
    moved = batch.to(torch.device("cpu"))
    assert moved.anchors is batch.anchors
    assert moved.answers is batch.answers
    assert moved.log_weight is batch.log_weight
    assert moved.barred is None
    assert device.at_once(1024, torch.device("cpu")) == 1024 < device.at_once(1024, torch.device("cuda"))
