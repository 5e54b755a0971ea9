"""Where a training computes: on the processor, or on a GPU where there is one and the graph is large enough.

Tensors bring their device with them: the embeddings are moved there before a training and back after it, each batch
before its step, and everything made in between is made where its inputs are. What is random is drawn on the CPU and
known answers are looked up there, so the draws are the same on every device. Files, and models that are not in
training, are on the CPU.
"""

from __future__ import annotations

import os
from typing import Literal

import psutil
import torch

from kgsync.errors import ConfigError
from kgsync.processor import has_bf16

Wanted = Literal["auto", "cpu", "cuda"]
Kind = Literal["cpu", "cuda"]
WORTH_GPU = 1 << 20  # floats of entity embeddings; with fewer, starting a kernel takes longer than its work
AT_ONCE = 64  # times as much work in one piece as fits the cache of a processor: a GPU is slow at small pieces


def choose(wanted: Wanted, floats: int) -> Kind:
    """Return the kind of device that `wanted` means for so many floats of entity embeddings.

    Raises:
        ConfigError: a GPU is wanted, and there is none, or not one for each process on this machine.
    """
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    found = gpus()
    if wanted == "cuda" and found < processes:
        lack = f"torch finds {found} for {processes} processes" if found else "torch finds no GPU"
        raise ConfigError(f"train.device is cuda, and {lack}", fix="set it to auto or cpu, or install torch for CUDA")
    if wanted == "auto":
        return "cuda" if found >= processes and floats >= WORTH_GPU else "cpu"
    return wanted


def place(kind: Wanted) -> torch.device:
    """Return the device of this process: of several on one machine, each has a GPU of its own."""
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if kind == "cuda" else torch.device("cpu")


def gpus() -> int:
    """Return how many GPUs torch can use."""
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def multiplies_bf16(kind: Kind) -> bool:
    """Return whether the device multiplies bf16 numbers itself."""
    return torch.cuda.is_bf16_supported(including_emulation=False) if kind == "cuda" else has_bf16()


def free_memory(kind: Wanted) -> int:
    """Return how many bytes of its memory are free."""
    return int(torch.cuda.mem_get_info(place(kind))[0] if kind == "cuda" else psutil.virtual_memory().available)


def put(table: torch.Tensor, rows: torch.Tensor, values: torch.Tensor) -> None:
    """Set the rows of a table; on the CPU through numpy, which copies rows in a third of torch's time."""
    if table.device.type == "cpu":
        table.numpy()[rows.numpy()] = values.numpy()
    else:
        table.index_copy_(0, rows, values)


def at_once(amount: int, device: torch.device) -> int:
    """Return how much to compute in one piece there, if `amount` is what fits the cache of a processor."""
    return amount if device.type == "cpu" else amount * AT_ONCE
