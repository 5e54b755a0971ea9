"""Keep a Neo4j graph and its models in step: pull, train, predict, write back, validate, review.

import kgsync

with kgsync.connect() as graph:
    snapshot = graph.pull()
    model = kgsync.train(snapshot)
    plan = model.predict(top_k=100)
    graph.write(plan)
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Before torch is imported: threads that wait for work look for it a few microseconds, and then sleep. By default they
# spin on, and on a machine that does other things as well (the database, for one) training takes three times as long;
# if they sleep at once, it takes a third longer on one that does not.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "5000")
# Compiled products are kept per shape, and training makes a new shape in every step: 1,024 of them fill gigabytes.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")

if TYPE_CHECKING:
    from kgsync.config import Config
    from kgsync.errors import KgsyncError
    from kgsync.graph.graph import Graph, connect
    from kgsync.graph.review import Filter
    from kgsync.learn import train
    from kgsync.model import Model
    from kgsync.plan import Plan
    from kgsync.snapshot import Snapshot

_HOMES = {
    "Config": "kgsync.config",
    "Filter": "kgsync.graph.review",
    "Graph": "kgsync.graph.graph",
    "KgsyncError": "kgsync.errors",
    "Model": "kgsync.model",
    "Plan": "kgsync.plan",
    "Snapshot": "kgsync.snapshot",
    "connect": "kgsync.graph.graph",
    "train": "kgsync.learn",
}
__all__ = ["Config", "Filter", "Graph", "KgsyncError", "Model", "Plan", "Snapshot", "__version__", "connect", "train"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import kgsync` stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module 'kgsync' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
