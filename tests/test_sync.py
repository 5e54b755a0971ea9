"""The whole sync, on the real server: nothing is written without leave, nothing twice, nothing rejected again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import neo4j
import pytest
from example_graphs import folder_of

import kgsync
from kgsync.config import Config, GraphConfig, LabelConfig, PredictConfig, VoicesConfig, WriteConfig
from kgsync.errors import ConfigError, DataError, TransientError
from kgsync.graph import review
from kgsync.graph.graph import Graph
from kgsync.graph.load import load
from kgsync.kge.config import TrainConfig
from kgsync.plan import Plan
from kgsync.snapshot import Snapshot
from kgsync.sync import sync

CONFIG = Config(
    graph=GraphConfig(labels={"Entity": LabelConfig(key="id", name="name")}),
    train=TrainConfig(rank=16, epochs=4),
    voices=VoicesConfig(text=False, rules=False),
    predict=PredictConfig(top_k=20, min_score=0.05),
)
RING = replace(
    CONFIG,
    train=TrainConfig(rank=8, epochs=3),
    predict=PredictConfig(top_k=20, min_score=0.0),
    write=WriteConfig(batch=5),
)


def dump(driver: neo4j.Driver) -> list[str]:
    text = (
        "MATCH (n) WHERE none(l IN labels(n) WHERE l STARTS WITH '__Kgsync') RETURN [labels(n), properties(n)] AS row "
        "UNION ALL MATCH (h)-[r]->(t) WHERE type(r) <> 'USED_MODEL' RETURN [h.id, type(r), properties(r), t.id] AS row"
    )
    records = driver.execute_query(text, database_="neo4j").records
    return sorted(json.dumps(record["row"], sort_keys=True, default=str) for record in records)


def bookmark(driver: neo4j.Driver) -> frozenset[str]:
    with driver.session(database="neo4j") as session:
        session.run("RETURN 1").consume()
        return session.last_bookmarks().raw_values


@pytest.fixture
def graph(graph_db: neo4j.Driver, tmp_path: Path) -> Iterator[Graph]:
    with kgsync.connect(driver=graph_db, database="neo4j", config=CONFIG, workspace=tmp_path / "work") as graph:
        load(graph.connection, folder_of("umls"))
        yield graph


@pytest.fixture
def ring(graph_db: neo4j.Driver, tmp_path: Path) -> Iterator[Graph]:
    """A graph with one relation, from which something is learned within a second."""
    graph_db.execute_query("UNWIND range(0, 119) AS i CREATE (:Entity {id: i, name: 'e' + i})", database_="neo4j")
    steps = "(b.id - a.id + 120) % 120 IN [1, 2, 3, 5, 8, 13, 21, 34]"
    text = f"MATCH (a:Entity), (b:Entity) WHERE {steps} CREATE (a)-[:NEXT]->(b)"
    graph_db.execute_query(text, database_="neo4j")
    with kgsync.connect(driver=graph_db, database="neo4j", config=RING, workspace=tmp_path / "work") as graph:
        yield graph


def test_a_trial_pulls_trains_and_predicts_and_writes_nothing(graph: Graph, graph_db: neo4j.Driver) -> None:
    before = bookmark(graph_db)
    result = graph.sync(commit=False)
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
    pulled = [result.snapshot.origin["startedAt"] for result in (first, second)]
    text = (
        "UNWIND range(0, 1) AS i MATCH (r:__KgsyncRun {id: $runs[i]}) WHERE r.pulledAt = datetime($pulled[i]) "
        "RETURN r.keyLabels + r.keyProperties AS keys"
    )
    records = graph_db.execute_query(text, runs=[first.run.id, second.run.id], pulled=pulled, database_="neo4j").records
    assert [record["keys"] for record in records] == [["Entity", "id"]] * 2
    told: list[str] = []
    third = sync(graph, commit=True, max_false=0.001, told=told.append)
    assert len(third.plan) < len(first.plan)
    assert told[-1].startswith(f"{len(third.plan)} of {len(first.plan):,} proposals keep the promise of 0.1% false: ")
    assert "if missing edges resemble hidden ones" in told[-1]
    assert (third.written.created, third.written.updated, third.written.expired) == (0, 0, 0)
    assert Plan.load(third.run.plan_folder).id == third.plan.id
    assert dump(graph_db) == written, "what is not promised is still predicted"


def test_a_sync_from_python_writes_only_what_is_promised(ring: Graph, graph_db: neo4j.Driver) -> None:
    plan = ring.sync(commit=False).plan
    shares = sorted(edge.own_false_share or 0.0 for edge in plan.edges)
    share = min(max(shares[len(shares) // 2], 0.001), 0.999)
    result = ring.sync(max_false=share, each_relation=True)
    assert result.plan.id == plan.promising(share, each_relation=True).id != plan.id
    assert result.written.created == len(result.plan) == sum("PREDICTED" in row for row in dump(graph_db))


@pytest.fixture
def judged(graph_db: neo4j.Driver, tmp_path: Path) -> Iterator[Graph]:
    """A graph about whose proposals something can be promised."""
    config = replace(CONFIG, write=WriteConfig(batch=50))
    with kgsync.connect(driver=graph_db, database="neo4j", config=config, workspace=tmp_path / "work") as graph:
        load(graph.connection, folder_of("umls"))
        yield graph


def shares_of(plan: Plan) -> tuple[float, float]:
    """Return two shares, of which the second lets more of the plan through than the first, and not all."""
    found = sorted({edge.own_false_share or 0.0 for edge in plan.edges})
    assert len(found) > 3
    low, high = ((found[i] + found[i + 1]) / 2 for i in (0, len(found) - 2))
    return low, high


def test_every_look_narrows_all_proposals_anew(judged: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = judged.sync(commit=False)
    low, high = shares_of(whole.plan)
    looks = [
        judged.sync(commit=False, max_false=share, each_relation=share is not None) for share in (low, high, low, None)
    ]
    narrow, wide, again, all_ = (look.plan for look in looks)
    assert 0 < len(narrow) < len(wide) < len(whole.plan)
    assert (again.id, all_.id) == (narrow.id, whole.plan.id)
    assert {look.run.id for look in looks} == {whole.run.id}
    with monkeypatch.context() as patch:  # what was shown is written as it was shown
        patch.setattr("kgsync.model.Model.predict", None)
        result = judged.sync()
    assert Plan.load(whole.run.plan_folder).id == result.plan.id == whole.plan.id


def test_what_began_to_be_written_is_finished_and_no_other_promise_takes_its_place(
    judged: Graph, graph_db: neo4j.Driver
) -> None:
    low, high = shares_of(judged.sync(commit=False).plan)
    wanted = judged.sync(commit=False, max_false=high, each_relation=True).plan
    assert len(wanted) > judged.config.write.batch
    run = interrupted(judged, max_false=high, each_relation=True)
    with pytest.raises(DataError, match=r"has written plan .*; repeat the command as it was then"):
        judged.sync(max_false=low, each_relation=True)
    assert Plan.load(judged.workspace.run(run).plan_folder).id == wanted.id
    result = judged.sync()  # without a promise of its own
    assert (result.run.id, result.plan.id) == (run, wanted.id)
    assert sum("PREDICTED" in row for row in dump(graph_db)) == len(wanted)


def test_a_write_from_python_that_was_killed_goes_on_as_the_same_run(ring: Graph, graph_db: neo4j.Driver) -> None:
    before = dump(graph_db)
    plan = ring.sync(commit=False).plan

    def stop(name: str, done: int, total: int | None) -> None:
        if name == "writing" and done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ring.write(plan, progress=stop)
    (begun,) = ring.runs()
    report = ring.write(plan)
    assert (report.run_id, report.created, report.unchanged) == (begun.id, len(plan) - 5, 5)
    assert ring.runs().to_pandas().to_dict("records")[0]["status"] == "finished"
    ring.rollback(report.run_id)
    assert dump(graph_db) == before


def test_a_budget_bounds_the_training(ring: Graph) -> None:
    short, free = ring.sync(commit=False, budget=60.0), ring.sync(commit=False)
    assert (short.model.voices.budget, free.model.voices.budget) == (60.0, 0.0)
    assert short.run.id != free.run.id


def test_a_promise_for_each_relation_needs_a_promise(ring: Graph) -> None:
    with pytest.raises(ConfigError, match="give max_false as well"):
        ring.sync(each_relation=True)


@pytest.mark.parametrize("share", [10, 1.0, 0.0, -0.1, float("nan")])
def test_a_promise_that_is_no_share_is_refused_before_anything_is_pulled(share: float, ring: Graph) -> None:
    with pytest.raises(ConfigError, match=r"max_false is .* between 0 and 1"):
        ring.sync(max_false=share)
    assert not ring.workspace.root.exists()


def test_rejected_edges_never_return_even_after_a_rollback_and_accepted_ones_become_knowledge(
    ring: Graph, graph_db: neo4j.Driver
) -> None:
    first = sync(ring, commit=True)
    rejected, accepted = first.plan.best(2)
    review.reject(ring.connection, [rejected.id], by="tester", reason="wrong")
    review.accept(ring.connection, [accepted.id], by="tester")
    second = sync(ring, commit=True)
    assert not {rejected.id, accepted.id} & {edge.id for edge in second.plan.edges}
    assert len(second.snapshot.triples) == len(first.snapshot.triples) + 1
    assert len(second.snapshot.rejected) == 1
    ring.rollback(second.run.id)
    ring.rollback(first.run.id)
    third = sync(ring, commit=True)
    assert rejected.id not in {edge.id for edge in third.plan.edges}
    text = "MATCH ()-[p:PREDICTED {id: $id}]->() RETURN p.status AS status"
    records = graph_db.execute_query(text, id=rejected.id, database_="neo4j").records
    assert [record["status"] for record in records] == ["rejected"]


def test_a_rollback_gives_back_the_graph_as_it_was(ring: Graph, graph_db: neo4j.Driver) -> None:
    before = dump(graph_db)
    result = sync(ring, commit=True)
    assert dump(graph_db) != before
    ring.rollback(result.run.id)
    assert dump(graph_db) == before


def test_a_sync_that_is_interrupted_in_every_step_goes_on_with_its_run(
    ring: Graph, graph_db: neo4j.Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kgsync import runs

    note = runs.Run.note
    step, heard = "", list[str]()

    def interrupt(self: runs.Run, name: str, **facts: object) -> None:
        if (name, step) == ("validate", "validating"):  # all is done, and nothing notes it
            raise KeyboardInterrupt
        note(self, name, **facts)
        if name == step:
            raise KeyboardInterrupt

    def watch(name: str, done: int, total: int | None) -> None:
        if name == step and done:
            raise KeyboardInterrupt

    monkeypatch.setattr(runs.Run, "note", interrupt)
    for step in ("pull", "train", "predict", "writing", "validating"):
        with pytest.raises(KeyboardInterrupt):
            sync(ring, commit=True, told=heard.append, progress=watch)
        if step == "pull":
            graph_db.execute_query("CREATE (:Entity {id: 'new'})-[:KNOWS]->(:Entity {id: 'newer'})", database_="neo4j")
        if step in ("writing", "validating"):
            assert sum("PREDICTED" in row for row in dump(graph_db)) == (5 if step == "writing" else 20)
    step = ""
    result = sync(ring, commit=True, told=heard.append)
    assert [run.name for run in ring.workspace.runs.iterdir()] == [result.run.id]
    assert heard[0].startswith(f"Going on with run {result.run.id}, pulled 20")
    assert "--fresh" in heard[0]
    assert set(heard) == {heard[0]}
    assert len(heard) == 5
    assert set(result.run.steps) == set(runs.STEPS)
    assert result.run.steps["write"]["created"] == 15
    assert (result.written.created, result.written.unchanged) == (0, 20)


def interrupted(graph: Graph, *, max_false: float | None = None, each_relation: bool = False) -> str:
    """Interrupt a sync after the first batch that it writes, and return its run."""

    def stop(name: str, done: int, total: int | None) -> None:
        if name == "writing" and done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sync(graph, commit=True, max_false=max_false, each_relation=each_relation, progress=stop)
    return graph.workspace.run().id


def test_a_plan_that_was_shown_is_the_one_that_is_written_and_is_shown_again_only_of_an_unchanged_graph(
    ring: Graph, graph_db: neo4j.Driver
) -> None:
    first = sync(ring)
    assert sync(ring).run.id == first.run.id
    graph_db.execute_query("MERGE (:Entity {id: 'new'})-[:KNOWS]->(:Entity {id: 'newer'})", database_="neo4j")
    second = sync(ring)
    assert second.run.id != first.run.id
    assert second.snapshot.id != first.snapshot.id
    graph_db.execute_query("MATCH (n:Entity {id: 'new'}) DETACH DELETE n", database_="neo4j")
    interrupted(ring)
    assert [(run.id, run.plan) for run in ring.runs()] == [(second.run.id, second.plan.id)]


def test_a_run_that_is_old_or_rolled_back_or_of_another_database_is_not_gone_on_with(
    ring: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    rolled_back = interrupted(ring)
    ring.rollback(rolled_back)
    elsewhere = sync(ring)
    assert elsewhere.run.id != rolled_back
    elsewhere.run.describe(database={"id": "another", "name": "neo4j"})
    old = sync(ring)
    assert old.run.id != elsewhere.run.id
    with monkeypatch.context() as patch:
        patch.setattr("kgsync.sync.STALE", 0.0)
        begun = interrupted(ring)
        assert begun != old.run.id
        assert sync(ring).run.id == begun  # what began to write is finished


def test_a_run_goes_on_with_what_it_pulled_whatever_was_pulled_since(ring: Graph) -> None:
    def stop(name: str, done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sync(ring, progress=lambda name, done, total: None if name.startswith("pull") else stop(name, done, total))
    run = ring.workspace.run()
    kept = Snapshot.load(ring.workspace.snapshot())
    replace(kept, origin={"database": {"id": "another", "name": "neo4j"}}).save(ring.workspace.snapshots)
    result = sync(ring)
    assert result.run.id == run.id
    assert result.plan.database == kept.origin["database"] == ring.connection.identity()


def test_a_second_sync_in_the_workspace_is_told_to_wait(ring: Graph) -> None:
    def meanwhile(name: str, done: int, total: int | None) -> None:
        sync(ring)

    with pytest.raises(TransientError, match=r"another process is busy with `kgsync sync` in .*; wait for it"):
        sync(ring, progress=meanwhile)


def test_a_graph_with_one_relation_is_synced(ring: Graph) -> None:
    result = sync(ring, commit=True)
    assert result.snapshot.relations == ("NEXT",)
    assert result.written.created == len(result.plan) == 20
    assert {edge.relation for edge in result.plan.edges} == {"NEXT"}
    assert result.validation is not None
