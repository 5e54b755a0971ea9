"""`kgsync benchmark` and `kgsync tune`: any folder of split triples, measured honestly, without a database."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from example_graphs import folder_of

from kgsync import benchmark, dataset
from kgsync.cli import main
from kgsync.config import Config
from kgsync.errors import ConfigError, DataError, NotFoundError
from kgsync.kge.config import TrainConfig
from kgsync.kge.tune import MIN_VALID, N3, RELATION_WEIGHTS, Trial, _Graph, tune

UMLS = folder_of("umls")
QUICK = TrainConfig(rank=16, epochs=3, threads=1)


def command(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(list(arguments))
    return int(end.value.code or 0)


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        suffix = ".txt" if name.endswith("2id") else ".tsv"
        (folder / (name + suffix)).write_text(text, encoding="utf-8")
    return folder


def as_openke(folder: Path, source: Path) -> Path:
    """Write the graph in `source` as OpenKE keeps it."""
    graph = dataset.read(source)
    folder.mkdir()
    for kind, names in (("entity", graph.entities), ("relation", graph.relations)):
        lines = [str(len(names)), *(f"{name}\t{number}" for number, name in enumerate(names))]
        (folder / f"{kind}2id.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name in ("train", "valid", "test"):
        rows = getattr(graph, name).tolist()
        lines = [str(len(rows)), *(f"{head} {tail} {relation}" for head, relation, tail in rows)]
        (folder / f"{name}2id.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def test_every_layout_gives_the_same_graph(tmp_path: Path) -> None:
    graph = dataset.read(UMLS)
    assert (len(graph.entities), len(graph.relations), len(graph.train)) == (135, 46, 5_216)
    assert graph.leaked == 0
    plain = tmp_path / "plain"
    plain.mkdir()
    for name in ("train", "valid", "test"):  # as DGL-KE and LibKGE have it
        shutil.copy(UMLS / f"{name}.tsv", plain / f"{name}.txt")
    for other in (dataset.read(plain), dataset.read(as_openke(tmp_path / "openke", UMLS))):
        assert (other.entities, other.relations) == (graph.entities, graph.relations)
        for name in ("train", "valid", "test"):
            np.testing.assert_array_equal(getattr(other, name), getattr(graph, name))


def test_other_names_for_the_entities_change_nothing_at_all(tmp_path: Path) -> None:
    graph = dataset.read(UMLS)
    names = np.random.default_rng(0).permutation(len(graph.entities))
    renamed = write(
        tmp_path / "renamed",
        **{
            part: "".join(f"{names[h]}\t{r}\t{names[t]}\n" for h, r, t in getattr(graph, part).tolist())
            for part in ("train", "valid", "test")
        },
    )
    ours, theirs = (benchmark.run(dataset.read(folder), QUICK) for folder in (UMLS, renamed))
    assert theirs.test.mrr == ours.test.mrr
    assert theirs.valid.mrr == ours.valid.mrr


def test_the_command_prints_one_json_object_with_the_parts_of_test(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["benchmark", str(UMLS), "--rank", "16", "--epochs", "3", "--seed", "7"]
    assert command(*arguments, "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["dataset"], shown["model"], shown["seed"]) == ("umls", "complex", 7)
    assert shown["config"]["rank"] == 16
    assert 0 < shown["test"]["mrr"] < 1
    assert shown["test"]["count"] == 2 * 661
    assert {"1-N", "N-N"} <= set(shown["test"]["slices"]["cardinality"])
    assert shown["test"]["slices"]["reverse"]["known"]["count"] == 540
    assert "isa" in shown["test"]["per_relation"]
    assert min(shown["train_seconds"], shown["peak_memory_mb"]) > 0
    assert command(*arguments) == 0
    table = capsys.readouterr().out
    assert "valid (test edges compete)" in table
    assert f"{shown['test']['mrr']:.3f}" in table


def test_a_budget_searches_first_and_its_steps_repeat_it_exactly(capsys: pytest.CaptureFixture[str]) -> None:
    common = ["benchmark", str(UMLS), "--rank", "16", "--json"]
    assert command(*common, "--budget", "8s") == 0
    output = capsys.readouterr()
    tuned = json.loads(output.out)
    assert "relation_weight" in output.err
    assert 0 < tuned["config"]["time_budget"] < 8  # what the search has left
    chosen = tuned["config"]
    Path("same.toml").write_text(
        f"[train]\nloss = '{chosen['loss']}'\nn3 = {chosen['n3']}\nrelation_weight = {chosen['relation_weight']}\n",
        encoding="utf-8",
    )
    assert (
        command(*common, "--config", "same.toml", "--steps", str(tuned["steps"]), "--members", str(chosen["members"]))
        == 0
    )
    assert json.loads(capsys.readouterr().out)["test"] == tuned["test"]


def test_the_search_looks_at_train_and_valid_alone_and_keeps_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"N3": (0.1, 0.02), "RELATION_WEIGHTS": (0.0, 0.5), "EPOCHS": (3, 3), "LONGER": 1}.items():
        monkeypatch.setattr(f"kgsync.kge.tune.{name}", value)
    graph = dataset.read(UMLS)
    trials: list[Trial] = []
    size = len(graph.entities), len(graph.relations)
    best = tune(graph.train, graph.valid, *size, QUICK, seconds=600.0, tried=trials.append)  # time for everything
    first, finals = ([trial for trial in trials if trial.config.seed == seed] for seed in (0, 1))
    top = max(finals, key=lambda trial: trial.mrr)
    assert settings(best) == settings(top.config)
    assert len({settings(trial.config) for trial in first}) == len(first) >= len(finals) > 0
    assert min(t.mrr for t in first if settings(t.config) == settings(top.config)) >= sorted(t.mrr for t in first)[-4]
    with pytest.raises(DataError, match="too few to choose settings by"):
        tune(graph.train, graph.valid[: MIN_VALID - 1], *size, QUICK, seconds=1.0)


def settings(config: TrainConfig) -> tuple[str, float, float]:
    return config.loss, config.n3, config.relation_weight


@pytest.mark.parametrize(("seconds", "whole"), [(20.0, True), (0.5, False)])
def test_a_large_graph_is_searched_on_its_densest_part_and_on_the_whole_where_there_is_time(
    monkeypatch: pytest.MonkeyPatch, seconds: float, whole: bool
) -> None:
    monkeypatch.setattr("kgsync.kge.tune.PART", 10_000)
    monkeypatch.setattr("kgsync.kge.tune.WORTH", 1)
    monkeypatch.setattr("kgsync.kge.tune.EPOCHS", (1, 2))
    graph = dataset.read(folder_of("codex-s"))
    trials: list[Trial] = []
    size = len(graph.entities), len(graph.relations)
    config = TrainConfig(rank=8, threads=1)
    best = tune(graph.train, graph.valid, *size, config, seconds=seconds, training_seconds=60.0, tried=trials.append)
    assert trials[0].triples < len(graph.train)
    assert (trials[-1].triples == len(graph.train)) == whole
    judged = [trial for trial in trials if (trial.triples == len(graph.train)) == whole]
    assert settings(best) == settings(max(judged, key=lambda trial: trial.mrr).config)


def test_without_time_for_every_setting_one_kind_is_tried_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kgsync.kge.tune.EPOCHS", (1, 1))
    graph = dataset.read(UMLS)
    part = _Graph(graph.train, graph.valid, len(graph.entities), len(graph.relations))
    config = TrainConfig(rank=8, threads=1, n3=0.1)
    trials = part.search(config, ("softmax",), 0.0, 600.0, lambda trial: None)
    by_n3, by_weight = trials[: len(N3)], trials[len(N3) :]
    best = max(by_n3, key=lambda trial: trial.mrr).config.n3
    assert best != config.n3
    assert [trial.config.n3 for trial in by_n3] == [config.n3, *(n3 for n3 in N3 if n3 != config.n3)]
    assert {trial.config.relation_weight for trial in by_n3} == {config.relation_weight}
    assert [trial.config.relation_weight for trial in by_weight] == list(RELATION_WEIGHTS)
    assert {trial.config.n3 for trial in by_weight} == {best}


def test_the_more_time_the_larger_the_rank_until_it_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kgsync.kge.tune.PART", 10_000)
    graph = dataset.read(folder_of("codex-s"))
    size = len(graph.entities), len(graph.relations)
    few = TrainConfig(threads=1)
    ranks = [tune(graph.train, graph.valid, *size, few, seconds=0.1, training_seconds=time).rank for time in (1.0, 1e6)]
    assert 100 <= ranks[0] < ranks[1] == 500
    monkeypatch.setattr("kgsync.kge.tune.MEMORY_SHARE", 0.0)
    assert tune(graph.train, graph.valid, *size, few, seconds=0.1, training_seconds=1e6).rank == ranks[0]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"train": "a\tr\tb\n", "valid": "a\tr\tb\n"}, "has no test.tsv"),
        ({"train": "a\tr\n", "valid": "a\tr\tb\n", "test": "a\tr\tb\n"}, "line 1: 2 columns instead of 3"),
        ({"train": "", "valid": "a\tr\tb\n", "test": "a\tr\tb\n"}, "no triples in train"),
        ({"train2id": "1\n0 1 0\n"}, "entity2id.txt"),
        (
            {"train2id": "1\n0 1 0\n", "entity2id": "1\na\t0\n", "relation2id": "1\nr\t0\n"},
            "no valid2id.txt",
        ),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused_with_the_place(
    tmp_path: Path, files: dict[str, str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(tmp_path / "bad", **files)
    assert command("benchmark", str(folder)) in (DataError.exit_code, NotFoundError.exit_code)
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_a_number_without_a_name_is_refused(tmp_path: Path) -> None:
    folder = as_openke(tmp_path / "openke", UMLS)
    (folder / "test2id.txt").write_text("1\n0 999 0\n", encoding="utf-8")
    with pytest.raises(DataError, match="line 2"):
        dataset.read(folder)


def test_triples_of_test_that_train_holds_are_told(tmp_path: Path) -> None:
    lines = "".join(f"e{i}\tr\te{(i + k) % 20}\n" for i in range(20) for k in (1, 2))
    some = "".join(lines.splitlines(keepends=True)[:12])
    folder = write(tmp_path / "leaky", train=lines, valid=some, test=some)
    done = benchmark.run(dataset.read(folder), QUICK)
    assert done.leaked == 24
    assert done.to_dict()["leaked_triples"] == done.leaked


def test_triples_that_valid_and_test_share_are_told(tmp_path: Path) -> None:
    folder = write(tmp_path / "leaky", train="a\tr\tb\nb\tr\tc\n", valid="a\tr\tc\n", test="a\tr\tc\nc\tr\ta\n")
    assert dataset.read(folder).leaked == 1


def test_a_budget_where_valid_is_too_small_to_search_by_trains_with_the_defaults(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [f"e{i}\tr\te{(i + k) % 40}\n" for i in range(40) for k in (1, 2)]
    folder = write(tmp_path / "few", train="".join(lines[:70]), valid="".join(lines[70:75]), test="".join(lines[75:]))
    assert command("benchmark", str(folder), "--budget", "1s") == 0
    assert "Not searched: valid has too few triples" in capsys.readouterr().out


def test_a_budget_with_a_number_of_members_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("benchmark", str(UMLS), "--budget", "1s", "--members", "2") == ConfigError.exit_code
    assert "leave out the budget or the members" in capsys.readouterr().err


def test_an_export_that_is_not_possible_is_refused_before_the_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark, "train_members", None)  # training would fail otherwise
    assert command("benchmark", str(UMLS), "--export", "gds", str(tmp_path / "out")) == DataError.exit_code
    assert "GDS cannot score as complex does" in capsys.readouterr().err
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    assert command("benchmark", str(UMLS), "--export", "npy", str(tmp_path / "mine")) == ConfigError.exit_code
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("value", ["soon", "-3", "0", "5 d", "nan"])
def test_a_budget_that_is_no_time_is_a_usage_error(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("benchmark", str(UMLS), f"--budget={value}") == 2
    assert "is no time" in capsys.readouterr().err


def test_tune_saves_the_winner_and_leaves_the_rest_of_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    from example_graphs import benchmark as snapshot

    snapshot("umls").save(Path(".kgsync/snapshots"))
    Path("kgsync.toml").write_text("# mine\n[train]\nrank = 16  # small\nepochs = 3\n", encoding="utf-8")
    assert command("tune", "--budget", "3s") == 0
    assert "Not saved" in capsys.readouterr().out
    before = Config.load().train
    assert command("tune", "--budget", "3s", "--yes") == 0
    text = Path("kgsync.toml").read_text(encoding="utf-8")
    assert "# mine" in text
    assert "rank = 16  # small" in text
    after = Config.load().train
    assert (after.rank, after.epochs) == (before.rank, before.epochs)
    assert "n3 =" in text
    assert "relation_weight =" in text


def test_a_loss_with_smoothing_is_searched_beside_one_that_has_none() -> None:
    graph = dataset.read(UMLS)
    config = TrainConfig(loss="bce", label_smoothing=0.1, rank=8)
    trials: list[Trial] = []
    size = len(graph.entities), len(graph.relations)
    found = tune(graph.train, graph.valid, *size, config, seconds=3, tried=trials.append)
    assert {(trial.config.loss, trial.config.label_smoothing) for trial in trials} >= {("bce", 0.1), ("softmax", 0.0)}
    assert found.label_smoothing == (0.1 if found.loss == "bce" else 0.0)
