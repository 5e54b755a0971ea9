"""A snapshot: an immutable, content-hashed copy of the pulled subgraph in columns.

Entities are rows; a triple is three row numbers. The id depends on the content alone, so the same
graph gives the same snapshot. On disk: Parquet files and a manifest.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kgsync import files
from kgsync.errors import DataError, NotFoundError
from kgsync.identity import Entity, decode_key, encode_key

if TYPE_CHECKING:
    import networkx
    import pandas

Triples = np.ndarray[Any, np.dtype[np.int32]]  # [n, 3]: head row, relation number, tail row

ENTITY_SCHEMA = pa.schema(
    [
        ("label", pa.string()),  # the configured label under which the entity is found
        ("key", pa.string()),
        ("key_type", pa.string()),  # string | integer
        ("labels", pa.list_(pa.string())),  # all labels of the node, sorted
        ("name", pa.string()),
        ("text", pa.string()),
    ]
)


@dataclass(frozen=True)
class Snapshot:
    """The pulled subgraph. Make one with `Graph.pull` or `Snapshot.load`."""

    entities: pa.Table  # ENTITY_SCHEMA, sorted by label order, then as the server sorts keys
    relations: tuple[str, ...]  # relationship types, sorted
    triples: Triples  # sorted by (relation, head, tail), unique
    rejected: Triples  # edges that a reviewer rejected: never proposed again, false where scores are fitted
    key_properties: Mapping[str, str]  # label -> key property, in the order of the configuration
    origin: Mapping[str, Any] = field(default_factory=dict)  # database id and name, scope, times, drift
    relation_names: Mapping[str, str] = field(default_factory=dict)  # type -> name in words, where known
    relation_ids: Mapping[str, str] = field(default_factory=dict)  # type -> id in loaded files; no part of `id`

    @cached_property
    def id(self) -> str:
        """Return 16 hexadecimal digits of the hash of the content (not of where and when it was pulled)."""
        digest = hashlib.sha256()
        header = [
            list(self.key_properties.items()),
            list(self.relations),
            sorted(self.relation_names.items()),
        ]
        digest.update(json.dumps(header, ensure_ascii=False).encode("utf-8", "surrogatepass"))
        for batch in self.entities.to_batches(max_chunksize=10_000):
            rows = [list(row.values()) for row in batch.to_pylist()]
            digest.update(json.dumps(rows, ensure_ascii=False)[1:-1].encode("utf-8", "surrogatepass") + b",")
        digest.update(np.ascontiguousarray(self.triples, dtype="<i4").tobytes())
        digest.update(b"rejected" + np.ascontiguousarray(self.rejected, dtype="<i4").tobytes())
        return digest.hexdigest()[:16]

    @cached_property
    def identities(self) -> list[Entity]:
        """Return the identity of every entity, by row."""
        columns = self.entities.select(["label", "key", "key_type"]).to_pydict()
        return [
            Entity(label, self.key_properties[label], decode_key(key, key_type))
            for label, key, key_type in zip(columns["label"], columns["key"], columns["key_type"], strict=True)
        ]

    @cached_property
    def rows(self) -> dict[Entity, int]:
        """Return the row of every entity."""
        return {entity: row for row, entity in enumerate(self.identities)}

    def display_name(self, row: int) -> str:
        """Return the name of an entity for people, or its key where it has no name."""
        return self.entities["name"][row].as_py() or str(self.identities[row].key)

    def find(self, question: str) -> int:
        """Return the row of the entity that a person means by `Label:key`, a key, or a name.

        Raises:
            NotFoundError: no entity matches, or several do.
        """
        matches = [row for row, entity in enumerate(self.identities) if question in (str(entity), str(entity.key))] or [
            row for row, name in enumerate(self.entities["name"].to_pylist()) if name == question
        ]
        if len(matches) == 1:
            return matches[0]
        if not matches:
            raise NotFoundError(
                f"snapshot {self.id} has no entity {question!r}",
                fix="give its key as Label:key, or pull again",
            )
        options = ", ".join(str(self.identities[row]) for row in matches[:5])
        raise NotFoundError(f"{question!r} names {len(matches)} entities: {options}", fix="give Label:key")

    def relation_counts(self) -> dict[str, int]:
        """Return the number of triples of each relation, most frequent first."""
        counts = Counter(self.triples[:, 1].tolist())
        return {self.relations[number]: count for number, count in counts.most_common()}

    def save(self, folder: Path) -> Path:
        """Write the snapshot to `folder / id` and return that path.

        Content that is there and whole is kept, and where it comes from is said anew.
        """
        path = folder / self.id
        with suppress(NotFoundError, DataError):
            files.read_manifest(path, "snapshot")
            self._write_manifest(path)
            return path
        with files.whole_folder(path) as new:
            pq.write_table(self.entities, new / "entities.parquet", compression="zstd")
            for name in ("triples", "rejected"):
                array = getattr(self, name)
                columns = {
                    "head": pa.array(array[:, 0], pa.int32()),
                    "relation": pa.DictionaryArray.from_arrays(
                        pa.array(array[:, 1], pa.int32()), pa.array(self.relations, pa.string())
                    ),
                    "tail": pa.array(array[:, 2], pa.int32()),
                }
                pq.write_table(pa.table(columns), new / f"{name}.parquet", compression="zstd")
            self._write_manifest(new)
        return path

    def _write_manifest(self, folder: Path) -> None:
        fields = {
            "id": self.id,
            "entities": self.entities.num_rows,
            "triples": len(self.triples),
            "relations": list(self.relations),
            "relationNames": dict(self.relation_names),
            "relationIds": dict(self.relation_ids),
            "keyProperties": dict(self.key_properties),
            "origin": dict(self.origin),
        }
        files.write_manifest(folder, "snapshot", fields)

    @classmethod
    def load(cls, path: Path) -> Snapshot:
        """Return the snapshot in the folder `path`.

        Raises:
            NotFoundError: there is none.
            DataError: a file is damaged, or the content does not have the id in the manifest.
        """
        manifest = files.read_manifest(path, "snapshot")
        relations = tuple(manifest["relations"])
        numbers = {relation: number for number, relation in enumerate(relations)}

        def read_triples(name: str) -> Triples:
            table = pq.read_table(path / f"{name}.parquet")
            column = table["relation"].cast(pa.string()).to_pylist()
            relation = np.fromiter((numbers[r] for r in column), dtype=np.int32, count=table.num_rows)
            return np.stack([table["head"].to_numpy(), relation, table["tail"].to_numpy()], axis=1).astype(np.int32)

        snapshot = cls(
            entities=pq.read_table(path / "entities.parquet", schema=ENTITY_SCHEMA),
            relations=relations,
            triples=read_triples("triples"),
            rejected=read_triples("rejected"),
            key_properties=manifest["keyProperties"],
            origin=manifest["origin"],
            relation_names=manifest["relationNames"],
            relation_ids=manifest.get("relationIds", {}),  # snapshots of before it was kept have none
        )
        if snapshot.id != manifest["id"]:
            raise DataError(f"{path} does not hold what its id says", fix="delete it and run `kgsync pull` again")
        return snapshot

    @classmethod
    def from_names(
        cls,
        triples: list[tuple[Entity, str, Entity]],
        *,
        names: Mapping[Entity, str] | None = None,
        labels: Mapping[Entity, list[str]] | None = None,
    ) -> Snapshot:
        """Return a snapshot made of triples alone, without a database (benchmark files, tests)."""
        names, labels = names or {}, labels or {}
        entities = sorted({e for head, _, tail in triples for e in (head, tail)} | set(names), key=str)
        rows = {entity: row for row, entity in enumerate(entities)}
        relations = tuple(sorted({relation for _, relation, _ in triples}))
        numbers = {relation: number for number, relation in enumerate(relations)}
        return cls(
            entities=entity_table(
                [(e, labels.get(e, [e.label]), names.get(e), None) for e in entities],
            ),
            relations=relations,
            triples=sorted_unique([(rows[h], numbers[r], rows[t]) for h, r, t in triples]),
            rejected=sorted_unique([]),
            key_properties={entity.label: entity.key_property for entity in entities},
        )

    def to_arrow(self) -> pa.Table:
        """Return the triples with readable ends: head, relation and tail columns."""
        labels, keys = self.entities["label"], self.entities["key"]
        heads, tails = pa.array(self.triples[:, 0]), pa.array(self.triples[:, 2])
        return pa.table(
            {
                "head_label": labels.take(heads),
                "head": keys.take(heads),
                "relation": pa.array(self.relations, pa.string()).take(pa.array(self.triples[:, 1])),
                "tail_label": labels.take(tails),
                "tail": keys.take(tails),
            }
        )

    def to_pandas(self) -> pandas.DataFrame:
        """Return `to_arrow` as a data frame (needs `pip install kgsync[pandas]`)."""
        frame: pandas.DataFrame = self.to_arrow().to_pandas()
        return frame

    def to_networkx(self) -> networkx.MultiDiGraph:
        """Return the snapshot as a directed multigraph; nodes are `Entity`, edge keys are relations."""
        import networkx

        graph = networkx.MultiDiGraph(snapshot=self.id)
        rows = self.entities.to_pylist()
        for entity, row in zip(self.identities, rows, strict=True):
            attributes = {"labels": row["labels"], "name": row["name"], "text": row["text"]}
            graph.add_node(entity, **{k: v for k, v in attributes.items() if v is not None})
        for head, relation, tail in self.triples.tolist():
            graph.add_edge(self.identities[head], self.identities[tail], key=self.relations[relation])
        return graph


def entity_table(rows: list[tuple[Entity, list[str], str | None, str | None]]) -> pa.Table:
    """Return the entity columns for rows of (identity, labels, name, text)."""
    keys = [encode_key(entity.key, f"a {entity.label}") for entity, _, _, _ in rows]
    columns = [
        [entity.label for entity, _, _, _ in rows],
        [key for key, _ in keys],
        [key_type for _, key_type in keys],
        [sorted(labels) for _, labels, _, _ in rows],
        [name for _, _, name, _ in rows],
        [text for _, _, _, text in rows],
    ]
    return pa.Table.from_arrays(
        [pa.array(column, kind.type) for column, kind in zip(columns, ENTITY_SCHEMA, strict=True)],
        schema=ENTITY_SCHEMA,
    )


def sorted_unique(triples: Any) -> Triples:
    """Return triples as an array [n, 3], sorted by (relation, head, tail), each once."""
    array = np.asarray(triples, dtype=np.int32).reshape(-1, 3)
    if len(array) == 0:
        return array
    ordered = array[np.lexsort((array[:, 2], array[:, 0], array[:, 1]))]
    new = np.ones(len(ordered), dtype=bool)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    return np.ascontiguousarray(ordered[new])
