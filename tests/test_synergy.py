"""Whether voices should teach each other: statistics with known answers, and a small comparison from end to end.

The comparison is real: UMLS without names, small embeddings and rules, two seeds.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from example_graphs import QUICK, benchmark, graph

from kgsync.cli import main
from kgsync.config import Config, SplitConfig, VoicesConfig
from kgsync.errors import ConfigError, DataError
from kgsync.logbook import MIX
from kgsync.report.dossier import Dossier
from kgsync.report.page import page
from kgsync.runs import Workspace
from kgsync.synergy.arms import AGREED, EXCHANGE, FUSED, LM, SHAM, TWO_SEEDS, Outcome, Taught
from kgsync.synergy.compare import TRAINING, compare, compare_snapshot, summary, trainings, within
from kgsync.synergy.cost import Cost, measured
from kgsync.synergy.maker import EMBEDDINGS, RULES, Maker, Settings
from kgsync.synergy.result import Synergy, kept
from kgsync.synergy.statistics import Floats, bootstrap, holm
from kgsync.synergy.task import RARE, Task

SMALL = replace(QUICK, rank=8, epochs=3)
TOML = f"[train]\nrank = {SMALL.rank}\nepochs = {SMALL.epochs}\nn3 = {SMALL.n3}\nthreads = 1\n"
COUNTED = ("arms", "gains", "taught", "verdict", "helps", "test_triples", "rare_share", "voices", "left_out", "keep")
WITHOUT_TEXT = VoicesConfig(text=False)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Small products are faster on one thread, and so all comparisons here come to the same digits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def plain(value: float, n: int = 40) -> Floats:
    return np.full((n, 2), value)


def one(values: list[Floats], pairs: np.ndarray | None = None) -> Any:
    numbers = np.arange(len(values[0])) if pairs is None else pairs
    return bootstrap({"it": values}, numbers)["it"]


# --- statistics -----------------------------------------------------------------------------------------


def test_holm_multiplies_the_smallest_most_and_never_falls() -> None:
    corrected = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.5})
    assert corrected == pytest.approx({"a": 0.04, "b": 0.09, "c": 0.09, "d": 0.5})
    assert list(corrected) == ["a", "b", "c", "d"]
    assert holm({"a": 0.6, "b": 0.7}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}


def test_equal_arms_gain_nothing_and_the_interval_includes_zero() -> None:
    ranks = np.random.default_rng(0).random((40, 2))
    effect = one([ranks - ranks, ranks - ranks])
    assert (effect.value, effect.low, effect.high, effect.p) == (0.0, 0.0, 0.0, 1.0)


def test_arms_that_differ_by_chance_alone_have_zero_in_their_interval() -> None:
    random = np.random.default_rng(1)
    found = [one([random.normal(0, 0.1, (60, 2)) for _ in range(3)]) for _ in range(20)]
    assert sum(effect.low <= 0 <= effect.high for effect in found) >= 16


def test_a_gain_everywhere_is_that_gain_for_sure() -> None:
    effect = one([plain(0.02), plain(0.02)])
    assert (effect.value, effect.low, effect.high) == pytest.approx((0.02, 0.02, 0.02))
    assert effect.p == pytest.approx(0.001)


def test_seeds_that_disagree_leave_it_open() -> None:
    effect = one([plain(0.1), plain(-0.1)])
    assert (effect.value, effect.low, effect.high) == pytest.approx((0.0, -0.1, 0.1))
    assert effect.p > 0.5


def test_the_interval_of_one_seed_is_as_wide_as_theory_says() -> None:
    values = np.random.default_rng(2).normal(0, 1, 400)
    effect = one([np.stack([values, values], axis=1)])
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert (effect.high - effect.low) / 2 == pytest.approx(half, rel=0.1)


def test_more_seeds_that_say_the_same_about_the_same_pairs_make_nothing_surer() -> None:
    values = np.random.default_rng(2).normal(0, 1, (400, 2))
    alone, thrice = one([values]), one([values] * 3)
    assert (thrice.low, thrice.high) == pytest.approx((alone.low, alone.high), abs=0.02)


def test_what_is_said_of_one_pair_is_drawn_together() -> None:
    values = np.repeat(np.random.default_rng(3).normal(0, 1, 40), 25)
    column = [np.stack([values, values], axis=1)]
    together, apart = one(column, np.repeat(np.arange(40), 25)), one(column)
    assert together.value == pytest.approx(apart.value)
    assert together.high - together.low > 3 * (apart.high - apart.low)


def test_what_is_left_out_does_not_count() -> None:
    values = np.tile([0.5, np.nan], (30, 1))
    values[:10, 0] = np.nan
    effect = one([values, values])
    assert (effect.value, effect.low, effect.high) == pytest.approx((0.5, 0.5, 0.5))


# --- the summary of made-up ranks -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def task() -> Task:
    return Task.of_snapshot(benchmark("umls"), SplitConfig())


def made_up(task: Task, ranks: dict[str, float], base: str = FUSED) -> Outcome:
    """An outcome in which every arm ranks all test triples alike; `base` is the best on the calibrate part."""
    n = len(task.parts.test)
    unseen = {arm: 0.9 if arm == base else 0.5 for arm in ranks}
    costs = dict.fromkeys(ranks, Cost(1.5, 100.0))
    return Outcome({arm: plain(rank, n) for arm, rank in ranks.items()}, unseen, costs, ())


RANKS = {"complex": 4.0, "rules": 5.0, MIX: 4.0, FUSED: 2.0, TWO_SEEDS: 2.0, EXCHANGE: 2.0, SHAM: 2.0}


def compared(task: Task, base: str = FUSED, **ranks: float) -> Synergy:
    outcomes = [made_up(task, RANKS | {EXCHANGE: rank}, base) for rank in ranks.values()]
    return summary(task, outcomes, keep=1.0, budget=0.0, voices=["embeddings", "rules"])


def test_the_exchange_is_compared_with_the_better_base_and_with_the_sham(task: Task) -> None:
    done = compared(task, base=TWO_SEEDS, first=1.0, second=1.0)
    over_all = [(gain.ours, gain.theirs) for gain in done.gains if not gain.rare]
    assert over_all == [
        (EXCHANGE, TWO_SEEDS),
        (SHAM, TWO_SEEDS),
        (EXCHANGE, SHAM),
        (TWO_SEEDS, FUSED),
        (FUSED, "complex"),
    ]
    assert [gain.primary for gain in done.gains if not gain.rare] == [True, False, False, False, False]
    gain = done.primary()
    assert gain is not None
    assert (gain.delta.value, gain.delta.low, gain.delta.high) == pytest.approx((0.5, 0.5, 0.5))
    assert done.alone == {"complex", "rules"}


def test_a_sure_gain_is_to_be_switched_on(task: Task) -> None:
    done = compared(task, first=1.0, second=1.0)
    assert done.helps
    first = done.verdict()[0]
    assert "gains +0.5000 [+0.5000, +0.5000]" in first
    assert first.endswith("Switch it on with `voices.rounds = 1`.")


@pytest.mark.parametrize(
    ("ranks", "words"),
    [
        ((2.0, 2.0), "the interval includes zero"),
        ((1.0, 4.0), "the interval includes zero"),
        ((4.0, 4.0), "The exchange loses: -0.2500"),
    ],
    ids=["nothing", "seeds disagree", "a loss"],
)
def test_without_a_sure_gain_it_stays_off(task: Task, ranks: tuple[float, float], words: str) -> None:
    done = compared(task, first=ranks[0], second=ranks[1])
    assert not done.helps
    assert words in done.verdict()[0]
    assert done.verdict()[0].endswith("Leave it off: `voices.rounds = 0`.")


def test_with_three_voices_the_advice_names_the_lessons(task: Task) -> None:
    outcomes = [made_up(task, {"text": 6.0, **RANKS, EXCHANGE: 1.0, AGREED: 2.0, LM: 2.0})] * 2
    done = summary(task, outcomes, keep=1.0, budget=0.0, voices=["embeddings", "rules", "text"])
    assert '`voices.rounds = 1` and `voices.lessons = "mean"`' in done.verdict()[0]
    assert (AGREED, FUSED) in [(gain.ours, gain.theirs) for gain in done.gains]
    assert (LM, FUSED) in [(gain.ours, gain.theirs) for gain in done.gains]


def test_a_gain_that_does_not_outlast_the_correction_stays_off(task: Task) -> None:
    done = compared(task, first=1.0, second=1.0)
    gain = replace(done.gains[0], p_holm=0.08)
    doubtful = replace(done, gains=(gain, *done.gains[1:]))
    assert not doubtful.helps
    assert "may by chance (p = 0.08)" in doubtful.verdict()[0]
    assert "Leave it off" in doubtful.verdict()[0]


def test_what_is_kept_comes_back_as_it_was(task: Task, tmp_path: Path) -> None:
    done = replace(compared(task, first=1.0), taught=((Taught(EXCHANGE, "complex", 7, 1, 0.4, 0.5),),))
    thin = replace(done, keep=0.3)
    for each in (thin, done):
        path = each.save(tmp_path)
        assert json.loads(path.read_text(encoding="utf-8"))["verdict"] == done.verdict()
    assert kept(tmp_path, task.name) == (done, thin)
    assert kept(tmp_path, "another") == ()
    path.write_text('{"snapshot": 1}', encoding="utf-8")
    with pytest.raises(DataError, match="another version"):
        kept(tmp_path, task.name)


# --- tasks, budgets, costs ------------------------------------------------------------------------------


def test_the_train_edges_that_are_left_out_stay_true(task: Task) -> None:
    thin = task.thinned(0.3)
    assert len(thin.parts.train) == int(0.3 * len(task.parts.train))
    both = np.concatenate([thin.parts.train, thin.aside])
    assert sorted(map(tuple, both.tolist())) == sorted(map(tuple, task.parts.train.tolist()))
    assert len(thin.known(test=True)) == len(task.known(test=True))
    assert thin.parts.test is task.parts.test
    assert task.thinned(1.0) is task
    assert thin.hash() != task.hash()


def test_rare_answers_are_those_of_few_train_edges(task: Task) -> None:
    thin = task.thinned(0.02)
    degree = np.bincount(thin.parts.train[:, [0, 2]].ravel(), minlength=thin.n_entities)
    expected = [[degree[tail] <= RARE, degree[head] <= RARE] for head, _, tail in thin.parts.test.tolist()]
    assert thin.rare().tolist() == expected
    assert thin.rare().any()
    assert not thin.rare().all()


def test_what_is_better_is_seen_on_edges_that_weighed_no_fusion(task: Task) -> None:
    assert task.unseen().tolist() == task.parts.calibrate.tolist() != task.parts.fuse.tolist()
    without = replace(task, parts=replace(task.parts, calibrate=task.parts.calibrate[:0]))
    assert without.unseen().tolist() == task.parts.fuse.tolist()


def test_what_a_person_rejected_belongs_to_the_task(task: Task) -> None:
    judged = replace(benchmark("umls"), rejected=benchmark("umls").triples[:2, ::-1])
    found = Task.of_snapshot(judged, SplitConfig())
    assert found.rejected.tolist() == judged.rejected.tolist()
    assert found.hash() != task.hash()


def test_a_budget_is_shared_by_all_trainings() -> None:
    settings = Settings(SMALL, VoicesConfig())
    assert within(settings, 0, 3, reading=True) is settings
    both = within(settings, 600.0, 3, reading=True)
    assert 3 * trainings(3) * (both.embeddings_seconds + both.text_seconds) == pytest.approx(TRAINING * 600, rel=0.01)
    assert both.embeddings_seconds > both.text_seconds
    alone = within(settings, 600.0, 3, reading=False)
    assert 3 * trainings(2) * alone.embeddings_seconds == pytest.approx(TRAINING * 600, rel=0.01)


def test_the_memory_of_work_is_seen_while_it_lasts() -> None:
    with measured() as before:
        pass
    with measured() as meter:
        block = np.ones(40_000_000)
        block += 1
    del block
    assert meter.cost.memory_mb > before.cost.memory_mb + 250
    assert (Cost(1.0, 5.0) + Cost(2.0, 3.0)) == Cost(3.0, 5.0)


def test_one_voice_alone_cannot_be_compared(task: Task, tmp_path: Path) -> None:
    for voices in (VoicesConfig(rules=False), VoicesConfig(embeddings=False)):
        with pytest.raises(ConfigError, match="needs two voices"):
            compare(task, Settings(SMALL, voices), tmp_path)


def test_a_graph_in_which_nothing_can_be_hidden_is_refused() -> None:
    with pytest.raises(DataError, match="can be hidden to choose by"):
        Task.of_snapshot(graph([(f"e{i}", "R", f"f{i}") for i in range(50)]), SplitConfig())


# --- from end to end ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with UMLS, a run on it, and a comparison with two seeds that nothing interrupted."""
    workspace = Workspace(tmp_path_factory.mktemp("synergy") / "ws")
    snapshot = benchmark("umls")
    snapshot.save(workspace.snapshots)
    workspace.new_run(Config()).note("pull", snapshot=snapshot.id)
    compare_snapshot(snapshot, Config(train=SMALL), workspace.root, seeds=2)
    return workspace


def the_one(workspace: Workspace) -> Synergy:
    (done,) = kept(workspace.root, benchmark("umls").id)
    return done


def test_all_arms_are_measured_on_the_same_edges(whole: Workspace, task: Task) -> None:
    done = the_one(whole)
    assert [arm.name for arm in done.arms] == ["complex", "rules", MIX, FUSED, TWO_SEEDS, EXCHANGE, SHAM]
    assert (done.seeds, done.test_triples, done.voices) == (2, len(task.parts.test), (EMBEDDINGS, RULES))
    assert "too few to learn from" in done.left_out["text"]
    arms = {arm.name: arm for arm in done.arms}
    for arm in done.arms:
        assert arm.mrr.low <= arm.mrr.value <= arm.mrr.high
        assert arm.mrr.value == pytest.approx(np.mean(arm.mrr_by_seed), abs=1e-4)
        assert arm.memory_mb > 0
    for arm in (MIX, FUSED, TWO_SEEDS, EXCHANGE, SHAM):
        assert arms[arm].seconds >= arms["complex"].seconds + arms["rules"].seconds - 0.1, "it has needed both"
    assert arms["complex"].mrr_by_seed[0] != arms["complex"].mrr_by_seed[1]
    for gain in done.gains:
        assert gain.delta.value == pytest.approx(arms[gain.ours].mrr.value - arms[gain.theirs].mrr.value) or gain.rare
        assert gain.delta.low <= gain.delta.value <= gain.delta.high
        assert gain.delta.p <= gain.p_holm <= 1
    taught = [(each.arm, each.voice) for seed in done.taught for each in seed]
    assert taught == [(EXCHANGE, "complex"), (SHAM, "complex")] * 2


def test_the_test_edges_decide_nothing(task: Task, tmp_path: Path) -> None:
    """With another half of them, the same voices are taught the same, kept, and best on the calibrate part."""
    settings, found = Settings(SMALL, WITHOUT_TEXT), []
    for half in (task.parts.test[::2], task.parts.test[1::2]):
        told: list[str] = []
        part = replace(task, parts=replace(task.parts, test=half))
        compare(part, settings, tmp_path, seeds=1, told=told.append)
        (outcome,) = [Outcome.load(path) for path in Maker(part, settings, tmp_path).folder.glob("*/arms*")]
        found.append((outcome.unseen, [replace(each, in_test=0) for each in outcome.taught]))
    assert found[0] == found[1]


def run(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    printed = capsys.readouterr()
    return int(ended.value.code or 0), printed.out, printed.err


def test_an_interrupted_comparison_goes_on_and_comes_to_the_same(
    whole: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace, config = Workspace(tmp_path / "ws"), tmp_path / "kgsync.toml"
    config.write_text(TOML, encoding="utf-8")
    benchmark("umls").save(workspace.snapshots)
    asked = ["report", "--synergy", "--seeds", "2", "--json", "--workspace", str(workspace.root), "--config"]
    with subprocess.Popen(
        [sys.executable, "-m", "kgsync", *asked, str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    ) as process:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if "seed 2 of 2: embeddings:" in line:
                process.send_signal(signal.SIGINT)
        assert process.wait() == 130
    assert "Interrupted" in lines[-1]
    assert not kept(workspace.root, benchmark("umls").id)
    code, out, err = run([*asked, str(config)], capsys)
    assert code == 0
    assert "seed 1" not in err.replace("seed 1 of 2: there", ""), "a finished seed is not made again"
    assert "seed 2 of 2: embeddings: there already" in err
    found, expected = json.loads(out), the_one(whole).to_dict()
    assert sorted(found) == sorted(expected)
    for content in (found, expected):
        for arm in content["arms"]:
            arm["seconds"] = arm["memory_mb"] = 0
    whole_of = json.loads(json.dumps(expected))
    assert {name: found[name] for name in COUNTED} == {name: whole_of[name] for name in COUNTED}
    left = [path.name for path in (workspace.root / "synergy").glob("*/*/*")]
    assert left == ["arms.safetensors"] * 2, "voices of finished seeds are not kept"


def test_the_command_shows_the_table_and_says_what_follows(
    whole: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "kgsync.toml"
    config.write_text(TOML, encoding="utf-8")
    asked = ["report", "--synergy", "--seeds", "2", "--workspace", str(whole.root), "--config", str(config)]
    code, out, _ = run(asked, capsys)
    assert code == 0
    for words in ("two seeds", "exchange over", "MRR, few edges", "2 seeds", "`voices.rounds = "):
        assert words in out
    assert run([*asked[:2], whole.run().id, *asked[2:]], capsys)[:2] == (0, out), "the same by the run"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--seeds", "2"], "belong to --synergy"),
        (["--json"], "belong to --synergy"),
        (["--synergy", "--card"], "leave out --out and --card"),
        (["--synergy", "--keep", "2"], "is no share"),
        (["--synergy"], "there is no snapshot"),
    ],
)
def test_what_does_not_fit_is_refused(
    options: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(["report", "--workspace", str(tmp_path / "ws"), *options], capsys)
    assert code != 0
    assert complaint in err


def test_the_report_shows_the_comparison_where_there_is_one(whole: Workspace) -> None:
    dossier = Dossier.read(whole)
    text = page(dossier)
    done = the_one(whole)
    first = done.verdict()[0]
    section = text[text.index('<section id="synergy">') : text.index('<section id="scores">')]
    assert first.split("`")[0] in section
    assert section.count("(decides)") == sum(gain.primary for gain in done.gains)
    assert section.count("<svg") == 2
    for arm in done.arms:
        assert f"{arm.mrr.value:.4f}" in section
    assert 'href="#synergy"' in text
    assert "#synergy" not in page(replace(dossier, compared=()))
    both = page(replace(dossier, compared=(done, replace(done, keep=0.3))))
    assert "With all known edges" in both
    assert "With 30% of the known edges" in both


@pytest.mark.slow
def test_a_graph_with_names_has_all_arms(tmp_path: Path) -> None:
    """Embeddings, rules and texts, so that two can agree, and an encoder that learns; within a budget."""
    steps = {"NEXT": (1, 2, 5), "OPPOSITE": (120,)}
    edges = [
        (f"town {i}", name, f"town {(i + s) % 240}") for name, each in steps.items() for i in range(240) for s in each
    ]
    config = Config(train=SMALL, voices=VoicesConfig(tune_encoder=True))
    told: list[str] = []
    done = compare_snapshot(graph(edges), config, tmp_path, seeds=1, budget=60.0, told=told.append)
    alone = ["complex", "rules", "text"]
    assert [arm.name for arm in done.arms] == [*alone, MIX, FUSED, TWO_SEEDS, EXCHANGE, AGREED, SHAM, LM]
    assert (done.left_out, done.budget) == ({}, 60.0)
    assert told[0] == "embeddings, rules, text: at most 12 trainings for each of 1 seeds"
    assert len(told) == 13
    assert [each.arm for each in done.taught[0]][-1] == LM
