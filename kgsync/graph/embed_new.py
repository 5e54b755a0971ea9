"""Embed, the new ones: nodes that came after a model's training get vectors beside those that `embed` wrote.

Reads what the embedded model does not know (`kgsync.graph.new_nodes`). Promises that nobody else's vector changes, and
that a node keeps its own until its text or its edges change: `kgsyncVectorFrom` says of what it was made. Interrupted,
it goes on when it is repeated. `embed.remove`, the embed of another model, and uninstall take these vectors, too.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kgsync import interrupt
from kgsync.config import Config, LabelConfig
from kgsync.errors import DataError, NotFoundError
from kgsync.graph import new_nodes, schema, statements
from kgsync.graph.connection import Connection
from kgsync.graph.embed import NUMBERS, parts, send
from kgsync.graph.lock import locked
from kgsync.graph.new_nodes import NewNodes
from kgsync.identity import Entity
from kgsync.kge.vectors import Rows, further
from kgsync.progress import Progress, silent

if TYPE_CHECKING:
    from kgsync.model import Model

_TOGETHER = 1_000  # nodes whose vectors are made at a time, and then written


@dataclass(frozen=True)
class NewReport:
    """What an embed of new nodes did, or without `commit` would do."""

    model: str
    committed: bool
    labels: tuple[str, ...]  # that were looked at
    found: int  # nodes with a key that the model's training did not know
    made: Mapping[str, int]  # of what the vectors are made that are written -> how many
    unchanged: int  # new nodes that have theirs, and whose texts and edges are as they were then
    returned: int  # entities of the training that had none any more, and get theirs again
    shortened: int  # vectors that would have been longer than any of the training; known once they are made
    without_key: Mapping[str, int]  # Label.key -> nodes without, which cannot be found and get none
    unread: str  # why texts (of some labels) are not read; empty where they are
    first: Entity | None  # of the new ones that are written

    @property
    def written(self) -> int:
        """Return the number of nodes that get a vector."""
        return sum(self.made.values()) + self.returned


def embedded(connection: Connection) -> str:
    """Return the id of the model whose vectors are in the graph.

    Raises:
        NotFoundError: there is none, or it is not whole.
    """
    found: str | None = connection.read(statements.load("embed/state").text, modelId="")[0]["complete"]
    if found is None:
        where = f"{connection.identity()['name']} at {connection.uri}"
        raise NotFoundError(f"no model is embedded in {where}", fix="run `kgsync embed --yes` first")
    return found


def embed_new(
    connection: Connection,
    model: Model,
    labels: Mapping[str, LabelConfig],
    *,
    commit: bool = False,
    config: Config | None = None,
    cache: Path | None = None,
    progress: Progress = silent,
) -> NewReport:
    """Give nodes that came after the training of the embedded `model` a vector; without `commit` only count them.

    `labels` say where their names and texts are; `cache` keeps encoded texts. How: `kgsync.newcomers`.

    Raises:
        NotFoundError: no model is embedded.
        DataError: another one is, or two new nodes have the same key.
        TransientError: another process is writing.
        AccessError: the user may not write.
    """
    config = config or Config()
    _check(connection, model)
    found = new_nodes.find(connection, model, labels, characters=config.pull.text_limit)
    shortened = 0
    if commit and (found.changed or found.returned):
        schema.install(connection)
        shortened = _Writer(connection, model, config, cache, progress).write(found)
    return _report(model, found, shortened, committed=commit)


def _check(connection: Connection, model: Model) -> None:
    if (there := embedded(connection)) != model.id:
        raise DataError(
            f"the graph holds the vectors of model {there}, not of {model.id}",
            fix=f"leave the model out, or run `kgsync embed {model.id} --yes` first",
        )


class _Writer:
    """Makes vectors some nodes at a time, and holds the lock only while they are written."""

    def __init__(
        self, connection: Connection, model: Model, config: Config, cache: Path | None, progress: Progress
    ) -> None:
        from kgsync.newcomers import Placer

        self._connection = connection
        self._model = model
        self._config = config.write
        self._placer = Placer(model, cache)
        self._known: Rows = model.embeddings().entities.detach().numpy()
        self._progress = progress
        self._done = self._total = 0

    def write(self, found: NewNodes) -> int:
        """Write all vectors that are missing, and return how many were shortened."""
        scoring, identities, changed = self._placer.kge.name, self._model.snapshot.identities, set(found.changed)
        self._total, shortened = len(changed) + len(found.returned), 0
        for some in parts(found.returned, _TOGETHER):
            table, _ = further(scoring, self._known[list(some)], self._known)
            self._send([(identities[row], vector, None) for row, vector in zip(some, table, strict=True)])
        for together in found.together(_TOGETHER):
            texts = [found.texts[place] for place in together]
            rows = self._placer.rows(texts, found.edges_of(together), self._progress)
            wanted = [number for number, place in enumerate(together) if place in changed]
            table, cut = further(scoring, rows[wanted], self._known)
            shortened += cut
            places = [together[number] for number in wanted]
            own = zip(places, table, strict=True)
            self._send([(found.entities[place], vector, found.sources[place]) for place, vector in own])
        return shortened

    def _send(self, rows: Sequence[tuple[Entity, Rows, str | None]]) -> None:
        batch = max(1, min(self._config.batch, NUMBERS // len(rows[0][1])))
        by_label: dict[str, list[list[Any]]] = defaultdict(list)
        for entity, vector, made in rows:
            by_label[entity.label].append([entity.key, vector.tolist(), made])
        with (
            interrupt.deferred() as stop_if_asked,
            locked(self._connection, run_id="embed", timeout=self._config.lock_timeout) as lock,
        ):
            _check(self._connection, self._model)  # again: nobody else writes any more
            for label, sent in by_label.items():
                key = self._model.snapshot.key_properties[label]
                text = statements.load("embed/vectors").fill(label=label, key=key)
                for some in parts(sent, batch):
                    stop_if_asked()
                    send(lock, text, modelId=self._model.id, rows=some)
                    self._done += len(some)
                    self._progress("vectors", self._done, self._total)


def _report(model: Model, found: NewNodes, shortened: int, *, committed: bool) -> NewReport:
    made = Counter(_kind(found.sources[place]) for place in found.changed)
    undescribed = f"kgsync.toml says nothing of {', '.join(found.undescribed)}" if found.undescribed else ""
    return NewReport(
        model=model.id,
        committed=committed,
        labels=tuple(found.labels),
        found=len(found.entities),
        made=dict(sorted(made.items())),
        unchanged=len(found.entities) - len(found.changed),
        returned=len(found.returned),
        shortened=shortened,
        without_key=found.without_key,
        unread=found.unread or undescribed,
        first=found.entities[found.changed[0]] if found.changed else None,
    )


def _kind(source: str) -> str:
    """Return "text and edges", "text", "edges" or "labels"."""
    words = source.partition(" #")[0].split()
    return " ".join("edges" if word == "edge" else word for word in words if not word.isdigit())
