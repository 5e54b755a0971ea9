"""The drawing of a predicted edge among known facts: places of texts and lines, which the page turns into SVG.

The head stands left, the tail right, what connects them in between, what else is known of each outside. So the eye
finds a reason without searching, which a layout by forces does not promise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kgsync.graph.ends import End
from kgsync.review.look import Fact, Link, Look

WIDTH = 1040
_ROW = 44  # from one fact to the next
_MARGIN = 24
_HEAD, _MIDDLE, _TAIL = 320, 520, 720  # where the ends stand, and what connects them
_HALF = 78  # of the width of an end
_OUTSIDE = 196  # how wide the facts outside are
_LONGEST = 25  # characters of a name


@dataclass(frozen=True)
class Text:
    """A name or the relation over it. `anchor` is SVG's text-anchor."""

    x: float
    y: float
    text: str
    kind: str  # end, name, relation, predicted
    anchor: str = "middle"


@dataclass(frozen=True)
class Line:
    """A fact, drawn from where it starts to where it ends."""

    x1: float
    y1: float
    x2: float
    y2: float
    kind: str  # known, predicted


@dataclass(frozen=True)
class Drawing:
    """What is drawn, in a box of `width` and `height`."""

    width: int
    height: int
    texts: tuple[Text, ...]
    lines: tuple[Line, ...]


def draw(look: Look) -> Drawing:
    """Return the drawing of an edge."""
    between: list[Link | Fact] = [*(_direct(relation, out) for relation, out in look.direct), *look.links]
    rows = max(len(look.heads), len(look.tails), len(between) + 1, 3)
    height = rows * _ROW + _MARGIN
    y = height / 2  # of the predicted edge
    texts = [
        Text(_HEAD, y + 5, short(str(look.head), 18), "end"),
        Text(_TAIL, y + 5, short(str(look.tail), 18), "end"),
        Text(_MIDDLE, y - 8, short(look.relation, 24), "predicted"),
    ]
    lines = [Line(_HEAD + _HALF, y, _TAIL - _HALF, y, "predicted")]
    for place, link in enumerate(between):
        step = (place // 2 + 1) * (1 if place % 2 == 0 else -1)  # below, above, further below, …
        more = _between(link, y, y + step * _ROW, 1 if step > 0 else -1)
        texts += more[0]
        lines += more[1]
    for facts, edge, inner, anchor in (
        (look.heads, _OUTSIDE, _HEAD - _HALF, "end"),
        (look.tails, WIDTH - _OUTSIDE, _TAIL + _HALF, "start"),
    ):
        more = _outside(facts, edge, inner, y, anchor)
        texts += more[0]
        lines += more[1]
    return Drawing(WIDTH, int(height), tuple(texts), tuple(lines))


def _direct(relation: str, out: bool) -> Fact:
    return Fact(relation, out, End("", None, ""))


def _between(link: Link | Fact, y: float, at: float, side: int) -> tuple[list[Text], list[Line]]:
    """Draw a known fact between the ends, or two of them over an entity, in the row `at`."""
    near = y + side * 16
    if isinstance(link, Fact):
        bend = _line(_HEAD + 50, near, _TAIL - 50, near, link.out)
        return [Text(_MIDDLE, near + (14 if side > 0 else -20), short(link.relation, 24), "relation")], [bend]
    middle = Text(_MIDDLE, at + 5, short(str(link.of_head.other), 15), "name")
    texts = [
        middle,
        Text(_MIDDLE - 66, at + 4, short(link.of_head.relation, 16), "relation", "end"),
        Text(_MIDDLE + 66, at + 4, short(link.of_tail.relation, 16), "relation", "start"),
    ]
    lines = [
        _line(_HEAD + 30, near, _MIDDLE - 60, at - side * 9, link.of_head.out),
        _line(_TAIL - 30, near, _MIDDLE + 60, at - side * 9, link.of_tail.out),
    ]
    return texts, lines


def _outside(facts: Sequence[Fact], edge: float, inner: float, y: float, anchor: str) -> tuple[list[Text], list[Line]]:
    """Draw the facts of one end that do not lead to the other, as a fan."""
    texts: list[Text] = []
    lines: list[Line] = []
    gap = -6 if anchor == "end" else 6
    for place, fact in enumerate(facts):
        at = y + (place - (len(facts) - 1) / 2) * _ROW
        texts.append(Text(edge + gap, at - 4, short(fact.relation), "relation", anchor))
        texts.append(Text(edge + gap, at + 12, short(str(fact.other)), "name", anchor))
        lines.append(_line(inner, y + (at - y) * 0.12, edge, at, fact.out))
    return texts, lines


def _line(x1: float, y1: float, x2: float, y2: float, forward: bool) -> Line:
    return Line(x1, y1, x2, y2, "known") if forward else Line(x2, y2, x1, y1, "known")


def short(text: str, longest: int = _LONGEST) -> str:
    """Return a text that is no longer than fits."""
    return text if len(text) <= longest else text[: longest - 1] + "…"
