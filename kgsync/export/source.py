"""What is exported: the rows of a trained model, and which entity or relation each of them belongs to."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from kgsync.dataset import Dataset, Triples
from kgsync.errors import DataError
from kgsync.identity import Entity
from kgsync.kge.models import KgeModel
from kgsync.triple_files import SPLITS

if TYPE_CHECKING:
    from kgsync.model import Model

Rows = np.ndarray[Any, np.dtype[np.float32]]

LOADED_AS = ("Entity", "id")  # label and key that `kgsync load` gives the entities of a benchmark folder
DESCRIBED = ("label", "key", "key_type", "name", "labels")  # columns of a snapshot that go into tables


@dataclass(frozen=True)
class Embeddings:
    """A trained model with the names of its rows. Make one with `of_model` or `of_benchmark`."""

    graph: str  # name of what was trained on, for files that carry it
    kge: KgeModel
    ids: tuple[str, ...]  # of the entities, each once
    relations: tuple[str, ...]
    identities: tuple[Entity, ...]  # how to find each entity in a database
    about: pa.Table = field(default_factory=lambda: pa.table({}))  # what else is known of the entities, in columns
    triples: Mapping[str, Triples] = field(default_factory=dict)  # by part; empty for a model of a snapshot

    def __post_init__(self) -> None:
        expected = (self.kge.n_entities, self.kge.n_relations)
        if (len(self.ids), len(self.relations)) != expected:
            raise DataError(
                f"{self.graph} names {len(self.ids)} entities and {len(self.relations)} relations,"
                f" its model has {expected[0]} and {expected[1]}",
                fix="export a model together with the graph that it was trained on",
            )

    @property
    def entity_rows(self) -> Rows:
        """Return the embeddings of the entities [E, d]."""
        return _rows(self.kge.entities)

    @property
    def relation_rows(self) -> Rows:
        """Return the embeddings of the relations [2R, w]: the first R answer tail queries, the others head queries."""
        return _rows(self.kge.relations)

    @property
    def tail_rows(self) -> Rows:
        """Return the embeddings [R, w] that answer tail queries, for formats without reciprocal relations."""
        return self.relation_rows[: self.kge.n_relations]

    @property
    def asked(self) -> list[tuple[str, str]]:
        """Return (relation, what it asks for) of each of the 2R relation rows."""
        return [(name, side) for side in ("tails", "heads") for name in self.relations]


def of_model(model: Model) -> Embeddings:
    """Return the embeddings of a model of a snapshot."""
    snapshot = model.snapshot
    return Embeddings(
        graph=model.id,
        kge=model.embeddings(),
        ids=_ids(snapshot.identities),
        relations=snapshot.relations,
        identities=tuple(snapshot.identities),
        about=snapshot.entities.select(list(DESCRIBED)),
    )


def of_benchmark(dataset: Dataset, kge: KgeModel) -> Embeddings:
    """Return the embeddings that were trained on a benchmark folder, together with its triples."""
    return Embeddings(
        graph=dataset.name,
        kge=kge,
        ids=dataset.entities,
        relations=dataset.relations,
        identities=tuple(Entity(*LOADED_AS, name) for name in dataset.entities),
        triples={part: getattr(dataset, part) for part in SPLITS},
    )


def _ids(identities: Iterable[Entity]) -> tuple[str, ...]:
    """Return `Label:key` of each entity, or JSON where that would mean two of them."""
    texts = [(str(entity), entity) for entity in identities]
    counts = Counter(text for text, _ in texts)
    return tuple(
        text if counts[text] == 1 else json.dumps([entity.label, entity.key], ensure_ascii=False)
        for text, entity in texts
    )


def _rows(table: Any) -> Rows:
    rows: Rows = table.detach().cpu().float().contiguous().numpy()
    return rows
