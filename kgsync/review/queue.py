"""The queue: which predicted edge a reviewer sees next. Reads ids in pages of bounded size, never all edges.

Waiting edges come in the order in which a look at them helps most (`kgsync.review.worth`), and the order is made
anew every `AGAIN` decisions, with what they taught. Every twentieth edge is one of the audit: a slice of all ids,
which are hashes and so a random choice, taken in the order of the ids and never for its score. The base rate can be
estimated from it alone. So an edge of the slice comes up by chance only, unless a filter asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from kgsync.config import LabelConfig
from kgsync.graph import ends, statements
from kgsync.graph.connection import Connection
from kgsync.graph.review import SLICE, Filter, Proposal, filter_parameters, proposal
from kgsync.review import worth

Order = Literal["worth", "score", "doubt"]
ORDERS: tuple[Order, ...] = ("worth", "score", "doubt")
WAITING = ("proposed",)
WINDOW = 100  # edges that are known to come next
_FEW = 10
AGAIN = 20  # decisions until the order is made anew
EVERY = 20  # of so many looks one is for the audit


@dataclass(frozen=True)
class Item:
    """An edge that waits; `audit` says that it came up by chance."""

    id: str
    audit: bool = False


@dataclass(frozen=True)
class Audit:
    """What the random audit has found so far."""

    decided: int
    accepted: int
    promised: float  # by the scores


class Queue:
    """What waits for one reviewer under one filter."""

    def __init__(self, connection: Connection, which: Filter, order: Order = "worth") -> None:
        self.which = which
        self.order: Order = order
        self._connection = connection
        self._items: list[Item] = []
        self._skipped: dict[str, None] = {}
        self._looks = 0  # decisions and skips, which place the audit
        self._passed = 0  # edges before the window, that the reviewer has leafed through
        self._stale = True

    @property
    def mixes(self) -> bool:
        """Say whether the audit is mixed in: a filter would make it a choice."""
        return self.which == Filter(statuses=WAITING)

    def items(self) -> list[Item]:
        """Return what comes next, at most `WINDOW` edges."""
        if self._stale:
            self._items = self._read()
            self._stale = False
        return self._items

    def few(self, start: str | None) -> list[Item]:
        """Return the edge `start` and some after it, the first ones if that is not in the queue."""
        items = self.items()
        place = next((i for i, item in enumerate(items) if item.id == start), 0)
        return items[place : place + _FEW]

    def next_of(self, id_: str) -> Item | None:
        """Return the edge after `id_`, the first if that is not in the queue, None if there is no other."""
        items = self.items()
        place = next((i + 1 for i, item in enumerate(items) if item.id == id_), 0)
        after = items[place:] or items[:1]
        return after[0] if after and after[0].id != id_ else None

    def before(self, id_: str) -> Item | None:
        """Return the edge before `id_`, if there is one."""
        items = self.items()
        place = next((i for i, item in enumerate(items) if item.id == id_), 0)
        return items[place - 1] if place else None

    @property
    def passed(self) -> int:
        """Return how many edges stand before those of `items`."""
        return self._passed

    def leaf(self, pages: int) -> None:
        """Go to a later window, or back."""
        self._passed = max(0, self._passed + pages * WINDOW)
        self._stale = True

    def is_audit(self, id_: str) -> bool:
        """Say whether `id_` came up by chance."""
        return any(item.id == id_ and item.audit for item in self._items)

    def decided(self, id_: str) -> None:
        """Take an edge out that somebody has decided."""
        self._out(id_)

    def skip(self, id_: str) -> None:
        """Leave an edge out until the next start."""
        self._skipped[id_] = None
        self._out(id_)

    def again(self, id_: str | None = None) -> None:
        """Read anew, because the graph has changed otherwise; `id_` is not skipped any more."""
        self._skipped.pop(id_ or "", None)
        self._stale = True

    def _out(self, id_: str) -> None:
        self._items = [item for item in self._items if item.id != id_]
        self._looks += 1
        self._stale = self._stale or self._looks % AGAIN == 0 or len(self._items) < AGAIN

    def _read(self) -> list[Item]:
        beliefs = learned(self._connection)
        rows = self._connection.read(
            statements.load("review/desk/queue").text,
            **filter_parameters(self.which),
            order=self.order,
            first=SLICE if self.mixes else "",
            last=None,
            skipped=list(self._skipped),
            overall=beliefs.overall,
            shifts=dict(beliefs.shifts),
            doubt=worth.DOUBT,
            reach=worth.REACH,
            passed=self._passed,
            limit=WINDOW,
        )
        by_chance = self._by_chance() if self.mixes and not self._passed else []
        return mixed([row["id"] for row in rows], by_chance, self._looks)

    def _by_chance(self) -> list[str]:
        rows = self._connection.read(
            statements.load("review/desk/chance").text, last=SLICE, skipped=list(self._skipped), limit=WINDOW
        )
        return [row["id"] for row in rows]


def mixed(best: Sequence[str], by_chance: Sequence[str], looks: int) -> list[Item]:
    """Return the best edges with one by chance at every twentieth look; `looks` were had before."""
    items: list[Item] = []
    best, by_chance = list(best), list(by_chance)
    while (best or by_chance) and len(items) < WINDOW:
        turn = (looks + len(items)) % EVERY == EVERY - 1
        if by_chance and (turn or not best):
            items.append(Item(by_chance.pop(0), audit=True))
        else:
            items.append(Item(best.pop(0)))
    return items


def learned(connection: Connection) -> worth.Beliefs:
    """Return what the decisions in the graph say about the scores."""
    rows = connection.read(statements.load("review/desk/learned").text)
    return worth.learn(worth.Decided(**row) for row in rows if row["relation"])


def audit(connection: Connection) -> Audit:
    """Return what the random audit has found so far."""
    return Audit(**connection.read(statements.load("review/desk/audit").text, last=SLICE)[0])


def rows(connection: Connection, ids: Sequence[str], labels: Mapping[str, LabelConfig]) -> list[Proposal]:
    """Return these edges as they stand in the graph now, in this order; those that are gone are left out."""
    found = connection.read(statements.load("review/desk/rows").text, ids=list(ids), names=ends.parameter(labels))
    return [proposal(row) for row in found]
