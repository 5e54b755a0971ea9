"""Explanations for the page: one at a time, as each takes a model some seconds, and the latest for who leafs fast."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING

from kgsync.config import LabelConfig
from kgsync.graph.connection import Connection
from kgsync.runs import Workspace

if TYPE_CHECKING:
    from kgsync.explain.answer import Explanation

_KEPT = 200  # explanations


class Reasoner:
    """Explains edges, and remembers what it has said."""

    def __init__(self, connection: Connection, labels: Mapping[str, LabelConfig], workspace: Workspace) -> None:
        self._connection = connection
        self._labels = labels
        self._workspace = workspace
        self._known: OrderedDict[str, Explanation] = OrderedDict()
        self._wanted = ""
        self._lock = threading.Lock()

    def why(self, id_: str) -> Explanation | None:
        """Return why an edge is predicted; None if another has been asked about before it was its turn."""
        if known := self._known.get(id_):
            return known
        self._wanted = id_
        with self._lock:
            if self._wanted != id_:
                return None
            from kgsync.explain.by_graph import explain_id

            found = explain_id(self._connection, id_, workspace=self._workspace, labels=self._labels)
            self._known[id_] = found
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
            return found
