"""Several processes that train together: the result is that of one process on the same batches."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_graphs import folder_of

from kgsync.kge.world import World

COMMON = ["-m", "kgsync", "benchmark", str(folder_of("umls")), "--json", "--config", "train.toml"]


def run(*arguments: str, processes: int = 1) -> subprocess.CompletedProcess[str]:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [sys.executable, *(launcher if processes > 1 else []), *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False
    )


def metrics(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("settings", ["", "negatives = 64\ndropout = 0.2\nloss = 'margin'\ntyped_negatives = true"])
def test_two_processes_learn_what_one_learns(settings: str) -> None:
    Path("train.toml").write_text(f"[train]\nrank = 16\nepochs = 2\nprecision = 'f32'\n{settings}\n", encoding="utf-8")
    alone = metrics(run(*COMMON, "--export", "npy", "alone"))
    both = metrics(run(*COMMON, "--export", "npy", "both", processes=2))
    assert both["steps"] == alone["steps"]
    assert both["best_epoch"] == alone["best_epoch"]
    for part in ("valid", "test"):
        assert both[part]["mrr"] == pytest.approx(alone[part]["mrr"], abs=2e-3)  # sums in another order
    for table in ("entities.npy", "relations.npy"):
        assert np.isclose(np.load(f"both/{table}"), np.load(f"alone/{table}"), atol=1e-3).mean() > 0.99


def test_a_budget_is_refused_to_several_processes() -> None:
    Path("train.toml").write_text("", encoding="utf-8")
    done = run(*COMMON, "--budget", "5s", processes=2)
    assert done.returncode != 0
    assert "Error: processes whose clocks differ cannot share a budget; search in one process first" in done.stderr


@pytest.mark.parametrize("amount", [0, 1, 2, 7])
def test_every_query_is_some_processes_share_once(amount: int) -> None:
    shares = [list(range(amount))[World(rank, 3).share(amount)] for rank in range(3)]
    assert [number for share in shares for number in share] == list(range(amount))
