"""The drawings of a report: places of lines, dots and words, which the page turns into SVG.

All are as wide as the screen of a telephone, so that their words stay as large as the rest. Colour never stands alone:
what it tells apart also differs in form, and the description says in words what is to be seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from kgsync.kge.checkpoint import Epoch
from kgsync.plan import PlannedEdge
from kgsync.reliability import Reliability
from kgsync.report.intervals import wilson
from kgsync.report.quality import RelationQuality, VoiceQuality
from kgsync.synergy.result import Gain, Synergy

WIDTH = 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 44.0, 348.0, 12.0, 36.0  # of the area that is drawn on; the last from below
_ROW = 30  # of a row of intervals
_BARS = 20  # of a histogram


@dataclass(frozen=True)
class Text:
    """Words. `anchor` is SVG's text-anchor."""

    x: float
    y: float
    text: str
    anchor: str = "middle"
    kind: str = ""


@dataclass(frozen=True)
class Line:
    """A line of the class `kind`: axis, grid, value, other, ideal or range."""

    x1: float
    y1: float
    x2: float
    y2: float
    kind: str


@dataclass(frozen=True)
class Dot:
    """A dot with the words that a pointer over it shows; `kind` value is full, other is hollow."""

    x: float
    y: float
    kind: str
    says: str = ""


@dataclass(frozen=True)
class Bar:
    """A bar with the words that a pointer over it shows."""

    x: float
    y: float
    width: float
    height: float
    says: str = ""


@dataclass(frozen=True)
class Chart:
    """A drawing with a title, and a description for those who cannot see it."""

    title: str
    description: str
    height: float
    lines: tuple[Line, ...] = ()
    texts: tuple[Text, ...] = ()
    dots: tuple[Dot, ...] = ()
    bars: tuple[Bar, ...] = ()
    width: float = WIDTH


@dataclass(frozen=True)
class _Axis:
    """Turns values from `low` to `high` into places from `first` to `last`."""

    low: float
    high: float
    first: float
    last: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return round(self.first + share * (self.last - self.first), 1)

    def ticks(self, most: int = 5) -> list[float]:
        """Return round values inside, `most` at most."""
        span = self.high - self.low
        if span <= 0:
            return [self.low]
        step = 10.0 ** math.floor(math.log10(span / most))
        step *= next(times for times in (1, 2, 5, 10, 20) if span / (step * times) <= most)
        first = math.ceil(self.low / step - 1e-9)
        return [round(number * step, 10) for number in range(first, math.floor(self.high / step + 1e-9) + 1)]


def curve(title: str, history: Sequence[Epoch], best: int | None, value: Callable[[Epoch], float | None]) -> Chart:
    """Return how `value` moved over the epochs; the one that was kept, if it is known, is marked."""
    found = [(epoch.epoch, value(epoch)) for epoch in history]
    points = [(number, height) for number, height in found if height is not None]
    numbers, heights = [number for number, _ in points], [height for _, height in points]
    x = _Axis(min(numbers), max(numbers), _LEFT, _RIGHT)
    y = _Axis(min(0.0, *heights), max(heights) * 1.08, 200 - _BOTTOM, _TOP)
    lines, texts = _frame(x, y, 200, "epoch")
    places = [(x(number), y(height)) for number, height in points]
    lines += [Line(*start, *end, "value") for start, end in pairwise(places)]
    dots = [Dot(x(n), y(h), "value", f"epoch {n}: {h:.3f}") for n, h in points] if len(points) <= 30 else []
    end = f"It goes from {heights[0]:.3f} in epoch {numbers[0]} to {heights[-1]:.3f} in epoch {numbers[-1]}."
    kept = [(n, h) for n, h in points if n == best]
    for number, height in kept:
        lines.append(Line(x(number), y.last, x(number), y.first, "ideal"))
        dots.append(Dot(x(number), y(height), "other", f"kept: epoch {number}: {height:.3f}"))
        anchor = "end" if x(number) > (_LEFT + _RIGHT) / 2 else "start"
        texts.append(Text(x(number) + (-7 if anchor == "end" else 7), y(height) + 20, f"kept: {height:.3f}", anchor))
        end += f" Epoch {number} with {height:.3f} is kept."
    return Chart(title, end, 200, tuple(lines), tuple(texts), tuple(dots))


def voices(rows: Sequence[VoiceQuality]) -> Chart:
    """Return the MRR of every voice with its interval."""
    height = len(rows) * _ROW + 44.0
    x = _Axis(0.0, min(1.0, max(row.mrr.high for row in rows) * 1.05), 96.0, 308.0)
    lines, texts = _grid(x, height, "MRR on hidden edges")
    dots: list[Dot] = []
    for place, row in enumerate(rows):
        y = place * _ROW + 20.0
        kind = "value" if row.name == "fused" else "other"
        says = f"{row.name}: {row.mrr.value:.3f} ({row.mrr.low:.3f} to {row.mrr.high:.3f})"
        lines.append(Line(x(row.mrr.low), y, x(row.mrr.high), y, f"range {kind}"))
        dots.append(Dot(x(row.mrr.value), y, kind, says))
        texts += [Text(88, y + 4, row.name, "end"), Text(314, y + 4, f"{row.mrr.value:.3f}", "start", "number")]
    described = "; ".join(dot.says for dot in dots)
    return Chart("Each voice alone, and together", described, height, tuple(lines), tuple(texts), tuple(dots))


def arms(compared: Synergy) -> Chart:
    """Return the MRR of every arm of a comparison with its interval; the axis begins where something is."""
    height = len(compared.arms) * _ROW + 44.0
    low, high = min(arm.mrr.low for arm in compared.arms), max(arm.mrr.high for arm in compared.arms)
    room = 0.04 * (high - low)
    x = _Axis(max(0.0, low - room), min(1.0, high + room), 96.0, 308.0)
    lines, texts = _grid(x, height, "MRR on hidden edges")
    dots: list[Dot] = []
    for place, arm in enumerate(compared.arms):
        y, kind = place * _ROW + 20.0, "other" if arm.name in compared.alone else "value"
        says = f"{arm.name}: {arm.mrr.value:.4f} ({arm.mrr.low:.4f} to {arm.mrr.high:.4f})"
        lines.append(Line(x(arm.mrr.low), y, x(arm.mrr.high), y, f"range {kind}"))
        dots.append(Dot(x(arm.mrr.value), y, kind, says))
        texts += [Text(88, y + 4, arm.name, "end"), Text(314, y + 4, f"{arm.mrr.value:.3f}", "start", "number")]
    described = "; ".join(dot.says for dot in dots)
    return Chart("Alone, together, and taught", described, height, tuple(lines), tuple(texts), tuple(dots))


def gains(compared: Synergy) -> Chart:
    """Return by how much arms are above others, over all answers, with intervals around or beside 0."""
    rows = [gain for gain in compared.gains if not gain.rare]
    height = len(rows) * _ROW + 44.0
    low, high = min(0.0, *(row.delta.low for row in rows)), max(0.0, *(row.delta.high for row in rows))
    room = 0.04 * ((high - low) or 0.01)
    x = _Axis(low - room, high + room, 158.0, _RIGHT)
    lines, texts = _grid(x, height, "gain in MRR")
    lines.append(Line(x(0), 6, x(0), height - 36, "ideal"))
    dots: list[Dot] = []
    for place, row in enumerate(rows):
        y, kind = place * _ROW + 20.0, "value" if row.primary else "other"
        lines.append(Line(x(row.delta.low), y, x(row.delta.high), y, f"range {kind}"))
        dots.append(Dot(x(row.delta.value), y, kind, f"{_versus(row)}: {row.told()}"))
        texts.append(Text(150, y + 4, _versus(row), "end"))
    described = "; ".join(dot.says for dot in dots) + ". What lies on the dashed line gains nothing."
    return Chart("What one gains over another", described, height, tuple(lines), tuple(texts), tuple(dots))


def _versus(gain: Gain) -> str:
    return f"{gain.ours} − {gain.theirs}"


def reliability(judged: Reliability) -> Chart:
    """Return what scores promised against what came true; the vertical lines are 95 % intervals."""
    height = 330.0
    ranges = [wilson(part.true, part.trials or part.candidates) for part in judged.bins]
    end = min(1.0, 1.05 * max(max(at.high, part.score) for at, part in zip(ranges, judged.bins, strict=True)))
    x, y = _Axis(0.0, end, _LEFT, _RIGHT), _Axis(0.0, end, height - _BOTTOM, _TOP)
    lines, texts = _frame(x, y, height, "score: what was promised")
    lines.append(Line(x(0), y(0), x(end), y(end), "ideal"))
    texts.append(Text(_LEFT + 8, _TOP + 12, "share that were hidden edges", "start"))
    dots: list[Dot] = []
    for at, part in zip(ranges, judged.bins, strict=True):
        says = f"{part.candidates:,.0f} candidates of score {part.score:.2f}: {part.true:.2f} were hidden edges"
        lines.append(Line(x(part.score), y(at.low), x(part.score), y(at.high), "range value"))
        dots.append(Dot(x(part.score), y(part.true), "value", says))
    described = "; ".join(dot.says for dot in dots) + ". On the dashed line every score keeps its promise."
    return Chart("Promised and kept", described, height, tuple(lines), tuple(texts), tuple(dots))


def scores(edges: Sequence[PlannedEdge]) -> Chart:
    """Return how many proposals have which score."""
    counts, bounds = np.histogram([edge.score for edge in edges], bins=_BARS, range=(0.0, 1.0))
    x, y = _Axis(0.0, 1.0, _LEFT, _RIGHT), _Axis(0.0, max(1.0, float(counts.max()) * 1.05), 200 - _BOTTOM, _TOP)
    lines, texts = _frame(x, y, 200, "score", whole=True)
    bars = tuple(
        Bar(x(low) + 1, y(count), x(high) - x(low) - 2, y(0) - y(count), f"{count:,} from {low:.2f} to {high:.2f}")
        for count, (low, high) in zip(counts.tolist(), pairwise(bounds.tolist()), strict=True)
        if count
    )
    described = "; ".join(bar.says for bar in bars)
    return Chart("Proposals by score", described, 200, tuple(lines), tuple(texts), bars=bars)


def hits(row: RelationQuality) -> Chart | None:
    """Return one interval from 0 to 1, for a row of a table."""
    if row.hits is None:
        return None
    x = _Axis(0.0, 1.0, 4.0, 96.0)
    says = f"{row.hits.value:.2f} ({row.hits.low:.2f} to {row.hits.high:.2f})"
    lines = (Line(4, 8, 96, 8, "grid"), Line(x(row.hits.low), 8, x(row.hits.high), 8, "range value"))
    return Chart(f"{row.relation}: {says}", "", 16, lines, dots=(Dot(x(row.hits.value), 8, "value"),), width=100)


def _frame(x: _Axis, y: _Axis, height: float, below: str, *, whole: bool = False) -> tuple[list[Line], list[Text]]:
    """Return axes with round values on both sides, and what the lower one shows."""
    heights = [tick for tick in y.ticks() if not whole or tick == int(tick)]
    lines = [Line(x.first, y(tick), x.last, y(tick), "grid") for tick in heights]
    lines.append(Line(x.first, y.first, x.last, y.first, "axis"))
    texts = [Text(x.first - 6, y(tick) + 4, f"{tick:,g}", "end") for tick in heights]
    texts += [Text(x(tick), height - 20, f"{tick:,g}") for tick in x.ticks()]
    return lines, [*texts, Text((x.first + x.last) / 2, height - 4, below)]


def _grid(x: _Axis, height: float, below: str) -> tuple[list[Line], list[Text]]:
    """Return vertical lines at round values."""
    lines = [Line(x(tick), 6, x(tick), height - 36, "grid") for tick in x.ticks(4)]
    texts = [Text(x(tick), height - 20, f"{tick:g}") for tick in x.ticks(4)]
    return lines, [*texts, Text((x.first + x.last) / 2, height - 4, below)]
