"""Embed: writes a model's vectors into the graph, where Cypher alone can then ask for predictions; or takes them out.

Entities carry their vector and the model's id as two properties, with one vector index per label; relations have
a node each, beside the model's. Only what is missing is written. The model counts as embedded (`embeddedAt`) only
while all of it is there, so an interrupted embed answers nothing; repeated, it goes on.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from kgsync import interrupt
from kgsync.config import WriteConfig
from kgsync.errors import DataError
from kgsync.graph import schema, statements
from kgsync.graph.connection import Connection, run
from kgsync.graph.lock import Lock, locked
from kgsync.kge.vectors import Vectors, vectors
from kgsync.progress import Progress, silent

if TYPE_CHECKING:
    from kgsync.model import Model

T = TypeVar("T")

LONGEST = 4_096  # numbers per vector, the server's own limit
RELATION_LABEL = "__KgsyncRelationVector"
_LOOK = 20_000  # entities that are looked up at a time
NUMBERS = 500_000  # of vectors per transaction
_REMOVED = 10_000  # nodes per transaction
_POLL = 0.5  # seconds


@dataclass(frozen=True)
class EmbedReport:
    """What an embed did, or without `commit` would do."""

    model: str
    committed: bool
    scoring: str
    dimension: int  # numbers per entity
    entities: int  # of the model
    written: int  # entities that get their vector
    unchanged: int  # that carry it already
    unmatched: int  # that are not in the graph any more
    removed: int  # nodes that lose the vector of another model, as this one does not know them
    relations: int
    indexes: tuple[str, ...]
    complete: bool  # everything was there before

    @property
    def megabytes(self) -> float:
        """Return the size of the vectors that are written, without their index."""
        return 4e-6 * self.dimension * self.written


@dataclass(frozen=True)
class RemoveReport:
    """What vectors were in the graph and, with `committed`, are not any more."""

    committed: bool
    vectors: int  # nodes that carry one
    relations: int
    indexes: tuple[str, ...]

    @property
    def empty(self) -> bool:
        """Say whether there are none."""
        return not (self.vectors or self.relations or self.indexes)


def embed(
    connection: Connection,
    model: Model,
    *,
    commit: bool = False,
    config: WriteConfig | None = None,
    progress: Progress = silent,
) -> EmbedReport:
    """Write the model's vectors into the graph that it was trained on; without `commit` only say what that means.

    Idempotent: a second time nothing is written. Vectors of an earlier model are replaced. Ctrl-C stops after
    the batch that is being written.

    Raises:
        DataError: the model is one that no index can serve, has too long vectors, or is of another database.
        TransientError: another process is writing.
        AccessError: the user may not write.
    """
    config = config or WriteConfig()
    task = _Task(connection, model)
    found = _look(task, progress, lambda: None)
    if not commit or found.complete:
        return _report(task, found, committed=commit)
    schema.install(connection)
    with (
        interrupt.deferred() as stop_if_asked,
        locked(connection, run_id="embed", timeout=config.lock_timeout) as lock,
    ):

        def keep() -> None:
            stop_if_asked()
            lock.keep()

        found = _look(task, progress, keep)  # again: nobody else writes any more
        if not found.complete:
            _Writer(task, lock, keep, config.batch, progress).write(found)
    return _report(task, found, committed=True)


def remove(
    connection: Connection, *, commit: bool = False, config: WriteConfig | None = None, progress: Progress = silent
) -> RemoveReport:
    """Take all vectors, their indexes and the relations' nodes out of the graph; without `commit` only count them.

    Raises:
        TransientError: another process is writing.
    """
    state = connection.read(statements.load("embed/state").text, modelId="")[0]
    indexes = tuple(index["name"] for index in _indexes(connection))
    report = RemoveReport(commit, state["vectors"], state["relations"], indexes)
    if not commit or report.empty:
        return report
    config = config or WriteConfig()
    with (
        interrupt.deferred() as stop_if_asked,
        locked(connection, run_id="embed", timeout=config.lock_timeout) as lock,
    ):
        for _ in _clear(lock):
            stop_if_asked()
        for name in indexes:
            connection.write(statements.load("schema/drop_index").fill(name=name))
        done = 0
        for count in _repeated(lock, statements.load("embed/remove_vectors").text, modelId=""):
            stop_if_asked()
            done += count
            progress("removing vectors", done, report.vectors)
        for _ in _repeated(lock, statements.load("embed/forget").text, modelId=""):
            stop_if_asked()
    return report


@dataclass(frozen=True)
class _Task:
    """A model, checked, and the database it is for."""

    connection: Connection
    model: Model

    def __post_init__(self) -> None:
        dimension = self.vectors.dimension
        if dimension > LONGEST:
            raise DataError(
                f"model {self.model.id} has vectors of {dimension:,} numbers; an index holds {LONGEST:,} at most",
                fix="train one with a smaller rank (train.rank in kgsync.toml)",
            )
        origin, here = self.model.snapshot.origin.get("database") or {}, self.connection.identity()
        if origin.get("id") != here["id"]:
            raise DataError(
                f"model {self.model.id} was trained on {origin.get('name') or 'no database'},"
                f" with another id than {here['name']} at {self.connection.uri}",
                fix="pull from this database and train again; nothing was written",
            )

    @cached_property
    def vectors(self) -> Vectors:
        """The vectors of the model."""
        kge = self.model.embeddings()
        return vectors(kge.name, kge.entities.detach().numpy(), kge.relations.detach().numpy())

    @cached_property
    def rows(self) -> dict[str, list[int]]:
        """The entities by the label that they are found by."""
        rows: dict[str, list[int]] = defaultdict(list)
        for row, entity in enumerate(self.model.snapshot.identities):
            rows[entity.label].append(row)
        return rows

    @cached_property
    def indexes(self) -> dict[str, str]:
        """The name of the index of each label."""
        return {label: f"kgsync_vector_{label}" for label in self.rows}

    def statement(self, name: str, label: str) -> str:
        """Return a statement about the entities of a label."""
        return statements.load(name).fill(label=label, key=self.model.snapshot.key_properties[label])

    def fits(self, index: dict[str, Any]) -> bool:
        """Say whether an index is one that this model needs."""
        config: dict[str, Any] = index["config"]
        needed = (self.indexes.get(index["label"]), self.vectors.dimension, self.vectors.similarity.upper())
        found = (index["name"], config["vector.dimensions"], config["vector.similarity_function"])
        return found == needed and index["state"] != "FAILED"


@dataclass
class _Found:
    """What there is of a model's vectors."""

    waiting: dict[str, list[int]] = field(default_factory=dict)  # label -> entities whose vector is to be written
    matched: int = 0  # entities that are in the graph
    stale: int = 0  # nodes with another model's vector that will not get this one's
    complete: bool = False

    @property
    def to_write(self) -> int:
        """The number of entities whose vector is to be written."""
        return sum(map(len, self.waiting.values()))


def _look(task: _Task, progress: Progress, keep: Callable[[], None]) -> _Found:
    found = _Found()
    replaced = done = 0
    identities, model_id = task.model.snapshot.identities, task.model.id
    for label, rows in task.rows.items():
        found.waiting[label] = []
        for part in parts(rows, _LOOK):
            keep()
            sent = [[row, identities[row].key] for row in part]
            seen = task.connection.read(task.statement("embed/look", label), modelId=model_id, rows=sent)[0]
            found.waiting[label] += sorted(set(seen["waiting"]))
            found.matched += seen["found"]
            replaced += seen["others"]
            done += len(part)
            progress("comparing", done, len(identities))
    state = task.connection.read(statements.load("embed/state").text, modelId=model_id)[0]
    indexes = _indexes(task.connection)
    found.stale = max(state["others"] - replaced, 0)
    found.complete = (
        state["complete"] == model_id
        and not found.to_write
        and not found.stale
        and len(indexes) == len(task.indexes)
        and all(task.fits(index) and index["state"] == "ONLINE" for index in indexes)
    )
    return found


class _Writer:
    """Writes what is missing while the lock is held: entities, their indexes, relations, and that all is there."""

    def __init__(self, task: _Task, lock: Lock, keep: Callable[[], None], batch: int, progress: Progress) -> None:
        self._task = task
        self._lock = lock
        self._keep = keep
        self._batch = max(1, min(batch, NUMBERS // task.vectors.dimension))
        self._progress = progress
        self._id = task.model.id

    def write(self, found: _Found) -> None:
        """Write everything."""
        for _ in _clear(self._lock):
            self._keep()
        send(self._lock, statements.load("embed/begin").text, modelId=self._id, model=self._task.model.card())
        for index in _indexes(self._task.connection):
            if not self._task.fits(index):
                self._task.connection.write(statements.load("schema/drop_index").fill(name=index["name"]))
        self._write_entities(found)
        for _ in _repeated(self._lock, statements.load("embed/remove_vectors").text, modelId=self._id):
            self._keep()
        self._build_indexes()
        self._write_relations()
        for _ in _repeated(self._lock, statements.load("embed/forget").text, modelId=self._id):
            self._keep()
        send(self._lock, statements.load("embed/finish").text, modelId=self._id)

    def _write_entities(self, found: _Found) -> None:
        table, identities = self._task.vectors.entities, self._task.model.snapshot.identities
        done, total = 0, found.to_write
        for label, rows in found.waiting.items():
            text = self._task.statement("embed/vectors", label)
            for part in parts(rows, self._batch):
                self._keep()
                sent = [[identities[row].key, table[row].tolist()] for row in part]
                send(self._lock, text, modelId=self._id, rows=sent)
                done += len(part)
                self._progress("vectors", done, total)

    def _build_indexes(self) -> None:
        task, create = self._task, statements.load("embed/create_index")
        for label, name in task.indexes.items():
            task.connection.write(
                create.fill(name=name, label=label),
                dimension=task.vectors.dimension,
                similarity=task.vectors.similarity,
            )
        while True:
            indexes = _indexes(task.connection)
            failed = [index["name"] for index in indexes if index["state"] == "FAILED"]
            if failed:
                raise DataError(f"the server could not build the index {failed[0]}", fix="see the server's log")
            self._progress("indexing", round(sum(index["percent"] for index in indexes)), 100 * len(indexes))
            if all(index["state"] == "ONLINE" for index in indexes):
                return
            self._keep()
            time.sleep(_POLL)

    def _write_relations(self) -> None:
        snapshot, table = self._task.model.snapshot, self._task.vectors.relations
        names, n_relations = self._task.indexes, len(snapshot.relations)
        labels = snapshot.entities["label"].to_pylist()
        heads: dict[int, set[str]] = defaultdict(set)
        tails: dict[int, set[str]] = defaultdict(set)
        for head, relation, tail in snapshot.triples.tolist():
            heads[relation].add(names[labels[head]])
            tails[relation].add(names[labels[tail]])
        for part in parts(range(n_relations), self._batch):
            self._keep()
            rows = [
                {
                    "relation": snapshot.relations[number],
                    "tails": table[number].tolist(),
                    "heads": table[number + n_relations].tolist(),
                    "tailIndexes": sorted(tails[number]),
                    "headIndexes": sorted(heads[number]),
                }
                for number in part
            ]
            send(self._lock, statements.load("embed/relations").text, modelId=self._id, rows=rows)


def _report(task: _Task, found: _Found, *, committed: bool) -> EmbedReport:
    entities = len(task.model.snapshot.identities)
    return EmbedReport(
        model=task.model.id,
        committed=committed,
        scoring=task.model.embeddings().name,
        dimension=task.vectors.dimension,
        entities=entities,
        written=found.to_write,
        unchanged=found.matched - found.to_write,
        unmatched=entities - found.matched,
        removed=found.stale,
        relations=len(task.model.snapshot.relations),
        indexes=tuple(task.indexes.values()),
        complete=found.complete,
    )


def _indexes(connection: Connection) -> list[dict[str, Any]]:
    return connection.read(statements.load("embed/indexes").text)


def _clear(lock: Lock) -> Iterator[int]:
    """Make no model count as embedded, and delete the relations' vectors."""
    send(lock, statements.load("embed/incomplete").text)
    yield from _repeated(lock, statements.load("write/uninstall_nodes").fill(label=RELATION_LABEL))


def _repeated(lock: Lock, text: str, **parameters: Any) -> Iterator[int]:
    """Send a statement as long as it finds something to do; yield how much it did."""
    while done := send(lock, text, limit=_REMOVED, **parameters)[0]["done"]:
        yield done


def send(lock: Lock, text: str, **parameters: Any) -> list[dict[str, Any]]:
    """Run a statement that may be repeated without harm, in a transaction of its own, if the lock is still ours."""
    return lock.again(lambda tx, _, __: [dict(record) for record in run(tx, text, parameters)])


def parts(rows: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield `size` of `rows` at a time."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
