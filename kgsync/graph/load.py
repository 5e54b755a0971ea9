"""Load: triples from files into the graph, as nodes with a key and relationships with safe types.

Everything is read and checked once before anything is written. Nothing that is there is changed or made
twice, so an interrupted load is finished by repeating it. Memory holds a window of triples and the
names of relations; with `label_from_type` also the label of every entity that the files describe.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import neo4j

from kgsync import triple_files
from kgsync.errors import DataError, KgsyncError, TransientError
from kgsync.graph import keys, names, statements
from kgsync.graph.connection import Connection, run
from kgsync.graph.relation_types import assign
from kgsync.progress import Progress, silent
from kgsync.triple_files import BadLine, EntityLine, RelationLine, TripleFiles

T = TypeVar("T")

_WINDOW = 250_000  # lines that are grouped by label and type at a time
_SHOWN = 20  # skipped lines that the report lists
_MOST_RELATIONS = 20_000  # a server knows 65,536 types in all; more than this is no column of relations


@dataclass(frozen=True)
class LoadReport:
    """What a load found and did."""

    files: tuple[str, ...]  # of triples
    triples: int  # in the files, repeated ones counted each time
    entities_created: int
    relationships_created: int
    relationships_present: int  # there before, or repeated in the files
    differing: int  # entities that keep another name or description than the file has
    labels: Mapping[str, int]  # labels that entities are found by -> nodes in the graph now
    relation_types: Mapping[str, str]  # relation in the files -> relationship type
    skipped: int  # lines that cannot be used
    skipped_lines: tuple[str, ...]  # the first of them, with the reason
    seconds: float


def load(
    connection: Connection,
    source: Path,
    *,
    label: str = "Entity",
    key: str = "id",
    label_from_type: bool = False,
    splits: Sequence[str] | None = None,
    skip_bad_lines: bool = False,
    batch: int = 5_000,
    progress: Progress = silent,
) -> LoadReport:
    """Load a file of triples or a benchmark folder; `kgsync.triple_files.find` says what may be in it.

    Every entity becomes a node that is found by `label` and `key`; its types are further labels. With
    `label_from_type` an entity is found by its first type instead (the key is unique within that), and
    only entities without a type get `label`.

    Raises:
        NotFoundError: there are no such files.
        DataError: a line cannot be used (nothing has been written then), or the graph holds the key twice.
    """
    start = time.monotonic()
    _check_label(label)
    names.quote(key)
    files = triple_files.find(source, splits)
    survey = _survey(files, label, label_from_type, progress)
    if survey.bad and not skip_bad_lines:
        more = f" (and {survey.bad_count - 1:,} more such lines)" if survey.bad_count > 1 else ""
        raise DataError(f"{survey.bad[0]}{more}", fix="correct it or use --skip-bad-lines; nothing was loaded")
    if not survey.triples and not survey.entities:
        raise DataError(f"{source} holds no triple", fix="give a file with head, relation and tail per line")
    loader = _Loader(connection, files, survey, label, key, label_from_type, batch, progress)
    loader.prepare()
    try:
        loader.load_entities()
        loader.load_triples()
    except KgsyncError as error:
        what = f"{error.what}; {loader.triples:,} of {survey.triples:,} triples are loaded"
        raise type(error)(what, fix=f"run the same load again, it adds what is missing ({error.fix})") from error
    return LoadReport(
        files=tuple(str(path) for path in files.triples),
        triples=loader.triples,
        entities_created=loader.nodes_created,
        relationships_created=loader.relationships_created,
        relationships_present=loader.triples - loader.relationships_created,
        differing=loader.differing,
        labels=loader.count_labels(),
        relation_types=loader.types,
        skipped=survey.bad_count,
        skipped_lines=tuple(str(line) for line in survey.bad),
        seconds=time.monotonic() - start,
    )


def _check_label(label: str) -> None:
    if label.startswith("__Kgsync"):
        raise DataError(f"the label {label} is kgsync's own", fix="choose another one")
    names.quote(label)


@dataclass
class _Survey:
    """What the files hold, seen before anything is written."""

    entities: int = 0
    triples: int = 0
    relations: dict[str, RelationLine] = field(default_factory=dict)
    labels: dict[str, None] = field(default_factory=dict)  # labels that entities are found by
    label_of: dict[str, str] = field(default_factory=dict)  # entities found by another label than the common one
    bad: list[BadLine] = field(default_factory=list)  # the first of them
    bad_count: int = 0

    def note(self, line: BadLine) -> None:
        self.bad_count += 1
        if len(self.bad) < _SHOWN:
            self.bad.append(line)


def _survey(files: TripleFiles, label: str, label_from_type: bool, progress: Progress) -> _Survey:
    survey = _Survey(labels={label: None})
    if files.relations:
        for relation in triple_files.read_relations(files.relations, survey.note):
            survey.relations.setdefault(relation.id, relation)
    if files.entities:
        for entity in _entities(files.entities, survey):
            survey.entities += 1
            if label_from_type and entity.types:
                survey.labels[entity.types[0]] = None
                survey.label_of.setdefault(entity.id, entity.types[0])
    for path in files.triples:
        for triple in triple_files.read_triples(path, survey.note):
            survey.triples += 1
            if triple.relation not in survey.relations:
                survey.relations[triple.relation] = RelationLine(0, triple.relation, "", "")
                if len(survey.relations) > _MOST_RELATIONS:
                    raise DataError(
                        f"{path}, line {triple.line}: more than {_MOST_RELATIONS:,} different relations",
                        fix="check that the second column is the relation",
                    )
            if survey.triples % _WINDOW == 0:
                progress("reading", survey.triples, None)
    progress("reading", survey.triples, survey.triples)
    return survey


def _entities(path: Path, survey: _Survey | None = None) -> Iterator[EntityLine]:
    """Yield the entities whose types can be labels; the survey notes the others."""
    note = survey.note if survey else _ignore
    for entity in triple_files.read_entities(path, note):
        reasons = [f"the type {t[:60]!r} is no label: {why}" for t in entity.types if (why := _refusal(t))]
        if reasons:
            note(BadLine(path, entity.line, reasons[0]))
        else:
            yield entity


def _refusal(label: str) -> str | None:
    return "it is kgsync's own" if label.startswith("__Kgsync") else names.refusal(label)


def _ignore(_: BadLine) -> None:
    """Skip a line that the survey has noted."""


class _Loader:
    """Writes what the survey saw, in transactions of at most `batch` rows, and counts."""

    def __init__(
        self,
        connection: Connection,
        files: TripleFiles,
        survey: _Survey,
        label: str,
        key: str,
        label_from_type: bool,
        batch: int,
        progress: Progress,
    ) -> None:
        self.connection = connection
        self.files = files
        self.survey = survey
        self.label = label
        self.key = key
        self.label_from_type = label_from_type
        self.batch = batch
        self.progress = progress
        self.types: dict[str, str] = {}
        self.triples = self.nodes_created = self.relationships_created = self.differing = 0

    def prepare(self) -> None:
        """Create the constraints and settle which type stands for which relation."""
        for label in self.survey.labels:
            keys.constrain(self.connection, label, self.key)
        self.connection.write(statements.load("load/relations_constraint").text)
        rows = self.connection.read(statements.load("load/relations").text)
        known = {row["id"]: row["type"] for row in rows}
        self.types = assign({id_: line.name for id_, line in self.survey.relations.items()}, known)
        register = statements.load("load/register").text
        for lines in _windows(self.survey.relations.values(), self.batch):
            noted = [
                {
                    "type": self.types[r.id],
                    "id": r.id,
                    "name": r.name or None,
                    "description": r.description or None,
                }
                for r in lines
            ]
            for row in self.connection.write(register, rows=noted):
                if self.types.get(row["id"]) != row["type"]:
                    raise TransientError(
                        f"another load took the type {row['type']} at the same moment",
                        fix="run the load again",
                    )

    def load_entities(self) -> None:
        """Create the nodes that `entities.tsv` describes, with names, descriptions and labels."""
        if not self.files.entities:
            return
        done = 0
        for window in _windows(_entities(self.files.entities), _WINDOW):
            groups: dict[str, list[Any]] = defaultdict(list)
            for entity in window:
                label = self._label(entity.id)
                labels = [type_ for type_ in entity.types if type_ != label]
                groups[label].append([entity.id, entity.name or None, entity.description or None, labels])
            statement = statements.load("load/entities")
            texts = {statement.fill(label=label, key=self.key): rows for label, rows in groups.items()}
            for sent in self._send(texts):
                done += sent
                self.progress("entities", done, self.survey.entities)

    def load_triples(self) -> None:
        """Create the ends that are still missing, then the relationships."""
        for path in self.files.triples:
            for window in _windows(triple_files.read_triples(path, _ignore), _WINDOW):
                self._load_window(window)

    def _load_window(self, window: list[triple_files.TripleLine]) -> None:
        ends: dict[str, set[str]] = defaultdict(set)
        groups: dict[tuple[str, str, str], list[tuple[str, str]]] = defaultdict(list)
        for _, head, relation, tail in window:
            head_label, tail_label = self._label(head), self._label(tail)
            ends[head_label].add(head)
            ends[tail_label].add(tail)
            groups[head_label, relation, tail_label].append((head, tail))
        statement = statements.load("load/endpoints")
        for _ in self._send({statement.fill(label=label, key=self.key): sorted(ids) for label, ids in ends.items()}):
            pass
        statement = statements.load("load/relationships")
        texts = {
            statement.fill(head=head, tail=tail, relation=self.types[relation], key=self.key): sorted(rows)
            for (head, relation, tail), rows in groups.items()
        }
        for sent in self._send(texts):
            self.triples += sent
            self.progress("triples", self.triples, self.survey.triples)

    def _label(self, entity: str) -> str:
        return self.survey.label_of.get(entity, self.label)

    def _send(self, texts: Mapping[str, Sequence[Any]]) -> Iterator[int]:
        """Run each statement over its rows; yield the number of rows of each transaction when it is in."""
        for parts in _transactions(texts, self.batch):
            nodes, relationships, differing = self.connection.write_with(partial(_run, parts=parts))
            self.nodes_created += nodes
            self.relationships_created += relationships
            self.differing += differing
            yield sum(len(rows) for _, rows in parts)

    def count_labels(self) -> dict[str, int]:
        """Return how many nodes each label has that entities are found by."""
        statement = statements.load("inspect/nodes")
        counts = [(label, self.connection.read(statement.fill(label=label))) for label in self.survey.labels]
        return {label: rows[0]["count"] for label, rows in counts if rows[0]["count"]}


def _run(tx: neo4j.ManagedTransaction, parts: list[tuple[str, Sequence[Any]]]) -> tuple[int, int, int]:
    """Return the numbers of nodes created, relationships created and nodes that differ from their row."""
    nodes = relationships = differing = 0
    for text, rows in parts:
        result = run(tx, text, {"batch": {"rows": rows}})
        differing += sum(record["differing"] for record in result)
        counters = result.consume().counters
        nodes += counters.nodes_created
        relationships += counters.relationships_created
    return nodes, relationships, differing


def _transactions(texts: Mapping[str, Sequence[Any]], batch: int) -> Iterator[list[tuple[str, Sequence[Any]]]]:
    """Cut the rows of all statements into transactions of at most `batch` rows."""
    parts: list[tuple[str, Sequence[Any]]] = []
    room = batch
    for text, rows in texts.items():
        start = 0
        while start < len(rows):
            part = rows[start : start + room]
            parts.append((text, part))
            start += len(part)
            room -= len(part)
            if not room:
                yield parts
                parts, room = [], batch
    if parts:
        yield parts


def _windows(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while window := list(islice(iterator, size)):
        yield window
