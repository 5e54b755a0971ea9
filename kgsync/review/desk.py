"""The desk of one reviewer: the queues that are open, what was decided here, and what to say about it.

Several reviewers each have a desk of their own, on one graph. A decision compares and sets, so what another has
decided meanwhile is told and stays.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from kgsync.config import LabelConfig
from kgsync.graph import review
from kgsync.graph.connection import Connection
from kgsync.graph.review import Action
from kgsync.review import bulk, queue
from kgsync.review.asked import Asked
from kgsync.review.look import Look, look
from kgsync.review.queue import Queue
from kgsync.review.reasoner import Reasoner
from kgsync.runs import Workspace

if TYPE_CHECKING:
    from kgsync.explain.answer import Explanation

T = TypeVar("T")

_QUEUES = 16  # that are kept open
_UNDO = 200  # decisions that can be taken back one by one
_REASONS = 8
DONE = {"accept": "Accepted", "reject": "Rejected", "skip": "Skipped", "undo": "Taken back"}


@dataclass(frozen=True)
class Said:
    """What the page says after a step, and the edge to show next, if it is settled which."""

    text: str
    good: bool = True
    next: str | None = None


@dataclass(frozen=True)
class _Decision:
    """What can be taken back: the edges, and how a person calls them."""

    action: str
    ids: tuple[str, ...]
    name: str


class Desk:
    """Where one reviewer decides. Its methods may be called from several threads."""

    def __init__(
        self, connection: Connection, by: str, labels: Mapping[str, LabelConfig], workspace: Workspace
    ) -> None:
        self.connection = connection
        self.by = by
        self.labels = labels
        self.counts = {"accept": 0, "reject": 0, "skip": 0}
        self.reasons: deque[str] = deque(maxlen=_REASONS)
        self._queues: OrderedDict[str, Queue] = OrderedDict()
        self._decisions: deque[_Decision] = deque(maxlen=_UNDO)
        self._lock = threading.Lock()
        self._reasoner = Reasoner(connection, labels, workspace)

    def with_queue(self, asked: Asked, work: Callable[[Queue], T]) -> T:
        """Do something with the queue of a filter, alone."""
        with self._lock:
            found = self._queues.pop(asked.query, None) or Queue(self.connection, asked.which, asked.order)
            self._queues[asked.query] = found  # the one that was used last is last
            if len(self._queues) > _QUEUES:
                self._queues.popitem(last=False)
            return work(found)

    def first(self, asked: Asked, start: str | None = None) -> str | None:
        """Return the edge `start`, by default the first of the queue, or the next that nobody has decided meanwhile."""
        few = self.with_queue(asked, lambda q: q.few(start))
        while few:
            rows = queue.rows(self.connection, [item.id for item in few], self.labels)
            waiting = {row.id for row in rows if row.status in asked.which.statuses}
            for item in few:
                if item.id in waiting:
                    return item.id
                self._leave(item.id)
            few = self.with_queue(asked, lambda q: q.few(None))
        return None

    def last(self) -> str | None:
        """Return what undo would take back."""
        return self._decisions[-1].name if self._decisions else None

    def look(self, id_: str) -> Look:
        """Return a look at an edge."""
        return look(self.connection, id_, self.labels)

    def why(self, id_: str) -> Explanation | None:
        """Return why an edge is predicted; None if another has been asked about before it was its turn."""
        return self._reasoner.why(id_)

    def decide(self, action: Action, id_: str, reason: str | None, asked: Asked) -> Said:
        """Accept, reject or undo one edge."""
        audit = self.with_queue(asked, lambda q: q.is_audit(id_))
        report = review.decide(
            self.connection, action, [id_], by=self.by, reason=reason, audit=[id_] if audit and action != "undo" else []
        )
        found = self.look(id_)
        if report.refused:
            self._leave(id_)
            return Said(f"{found.sentence} {report.refused[0].why}{_when(found)}. It stays so.", good=False, next=id_)
        if action == "undo":
            self._forget(id_)
            return Said(f"Taken back: {found.sentence}.", next=id_)
        after = self._leave(id_, asked)
        if report.unchanged:
            before = f"{found.sentence} was {found.status} by {found.reviewed_by} before{_when(found)}."
            return Said(before, next=after)
        self._remember(action, (id_,), found.sentence, reason)
        also = " The graph holds it already." if report.already_true else ""
        return Said(f"{DONE[action]}: {found.sentence}.{also}", next=after)

    def skip(self, id_: str, reason: str | None, asked: Asked) -> Said:
        """Leave an edge for later, or for somebody else; the graph keeps who did and why."""
        found = self.look(id_)
        after = self.with_queue(asked, lambda q: q.next_of(id_))
        self.connection.write_with(partial(review.skip, id_=id_, by=self.by, reason=reason))
        self.with_queue(asked, lambda q: q.skip(id_))
        self.counts["skip"] += 1
        return Said(f"Skipped: {found.sentence}.", next=self.first(asked, after.id) if after else None)

    def undo(self) -> Said:
        """Take back what was decided here last."""
        with self._lock:
            decision = self._decisions[-1] if self._decisions else None
        if decision is None:
            return Said("Nothing was decided here that could be taken back.", good=False)
        report = review.undo(self.connection, decision.ids, by=self.by)
        with self._lock:
            if decision in self._decisions:  # else the same was asked for twice
                self._decisions.remove(decision)
                self.counts[decision.action] -= len(decision.ids)
        self._again()
        if report.refused:
            why = report.refused[0].why
            return Said(f"{decision.name}: {len(report.refused):,} stay as they are; the first {why}.", good=False)
        return Said(f"Taken back: {decision.name}.", next=decision.ids[0] if len(decision.ids) == 1 else None)

    def preview(self, action: Action, asked: Asked) -> bulk.Preview:
        """Return what a decision about all that fit would be about."""
        return bulk.preview(self.connection, action, asked.which, by=self.by, labels=self.labels)

    def commit(self, action: Action, asked: Asked, reason: str | None, expected: int) -> Said | None:
        """Decide about all that fit; None if these are not as many as were shown."""
        if self.preview(action, asked).edges != expected:
            return None
        ids, report = bulk.commit(self.connection, action, asked.which, by=self.by, reason=reason)
        self._again()
        if action != "undo" and report.done:
            kept = {refusal.id for refusal in report.refused}
            done = tuple(id_ for id_ in ids if id_ not in kept)
            self._remember(action, done, f"{report.done:,} edges at once", reason)
        stay = f" {len(report.refused):,} stay: the first {report.refused[0].why}." if report.refused else ""
        return Said(f"{DONE[action]}: {report.done:,} edges.{stay}", good=not report.refused)

    def _remember(self, action: str, ids: tuple[str, ...], name: str, reason: str | None) -> None:
        with self._lock:
            self.counts[action] += len(ids)
            self._decisions.append(_Decision(action, ids, f"{DONE[action].lower()} {name}"))
            if reason and reason not in self.reasons:
                self.reasons.append(reason)

    def _forget(self, id_: str) -> None:
        with self._lock:
            for decision in [each for each in self._decisions if each.ids == (id_,)]:
                self._decisions.remove(decision)
                self.counts[decision.action] -= 1
        self._again()

    def _leave(self, id_: str, asked: Asked | None = None) -> str | None:
        """Take an edge out of all queues; return the one after it in the queue of `asked`."""
        after = self.with_queue(asked, lambda q: q.next_of(id_)) if asked else None
        with self._lock:
            for each in self._queues.values():
                each.decided(id_)
        return self.first(asked, after.id) if asked and after else None

    def _again(self) -> None:
        with self._lock:
            for each in self._queues.values():
                each.again()


def _when(found: Look) -> str:
    return f" at {found.reviewed_at[11:16]} UTC" if found.reviewed_at else ""
