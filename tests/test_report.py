"""The report of a run: it says what the files say and how sure that is, and no name of the graph says more in it.

One small model is trained for all of them, on UMLS with names that try to break out of the page.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from example_graphs import QUICK, benchmark, graph
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import sync_playwright

from kgsync import reliability
from kgsync.checks import Severity
from kgsync.cli import main
from kgsync.config import Config, ConnectionConfig, ValidateConfig, VoicesConfig
from kgsync.cotrain import Lesson
from kgsync.errors import DataError, NotFoundError
from kgsync.graph.ends import End
from kgsync.graph.write import WriteReport
from kgsync.learn import train
from kgsync.logbook import MIX
from kgsync.model import Model
from kgsync.report import charts, kept, quality, repeat
from kgsync.report.charts import _Axis
from kgsync.report.dossier import Dossier
from kgsync.report.intervals import bootstrap, pairs_of, wilson
from kgsync.report.page import card, page
from kgsync.runs import Run, Workspace
from kgsync.validate import CheckResult, Finding, ValidationReport

NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "</style><script>alert(1)</script>",
    "{{ 7 * 7 }}{% raw %}",
    "\u202eright to left",
    "null\x00and bell\x07",
    "]]><svg onload=alert(1)>",
    "a|b `code` **bold**",
    "\ud7ff\ue000 long " + "x" * 300,
]
NASTY_RELATION = "~<img src=x onerror=alert(1)>"
PASSWORD = "s3cret-word"
SMALL = replace(QUICK, rank=16, epochs=4)


@pytest.fixture(scope="module")
def model() -> Model:
    snapshot = benchmark("umls")
    names = [f"{NASTY[row % len(NASTY)]} {row}" for row in range(snapshot.entities.num_rows)]
    column = snapshot.entities.schema.get_field_index("name")
    entities = snapshot.entities.set_column(column, "name", pa.array(names, pa.string()))
    relations = (*snapshot.relations[:-1], NASTY_RELATION)
    renamed = replace(snapshot, entities=entities, relations=relations)
    return train(renamed, config=SMALL, voices=VoicesConfig(text=False, rounds=0))


@pytest.fixture(scope="module")
def whole(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with one run of which everything is there."""
    workspace = Workspace(tmp_path_factory.mktemp("report") / "ws")
    model.snapshot.save(workspace.snapshots)
    model.save(workspace.models)
    uri = f"bolt://neo4j:{PASSWORD}@127.0.0.1:7687"
    run = workspace.new_run(
        Config(train=SMALL, connection=ConnectionConfig(uri=uri), validate=ValidateConfig(folder=uri))
    )
    run.note("pull", snapshot=model.snapshot.id)
    run.note("train", model=model.id)
    plan = model.predict(top_k=10, min_score=0.0)
    plan.save(run.plan_folder)
    run.note("predict", plan=plan.id, edges=len(plan))
    run.describe(selection={"labels": [], "relations": ["a b"], "cypher": "", "seeds": [], "hops": 1})
    kept.keep_write(run, written(run, created=len(plan)))
    kept.keep_validation(run, checked())
    return workspace


@pytest.fixture(scope="module")
def text(whole: Workspace) -> str:
    """The page of that run."""
    return page(Dossier.read(whole))


def written(run: Run, created: int) -> WriteReport:
    return WriteReport(run.id, "plan", True, created, 3, 0, 0, 1, 0, 0, 0, ())


def checked() -> ValidationReport:
    finding = Finding("id", End("Thing", "k", NASTY[0]), "R", None, NASTY[1], End("Thing", 7, ""), 0.5)

    def check(name: str, severity: Severity, rows: tuple[Finding, ...] = ()) -> CheckResult:
        return CheckResult(name, severity, "why so", len(rows), rows, "q", "c")

    return ValidationReport((check("quiet", "error"), check("loud", "warning", (finding,) * 9)), 4, 1)


def copy_of(workspace: Workspace, to: Path) -> Workspace:
    shutil.copytree(workspace.root, to)
    return Workspace(to)


class Tags(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.styles: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in ("meta", "wbr"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.styles.append(data)


def test_the_page_is_well_formed_and_no_name_becomes_markup(text: str) -> None:
    seen = Tags(text)
    assert not seen.open
    assert not {"script", "img", "iframe", "link", "object", "form"} & set(seen.tags)
    assert not [name for name, _ in seen.attributes if name.startswith("on") or name == "style"]
    assert all(value.startswith("#") for name, value in seen.attributes if name in ("href", "src"))


def test_the_page_forbids_scripts_and_every_style_but_its_own(text: str) -> None:
    seen = Tags(text)
    (policy,) = [value for name, value in seen.attributes if value.startswith("default-src")]
    digest = base64.b64encode(hashlib.sha256("".join(seen.styles).encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")


def test_controls_and_marks_that_turn_the_writing_are_replaced(whole: Workspace, text: str) -> None:
    assert not {c for c in text + card(Dossier.read(whole)) if c in "\u202e\x00\x07"}


def test_no_password_reaches_the_report(whole: Workspace, text: str) -> None:
    dossier = Dossier.read(whole)
    assert str(dossier.state["config"]).count(PASSWORD) == 2, "the run keeps the address as it was given"
    assert PASSWORD not in text + card(dossier)


def test_the_page_says_what_the_run_did(whole: Workspace, model: Model, text: str) -> None:
    dossier = Dossier.read(whole)
    assert dossier.plan is not None
    assert f"{len(model.snapshot.triples):,} facts of {len(model.snapshot.relations)} kinds" in text
    assert f"{len(dossier.plan):,} proposals were added" in text
    surest = max(dossier.plan.edges, key=lambda edge: edge.score)
    assert f'<div class="score">{surest.score:.3f}<' in text, "two digits would call 0.995 certain"
    assert "loud" in text
    assert "and 4 more" in text, "5 of 9 findings are kept"
    assert "1 checks that found nothing" in text
    assert f"{model.metrics.hits_at_10:.3f}" in text
    for file in ("model.safetensors", "plan.parquet", "entities.parquet"):
        assert file in text


def test_the_card_says_what_the_model_is_worth_by_part(whole: Workspace, model: Model) -> None:
    measured = model.metrics.test
    assert measured is not None
    lines = card(Dossier.read(whole)).splitlines()
    index = f"{measured.adjusted_mean_rank_index:.3f}"
    assert f"| adjusted mean rank index (1 is perfect, 0 is chance) | {index} |" in lines
    parts = {line.split(" | ")[0]: line for line in lines}
    for name, part in (
        ("heads asked", measured.sides["head"]),
        ("relations N-N", measured.slices["cardinality"]["N-N"]),
    ):
        assert f"{part.mrr:.3f} | {part.hits_at_10:.3f} |" in parts[f"| {name}"]


def test_reasons_are_facts_of_the_snapshot(whole: Workspace) -> None:
    from kgsync.report.reasons import reasoned

    dossier = Dossier.read(whole)
    assert dossier.plan is not None
    assert dossier.snapshot is not None
    assert dossier.learned is not None
    snapshot = dossier.snapshot
    names = [snapshot.display_name(row) for row in range(snapshot.entities.num_rows)]
    known = {(names[h], snapshot.relations[r], names[t]) for h, r, t in snapshot.triples.tolist()}
    rows = reasoned(dossier.plan.best(20), snapshot, dossier.learned.rules)
    reasons = [reason for row in rows for reason in row.reasons]
    assert reasons
    assert all(fact in known for reason in reasons for fact in reason.facts)
    assert all(0 < reason.support <= reason.body for reason in reasons)


def test_voices_are_compared_on_the_same_edges(model: Model) -> None:
    assert model.logbook is not None
    rows = {row.name: row for row in quality.voices(model.logbook)}
    assert set(rows) == {"complex", "rules", MIX, "fused"}
    assert rows["fused"].mrr.value == pytest.approx(model.metrics.mrr)
    assert rows["fused"].lead is None
    for voice, mrr in model.metrics.voices.items():
        lead = rows[voice].lead
        assert rows[voice].mrr.value == pytest.approx(mrr)
        assert lead is not None
        assert lead.low <= lead.value <= lead.high
        assert lead.value == pytest.approx(model.metrics.mrr - mrr)


def test_the_logbook_comes_back_and_is_no_part_of_the_id(whole: Workspace, model: Model) -> None:
    back = Model.load(whole.model(model.id), model.snapshot)
    assert back.logbook is not None
    assert model.logbook is not None
    assert back.logbook.history == model.logbook.history
    assert back.logbook.stopped == model.logbook.stopped
    assert list(back.logbook.lessons) == list(model.logbook.lessons)
    assert (back.logbook.test == model.logbook.test).all()
    assert all((back.logbook.ranks[name] == ranks).all() for name, ranks in model.logbook.ranks.items())
    assert replace(model, logbook=None).id == model.id


def test_a_model_without_embeddings_is_reported(tmp_path: Path) -> None:
    small = train(benchmark("umls"), voices=VoicesConfig(embeddings=False, text=False))
    workspace = Workspace(tmp_path / "ws")
    small.save(workspace.models)
    workspace.new_run(Config()).note("train", model=small.id)
    dossier = Dossier.read(workspace)
    assert "(rules)" in page(dossier)
    assert "- Voices: rules" in card(dossier)


def test_the_page_says_which_lessons_were_kept(model: Model, tmp_path: Path) -> None:
    assert model.logbook is not None
    lessons = Lesson(1, "complex", 70, 0.5, 0.6, 0.9, 1.0), Lesson(1, "rules", 80, 0.5, 0.4, 0.9, 1.0)
    workspace = Workspace(tmp_path / "ws")
    replace(model, logbook=replace(model.logbook, lessons=lessons)).save(workspace.models)
    workspace.new_run(Config()).note("train", model=model.id)
    text = page(Dossier.read(workspace))
    table = text[text.index("What the voices taught each other") :]
    assert table.index("kept</td>") < table.index("dropped</td>")


def test_a_model_without_a_logbook_is_reported_without_curves(model: Model, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "ws")
    model.snapshot.save(workspace.snapshots)
    replace(model, logbook=None).save(workspace.models)
    workspace.new_run(Config()).note("train", model=model.id)
    text = page(Dossier.read(workspace))
    assert "before kgsync kept what each voice answered" in text
    assert "before kgsync kept the course of a training" in text
    assert "The run has no plan" in text


def test_what_is_gone_from_the_workspace_is_left_out_with_a_sentence(whole: Workspace, tmp_path: Path) -> None:
    workspace = copy_of(whole, tmp_path / "ws")
    shutil.rmtree(workspace.models)
    shutil.rmtree(workspace.snapshots)
    (workspace.run().folder / kept.VALIDATION).unlink()
    dossier = Dossier.read(workspace)
    text = page(dossier)
    for sentence in ("The model is not in the workspace", "The snapshot is not in the workspace", "No checks have run"):
        assert sentence in text
    assert "not in the workspace any more" in card(dossier)


def test_a_damaged_plan_is_refused(whole: Workspace, tmp_path: Path) -> None:
    workspace = copy_of(whole, tmp_path / "ws")
    (workspace.run().plan_folder / "plan.parquet").write_bytes(b"nothing")
    with pytest.raises(DataError, match="damaged"):
        Dossier.read(workspace)


def test_a_model_that_gives_no_scores_says_why(tmp_path: Path) -> None:
    ring = graph([(f"e{i}", "NEXT", f"e{(i + step) % 30}") for i in range(30) for step in (1, 2, 5)])
    small = train(ring, config=replace(QUICK, rank=8, epochs=3), voices=VoicesConfig(rules=False, text=False))
    workspace = Workspace(tmp_path / "ws")
    ring.save(workspace.snapshots)
    small.save(workspace.models)
    workspace.new_run(Config()).note("train", model=small.id)
    text = page(Dossier.read(workspace))
    assert "The model gives no scores: only" in text
    assert "One voice speaks alone (embeddings (complex))" in text


def test_findings_and_counts_are_kept_as_they_were(whole: Workspace) -> None:
    run = whole.run()
    found, counts = kept.found(run), kept.written(run)
    assert found is not None
    assert counts is not None
    assert [check.name for check in found.checks] == ["quiet", "loud"]
    assert found.failing[0].rows[0] == f"{NASTY[0]} R 7: {NASTY[1]}"
    assert (counts["updated"], counts["unmatched"]) == (3, 1)


def test_writing_again_without_a_change_does_not_replace_the_first_note(whole: Workspace, tmp_path: Path) -> None:
    run = copy_of(whole, tmp_path / "ws").run()
    before = kept.written(run)
    kept.keep_write(run, replace(written(run, created=0), updated=0, unchanged=9))
    assert kept.written(run) == before


def test_the_commands_and_settings_do_it_again(whole: Workspace) -> None:
    dossier = Dossier.read(whole)
    assert repeat.commands(dossier) == ["kgsync sync --fresh --relation 'a b' --yes"]
    path = dossier.run.folder / "again.toml"
    path.write_text(repeat.settings(dossier), encoding="utf-8")
    assert replace(Config.load(path), validate=ValidateConfig()) == Config(train=SMALL)
    assert repeat.seeds(dossier) == {"split.seed": 0, "train.seed": SMALL.seed}
    assert repeat.versions(dossier)["torch"]


def test_the_command_writes_the_page_and_the_card(
    whole: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, name, beginning in (([], "a.html", "<!doctype html>"), (["--card"], "a.md", "# Model card: fused-")):
        out = tmp_path / name
        with pytest.raises(SystemExit) as ended:
            main(["report", "--workspace", str(whole.root), "--out", str(out), *arguments])
        assert ended.value.code == 0
        assert out.read_text(encoding="utf-8").startswith(beginning)
        assert str(out) in capsys.readouterr().out
    with pytest.raises(NotFoundError, match="no run 'nothing'"):
        Dossier.read(whole, "nothing")


def test_no_row_of_a_table_in_the_card_is_broken_by_a_name(whole: Workspace) -> None:
    lines = card(Dossier.read(whole)).splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith("| relation |"))
    rows = lines[begin : lines.index("", begin)]
    assert len(rows) == 2 + len(benchmark("umls").relations)
    assert {row.replace("\\|", "").count("|") for row in rows} == {6}


def test_wilson_is_as_in_the_tables() -> None:
    found = wilson(0.8, 10)
    assert (found.low, found.high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))


@given(st.integers(1, 500), st.data())
def test_a_share_lies_in_its_interval_which_more_trials_narrow(trials: int, data: st.DataObject) -> None:
    share = data.draw(st.integers(0, trials)) / trials
    few, many = wilson(share, trials), wilson(share, 10 * trials)
    assert 0 <= few.low <= share <= few.high <= 1
    assert many.high - many.low < few.high - few.low


def test_candidates_that_stand_for_several_tell_less_than_as_many_of_their_own(model: Model) -> None:
    score, true = np.linspace(0.9, 0.1, 40), np.arange(40, dtype=np.float64) % 2
    equal = reliability._bin(score, true, np.ones(40), slice(0, 40))
    assert (equal.candidates, equal.trials) == (40, None)
    heavy = reliability._bin(score, true, np.repeat([4.0, 1.0], 20), slice(0, 40))
    assert heavy.candidates == 100
    assert heavy.trials == pytest.approx(100**2 / (20 * 16 + 20))
    judged = model.metrics.reliability
    assert judged is not None

    def height(part: reliability.Bin) -> float:
        (line,) = (
            line for line in charts.reliability(replace(judged, bins=(part,))).lines if line.kind == "range value"
        )
        return line.y1 - line.y2

    assert height(heavy) > 1.5 * height(replace(heavy, trials=None))
    again = replace(judged, bins=(heavy, equal))
    assert reliability.Reliability.from_dict(again.to_dict()) == again


def test_a_pair_of_entities_counts_once_however_much_is_said_of_it() -> None:
    triples = np.array([(0, 0, 1), (1, 1, 0), (2, 0, 3), (3, 0, 2), (4, 0, 5)])
    assert pairs_of(triples).tolist() == [0, 0, 1, 1, 2]
    random = np.random.default_rng(0)
    values = np.repeat(random.random(50), 40)
    together, apart = bootstrap(values, np.repeat(np.arange(50), 40)), bootstrap(values, np.arange(2000))
    assert together.value == pytest.approx(apart.value)
    assert together.high - together.low > 4 * (apart.high - apart.low)


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_are_few_and_inside(low: float, span: float) -> None:
    axis = _Axis(low, low + span, 0.0, 100.0)
    ticks = axis.ticks()
    assert len(ticks) <= 6
    assert all(low - 0.01 * span <= tick <= low + 1.01 * span for tick in ticks)


@pytest.mark.browser
def test_a_browser_shows_it_on_every_screen_without_a_request(text: str, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(text, encoding="utf-8")
    problems: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for width in (390, 1440):
            tab = browser.new_page(viewport={"width": width, "height": 900})
            tab.on("console", lambda message: problems.append(message.text))
            tab.on("dialog", lambda dialog: problems.append(dialog.message))
            tab.on("request", lambda asked: problems.append(asked.url) if not asked.url.startswith("file:") else None)
            tab.goto(file.as_uri())
            assert tab.evaluate("document.documentElement.scrollWidth") <= width
            tab.get_by_role("link", name="Checks").click()
            assert tab.get_by_text("loud").is_visible()
            assert tab.get_by_role("img", name="Each voice alone, and together").is_visible()
        browser.close()
    assert not problems
