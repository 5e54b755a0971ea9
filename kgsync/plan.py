"""A plan: the frozen, sorted list of edges that `write` will write, with the scope it speaks for.

The same plan has the same ids, always. The scope says what the prediction looked at: an unreviewed
edge in the graph that is inside the scope and not in the plan is no longer predicted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from kgsync import files
from kgsync.errors import DataError
from kgsync.identity import Entity, decode_key, encode_key, prediction_id

if TYPE_CHECKING:
    import networkx
    import pandas

DETAILS = "kgsyncDetails"  # the column that becomes a (:__KgsyncEvidence)


@dataclass(frozen=True)
class PlannedEdge:
    """One edge that is predicted. Scores are rounded to six digits, so that a plan is reproducible."""

    head: Entity
    relation: str
    tail: Entity
    score: float  # calibrated probability in [0, 1]
    score_low: float  # its lower 95 % bound
    rank: int  # of the tail among the candidates of (head, relation), 1 is best
    kge_score: float | None = None  # the embedding model's own value; None where it has no such voice
    head_name: str = ""  # for people; not written
    tail_name: str = ""
    rule_score: float | None = None  # that of the rules, and
    text_score: float | None = None  # of the texts; None where the model has no such voice
    false_share: float | None = None  # the smallest promise (`kgsync.promise`) that it can be part of; not written
    own_false_share: float | None = None  # the same among the edges of its relation alone
    evidence: tuple[str, ...] = ()  # why, in a few lines for people
    details: str = ""  # the same in full, as JSON of `kgsync.evidence`; kept beside the edge

    @cached_property
    def id(self) -> str:
        """Return the id of the edge, the same for every model."""
        return prediction_id(self.head, self.relation, self.tail)

    def properties(self) -> dict[str, Any]:
        """Return what the edge carries in the graph, apart from ids, status and times."""
        return {name: value for name, value in self.columns().items() if value is not None and name != DETAILS}

    def columns(self) -> dict[str, Any]:
        """Return the same with None for what it does not carry, equal names in equal order for every edge.

        `DETAILS`, the last, goes to a node beside the edge.
        """
        return {
            "relation": self.relation,
            "score": round(self.score, 6),
            "scoreLow": round(self.score_low, 6),
            "rank": self.rank,
            "kgeScore": None if self.kge_score is None else round(self.kge_score, 6),
            "ruleScore": None if self.rule_score is None else round(self.rule_score, 6),
            "textScore": None if self.text_score is None else round(self.text_score, 6),
            "evidence": list(self.evidence) or None,
            DETAILS: self.details or None,
        }


@dataclass(frozen=True)
class Scope:
    """What a prediction looked at. An empty `heads` or `tails` means every entity."""

    relations: tuple[str, ...]
    labels: tuple[str, ...]  # the configured labels of the entities that it knew
    heads: tuple[Entity, ...] = ()
    tails: tuple[Entity, ...] = ()


@dataclass(frozen=True)
class Plan:
    """The edges to write, sorted by relation, then score. Make one with `Model.predict` or `Plan.load`."""

    edges: tuple[PlannedEdge, ...]
    scope: Scope
    model: Mapping[str, Any]  # the model card that goes on the (:__KgsyncModel) node: id, kind, baseRate, …
    snapshot_id: str
    database: Mapping[str, Any] = field(default_factory=dict)  # id and name of the database that it is for
    origin: Mapping[str, Any] = field(default_factory=dict, compare=False)  # pulledAt, and keys: label -> property

    @cached_property
    def id(self) -> str:
        """Return 16 hexadecimal digits of the hash of the content."""
        content = [
            [[edge.id, edge.properties(), *filter(None, [edge.details])] for edge in self.edges],
            asdict(self.scope),
            dict(self.model),
            self.snapshot_id,
            dict(self.database),
        ]
        text = json.dumps(content, ensure_ascii=False, sort_keys=True)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def __len__(self) -> int:
        return len(self.edges)

    def best(self, count: int = 10) -> list[PlannedEdge]:
        """Return the edges with the highest scores."""
        return sorted(self.edges, key=lambda e: (-e.score, e.id))[:count]

    def doubtful(self, count: int = 10) -> list[PlannedEdge]:
        """Return the edges with the lowest scores."""
        return sorted(self.edges, key=lambda e: (e.score, e.id))[:count]

    def promising(self, max_false: float, *, each_relation: bool = False) -> Plan:
        """Return the plan of those edges of which at most the share `max_false` is false; maybe none.

        With `each_relation` that holds among the edges of every relation by themselves. The plan speaks for its edges
        alone: others are still predicted, so that writing it lets none expire. See `kgsync.promise` for what the
        promise rests on.

        Raises:
            DataError: the plan was made for named relations or entities, so that nothing can be promised.
        """
        if any(edge.false_share is None for edge in self.edges):
            raise DataError(
                "no share of false edges can be promised of a plan for named relations or entities",
                fix="run `kgsync predict` without --relation, --from and --to",
            )
        shares = [edge.own_false_share if each_relation else edge.false_share for edge in self.edges]
        kept = tuple(e for e, share in zip(self.edges, shares, strict=True) if share is not None and share <= max_false)
        return replace(self, edges=kept, scope=replace(self.scope, relations=()))

    def save(self, folder: Path) -> Path:
        """Write the plan to the folder `folder` (`plan.parquet` and a manifest), and return it."""
        with files.whole_folder(folder) as new:
            pq.write_table(self.to_arrow(), new / "plan.parquet", compression="zstd")
            files.write_manifest(
                new,
                "plan",
                {
                    "id": self.id,
                    "edges": len(self.edges),
                    "scope": asdict(self.scope),
                    "model": dict(self.model),
                    "snapshot": self.snapshot_id,
                    "database": dict(self.database),
                    "origin": dict(self.origin),
                },
            )
        return folder

    @classmethod
    def load(cls, folder: Path) -> Plan:
        """Return the plan in `folder`.

        Raises:
            NotFoundError: there is none.
            DataError: it is damaged or was changed by hand.
        """
        manifest = files.read_manifest(folder, "plan")
        scope = manifest["scope"]
        plan = cls(
            edges=tuple(_edge(row) for row in pq.read_table(folder / "plan.parquet").to_pylist()),
            scope=Scope(
                tuple(scope["relations"]),
                tuple(scope["labels"]),
                tuple(Entity(*entity) for entity in scope["heads"]),
                tuple(Entity(*entity) for entity in scope["tails"]),
            ),
            model=manifest["model"],
            snapshot_id=manifest["snapshot"],
            database=manifest["database"],
            origin=manifest.get("origin") or {},  # plans of before it was kept have none
        )
        if plan.id != manifest["id"]:
            raise DataError(f"the plan in {folder} was changed", fix="make it again with `kgsync predict`")
        return plan

    def to_arrow(self) -> pa.Table:
        """Return one row per edge; the ends as label, key property, key and key type."""
        return pa.Table.from_pylist([_row(edge) for edge in self.edges], schema=PLAN_SCHEMA)

    def to_pandas(self) -> pandas.DataFrame:
        """Return `to_arrow` as a data frame (needs `pip install kgsync[pandas]`)."""
        frame: pandas.DataFrame = self.to_arrow().to_pandas()
        return frame

    def to_networkx(self) -> networkx.MultiDiGraph:
        """Return the planned edges as a directed multigraph; nodes are `Entity`, edge keys are ids."""
        import networkx

        graph = networkx.MultiDiGraph(plan=self.id, snapshot=self.snapshot_id)
        for edge in self.edges:
            graph.add_node(edge.head, name=edge.head_name)
            graph.add_node(edge.tail, name=edge.tail_name)
            values = edge.properties() | ({"evidence": "; ".join(edge.evidence)} if edge.evidence else {})
            graph.add_edge(edge.head, edge.tail, key=edge.id, **values)  # plain values: formats know no lists
        return graph


_END = ("label", "key_property", "key", "key_type", "name")
PLAN_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        *((f"head_{column}", pa.string()) for column in _END),
        ("relation", pa.string()),
        *((f"tail_{column}", pa.string()) for column in _END),
        ("score", pa.float64()),
        ("score_low", pa.float64()),
        ("rank", pa.int64()),
        ("kge_score", pa.float64()),
        ("rule_score", pa.float64()),
        ("text_score", pa.float64()),
        ("false_share", pa.float64()),
        ("own_false_share", pa.float64()),
        ("evidence", pa.list_(pa.string())),
        ("details", pa.string()),
    ]
)


def sort_edges(edges: Iterable[PlannedEdge]) -> tuple[PlannedEdge, ...]:
    """Return edges in the order of a plan: by relation, best score first, ids break ties."""
    return tuple(sorted(edges, key=lambda e: (e.relation, -round(e.score, 6), e.id)))


def _row(edge: PlannedEdge) -> dict[str, Any]:
    row: dict[str, Any] = {"id": edge.id, "relation": edge.relation}
    for end, entity, name in (("head", edge.head, edge.head_name), ("tail", edge.tail, edge.tail_name)):
        key, key_type = encode_key(entity.key, str(entity))
        values = (entity.label, entity.key_property, key, key_type, name)
        row.update({f"{end}_{column}": value for column, value in zip(_END, values, strict=True)})
    return row | {
        "score": edge.score,
        "score_low": edge.score_low,
        "rank": edge.rank,
        "kge_score": edge.kge_score,
        "rule_score": edge.rule_score,
        "text_score": edge.text_score,
        "false_share": edge.false_share,
        "own_false_share": edge.own_false_share,
        "evidence": list(edge.evidence),
        "details": edge.details,
    }


def _edge(row: Mapping[str, Any]) -> PlannedEdge:
    def end(side: str) -> Entity:
        key = decode_key(row[f"{side}_key"], row[f"{side}_key_type"])
        return Entity(row[f"{side}_label"], row[f"{side}_key_property"], key)

    return PlannedEdge(
        head=end("head"),
        relation=row["relation"],
        tail=end("tail"),
        score=row["score"],
        score_low=row["score_low"],
        rank=row["rank"],
        kge_score=row["kge_score"],
        rule_score=row["rule_score"],
        text_score=row["text_score"],
        head_name=row["head_name"],
        tail_name=row["tail_name"],
        false_share=row.get("false_share"),
        own_false_share=row.get("own_false_share"),
        evidence=tuple(row.get("evidence") or ()),  # plans of before it was kept have none
        details=row.get("details") or "",
    )
