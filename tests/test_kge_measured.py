"""What `kgsync train` measures is what `kgsync benchmark` measures, and models of before are still read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from example_graphs import graph, trained

from kgsync.cli import main
from kgsync.config import SplitConfig
from kgsync.kge.evaluate import evaluate
from kgsync.kge.known import KnownAnswers
from kgsync.metrics import Metrics
from kgsync.model import Model
from kgsync.report.text import by_chance, metric_rows
from kgsync.runs import Workspace
from kgsync.split import split_snapshot

MEANS = ("mrr", "hits_at_1", "hits_at_3", "hits_at_10", "mean_rank")


def command(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(list(arguments))
    return int(end.value.code or 0)


def test_a_model_has_the_metrics_that_a_benchmark_would_give_it() -> None:
    model = trained("umls")
    snapshot, measured = model.snapshot, model.metrics.test
    parts = split_snapshot(snapshot, SplitConfig())
    known = KnownAnswers(snapshot.triples, snapshot.entities.num_rows, len(snapshot.relations))
    expected = evaluate(model.voice, parts.test, known, train=parts.train)
    assert measured == replace(expected, per_relation={})
    assert set(expected.slices["cardinality"]) >= {"1-N", "N-1", "N-N"}
    assert model.metrics.mrr == expected.mrr
    for number, relation in enumerate(snapshot.relations):
        row = next(each for each in model.metrics.relations if each.relation == relation)
        own = expected.per_relation.get(number)
        assert row.head_mrr == (own.sides["head"].mrr if own else None)
        assert row.tail_mrr == (own.sides["tail"].mrr if own else None)
        assert row.adjusted_mean_rank_index == (own.adjusted_mean_rank_index if own else None)


def test_metrics_of_a_model_come_back_from_their_json() -> None:
    metrics = trained("umls").metrics
    assert Metrics.from_dict(json.loads(json.dumps(metrics.to_dict()))) == metrics


def test_a_model_of_before_keeps_its_id_and_is_shown_without_what_it_lacks(tmp_path: Path) -> None:
    model = trained("umls")
    rows = tuple(
        replace(row, head_mrr=None, tail_mrr=None, adjusted_mean_rank_index=None) for row in model.metrics.relations
    )
    before = replace(model, metrics=replace(model.metrics, test=None, relations=rows))
    path = before.save(tmp_path)
    content = json.loads((path / "model.json").read_text(encoding="utf-8"))["metrics"]
    assert "test" not in content
    assert set(content["relations"][0]) == {"relation", "train_triples", "test_triples", *MEANS}
    loaded = Model.load(path, model.snapshot)
    assert (loaded.id, loaded.metrics) == (before.id, before.metrics)
    assert not any("asked" in str(row[0]) for row in metric_rows(loaded))


def test_training_shows_sides_kinds_of_relations_and_the_distance_from_chance(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ring = graph([(f"e{i}", "NEXT", f"e{(i + step) % 60}") for i in range(60) for step in (1, 2, 5)])
    place = Workspace(tmp_path)
    ring.save(place.snapshots)
    Path("kgsync.toml").write_text("[train]\nrank = 4\nepochs = 2\n[voices]\ntext = false\n", encoding="utf-8")
    arguments = ["train", "--workspace", str(tmp_path)]
    assert command(*arguments) == 0
    shown = capsys.readouterr().out
    assert command(*arguments, "--json") == 0
    card = json.loads(capsys.readouterr().out)
    test = card["metrics"]["test"]
    assert card["mrr"] == round(test["mrr"], 6)
    assert set(test["sides"]) == {"head", "tail"}
    assert set(test["slices"]) == {"cardinality", "entities", "reverse"}
    assert test["slices"]["entities"]["seen"]["count"] == test["count"]
    assert f"Adjusted mean rank index {test['adjusted_mean_rank_index']:.3f}" in shown
    assert "heads asked" in shown


def test_what_ties_could_hide_is_said_where_there_are_ties() -> None:
    measured = trained("umls").metrics.test
    assert measured is not None
    apart = replace(measured, mrr=0.5, optimistic_mrr=0.75, pessimistic_mrr=0.25)
    assert by_chance(apart).endswith("; ties can move the MRR between 0.250 and 0.750.")
    assert "ties" not in by_chance(replace(apart, optimistic_mrr=0.5, pessimistic_mrr=0.5))
