"""Finished trainings that wait for others: an interrupted ensemble trains no member twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from kgsync.kge import artefact
from kgsync.kge.checkpoint import Epoch
from kgsync.kge.config import TrainConfig
from kgsync.kge.train import Trained

FILE = "finished.safetensors"


def once(train: Callable[[], Trained], folder: Path, mark: str) -> Trained:
    """Return the training with this `mark` that is kept in `folder`, or do it and keep it there.

    Raises:
        DataError: the file is damaged, or as `train`.
    """
    path = folder / FILE
    if path.exists():
        model, kept = artefact.load(path)
        if kept.get("mark") == mark:
            history = [Epoch(**epoch) for epoch in kept["history"]]
            return Trained(model=model, config=TrainConfig(**kept["config"]), history=history, **kept["about"])
    trained = train()
    about = {name: getattr(trained, name) for name in ("best_epoch", "steps", "seconds", "stopped")}
    epochs = [asdict(epoch) for epoch in trained.history]
    kept = {"mark": mark, "config": asdict(trained.config), "history": epochs, "about": about}
    artefact.save(trained.model, path, kept)
    return trained


def delete(folder: Path | None) -> None:
    """Remove what is kept in `folder`, and the folder if nothing else is in it."""
    if folder is not None:
        (folder / FILE).unlink(missing_ok=True)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
