"""An interrupted `kgsync benchmark` or `kgsync tune` goes on where it was, comes to the same, and leaves nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from example_graphs import benchmark as snapshot_of
from example_graphs import folder_of

from kgsync import benchmark, dataset, files
from kgsync.errors import DataError
from kgsync.kge.config import TrainConfig
from kgsync.kge.ensemble import train_within
from kgsync.kge.journal import Journal
from kgsync.kge.tune import Trial, tune

UMLS = folder_of("umls")
QUICK = TrainConfig(rank=16, epochs=3, threads=1)

# The command, with a search for which there is time enough, and told where each training begins.
COMMAND = """
import sys
from kgsync.cli import main
from kgsync.kge import ensemble, tune
from kgsync.kge.checkpoint import State
tune.N3, tune.RELATION_WEIGHTS, tune.EPOCHS, tune.LONGER, ensemble.MEMBERS = (0.1, 0.02), (0.5,), (3, 3), 1, 2
sys.modules["kgsync.kge.train"].CHECKPOINT_SECONDS = 0.0
load = State.load
def loaded(self, folder, fingerprint):
    load(self, folder, fingerprint)
    print("begins at step", self.counters.steps, file=sys.stderr)
State.load = loaded
main(sys.argv[1:])
"""
SEARCHED = ["benchmark", str(UMLS), "--rank", "16", "--steps", "60", "--budget", "1h", "--json"]
TRAINED = ["benchmark", str(UMLS), "--rank", "16", "--epochs", "12", "--json"]


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def finish(*arguments: str) -> tuple[str, list[str]]:
    """Return what the command prints, and the lines on its standard error."""
    with start(*arguments) as process:
        out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out, err.splitlines()


def interrupt_after(trials: int, sent: signal.Signals, *arguments: str) -> list[str]:
    """Start the command, interrupt it when it has shown so many trials, and return their lines."""
    shown: list[str] = []
    with start(*arguments) as process:
        assert process.stderr is not None
        for line in process.stderr:
            shown += [line.rstrip()] if "valid MRR" in line else []
            if len(shown) == trials:
                process.send_signal(sent)
                break
        rest = process.communicate(timeout=300)[1]
    assert process.returncode == {signal.SIGINT: 130, signal.SIGKILL: -9}[sent]
    assert ("Run the same command to go on." in rest) == (sent == signal.SIGINT)
    return shown


@cache
def uninterrupted(*arguments: str) -> tuple[str, list[str]]:
    """Return what `finish` does, after looking that nothing is left."""
    found = finish(*arguments)
    assert not Path(".kgsync").exists()
    return found


def tried(lines: list[str]) -> list[str]:
    """Return the lines of trials, without their seconds."""
    return [line.rpartition("  ")[0] for line in lines if "valid MRR" in line]


def plain(out: str) -> dict[str, Any]:
    """Return what a run came to, without what it took."""
    found: dict[str, Any] = json.loads(out)
    for name in ("train_seconds", "eval_seconds", "peak_memory_mb"):
        del found[name]
    found["config"]["time_budget"] = 0
    return found


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT], ids=["killed", "ctrl-c"])
def test_an_interrupted_search_makes_no_trial_twice_and_comes_to_the_same(sent: signal.Signals) -> None:
    whole, expected = uninterrupted(*SEARCHED)
    before = interrupt_after(3, sent, *SEARCHED)
    out, lines = finish(*SEARCHED)
    kept = [line for line in lines if "kept from before" in line]
    assert kept[:3] == [line + ", kept from before the interruption" for line in before]
    assert tried(lines) == tried(expected)
    trainings = [line for line in lines if line.startswith("begins")]
    assert len(trainings) == len(tried(lines)) - len(kept) + 2, "those that are not kept, and both members"
    assert plain(out) == plain(whole)
    assert not Path(".kgsync").exists(), "nothing is left"


def test_an_interrupted_tune_goes_on_beside_the_snapshots() -> None:
    Path("kgsync.toml").write_text("[train]\nrank = 16\n", encoding="utf-8")
    snapshot_of("umls").save(Path(".kgsync/snapshots"))
    whole, expected = finish("tune", "--budget", "1h")
    before = interrupt_after(2, signal.SIGKILL, "tune", "--budget", "1h")
    assert len(list(Path(".kgsync").glob(".*.search/journal.json"))) == 1
    out, lines = finish("tune", "--budget", "1h")
    kept = [line for line in lines if "kept from before" in line]
    assert kept[:2] == [line + ", kept from before the interruption" for line in before]
    assert tried(lines) == tried(expected)
    assert out == whole
    assert [path.name for path in Path(".kgsync").iterdir()] == ["snapshots"]


@pytest.mark.parametrize("members", [1, 2])
def test_a_training_that_was_killed_goes_on_from_its_checkpoint(members: int) -> None:
    command = [*TRAINED, "--members", str(members)]
    whole, _ = finish(*command)
    last = "training" if members == 1 else "training-1"
    with start(*command) as process:
        while not list(Path(".kgsync").glob(f".*.benchmark/{last}/training.safetensors")):
            assert process.poll() is None, process.communicate()
            time.sleep(0.002)
        process.kill()
        process.communicate()
    out, lines = finish(*command)
    [begins] = [line for line in lines if line.startswith("begins")]  # a finished member is not trained again
    assert int(begins.rpartition(" ")[2]) > 0
    assert plain(out) == plain(whole)
    assert not Path(".kgsync").exists()


def test_a_training_is_kept_until_it_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = dataset.read(UMLS)
    whole = benchmark.run(graph, QUICK)

    def stop(step: str, done: int, total: int | None) -> None:
        if step != "training":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        benchmark.run(graph, QUICK, folder=tmp_path / "work", progress=stop)
    monkeypatch.setattr(benchmark, "train_members", None)  # training would fail
    again = benchmark.run(graph, QUICK, folder=tmp_path / "work")
    assert again.test == whole.test
    mrr, expected = ([epoch.valid_mrr for epoch in run.trained.history] for run in (again, whole))
    assert mrr == expected
    assert not (tmp_path / "work").exists()


def test_other_settings_or_another_budget_begin_anew(tmp_path: Path) -> None:
    graph = dataset.read(UMLS)

    def stop(step: str, done: int, total: int | None) -> None:
        if step != "training":
            raise KeyboardInterrupt

    for config, budget in (
        (QUICK, None),
        (replace(QUICK, seed=1), None),
        (QUICK, 0.5),
        (replace(QUICK, steps=9), None),
    ):
        with pytest.raises(KeyboardInterrupt):
            benchmark.run(graph, config, budget=budget, folder=tmp_path, progress=stop)
    assert len(list(tmp_path.glob(".*.benchmark"))) == 4


def test_what_fails_for_good_leaves_nothing(tmp_path: Path) -> None:
    hopeless = replace(QUICK, learning_rate=1e30)
    with pytest.raises(DataError, match="not finite"):
        benchmark.run(dataset.read(UMLS), hopeless, budget=20.0, folder=tmp_path / "work")
    assert not (tmp_path / "work").exists()


def test_the_time_before_an_interruption_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kgsync.kge.tune.EPOCHS", (1, 1))
    graph, folder = dataset.read(UMLS), tmp_path / "journal"
    trials: list[Trial] = []

    def stop(trial: Trial) -> None:
        trials.append(trial)
        if len(trials) == 3:
            raise KeyboardInterrupt

    def search() -> TrainConfig:
        size = len(graph.entities), len(graph.relations)
        with Journal(folder) as journal:
            return tune(graph.train, graph.valid, *size, QUICK, seconds=3600.0, tried=stop, journal=journal)

    with pytest.raises(KeyboardInterrupt):
        search()
    kept = files.read_json(folder / "journal.json")
    assert 0 < sum(trial.seconds for trial in trials) < kept["seconds"] < 3600
    files.write_json(folder / "journal.json", kept | {"seconds": 3600.0})
    best = search()
    assert trials[3:] == trials[:3]
    assert all(trial.kept for trial in trials[3:]), "there was no time for more"
    assert (best.n3, best.loss) in [(trial.config.n3, trial.config.loss) for trial in trials]
    assert not folder.exists()


def test_a_trial_that_was_begun_in_time_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kgsync.kge.tune.EPOCHS", (2, 2))
    monkeypatch.setattr("kgsync.kge.train.CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr("kgsync.kge.train.REPORT_SECONDS", 0.0)
    graph = dataset.read(UMLS)
    size = len(graph.entities), len(graph.relations)
    trials: list[Trial] = []

    def stop(step: str, done: int, total: int | None) -> None:
        if len(trials) == 2 and list(tmp_path.glob("journal/trial-*/training.safetensors")):
            raise KeyboardInterrupt

    def search(progress: Any) -> None:
        monkeypatch.setattr("kgsync.kge.tune.silent", progress)
        with Journal(tmp_path / "journal") as journal:
            tune(graph.train, graph.valid, *size, QUICK, seconds=3600.0, tried=trials.append, journal=journal)

    with pytest.raises(KeyboardInterrupt):
        search(stop)
    kept = files.read_json(tmp_path / "journal" / "journal.json")
    files.write_json(tmp_path / "journal" / "journal.json", kept | {"seconds": 3600.0})
    search(lambda step, done, total: None)
    assert [trial.kept for trial in trials[2:]] == [True, True, False]


def test_members_that_are_finished_stay_where_time_is_over(tmp_path: Path) -> None:
    graph, place = dataset.read(UMLS), tmp_path / "work" / "training"
    size = len(graph.entities), len(graph.relations)

    def stop(step: str, done: int, total: int | None) -> None:
        if (tmp_path / "work" / "training-1" / "finished.safetensors").exists():
            raise KeyboardInterrupt

    def train(spent: float, progress: Any = lambda step, done, total: None) -> int:
        made = train_within(
            graph.train, graph.valid, *size, QUICK, seconds=60.0, spent=spent, checkpoint=place, progress=progress
        )
        return made.config.members

    with pytest.raises(KeyboardInterrupt):
        train(0.0, stop)
    assert train(60.0) == 2
    assert not list((tmp_path / "work").iterdir())
    assert train(60.0) == 1
    assert train(0.0) == 8


def test_the_journal_keeps_what_is_found_and_notes_the_time(tmp_path: Path) -> None:
    def interrupted(find: int) -> None:
        with Journal(tmp_path / "a" / "b") as journal:
            assert journal.once("answer", lambda: find) == 42
            time.sleep(0.02)
            raise KeyboardInterrupt

    for find in (42, 0):
        with pytest.raises(KeyboardInterrupt):
            interrupted(find)
    with Journal(tmp_path / "a" / "b") as journal:
        assert "answer" in journal
        assert journal.spent() >= 0.04
        assert journal.once("answer", lambda: 0) == 42
    assert not (tmp_path / "a").exists()


def test_a_long_training_notes_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kgsync.kge.journal.NOTE_SECONDS", 0.01)
    journal = Journal(tmp_path)
    journal.once("answer", lambda: 42)
    time.sleep(0.02)
    journal.watch(lambda step, done, total: None)("training", 1, 2)
    assert Journal(tmp_path).spent() >= 0.02, "though nobody closed it"
