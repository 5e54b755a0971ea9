"""A model on disk is the model in memory, belongs to its snapshot, and says the same of itself every time."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from example_graphs import graph, made_up_model, trained

from kgsync.config import Config, VoicesConfig
from kgsync.errors import DataError, NotFoundError
from kgsync.kge.config import TrainConfig
from kgsync.learn import train
from kgsync.model import Model
from kgsync.report.text import base_rate
from kgsync.runs import Workspace
from kgsync.snapshot import Snapshot


def test_a_saved_model_comes_back_whole(tmp_path: Path) -> None:
    model = trained("umls")
    path = model.save(tmp_path)
    loaded = Model.load(path, model.snapshot)
    assert path.name == model.id == loaded.id
    assert (loaded.card(), loaded.metrics, loaded.calibrator) == (model.card(), model.metrics, model.calibrator)
    assert loaded.predict(top_k=3).id == model.predict(top_k=3).id


def test_a_model_is_found_together_with_its_snapshot(tmp_path: Path) -> None:
    model, workspace = trained("umls"), Workspace(tmp_path)
    model.snapshot.save(workspace.snapshots)
    model.save(workspace.models)
    found = Model.find(workspace.model(), workspace)
    assert (found.id, found.snapshot.id) == (model.id, model.snapshot.id)


def test_a_model_or_snapshot_that_is_made_again_is_the_newest(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    snapshots = [graph([("a", "R", "b")]), graph([("a", "R", "c")])]
    models = [made_up_model(snapshot) for snapshot in snapshots]
    for which in (0, 1, 0):
        snapshots[which].save(workspace.snapshots)
        models[which].save(workspace.models)
        assert workspace.snapshot().name == snapshots[which].id
        assert workspace.model().name == models[which].id


def test_a_model_that_need_not_be_trained_again_is_the_newest(tmp_path: Path) -> None:
    ring = graph([(f"e{i}", "NEXT", f"e{(i + step) % 60}") for i in range(60) for step in (1, 2, 5)])
    workspace = Workspace(tmp_path)
    for seed in (0, 1, 0):
        config = TrainConfig(rank=4, epochs=1, seed=seed)
        voices = VoicesConfig(rules=False, text=False)
        model = train(ring, config=config, voices=voices, folder=workspace.models)
        assert workspace.model().name == model.id
    assert len(list(workspace.models.glob("kge-*"))) == 2


def test_the_newest_run_is_the_one_that_started_last(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    runs = [workspace.new_run(Config()) for _ in range(3)]
    for run in runs[::-1]:
        run.note("validate")
    assert workspace.run().id == runs[-1].id


def test_a_kept_snapshot_says_where_it_was_pulled_last_and_a_damaged_one_is_made_again(tmp_path: Path) -> None:
    snapshot = replace(graph([("a", "R", "b")]), origin={"database": {"id": "one"}})
    path = snapshot.save(tmp_path)
    columns = path / "triples.parquet"
    written = columns.stat().st_mtime_ns
    again = replace(snapshot, origin={"database": {"id": "two"}})
    assert again.save(tmp_path) == path
    assert Snapshot.load(path).origin == again.origin
    assert columns.stat().st_mtime_ns == written
    columns.write_bytes(b"nothing")
    again.save(tmp_path)
    assert Snapshot.load(path).origin == again.origin


def test_a_model_of_another_snapshot_is_refused(tmp_path: Path) -> None:
    model = trained("umls")
    with pytest.raises(DataError, match=f"was trained on snapshot {model.snapshot.id}"):
        Model.load(model.save(tmp_path), graph([("a", "R", "b")]))


@pytest.mark.parametrize("name", ["model.safetensors", "model.json"])
def test_a_damaged_file_is_refused(tmp_path: Path, name: str) -> None:
    model = trained("umls")
    path = model.save(tmp_path)
    data = bytearray((path / name).read_bytes())
    data[-20] ^= 1
    (path / name).write_bytes(data)
    with pytest.raises(DataError, match="is damaged"):
        Model.load(path, model.snapshot)


def test_a_missing_model_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        Model.load(tmp_path / "kge-000000000000", graph([("a", "R", "b")]))


def test_the_id_changes_with_the_weights_and_with_what_the_scores_mean() -> None:
    model = made_up_model(graph([("a", "R", "b")]))
    other = made_up_model(graph([("a", "R", "b")]), seed=1)
    assert model.calibrator is not None
    stricter = replace(model, calibrator=replace(model.calibrator, base_rate=0.001))
    assert len({model.id, other.id, stricter.id, replace(model, config=other.config).id}) == 4


def test_the_card_is_flat_and_says_what_a_score_means() -> None:
    card = trained("umls").card()
    assert json.loads(json.dumps(card)) == card
    assert all(isinstance(value, str | int | float) for value in card.values())
    assert (card["kind"], card["scoreBasis"], card["baseRateBasis"]) == ("fused", "hidden-edges", "estimated")
    assert "the hidden edges allow no more" in base_rate(card)
    assert "assumed" in base_rate(card | {"baseRateBasis": "assumed"})
    reviewed = replace(trained("umls"), calibrator=replace(trained("umls").calibrated(), audited=25)).card()
    assert (reviewed["scoreBasis"], reviewed["baseRateBasis"], reviewed["auditedEdges"]) == ("reviewed", "reviewed", 25)
    assert "25 edges of the random audit say that" in base_rate(reviewed)
    assert 0 < card["baseRate"] < 0.1
    assert card["trainTriples"] > card["calibrateTriples"] > 0


def test_metrics_per_relation_become_tables() -> None:
    metrics = trained("umls").metrics
    table = metrics.to_arrow()
    assert table.num_rows == 46
    assert table["relation"].to_pylist() == [row.relation for row in metrics.relations]
    frame = metrics.to_pandas()
    assert frame["mrr"].max() <= 1
    assert list(frame.columns) == table.column_names
