"""A second device, for machines without a GPU: its tensors lie on the CPU, and may not meet those that are not moved.

torch takes it for a device of its own kind and refuses what it refuses of every device but the CPU (`.numpy()`);
`_run` refuses what it refuses of two. Every product is computed, so results can be compared with those of the CPU.
Run as a script it trains the configurations that it is given, each on the CPU and here, and prints what differs. A
process of its own, because torch then has that device until it ends.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

from kgsync.kge import device, train
from kgsync.kge.config import TrainConfig
from kgsync.kge.lessons import Lessons
from kgsync.kge.models import create
from kgsync.kge.train import Trained
from kgsync.progress import Progress, silent

NAME = "elsewhere"
MOVES = {torch.ops.aten.copy_.default, torch.ops.aten._to_copy.default}
INDEXES = {torch.ops.aten.index.Tensor, torch.ops.aten.index_put_.default, torch.ops.aten._index_put_impl_.default}


class Moved(torch.Tensor):
    """A tensor of that device."""

    here: torch.Tensor  # what it holds

    @staticmethod
    def __new__(cls, here: torch.Tensor) -> Moved:
        shape = {"strides": here.stride(), "storage_offset": here.storage_offset(), "dtype": here.dtype}
        tensor = torch.Tensor._make_wrapper_subclass(cls, here.size(), device=torch.device(NAME, 0), **shape)
        tensor.here = here
        return tensor

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})

    def tolist(self) -> Any:
        """Return the numbers, as tensors of a GPU do."""
        return self.here.tolist()

    @property
    def data(self) -> Any:
        """Return the same values without a gradient; set, what it holds is another tensor."""
        return torch.Tensor.data.__get__(self)

    @data.setter
    def data(self, other: Any) -> None:
        torch.Tensor.data.__set__(self, other)
        self.here = other.here


class Module(_DummyBackendModule):
    """What torch asks a device about."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        """Return what `torch.utils.checkpoint` wants to hear."""
        return [torch.float32]


class Elsewhere(TorchDispatchMode):
    """While it lasts, new tensors can be made there, and others be moved there and back."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


def _run(func: Any, args: Any, kwargs: Any) -> Any:
    """Compute, or refuse tensors of two devices; numbers may be anywhere, and so may what indexes a tensor."""
    tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, torch.Tensor)]
    meeting = [args[0], *args[2:3]] if func in INDEXES else tensors
    if func not in MOVES and any(isinstance(each, Moved) for each in tensors):
        left = [
            each for each in meeting if isinstance(each, torch.Tensor) and not isinstance(each, Moved) and each.dim()
        ]
        if left:
            raise RuntimeError(
                f"{func} on tensors of two devices: {[(type(t).__name__, tuple(t.shape)) for t in tensors]}"
            )
    wanted = kwargs.get("device")
    if wanted is not None:
        there = torch.device(wanted).type == NAME
        kwargs = {**kwargs, "device": torch.device("cpu")}
    else:
        there = isinstance(args[0] if func in MOVES else next(iter(filter(_moved, tensors)), None), Moved)
    bare, settings = tree_map(lambda each: each.here if _moved(each) else each, (args, kwargs))
    found = func(*bare, **settings)
    same = {id(each.here if _moved(each) else each): each for each in tensors}  # what is changed in place stays itself
    if func is torch.ops.aten._to_copy.default:
        same = {}

    def back(each: Any) -> Any:
        return same.get(id(each), Moved(each) if there else each) if isinstance(each, torch.Tensor) else each

    return tree_map(back, found)


def _moved(each: Any) -> bool:
    return isinstance(each, Moved)


class Killed:
    """Interrupts training at a step, as Ctrl-C would."""

    def __init__(self, step: int) -> None:
        self.step = step

    def __call__(self, name: str, done: int, total: int | None) -> None:
        if done == self.step:
            raise KeyboardInterrupt


def _trained(case: dict[str, Any], kind: str, checkpoint: Path | None = None, progress: Progress = silent) -> Trained:
    triples = np.array([(e, r, e + r + 1) for r in range(3) for e in range(39 - r)])
    order = np.random.default_rng(0).permutation(len(triples))
    seen, valid, taught = triples[order[30:]], triples[order[:20]], triples[order[20:30]]
    settings = {name: value for name, value in case.items() if name not in ("lessons", "start", "killed")}
    lessons = Lessons(taught, np.full(len(taught), 0.5, np.float32)) if "lessons" in case else None
    start = create(case["model"], 40, 3, 4, 7) if "start" in case else None
    common: dict[str, Any] = {"rank": 4, "epochs": 2, "eval_every": 1, "batch": 50, "precision": "f32", "threads": 1}
    config = TrainConfig(**common, **settings, device=kind)  # type: ignore[arg-type]
    more: dict[str, Any] = {"lessons": lessons, "start": start, "checkpoint": checkpoint, "progress": progress}
    return train.train(seen, valid, 40, 3, config, **more)


def _difference(case: dict[str, Any]) -> str:
    """Return how a training there differs from one here; empty if not at all.

    With "killed" it begins on that kind of device, is killed in the second epoch, and goes on on the other.
    """
    alone = _trained(case, "cpu")
    with Elsewhere(), tempfile.TemporaryDirectory() as folder:
        last, checkpoint = "cuda", None
        if "killed" in case:
            last, checkpoint = {"cpu": "cuda", "cuda": "cpu"}[case["killed"]], Path(folder) / "training"
            with contextlib.suppress(KeyboardInterrupt):
                _trained(case, case["killed"], checkpoint, Killed(alone.steps - 1))
            if not checkpoint.exists():
                return "nothing was saved"
        moved = _trained(case, last, checkpoint)
    found = [] if moved.config.device == last else [f"trained on {moved.config.device}"]
    for name, table in alone.model.state_dict().items():
        other = moved.model.state_dict()[name]
        if isinstance(other, Moved):
            found.append(f"{name} not brought back")
        elif not torch.equal(table, other):
            found.append(f"{name} differ by up to {float((table - other).abs().max())}")
    losses = [[(each.loss, each.valid_mrr) for each in which.history] for which in (alone, moved)]
    return "; ".join(found + ([] if losses[0] == losses[1] else [f"losses and MRR are {losses}"]))


def _tried(case: dict[str, Any]) -> str:
    try:
        return _difference(case)
    except Exception:
        return traceback.format_exc()


def main() -> None:
    """Read a list of cases from the command line, and print a list of differences."""
    _setup_privateuseone_for_python_backend(NAME, backend_module=Module())
    device.gpus = lambda: 1
    train.place = lambda kind: torch.device(NAME, 0) if kind == "cuda" else torch.device("cpu")  # type: ignore[attr-defined]
    train.CHECKPOINT_SECONDS = train.REPORT_SECONDS = 0.0
    print(json.dumps([_tried(case) for case in json.loads(sys.argv[1])]))


if __name__ == "__main__":
    main()
