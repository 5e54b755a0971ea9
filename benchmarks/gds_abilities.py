"""What kgsync and GDS write into a database, and what they can take back: tried, and read from the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gds_library import Gds, Link, Task

from kgsync.graph.graph import Graph
from kgsync.sync import SyncResult, sync

_BY = "benchmark"
_TOP = 100


def try_kgsync(graph: Graph, result: SyncResult) -> dict[str, Any]:
    """Read what a sync has written; sync again, reject one and write again, roll back. No prediction remains."""
    written = _predicted(graph)
    best = result.plan.best(1)[0]
    explanation = graph.explain(best.id)
    again = sync(graph, commit=True, fresh=True)
    rejected = graph.reject([best.id], by=_BY)
    after = graph.write(result.plan)
    kept = [p.status for p in graph.proposals() if p.id == best.id]
    taken_back = graph.undo([best.id], by=_BY)
    undone = graph.rollback(result.run.id)
    left = _predicted(graph)["edges"]
    return {
        "written": written,
        "explained": sum(bool(edge.evidence) for edge in result.plan.edges),
        "facts_in_one_explanation": len(explanation.facts),
        "repeated": {
            "same_plan": [e.id for e in again.plan.edges] == [e.id for e in result.plan.edges],
            "created": again.written.created,
            "updated": again.written.updated,
            "unchanged": again.written.unchanged,
        },
        "rejected": {
            "done": rejected.done,
            "left_alone_by_the_next_write": after.reviewed,
            "proposed_after_it": len(kept),
            "taken_back": taken_back.done,
        },
        "undone": {"by": "rollback of the run", "deleted": undone.deleted, "left": left},
    }


def _predicted(graph: Graph) -> dict[str, Any]:
    (row,) = graph.connection.read(
        "MATCH ()-[e:PREDICTED]->() WITH count(e) AS edges, collect(keys(e)) AS keys "
        "RETURN edges, reduce(all = [], k IN keys | all + [x IN k WHERE NOT x IN all]) AS properties"
    )
    return {"edges": row["edges"], "properties": sorted(row["properties"])}


def try_pipeline(gds: Gds, task: Task, trained: Mapping[str, Any], links: Sequence[Link]) -> dict[str, Any]:
    """Write what a trained pipeline predicts, twice; delete it, ask again; train again. Leaves nothing in the database.

    `links` is what it predicted before.
    """
    model, again = str(trained["model"]), "again"
    task = replace(task, graph="once")
    written = []
    for _ in range(2):
        gds.project_undirected(task.graph, task.labels, task.types)
        gds.write_pipeline(task.graph, model, _TOP)
        written.append(gds.written())
    deleted = gds.delete_written()
    gds.project_undirected(task.graph, task.labels, task.types)
    pairs = {_pair(link) for link in links[:_TOP]}
    same_model = {_pair(link) for link in gds.predict_pipeline(task.graph, model, _TOP)}
    gds.train(task, int(trained["number"]), again)
    new_model = {_pair(link) for link in gds.predict_pipeline(task.graph, again, _TOP)}
    gds.drop_model(again)
    gds.drop(task.graph)
    return {
        "asked_for": _TOP,
        "written": written[0],
        "written_twice": written[1],
        "undone": {"by": "deleting all of its type", "deleted": deleted},
        "proposed_again_after_deletion": len(pairs & same_model),
        "same_pairs_after_training_again": len(pairs & new_model),
    }


def try_vectors(gds: Gds, graph: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Write the best answer of every node, twice, and delete them."""
    asked = {**asked, "topK": 1}
    written = []
    for _ in range(2):
        gds.write_vectors(graph, asked)
        written.append(gds.written())
    return {
        "written": written[0],
        "written_twice": written[1],
        "undone": {"by": "deleting all of its type", "deleted": gds.delete_written()},
    }


def _pair(link: Link) -> frozenset[str]:
    return frozenset((link.source, link.target))
