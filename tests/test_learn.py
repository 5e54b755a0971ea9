"""Training refuses what cannot be learned from, repeats itself exactly, and does nothing twice."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from example_graphs import QUICK, benchmark, graph, trained

from kgsync import files, score
from kgsync.calibrate import Labelled
from kgsync.candidates.hidden import label_hidden
from kgsync.cli.sync import _voices as chosen
from kgsync.cli.sync import train as command
from kgsync.config import SplitConfig, VoicesConfig
from kgsync.cotrain import Lesson
from kgsync.errors import ConfigError, DataError, TransientError
from kgsync.fuse import fuse
from kgsync.identity import Entity
from kgsync.learn import train
from kgsync.model import Model
from kgsync.progress import silent
from kgsync.report import learned
from kgsync.runs import Workspace
from kgsync.score import calibrate, weigh
from kgsync.snapshot import Snapshot
from kgsync.split import Triples, split_snapshot
from kgsync.voice import Voice
from kgsync.voices import TRAINING, time_for

TINY = replace(QUICK, rank=8, epochs=3)


class Steps(set[str]):
    """Collects the steps that were reported."""

    def __call__(self, step: str, done: int, total: int | None) -> None:
        self.add(step)


def ring(size: int, relation: str = "NEXT") -> list[tuple[str, str, str]]:
    """Return a ring with chords, in which every entity has several triples."""
    return [(f"e{i}", relation, f"e{(i + step) % size}") for i in range(size) for step in (1, 2, 5)]


@pytest.mark.parametrize(
    ("triples", "complaint"),
    [
        ([("a", "R", "b")], "1 triples join two different entities"),
        ([("a", "R", "b"), ("b", "R", "c")], "2 triples join two different entities"),
        ([(f"e{i}", "R", f"e{i}") for i in range(50)], "50 more are self-loops"),
        ([(f"e{i}", "R", f"f{i}") for i in range(50)], "none of the 50 triples can be hidden"),
    ],
    ids=["one triple", "two triples", "only self-loops", "no entity has two triples"],
)
def test_what_cannot_be_learned_from_is_refused_in_one_line(
    triples: list[tuple[str, str, str]], complaint: str
) -> None:
    with pytest.raises(DataError, match=complaint) as caught:
        train(graph(triples), config=TINY)
    assert "\n" not in str(caught.value)
    assert caught.value.fix


@pytest.mark.parametrize("entities", [0, 1])
def test_a_graph_without_triples_is_refused(entities: int) -> None:
    nodes = {Entity("Thing", "id", f"e{i}"): f"e{i}" for i in range(entities)}
    with pytest.raises(DataError, match=f"has {entities} entities and no triples"):
        train(Snapshot.from_names([], names=nodes), config=TINY)


def test_a_small_graph_is_measured_but_refuses_to_predict() -> None:
    model = train(graph(ring(30)), config=TINY)
    assert model.metrics.test_triples > 0
    assert model.calibrator is None
    assert "baseRate" not in model.card()
    with pytest.raises(DataError, match=r"too few to give scores a meaning; pull at least [\d,]+ triples"):
        model.predict()


def test_a_trained_model_is_taken_from_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    first_steps, second_steps, other_steps = Steps(), Steps(), Steps()
    snapshot = graph(ring(60))
    first = train(snapshot, config=TINY, folder=folder, progress=first_steps)
    second = train(snapshot, config=replace(TINY, threads=2), folder=folder, progress=second_steps)
    other = train(snapshot, config=replace(TINY, seed=1), folder=folder, progress=other_steps)
    assert first.id == second.id != other.id
    assert first_steps == other_steps != second_steps == set()
    assert sorted(path.name for path in folder.glob("[!.]*")) == sorted([first.id, other.id])
    assert {path.stat().st_size for path in folder.glob(".*")} == {0}, "only locks stay beside them"


def test_a_second_training_of_the_same_is_told_to_wait_and_another_one_is_not(tmp_path: Path) -> None:
    snapshot, refused = graph(ring(60)), list[str]()

    def meanwhile(step: str, done: int, total: int | None) -> None:
        if refused:
            return
        with pytest.raises(TransientError) as caught:
            train(snapshot, config=TINY, folder=tmp_path)
        refused.append(str(caught.value))
        train(snapshot, config=replace(TINY, seed=1), folder=tmp_path)

    model = train(snapshot, config=TINY, folder=tmp_path, progress=meanwhile)
    assert len(refused) == 1
    assert refused[0].startswith(f"another process is busy with the same training in {tmp_path}; wait for it")
    assert train(snapshot, config=TINY, folder=tmp_path).id == model.id


def test_a_training_that_was_killed_holds_up_no_other(tmp_path: Path) -> None:
    snapshot = graph(ring(60))
    snapshot.save(tmp_path)
    script = (
        "import os, signal; from pathlib import Path; from kgsync.kge.config import TrainConfig; "
        "from kgsync.learn import train; from kgsync.snapshot import Snapshot; "
        f"train(Snapshot.load(Path({str(tmp_path / snapshot.id)!r})), config=TrainConfig(**{asdict(TINY)!r}), "
        f"folder=Path({str(tmp_path / 'models')!r}), progress=lambda *_: os.kill(os.getpid(), signal.SIGKILL))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -signal.SIGKILL
    assert len(list((tmp_path / "models").glob(".lock.*.training"))) == 1
    assert train(snapshot, config=TINY, folder=tmp_path / "models").metrics.test_triples > 0


def test_a_model_that_is_not_whole_yet_is_not_taken(tmp_path: Path) -> None:
    snapshot = graph(ring(60))
    model = train(snapshot, config=TINY, folder=tmp_path)
    (tmp_path / model.id).rename(tmp_path / f".{model.id}.17.tmp")
    steps = Steps()
    assert train(snapshot, config=TINY, folder=tmp_path, progress=steps).id == model.id
    assert steps, "it was trained again"


def test_another_split_is_another_model(tmp_path: Path) -> None:
    snapshot = graph(ring(60))
    first = train(snapshot, config=TINY, folder=tmp_path)
    second = train(snapshot, config=TINY, split=SplitConfig(valid=0.2, test=0.1), folder=tmp_path)
    assert second.parts["train"] < first.parts["train"]
    assert sum(second.parts.values()) == sum(first.parts.values()) == len(snapshot.triples)


def test_the_same_snapshot_and_settings_give_the_same_model_and_the_same_plan() -> None:
    first = trained("umls")
    second = train(benchmark("umls"), config=QUICK, voices=VoicesConfig(text=False))
    assert first.id == second.id
    assert first.card() == second.card()
    some = first.snapshot.relations[::8]
    assert first.predict(relations=some).id == second.predict(relations=some).id


def test_metrics_are_those_of_a_model_that_learned() -> None:
    metrics = trained("umls").metrics
    assert metrics.mrr > 0.7
    assert metrics.hits_at_1 <= metrics.hits_at_3 <= metrics.hits_at_10 <= 1
    assert metrics.test_triples == sum(row.test_triples for row in metrics.relations)
    assert [row.train_triples for row in metrics.relations] == sorted(
        (row.train_triples for row in metrics.relations), reverse=True
    )


def test_what_makes_scores_has_weighed_no_voice_that_it_makes_them_of(monkeypatch: pytest.MonkeyPatch) -> None:
    model = trained("umls")
    assert model.fusion is not None
    voices, size = model.fusion.voices, (model.snapshot.entities.num_rows, len(model.snapshot.relations))
    parts = split_snapshot(model.snapshot, model.split)

    def by(*folds: Triples) -> torch.Tensor:
        return fuse(voices, parts.train, np.concatenate(folds), *size, also_true=parts.select).weights

    weighed = weigh(voices, parts, model.snapshot)
    assert torch.equal(weighed.fusion.weights, by(parts.fuse, parts.calibrate))
    assert torch.equal(weighed.fusion.weights, model.fusion.weights)
    assert {name: fusion.weights.tolist() for name, fusion in weighed.unseen.items()} == {
        "calibrate": by(parts.fuse).tolist(),
        "fuse": by(parts.calibrate).tolist(),
        "select": by(parts.fuse, parts.calibrate).tolist(),
    }
    asked: list[tuple[Voice, Triples]] = []

    def label(voice: Voice, *rest: Any, hidden: Triples, **more: Any) -> Labelled:
        asked.append((voice, hidden))
        return label_hidden(voice, *rest, hidden=hidden, **more)

    monkeypatch.setattr(score, "label_hidden", label)
    calibrate(model.snapshot, weighed.fusion, weighed.unseen, parts, missing=0.1, progress=silent)
    makers = [*(weighed.unseen[name] for name in ("calibrate", "fuse", "select")), weighed.fusion]
    assert [voice for voice, _ in asked] == makers, "each part has a fusion that has not seen it"
    assert all(
        np.array_equal(own, part)
        for (_, own), part in zip(asked, (parts.calibrate, parts.fuse, parts.select, parts.test), strict=True)
    )
    monkeypatch.setattr(score, "CROSSWISE", len(parts.calibrate) - 1)  # a part that is large enough by itself
    weighed = weigh(voices, parts, model.snapshot)
    assert torch.equal(weighed.fusion.weights, by(parts.fuse))
    assert list(weighed.unseen) == ["calibrate"]


def test_names_speak_beside_embeddings_and_rules(tmp_path: Path) -> None:
    cities = ["Lyon", "Oslo", "Turin", "Porto", "Ghent", "Kyiv", "Lima", "Cairo"]
    people = [Entity("Person", "id", f"p{i}") for i in range(200)]
    homes = [Entity("City", "id", city) for city in cities]
    names = {person: f"{cities[i % 8]} resident {i}" for i, person in enumerate(people)}
    names |= dict(zip(homes, cities, strict=True))
    lives = [(person, "LIVES_IN", homes[i % 8]) for i, person in enumerate(people)]
    knows = [(people[i], "KNOWS", people[(i + step) % 200]) for i in range(200) for step in (3, 7)]
    snapshot = Snapshot.from_names(lives + knows, names=names)
    told: list[Lesson] = []
    voices = VoicesConfig(rounds=1, lessons="mean")
    model = train(snapshot, config=TINY, voices=voices, folder=tmp_path, told=told.append)
    assert [(lesson.voice, lesson.edges is None) for lesson in told] == [
        ("complex", False),
        ("rules", True),
        ("text", False),
    ]
    assert sum(lesson.edges or 0 for lesson in told) > 0, [lesson.edges for lesson in told]
    assert model.logbook is not None
    assert model.logbook.cotraining in ("the last round was done", "no voice gained in round 1")
    assert f"taught each other until {model.logbook.cotraining}" in " ".join(learned(model))
    assert (model.kind, dict(model.left_out)) == ("fused", {})
    assert set(model.metrics.voices) == {"complex", "rules", "text"}
    again = Model.load(tmp_path / model.id, snapshot)
    assert again.id == model.id
    edges = again.predict(relations=["LIVES_IN"], min_score=0.0).edges
    assert all(edge.text_score is not None and edge.rule_score is not None for edge in edges)


def test_a_voice_that_is_left_out_is_named_with_the_reason() -> None:
    model = train(graph(ring(60)), config=TINY)
    assert "too few to learn from (200 are needed)" in model.left_out["text"]
    alone = train(graph(ring(60)), config=TINY, voices=VoicesConfig(rules=False, text=False))
    assert (alone.kind, alone.fusion, dict(alone.left_out)) == ("kge", None, {})


def test_rules_can_speak_without_embeddings(tmp_path: Path) -> None:
    only = VoicesConfig(embeddings=False, text=False)
    model = train(benchmark("umls"), config=TINY, voices=only, folder=tmp_path)
    assert (model.kge, [voice.name for voice in model.others]) == (None, ["rules"])
    assert model.metrics.mrr > 0.5
    assert "scoring" not in model.card()
    plan = model.predict(top_k=3)
    assert len(plan) > 0
    assert all(edge.kge_score is None and edge.rule_score is not None for edge in plan.edges)
    again = Model.load(tmp_path / model.id, benchmark("umls"))
    assert again.predict(top_k=3) == plan
    with pytest.raises(ConfigError, match="has no embeddings"):
        again.embeddings()


def test_without_any_voice_there_is_nothing_to_train() -> None:
    with pytest.raises(ConfigError, match="all voices are switched off"):
        train(benchmark("umls"), config=TINY, voices=VoicesConfig(embeddings=False, rules=False, text=False))


def test_voices_that_teach_each_other_are_never_worse_on_what_chooses_them(tmp_path: Path) -> None:
    told: list[Lesson] = []
    config = VoicesConfig(text=False, rounds=2)
    model = train(benchmark("umls"), config=TINY, voices=config, folder=tmp_path, told=told.append)
    assert {lesson.voice for lesson in told if lesson.edges is not None} == {"complex"}
    assert {lesson.voice for lesson in told if lesson.edges is None} == {"rules"}, "rules teach, and do not learn"
    assert all(lesson.after > lesson.before for lesson in told if lesson.kept)
    again = Model.load(tmp_path / model.id, benchmark("umls"))
    assert again.logbook is not None
    assert list(again.logbook.lessons) == told
    assert again.logbook.cotraining.startswith(("no voice gained", "the last round"))


@pytest.mark.parametrize("rounds", [0, 1, 3])
@pytest.mark.parametrize("tune_encoder", [False, True])
def test_all_trainings_together_stay_within_a_budget(rounds: int, tune_encoder: bool) -> None:
    voices = VoicesConfig(rounds=rounds, tune_encoder=tune_encoder, budget=600.0)
    once = time_for("embeddings", voices) + time_for("text", voices) * (2 if tune_encoder else 1)
    assert once * (1 + rounds) == pytest.approx(TRAINING * 600)
    alone = VoicesConfig(rules=False, text=False, rounds=rounds, budget=600.0)
    assert time_for("embeddings", alone) == 600, "nobody is there to teach it"
    assert time_for("text", VoicesConfig()) == 0, "no limit"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], ("kge", [])),
        (["--mode", "kge", "--budget", "1m"], ("kge", [])),
        (["--mode", "rules"], ("fused", [])),
        (["--mode", "cotrain", "--rounds", "0"], ("fused", [])),
        (["--mode", "cotrain"], ("fused", ["complex", "rules"])),
    ],
)
def test_the_command_trains_the_voices_that_its_mode_names(
    tmp_path: Path, options: list[str], expected: tuple[str, list[str]]
) -> None:
    workspace, config = tmp_path / "ws", tmp_path / "kgsync.toml"
    config.write_text("[train]\nrank = 8\nepochs = 2\nthreads = 1\n[voices]\nrules = false\ntext = false\n")
    snapshot = graph(ring(60))
    snapshot.save(Workspace(workspace).snapshots)
    arguments = ["--workspace", str(workspace), "--config", str(config), "--json", *options]
    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    kind, rows = expected
    assert json.loads(done.stdout)["kind"] == kind
    assert [line.split()[2].rstrip(":;") for line in done.stderr.splitlines() if line.startswith("Round 1")] == rows


def test_the_options_say_which_voices_learn_and_how_long() -> None:
    own = VoicesConfig(rules=False, rounds=3, budget=60.0)
    assert chosen(own, None, rounds=None, budget=None) == own
    assert chosen(own, "cotrain") == VoicesConfig(rounds=3, budget=60.0)
    assert chosen(VoicesConfig(), "cotrain", budget=90.0) == VoicesConfig(rounds=1, budget=90.0)
    assert chosen(own, "lm") == VoicesConfig(embeddings=False, rules=False, tune_encoder=True, budget=60.0)
    assert chosen(own, "text", rounds=2) == VoicesConfig(embeddings=False, rules=False, rounds=2, budget=60.0)
    assert chosen(own, None, encoder="mine") == replace(own, encoder="mine")


def test_a_model_of_another_format_is_refused_in_one_line(tmp_path: Path) -> None:
    model = train(benchmark("umls"), config=TINY, voices=VoicesConfig(rules=False, text=False), folder=tmp_path)
    path = tmp_path / model.id / "model.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    del content["calibrator"]["nulls"]
    path.write_text(json.dumps(content), encoding="utf-8")
    files.write_manifest(
        tmp_path / model.id, "model", {"id": model.id, "snapshot": model.snapshot.id, "recipe": model.recipe}
    )
    with pytest.raises(DataError, match="another version of kgsync"):
        Model.load(tmp_path / model.id, benchmark("umls"))
