"""Explaining an edge in the graph: with its model where that is at hand, else from what was kept beside the edge.

Read-only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kgsync.config import LabelConfig
from kgsync.errors import KgsyncError, NotFoundError
from kgsync.evidence import Evidence, Opinion
from kgsync.explain.answer import Explanation, Rival, Thing
from kgsync.graph import ends, review, statements
from kgsync.graph.connection import Connection
from kgsync.identity import Entity, prediction_id
from kgsync.runs import Workspace


def explain_id(
    connection: Connection, id_: str, *, workspace: Workspace, labels: Mapping[str, LabelConfig] | None = None
) -> Explanation:
    """Return why the predicted edge `id_` (its first characters suffice) is in the graph.

    `labels` say how entities are called. What cannot be said without the model is left out, and `gaps` says so.

    Raises:
        NotFoundError: no predicted edge has this id.
        DataError: several have, or it is shorter than four characters.
    """
    id_ = review.find(connection, [id_])[0]
    found = connection.read(statements.load("explain/edge").text, id=id_)
    if not found:
        raise NotFoundError(f"no predicted edge has the id {id_}", fix="look with `kgsync review list`")
    stored = _Stored(found[0], connection, labels or {})
    try:
        return stored.on(stored.by_model(workspace))
    except KgsyncError as error:
        gap = f"the model could not be asked, so this is what was kept when the edge was written: {error}"
        return stored.alone(gap)


@dataclass(frozen=True)
class _Stored:
    """An edge as the graph holds it."""

    row: Mapping[str, Any]
    connection: Connection
    labels: Mapping[str, LabelConfig]

    @property
    def edge(self) -> Mapping[str, Any]:
        edge: Mapping[str, Any] = self.row["edge"]
        return edge

    def by_model(self, workspace: Workspace) -> Explanation:
        """Return what the edge's model says.

        Raises:
            KgsyncError: it is not here, or does not know the ends any more.
        """
        path = workspace.model(self.edge.get("modelId") or "-")
        from kgsync.explain.by_model import explain
        from kgsync.model import Model

        model = Model.find(path, workspace)
        names = [{"label": label, "key": key, "name": key} for label, key in model.snapshot.key_properties.items()]
        for head, tail in self._pairs(names):
            if prediction_id(head, self.edge["relation"], tail) == self.edge["id"]:
                return explain(model, head, self.edge["relation"], tail)
        raise NotFoundError("the ends of the edge have other labels or keys than when it was predicted")

    def _pairs(self, names: Sequence[Mapping[str, str]]) -> list[tuple[Entity, Entity]]:
        rows = self.connection.read(statements.load("explain/ends").text, id=self.edge["id"], names=names)
        sides = [
            [Entity(end["label"], end["property"], end["key"]) for end in row[side]]
            for row in rows
            for side in ("heads", "tails")
        ]
        return [(head, tail) for head in sides[0] for tail in sides[1]] if sides else []

    def on(self, it: Explanation) -> Explanation:
        """Return an explanation with what the graph alone knows."""
        return replace(
            it,
            score=self.edge.get("score"),
            score_low=self.edge.get("scoreLow"),
            status=self.edge.get("status"),
            reasons=tuple(self.edge.get("reasons") or ()),
            model={**it.model, **(self.row["model"] or {})},
            run=self.row["run"] or {},
        )

    def alone(self, gap: str) -> Explanation:
        """Return what edge, evidence, model and run in the graph say."""
        model = self.row["model"] or {}
        gaps = [gap]
        evidence = self._evidence(gaps)
        opinions = evidence.opinions if evidence else ()
        head, tail = self._things()
        return self.on(
            Explanation(
                id=self.edge["id"],
                head=head,
                relation=self.edge.get("relation") or "",
                tail=tail,
                base_rate=model.get("baseRate"),
                base_rate_basis=model.get("baseRateBasis") or "",
                opinions=opinions,
                rules=evidence.rules if evidence else (),
                rival=_rival(opinions),
                kept=() if evidence else tuple(self.edge.get("evidence") or ()),
                gaps=tuple(gaps),
            )
        )

    def _evidence(self, gaps: list[str]) -> Evidence | None:
        if self.row["evidence"] is None:
            gaps.append("no evidence was kept with the edge")
            return None
        try:
            return Evidence.from_json(self.row["evidence"])
        except KgsyncError as error:
            gaps.append(str(error))
            return None

    def _things(self) -> tuple[Thing, Thing]:
        rows = self.connection.read(
            statements.load("explain/ends").text, id=self.edge["id"], names=ends.parameter(self.labels)
        )
        found = rows[0] if rows else {"heads": [], "tails": []}
        return _thing(found["heads"], self.row["head"]), _thing(found["tails"], self.row["tail"])


def _thing(known: Sequence[Mapping[str, Any]], guess: Mapping[str, Any]) -> Thing:
    label = next(iter(guess["labels"]), "")
    if known:
        return Thing(known[0]["name"] or str(known[0]["key"]), f"{known[0]['label']}:{known[0]['key']}")
    return Thing(guess["name"] or "", f"{label}:?")


def _rival(opinions: Sequence[Opinion]) -> Rival | None:
    if not opinions or opinions[0].rival is None:
        return None
    first = opinions[0]
    return Rival(Thing(first.rival or "", first.rival_key or ""), None, None, first.times)
