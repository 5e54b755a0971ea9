"""The whole sync, on the real server: nothing is written without leave, nothing twice, nothing rejected again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import neo4j
import pytest
from example_graphs import BENCHMARKS

import kgsync
from kgsync.config import Config, GraphConfig, LabelConfig, PredictConfig, VoicesConfig
from kgsync.graph import review
from kgsync.graph.graph import Graph
from kgsync.graph.load import load
from kgsync.kge.config import TrainConfig
from kgsync.sync import sync

CONFIG = Config(
    graph=GraphConfig(labels={"Entity": LabelConfig(key="id", name="name")}),
    train=TrainConfig(rank=32, epochs=12),
    voices=VoicesConfig(text=False),
    predict=PredictConfig(top_k=20, min_score=0.05),
)


def dump(driver: neo4j.Driver) -> list[str]:
    text = (
        "MATCH (n) WHERE none(l IN labels(n) WHERE l STARTS WITH '__Kgsync') RETURN [labels(n), properties(n)] AS row "
        "UNION ALL MATCH (h)-[r]->(t) WHERE type(r) <> 'USED_MODEL' RETURN [h.id, type(r), properties(r), t.id] AS row"
    )
    return sorted(str(record["row"]) for record in driver.execute_query(text, database_="neo4j").records)


def bookmark(driver: neo4j.Driver) -> frozenset[str]:
    with driver.session(database="neo4j") as session:
        session.run("RETURN 1").consume()
        return session.last_bookmarks().raw_values


@pytest.fixture
def graph(graph_db: neo4j.Driver, tmp_path: Path) -> Iterator[Graph]:
    with kgsync.connect(driver=graph_db, database="neo4j", config=CONFIG, workspace=tmp_path / "work") as graph:
        load(graph.connection, BENCHMARKS / "umls")
        yield graph


def test_a_trial_pulls_trains_and_predicts_and_writes_nothing(graph: Graph, graph_db: neo4j.Driver) -> None:
    before = bookmark(graph_db)
    result = sync(graph)
    assert bookmark(graph_db) == before
    assert len(result.plan) > 0
    assert result.written.created == len(result.plan)
    assert not result.written.committed
    assert "proposed" in (result.run.folder / "report.md").read_text(encoding="utf-8")


def test_a_repeated_sync_writes_no_edge(graph: Graph, graph_db: neo4j.Driver) -> None:
    first = sync(graph, commit=True)
    assert first.written.created == len(first.plan) > 0
    written = dump(graph_db)
    second = sync(graph, commit=True)
    assert second.run.id != first.run.id
    assert (second.snapshot.id, second.model.id, second.plan.id) == (first.snapshot.id, first.model.id, first.plan.id)
    assert (second.written.created, second.written.updated, second.written.expired) == (0, 0, 0)
    assert dump(graph_db) == written


def test_rejected_edges_never_return_even_after_a_rollback_and_accepted_ones_become_knowledge(
    graph: Graph, graph_db: neo4j.Driver
) -> None:
    first = sync(graph, commit=True)
    rejected, accepted = first.plan.best(2)
    review.reject(graph.connection, [rejected.id], by="tester", reason="wrong")
    review.accept(graph.connection, [accepted.id], by="tester")
    second = sync(graph, commit=True)
    assert not {rejected.id, accepted.id} & {edge.id for edge in second.plan.edges}
    assert len(second.snapshot.triples) == len(first.snapshot.triples) + 1
    assert len(second.snapshot.rejected) == 1
    graph.rollback(second.run.id)
    graph.rollback(first.run.id)
    third = sync(graph, commit=True)
    assert rejected.id not in {edge.id for edge in third.plan.edges}
    text = "MATCH ()-[p:PREDICTED {id: $id}]->() RETURN p.status AS status"
    records = graph_db.execute_query(text, id=rejected.id, database_="neo4j").records
    assert [record["status"] for record in records] == ["rejected"]


def test_a_rollback_gives_back_the_graph_as_it_was(graph: Graph, graph_db: neo4j.Driver) -> None:
    before = dump(graph_db)
    result = sync(graph, commit=True)
    assert dump(graph_db) != before
    graph.rollback(result.run.id)
    assert dump(graph_db) == before


@pytest.mark.parametrize("step", ["pull", "train", "predict"])
def test_an_interrupted_sync_goes_on_with_its_run(step: str, graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    from kgsync import runs

    note = runs.Run.note

    def interrupt(self: runs.Run, name: str, **facts: object) -> None:
        note(self, name, **facts)
        if name == step:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(runs.Run, "note", interrupt)
        with pytest.raises(KeyboardInterrupt):
            sync(graph, commit=True)
    interrupted = graph.workspace.run()
    result = sync(graph, commit=True)
    assert result.run.id == interrupted.id
    assert set(result.run.steps) == set(runs.STEPS)
    assert result.written.created == len(result.plan) > 0
