"""The report of a run as one HTML file, and the card of its model as Markdown. Neither needs a network to be read.

The page has no script and asks for nothing; its policy forbids both, and every word from the graph is escaped.
"""

from __future__ import annotations

import base64
import hashlib
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from kgsync import report
from kgsync.kge.checkpoint import Epoch
from kgsync.plan import Plan
from kgsync.report import charts, quality, repeat, story
from kgsync.report.dossier import Dossier, Learned
from kgsync.report.reasons import Reasoned, reasoned
from kgsync.report.text import part_rows
from kgsync.snapshot import Snapshot

_FOLDER = Path(__file__).parent / "templates"
BEST, DOUBTFUL = 20, 10  # proposals that are shown
PROBLEMS = 10
FEATURED = 60  # relations in the table of quality


def page(dossier: Dossier) -> str:
    """Return the whole report as HTML."""
    css = (_FOLDER / "report.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    return _environment().get_template("report.html").render(css=css, style_hash=digest, **_content(dossier))


def card(dossier: Dossier) -> str:
    """Return the card of the model as Markdown: what it is for, what it is worth, and what it is not for."""
    return _environment().get_template("card.md").render(**_content(dossier))


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=jinja2.select_autoescape(),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    environment.filters |= {
        "breaks": _breaks,
        "cell": report.cell,
        "count": lambda number: f"{number:,.0f}",
        "percent": lambda share: f"{share:.0%}",
        "three": _three,
    }
    return environment


def _printable(value: Any) -> Any:
    """Replace controls, and marks that turn the direction of writing, in what comes from the graph."""
    if type(value) is not str or value.isprintable():
        return value
    return "".join("\N{REPLACEMENT CHARACTER}" if _steers(c) else c for c in value)


def _steers(character: str) -> bool:
    turns = "\u202a" <= character <= "\u202e" or "\u2066" <= character <= "\u2069"
    return turns or (character != "\n" and unicodedata.category(character) in ("Cc", "Cs"))


def _breaks(name: str) -> Markup:
    """Return a name that a narrow screen may break after its underscores."""
    return Markup("_<wbr>").join(_printable(name).split("_"))


def _three(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _content(dossier: Dossier) -> dict[str, Any]:
    """Return what the templates tell."""
    plan, learned = dossier.plan, dossier.learned
    rules = learned.rules if learned else None
    return {
        "d": dossier,
        "state": dossier.state,
        "day": story.day(dossier),
        "story": story.story(dossier),
        "snapshot": dossier.snapshot,
        "pulled": report.pulled(dossier.snapshot) if dossier.snapshot else [],
        "labels": _labels(dossier.snapshot) if dossier.snapshot else [],
        "plan": plan,
        "base_rate": report.base_rate(dict(plan.model)) if plan and "baseRate" in plan.model else "",
        "proposed": _proposed(plan) if plan else [],
        "scores": charts.scores(plan.edges) if plan and plan.edges else None,
        "best": reasoned(plan.best(BEST), dossier.snapshot, rules) if plan else [],
        "doubtful": _doubtful(plan, dossier.snapshot, rules) if plan else [],
        "written": dossier.written,
        "problems": dossier.problems[:PROBLEMS],
        "findings": dossier.findings,
        "commands": repeat.commands(dossier),
        "settings": repeat.settings(dossier),
        "seeds": repeat.seeds(dossier),
        "versions": repeat.versions(dossier),
        "ids": repeat.ids(dossier),
        "hashes": repeat.hashes(dossier),
        "rank": plan.model.get("rank") if plan else None,
        "compared": [(each, charts.arms(each), charts.gains(each)) for each in dossier.compared],
        "learned": None,
        **(_of_model(learned) if learned else {}),
    }


def _of_model(learned: Learned) -> dict[str, Any]:
    metrics, logbook = learned.metrics, learned.logbook
    voices = quality.voices(logbook) if logbook else []
    relations = quality.relations(metrics)
    return {
        "learned": learned,
        "model": learned.content,
        "speaking": _speaking(learned),
        "metrics": metrics,
        "overall": quality.overall(metrics),
        "curves": _curves(learned),
        "stopped": logbook.stopped if logbook else "",
        "lessons": logbook.lessons if logbook else (),
        "relations": [(row, charts.hits(row)) for row in relations[:FEATURED]],
        "more_relations": len(relations[FEATURED:]),
        "voices": voices,
        "voices_chart": charts.voices(voices) if len(voices) > 1 else None,
        "parts": part_rows(metrics.test) if metrics.test else (),
        "judged": metrics.reliability,
        "reliability": charts.reliability(metrics.reliability) if metrics.reliability else None,
    }


def _speaking(learned: Learned) -> str:
    """Return the voices of the model in words."""
    content = learned.content
    own = [f"embeddings ({content['config']['model']})"] if content["voices"].get("embeddings", True) else []
    names = [*own, *content["speaking"]]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _curves(learned: Learned) -> list[charts.Chart]:
    """Return two drawings for every voice that learned in epochs."""
    if learned.logbook is None:
        return []
    drawn = []
    for voice, history in learned.logbook.history.items():
        measured = [epoch for epoch in history if epoch.valid_mrr is not None]
        if measured:
            best = max(measured, key=lambda epoch: epoch.valid_mrr or 0.0).epoch
            drawn.append(charts.curve(f"{voice}: MRR on edges kept for choosing", history, best, _mrr))
        if history:
            drawn.append(charts.curve(f"{voice}: loss", history, None, lambda epoch: epoch.loss))
    return drawn


def _mrr(epoch: Epoch) -> float | None:
    return epoch.valid_mrr


def _labels(snapshot: Snapshot) -> list[tuple[str, int]]:
    """Return how many entities have which configured label, the most frequent first."""
    counts = snapshot.entities["label"].value_counts().to_pylist()
    return sorted(((row["values"], row["counts"]) for row in counts), key=lambda row: (-row[1], row[0]))


def _proposed(plan: Plan) -> list[tuple[str, int, float]]:
    """Return (relation, proposals, how many are true by the scores), most proposals first."""
    scores: dict[str, list[float]] = {}
    for edge in plan.edges:
        scores.setdefault(edge.relation, []).append(edge.score)
    return sorted(((r, len(s), sum(s)) for r, s in scores.items()), key=lambda row: (-row[1], row[0]))


def _doubtful(plan: Plan, snapshot: Snapshot | None, rules: Any) -> Sequence[Reasoned]:
    """Return the lowest scores, without those that are among the best anyway."""
    shown = {edge.id for edge in plan.best(BEST)}
    left: Iterable[Any] = (edge for edge in plan.doubtful(DOUBTFUL) if edge.id not in shown)
    return reasoned(list(left), snapshot, rules)
