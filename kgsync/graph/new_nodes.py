"""New nodes: what a model's training did not know, with their texts and their edges. Reads only.

New is a node with one of the model's labels and a key, that does not carry the model's vector, or carries one that was
made after the training. Of its edges count those to entities that the model knows and to other new ones, in relations
that the model knows; predictions never.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from kgsync.config import LabelConfig
from kgsync.errors import DataError
from kgsync.graph import names, statements
from kgsync.graph.connection import Connection
from kgsync.graph.embed import parts
from kgsync.identity import Entity

if TYPE_CHECKING:
    from kgsync.lm.texts import EntityText
    from kgsync.model import Model

_LOOK = 2_000  # nodes whose edges are read at a time

Edge = tuple[int, int, int]  # head, relation, tail; new entities count from the known ones on
Edges = np.ndarray[Any, np.dtype[np.int64]]


@dataclass
class NewNodes:
    """The nodes without a vector of the training, and what is known about them."""

    labels: list[str]  # that were looked at
    n_known: int  # entities of the model
    unread: str  # why texts are not read; empty where they are
    undescribed: list[str] = field(default_factory=list)  # labels of which nobody says where names and texts are
    without_key: dict[str, int] = field(default_factory=dict)  # Label.key -> nodes
    returned: list[int] = field(default_factory=list)  # entities that the model knows, by row
    entities: list[Entity] = field(default_factory=list)  # new ones
    texts: list[EntityText] = field(default_factory=list)
    made: list[str | None] = field(default_factory=list)  # of what their vector was made, if they have one
    edges: dict[int, set[Edge]] = field(default_factory=lambda: defaultdict(set))  # of each new entity, by its place

    @cached_property
    def sources(self) -> list[str]:
        """Of what each new entity's vector is to be made, in words, with a hash that changes when that does."""
        found = []
        for place, (text, joined) in enumerate(zip(self.texts, self._joined, strict=True)):
            own = sorted(self._named(edge) for edge in self.edges[place])
            edges = len(own) if joined else 0
            read = not self.unread and bool(text.name or text.description)
            words = ["text"] * read + [f"{edges} edge{'s' * (edges > 1)}"] * (edges > 0)
            digest = hashlib.sha256(json.dumps([text.sentence(), own]).encode()).hexdigest()[:8]
            found.append(f"{' and '.join(words) or 'labels'} #{digest}")
        return found

    @cached_property
    def changed(self) -> list[int]:
        """The new entities whose vector is to be written, by place."""
        pairs = zip(self.made, self.sources, strict=True)
        return [place for place, (before, now) in enumerate(pairs) if before != now]

    def together(self, size: int) -> Iterator[list[int]]:
        """Yield about `size` places at a time, of which some have changed, with all that edges among new ones join."""
        members: dict[int, list[int]] = defaultdict(list)
        for place, component in enumerate(self._components):
            members[component].append(place)
        some: list[int] = []
        for component in dict.fromkeys(self._components[place] for place in self.changed):
            some += members[component]
            if len(some) >= size:
                yield some
                some = []
        if some:
            yield some

    def edges_of(self, places: Sequence[int]) -> Edges:
        """Return the edges [m, 3] of some new entities that are `together`, as if these were the only ones."""
        numbers = {self.n_known + place: self.n_known + number for number, place in enumerate(places)}
        edges = sorted({edge for place in places for edge in self.edges[place]})
        rows = [(numbers.get(head, head), relation, numbers.get(tail, tail)) for head, relation, tail in edges]
        return np.array(rows, dtype=np.int64).reshape(-1, 3)

    @cached_property
    def _components(self) -> list[int]:
        """Return a number for each new entity that it shares with all that edges among new ones join to it."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        n = len(self.entities)
        if n == 0:
            return []
        both = [(h, t) for own in self.edges.values() for h, _, t in own if min(h, t) >= self.n_known]
        heads, tails = np.array(both, dtype=np.int64).reshape(-1, 2).T - self.n_known
        matrix = coo_array((np.ones(len(both)), (heads, tails)), shape=(n, n))
        found: list[int] = connected_components(matrix, directed=False)[1].tolist()
        return found

    @property
    def _joined(self) -> list[bool]:
        """Return of each new entity whether its edges lead to somebody with a row, be it through other new ones."""
        known = {
            self._components[place]
            for place, own in self.edges.items()
            if any(min(head, tail) < self.n_known for head, _, tail in own)
        }
        return [not self.unread or component in known for component in self._components]

    def _named(self, edge: Edge) -> list[Any]:
        """Return an edge whose ends are called the same when there are other new entities."""
        head, relation, tail = edge
        called = [self.entities[end - self.n_known] if end >= self.n_known else end for end in (head, tail)]
        return [relation, json.dumps(called)]


def find(connection: Connection, model: Model, labels: Mapping[str, LabelConfig], *, characters: int) -> NewNodes:
    """Return the new nodes; `labels` say where names and texts are, of which `characters` are read.

    Raises:
        DataError: two new nodes have the same key.
    """
    return _Finder(connection, model, labels, characters).find()


class _Finder:
    def __init__(
        self, connection: Connection, model: Model, labels: Mapping[str, LabelConfig], characters: int
    ) -> None:
        from kgsync.newcomers import no_text

        self.connection = connection
        self.model_id = model.id
        self.snapshot = model.snapshot
        self.keys = dict(self.snapshot.key_properties)
        self.order = list(self.keys)  # the first label of a node that is in it is its identity
        self.labels = labels
        self.characters = characters
        learned = {entity.label for entity in self.snapshot.identities}
        looked_at = [label for label in self.order if label in learned]
        self.found = NewNodes(looked_at, len(self.snapshot.identities), no_text(model))

    def find(self) -> NewNodes:
        """Return what there is."""
        for label in self.found.labels:
            self._nodes(label)
        self._edges()
        return self.found

    def _statement(self, name: str, label: str, **more: str) -> str:
        earlier = names.not_labels("n", self.order[: self.order.index(label)])
        return statements.load(name).fill(label=label, key=self.keys[label], not_earlier=earlier, **more)

    def _nodes(self, label: str) -> None:
        from kgsync.lm.texts import EntityText

        found, key, entry = self.found, self.keys[label], self.labels.get(label) or LabelConfig(key="")
        if keyless := self.connection.read(self._statement("embed/without_key", label))[0]["nodes"]:
            found.without_key[f"{label}.{key}"] = keyless
        before = len(found.entities)
        wanted = {"name": entry.name, "text": list(entry.text), "characters": self.characters}
        previous = None
        for row in self.connection.read(self._statement("embed/new", label), modelId=self.model_id, **wanted):
            entity = Entity(label, key, row["key"])
            if entity == previous:
                raise DataError(
                    f"several new {label} nodes have the key {key} = {entity.key!r}", fix="make the keys unique"
                )
            previous = entity
            if entity in self.snapshot.rows:
                found.returned.append(self.snapshot.rows[entity])
                continue
            found.entities.append(entity)
            found.texts.append(EntityText(row["name"], tuple(sorted(row["labels"])), row["text"].strip()))
            found.made.append(row["made"])
        if label not in self.labels and len(found.entities) > before:
            found.undescribed.append(label)

    def _edges(self) -> None:
        found = self.found
        numbers = {relation: number for number, relation in enumerate(self.snapshot.relations)}
        places = {entity: found.n_known + place for place, entity in enumerate(found.entities)}
        own: dict[str, list[Any]] = defaultdict(list)
        for entity in found.entities:
            own[entity.label].append(entity.key)

        def place(label: int, key: Any) -> int | None:
            entity = Entity(self.order[label], self.keys[self.order[label]], key)
            return self.snapshot.rows.get(entity, places.get(entity))

        ends = {
            "head_label": names.label_case("h", self.order),
            "head_key": names.key_case("h", list(self.keys.items())),
            "tail_label": names.label_case("t", self.order),
            "tail_key": names.key_case("t", list(self.keys.items())),
        }
        for label, keys in own.items():
            text = self._statement(
                "pull/triples_around", label, types=names.type_filter(self.snapshot.relations), **ends
            )
            for some in parts(keys, _LOOK):
                for row in self.connection.read(text, keys=some):
                    head, tail = place(row["head_label"], row["head"]), place(row["tail_label"], row["tail"])
                    if head is None or tail is None or head == tail:
                        continue
                    for end in {head, tail}:
                        if end >= found.n_known:
                            found.edges[end - found.n_known].add((head, numbers[row["relation"]], tail))
