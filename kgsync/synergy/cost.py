"""What work costs: seconds, and the most memory that the process held meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

EVERY = 0.02  # seconds between two looks at the memory


@dataclass(frozen=True)
class Cost:
    """Seconds, and megabytes that the whole process held at most."""

    seconds: float = 0.0
    memory_mb: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        """Return what both cost one after the other."""
        return Cost(round(self.seconds + other.seconds, 1), max(self.memory_mb, other.memory_mb))


class Meter:
    """Watches a block of work; `cost` is what it has cost when it is over."""

    cost = Cost()


@contextmanager
def measured() -> Iterator[Meter]:
    """Yield a meter that knows the cost of the block after it."""
    meter, process, over = Meter(), psutil.Process(), threading.Event()
    most: int = process.memory_info().rss

    def watch() -> None:
        nonlocal most
        while not over.wait(EVERY):
            most = max(most, process.memory_info().rss)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    began = time.monotonic()
    try:
        yield meter
    finally:
        seconds = time.monotonic() - began
        over.set()
        watcher.join()
        meter.cost = Cost(round(seconds, 1), round(max(most, process.memory_info().rss) / 1e6))
