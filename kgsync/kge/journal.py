"""A journal: what long work has found out so far, in a folder, so that it goes on from there when it was interrupted.

Promises that what is in it is found out once, and that time counts on from where it was. When the work is done, or
cannot succeed, nothing is left.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import numpy as np

import kgsync
from kgsync import files
from kgsync.errors import ConfigError, DataError
from kgsync.kge.checkpoint import fingerprint
from kgsync.kge.config import TrainConfig
from kgsync.progress import Progress

T = TypeVar("T")

FILE = "journal.json"
NOTE_SECONDS = 30.0  # between two notes of the time; a process that is killed loses no more


class Journal:
    """The journal in `folder`, read if it is there; without a folder, or unless it `writes`, nothing is kept.

    As a context it is open for a while: the folder goes at the end, and stays where the work was interrupted.
    """

    def __init__(self, folder: Path | None = None, *, writes: bool = True) -> None:
        self.folder = folder
        self._writes = writes and folder is not None
        kept = files.read_json(folder / FILE) if folder is not None and (folder / FILE).exists() else {}
        self._found: dict[str, Any] = kept.get("found", {})
        self._before: float = kept.get("seconds", 0.0)
        self._opened = self._noted = time.monotonic()

    def __contains__(self, name: str) -> bool:
        """Say whether something with this name was found out."""
        return name in self._found

    def spent(self) -> float:
        """Return the seconds that the work has taken, over all its parts."""
        return self._before + time.monotonic() - self._opened

    def once(self, name: str, find: Callable[[], T]) -> T:
        """Return the JSON value that was found out under this name, or find it out and keep it."""
        if name not in self._found:
            self._found[name] = find()
            self._note()
        found: T = self._found[name]
        return found

    def place(self, name: str) -> Path | None:
        """Return where a part of the work keeps files of its own."""
        return None if self.folder is None else self.folder / name

    def watch(self, progress: Progress) -> Progress:
        """Return `progress`, but the time is noted while it is told."""

        def note(step: str, done: int, total: int | None) -> None:
            if time.monotonic() - self._noted >= NOTE_SECONDS:
                self._note()
            progress(step, done, total)

        return note

    def _note(self) -> None:
        if self._writes and self.folder is not None:
            files.write_json(self.folder / FILE, {"seconds": self.spent(), "found": self._found})
        self._noted = time.monotonic()

    def __enter__(self) -> Journal:
        """Open it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the folder, or note the time where going on makes sense."""
        if self.folder is None or not self._writes:
            return
        if error is not None and not isinstance(error, ConfigError | DataError):  # those would come again
            if self._found:
                self._note()
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.folder.parent.is_dir() and not any(self.folder.parent.iterdir()):
            self.folder.parent.rmdir()


def recipe(config: TrainConfig, budget: float | None, *arrays: np.ndarray[Any, Any]) -> str:
    """Return 16 hexadecimal digits that two pieces of work share if one can go on with what the other began."""
    ends = config.epochs, config.steps, config.time_budget, budget, kgsync.__version__
    return hashlib.sha256(json.dumps([fingerprint(config, *arrays), *ends]).encode()).hexdigest()[:16]
