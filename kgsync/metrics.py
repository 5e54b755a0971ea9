"""What a model was measured to be worth, on the triples that nothing has learned from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from kgsync.kge.ranks import Metrics as Ranking
from kgsync.reliability import Reliability

if TYPE_CHECKING:
    import pandas

    from kgsync.split import Split


@dataclass(frozen=True)
class RelationMetrics:
    """One relation: filtered ranks of its test triples, both sides; None where it has none."""

    relation: str
    train_triples: int
    test_triples: int
    mrr: float | None
    hits_at_1: float | None
    hits_at_3: float | None
    hits_at_10: float | None
    mean_rank: float | None
    head_mrr: float | None = None  # where heads were asked for
    tail_mrr: float | None = None
    adjusted_mean_rank_index: float | None = None  # 1 is perfect, 0 is chance


@dataclass(frozen=True)
class Metrics:
    """All relations together, each relation, and how far the scores can be trusted."""

    mrr: float
    hits_at_1: float
    hits_at_3: float
    hits_at_10: float
    mean_rank: float
    test_triples: int
    relations: tuple[RelationMetrics, ...]  # most frequent in training first
    reliability: Reliability | None  # None where the model is not calibrated, or no test triple was a candidate
    voices: Mapping[str, float] = field(default_factory=dict)  # the MRR of each voice alone, where there are several
    test: Ranking | None = None  # as `kgsync benchmark` has it, without relations; None for models of before

    @classmethod
    def of(
        cls,
        ranking: Ranking,
        split: Split,
        relations: tuple[str, ...],
        reliability: Reliability | None,
        voices: Mapping[str, float],
    ) -> Metrics:
        """Put the measurements of a model together."""
        train = np.bincount(split.train[:, 1], minlength=len(relations)).tolist()
        test = np.bincount(split.test[:, 1], minlength=len(relations)).tolist()
        rows = []
        for number, name in enumerate(relations):
            own = ranking.per_relation.get(number)
            values = {key: getattr(own, key, None) for key in (*_MEANS, "adjusted_mean_rank_index")}
            values |= {f"{side}_mrr": own.sides[side].mrr if own else None for side in ("head", "tail")}
            rows.append(RelationMetrics(name, train[number], test[number], **values))
        return cls(
            **{key: getattr(ranking, key) for key in _MEANS},
            test_triples=len(split.test),
            relations=tuple(sorted(rows, key=lambda row: (-row.train_triples, row.relation))),
            voices=voices,
            reliability=reliability,
            test=replace(ranking, per_relation={}),
        )

    def to_arrow(self) -> pa.Table:
        """Return one row per relation."""
        return pa.Table.from_pylist([asdict(row) for row in self.relations], schema=_SCHEMA)

    def to_pandas(self) -> pandas.DataFrame:
        """Return `to_arrow` as a data frame (needs `pip install kgsync[pandas]`)."""
        frame: pandas.DataFrame = self.to_arrow().to_pandas()
        return frame

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON; what models of before have not is left out of theirs."""
        values = asdict(replace(self, test=None))
        del values["test"]
        if self.test is not None:
            return values | {"test": self.test.to_dict()}
        for row in values["relations"]:
            for name in _LATER:
                del row[name]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Metrics:
        """Return the metrics that `to_dict` described."""
        reliability = values["reliability"]
        return cls(
            **{
                **values,
                "relations": tuple(RelationMetrics(**row) for row in values["relations"]),
                "test": Ranking.from_dict(values["test"]) if "test" in values else None,
                "reliability": None if reliability is None else Reliability.from_dict(reliability),
            }
        )


_LATER = ("head_mrr", "tail_mrr", "adjusted_mean_rank_index")
_MEANS = ("mrr", "hits_at_1", "hits_at_3", "hits_at_10", "mean_rank")
_SCHEMA = pa.schema(
    [
        ("relation", pa.string()),
        ("train_triples", pa.int64()),
        ("test_triples", pa.int64()),
        *((name, pa.float64()) for name in (*_MEANS, *_LATER)),
    ]
)
