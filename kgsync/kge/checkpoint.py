"""Where a training is, in memory and on disk: continuing from the file gives the bits of never stopping."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kgsync.errors import DataError
from kgsync.kge import artefact
from kgsync.kge.average import Average
from kgsync.kge.config import TrainConfig
from kgsync.kge.models import KgeModel
from kgsync.kge.optimizer import OPTIMIZERS

FILE = "training.safetensors"
WHEN_TO_STOP = {"epochs", "steps", "time_budget", "threads", "device"}  # may differ between the parts of one training


@dataclass(frozen=True)
class Epoch:
    """One pass over the distinct queries."""

    epoch: int  # counted from 1
    seconds: float  # of training, without the evaluation
    loss: float  # mean per triple and direction
    valid_mrr: float | None  # filtered, both sides; None where it was not measured


@dataclass
class Counters:
    """Everything about a training that is not a tensor."""

    epoch: int = 0
    steps: int = 0
    seconds: float = 0.0  # of training and evaluation, over all parts
    best_mrr: float = -math.inf
    best_epoch: int = 0
    misses: int = 0  # evaluations since the best
    history: list[Epoch] = field(default_factory=list)


class State:
    """A training between two epochs."""

    def __init__(self, model: KgeModel, config: TrainConfig) -> None:
        self.model = model
        tables = {name: parameter.data for name, parameter in model.named_parameters()}
        averaged = tables if config.averaging else {}
        self.averages = {name: Average(table, config.averaging) for name, table in averaged.items()}
        self.optimizers = {
            name: OPTIMIZERS[config.optimizer](table, config.learning_rate, self.averages.get(name))
            for name, table in tables.items()
        }
        self.generator = torch.Generator().manual_seed(config.seed)
        self.best: dict[str, Tensor] = {}  # a copy of the embeddings at `best_epoch`, on the CPU
        self.counters = Counters()

    def step(self, for_entities: Tensor, for_relations: Tensor, rows: Tensor | None) -> None:
        """Move the embeddings along their gradients: of the relations, and of all entities or of `rows`."""
        self.optimizers["entities"].step(for_entities, rows)
        self.optimizers["relations"].step(for_relations)
        self.counters.steps += 1

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Let the model have its averaged embeddings for a while, where there are averages."""
        before = {name: self.model.get_parameter(name).data for name in self.averages}
        for name, average in self.averages.items():
            self.model.get_parameter(name).data = average.value(self.counters.steps)
        try:
            yield
        finally:
            for name, table in before.items():
                self.model.get_parameter(name).data = table

    def keep_best(self) -> None:
        """Remember the embeddings that the model has now."""
        self.best = {name: tensor.to("cpu", copy=True) for name, tensor in self.model.state_dict().items()}

    def restore_best(self) -> None:
        """Give the model the embeddings of the best epoch back; if none was evaluated, the last, averaged."""
        if self.counters.steps and not self.best:
            with self.averaged():
                self.keep_best()
        if self.best:
            self.model.load_state_dict(self.best)

    def save(self, folder: Path, fingerprint: str) -> None:
        """Write the state to `folder`, replacing an earlier one, all or nothing."""
        tensors = {
            **self.model.state_dict(),
            **self._memory(),
            "generator": self.generator.get_state(),
            **{f"best_{name}": tensor for name, tensor in self.best.items()},
        }
        counters = asdict(self.counters) | {"best_mrr": self.counters.best_mrr if self.best else None}
        artefact.write(folder / FILE, tensors, {"fingerprint": fingerprint, "counters": counters})

    def load(self, folder: Path, fingerprint: str) -> None:
        """Continue from the state in `folder`; where there is none, stay as new.

        Raises:
            DataError: the file is damaged, or belongs to another graph or configuration.
        """
        path = folder / FILE
        if not path.exists():
            return
        tensors, header = artefact.read(path)
        if header.get("fingerprint") != fingerprint:
            raise DataError(f"{path} belongs to another graph or configuration", fix=f"delete {folder}")
        self.model.load_state_dict({name: tensors[name] for name in self.model.state_dict()})
        for name, tensor in self._memory().items():
            tensor.copy_(tensors[name])
        self.generator.set_state(tensors["generator"])
        self.best = {name.removeprefix("best_"): tensor for name, tensor in tensors.items() if name.startswith("best_")}
        counters: dict[str, Any] = header["counters"]
        if counters["best_mrr"] is None:
            counters["best_mrr"] = -math.inf
        counters["history"] = [Epoch(**epoch) for epoch in counters["history"]]
        self.counters = Counters(**counters)
        for optimizer in self.optimizers.values():
            optimizer.steps = self.counters.steps

    def _memory(self) -> dict[str, Tensor]:
        """Return what optimisers and averages remember, by the name it has in the file."""
        moments = {f"{t}_{name}": m for t, each in self.optimizers.items() for name, m in each.moments.items()}
        means = {f"{table}_average": average.means for table, average in self.averages.items()}
        counted = {f"{table}_counted": average.counted for table, average in self.averages.items()}
        return moments | means | counted

    @staticmethod
    def delete(folder: Path) -> None:
        """Remove the state from `folder`, and the folder if nothing else is in it."""
        (folder / FILE).unlink(missing_ok=True)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def fingerprint(config: TrainConfig, *arrays: np.ndarray[Any, Any]) -> str:
    """Return a hash of everything that decides the course of a training, but not how long it goes on."""
    settings = {f.name: getattr(config, f.name) for f in fields(config) if f.name not in WHEN_TO_STOP}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for array in arrays:
        digest.update(f"{array.shape}".encode())
        digest.update(np.ascontiguousarray(array, dtype="<i8").tobytes())
    return digest.hexdigest()
