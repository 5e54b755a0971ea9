"""How long work reports where it is: one callback, so that the library never prints."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int | None], None]
"""`progress(step, done, total)`; `total` is None while it is not known. Called at most a few times a second."""


def silent(step: str, done: int, total: int | None) -> None:
    """Report nothing."""
