"""What the address of the review page asks for: a filter and an order, from its query string and back to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from kgsync.errors import DataError
from kgsync.graph.review import STATUSES, Filter
from kgsync.review.queue import ORDERS, WAITING, Order

FIELDS = ("relation", "min", "max", "run", "status", "order")


@dataclass(frozen=True)
class Asked:
    """A filter and an order, with the texts that a person gave for them."""

    which: Filter
    order: Order
    given: Mapping[str, str]  # of `FIELDS`, those that say something

    @property
    def query(self) -> str:
        """Return the query string that asks for the same."""
        return urlencode(self.given)


def asked(values: Mapping[str, str]) -> Asked:
    """Return what a query string or a form asks for.

    Raises:
        DataError: a score is no number, or a status or an order is none.
    """
    given = {field: values[field].strip() for field in FIELDS if values.get(field, "").strip()}
    status, order = given.get("status", WAITING[0]), given.get("order", ORDERS[0])
    if status not in STATUSES:
        raise DataError(f"there is no status {status[:40]!r}", fix=f"choose one of {', '.join(STATUSES)}")
    chosen = next((known for known in ORDERS if known == order), None)
    if chosen is None:
        raise DataError(f"there is no order {order[:40]!r}", fix=f"choose one of {', '.join(ORDERS)}")
    which = Filter(
        relation=given.get("relation"),
        statuses=(status,),
        min_score=_score(given, "min"),
        max_score=_score(given, "max"),
        run_id=given.get("run"),
    )
    return Asked(which, chosen, given)


def _score(given: Mapping[str, str], field: str) -> float | None:
    if field not in given:
        return None
    try:
        score = float(given[field])
    except ValueError:
        score = -1.0
    if not 0 <= score <= 1:
        raise DataError(f"{given[field][:40]!r} is no score", fix="give a number between 0 and 1")
    return score
