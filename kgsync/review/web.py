"""The review page: what it answers to which address. The pages are templates in `page/`, escaped throughout."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import jinja2
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from kgsync.errors import DataError, KgsyncError, NotFoundError
from kgsync.explain.telling import percent
from kgsync.graph.review import STATUSES, Action
from kgsync.review import bulk, queue
from kgsync.review.asked import Asked, asked
from kgsync.review.counts import Tally
from kgsync.review.desk import Desk, Said
from kgsync.review.drawing import draw, short
from kgsync.review.look import Look
from kgsync.review.queue import ORDERS, Queue

_PAGE = Path(__file__).parent / "page"
_LISTED = 30  # edges beside the one that is shown
_LONGEST_REASON = 500  # characters
_SAYINGS = 50  # that are kept until their page is shown
_ORDER_NAMES = {"worth": "what helps most", "score": "highest score", "doubt": "most doubtful"}

Form = dict[str, str]


class Page:
    """The page of one desk. An address is a query (`kgsync.review.asked`) and the id of an edge."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._tally = Tally(desk.connection)
        self._said: OrderedDict[str, Said] = OrderedDict()
        self._sayings = 0
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_PAGE), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
        )
        self._templates.filters |= {"short": short, "percent": percent, "count": lambda n: f"{n:,}"}
        self._templates.globals |= {"statuses": STATUSES, "orders": ORDERS, "order_names": _ORDER_NAMES}

    def app(self) -> Starlette:
        """Return the application, without its guard."""
        return Starlette(
            routes=[
                Route("/", self._show),
                Route("/bulk", self._bulk),
                Route("/leaf", self._leaf),
                Route("/why", self._why),
                Route("/decide", self._posted(self._decide), methods=["POST"]),
                Route("/undo", self._posted(self._undo), methods=["POST"]),
                Route("/bulk", self._posted(self._commit), methods=["POST"]),
                Mount("/static", StaticFiles(directory=_PAGE / "static")),
            ],
            exception_handlers={KgsyncError: self._failed, HTTPException: self._not_there},
        )

    def _show(self, request: Request) -> Response:
        query = asked(request.query_params)
        said = self._said.pop(request.query_params.get("said", ""), None)
        id_ = request.query_params.get("id") or self._desk.first(query) or ""
        items = self._desk.with_queue(query, lambda q: list(q.items()))
        place = next((i for i, item in enumerate(items) if item.id == id_), 0)
        first = max(0, min(place - 3, len(items) - _LISTED))
        listed = items[first : first + _LISTED]
        edges = queue.rows(self._desk.connection, [item.id for item in listed], self._desk.labels)
        shown = self._desk.look(id_) if id_ else None
        return self._render(
            "edge.html",
            query,
            said=said,
            edge=shown,
            drawing=draw(shown) if shown else None,
            chance=self._chance(shown),
            listed=edges,
            audit={item.id for item in items if item.audit},
            around=self._desk.with_queue(query, lambda q: _around(q, id_)),
        )

    def _chance(self, shown: Look | None) -> tuple[float, float] | None:
        """Return the chance of an edge after what was decided, and by how much that moved the logit."""
        if shown is None:
            return None
        beliefs = self._tally.beliefs()
        shift = beliefs.shifts.get(shown.relation, beliefs.overall)
        return beliefs.chance(shown.relation, shown.score), shift

    def _why(self, request: Request) -> Response:
        """Answer with a page of its own, of which the edge's page fetches the middle."""
        explanation = self._desk.why(request.query_params.get("id", ""))
        if explanation is None:
            return Response(status_code=204)
        return HTMLResponse(self._templates.get_template("why.html").render(it=explanation))

    def _leaf(self, request: Request) -> Response:
        query = asked(request.query_params)
        pages = 1 if request.query_params.get("to") == "next" else -1
        self._desk.with_queue(query, lambda q: q.leaf(pages))
        return RedirectResponse("/?" + query.query, status_code=303)

    def _bulk(self, request: Request) -> Response:
        query, action = asked(request.query_params), _action(request.query_params.get("action", "accept"))
        said = self._said.pop(request.query_params.get("said", ""), None)
        preview = self._desk.preview(action, query)
        return self._render("bulk.html", query, said=said, action=action, preview=preview, most=bulk.MOST)

    def _decide(self, form: Form) -> Response:
        query, id_, action = asked(form), form.get("id", ""), form.get("action", "")
        reason = form.get("reason", "").strip()[:_LONGEST_REASON] or None
        if action == "skip":
            return self._go(query, self._desk.skip(id_, reason, query))
        return self._go(query, self._desk.decide(_action(action), id_, reason, query))

    def _undo(self, form: Form) -> Response:
        return self._go(asked(form), self._desk.undo(), form.get("id"))

    def _commit(self, form: Form) -> Response:
        query, action = asked(form), _action(form.get("action", ""))
        reason = form.get("reason", "").strip()[:_LONGEST_REASON] or None
        expected = form.get("expected", "")
        said = self._desk.commit(action, query, reason, int(expected) if expected.isdecimal() else -1)
        if said is None:
            changed = Said("Meanwhile other edges fit. Nothing was changed; look again.", good=False)
            values = {**query.given, "action": action, "said": self._keep(changed)}
            return RedirectResponse("/bulk?" + urlencode(values), status_code=303)
        return self._go(query, said)

    def _go(self, query: Asked, said: Said, here: str | None = None) -> Response:
        """Show the next edge, and say what was done."""
        values = {**query.given, "said": self._keep(said)}
        if id_ := said.next or (here if not said.good else None):
            values["id"] = id_
        return RedirectResponse("/?" + urlencode(values), status_code=303)

    def _keep(self, said: Said) -> str:
        self._sayings += 1
        self._said[str(self._sayings)] = said
        if len(self._said) > _SAYINGS:
            self._said.popitem(last=False)
        return str(self._sayings)

    def _render(self, template: str, query: Asked, *, status_code: int = 200, **values: Any) -> Response:
        text = self._templates.get_template(template).render(
            query=query, desk=self._desk, counts=self._tally.counts(query.which), **values
        )
        return HTMLResponse(text, status_code=status_code)

    def _posted(self, work: Callable[[Form], Response]) -> Callable[[Request], Any]:
        """Return an endpoint that reads the form, and answers in a thread: waiting for the graph holds up nobody."""

        async def endpoint(request: Request) -> Response:
            form = dict(parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True))
            return await run_in_threadpool(work, form)

        return endpoint

    def _failed(self, _: Request, error: Exception) -> Response:
        code = 404 if isinstance(error, NotFoundError) else 400 if isinstance(error, DataError) else 503
        return HTMLResponse(self._templates.get_template("failed.html").render(error=error), status_code=code)

    def _not_there(self, _: Request, error: Exception) -> Response:
        page = self._templates.get_template("failed.html")
        missing = NotFoundError("there is no such page", fix="go on with the queue")
        return HTMLResponse(page.render(error=missing), status_code=getattr(error, "status_code", 404))


def _around(queue_: Queue, id_: str) -> dict[str, Any]:
    before, after = queue_.before(id_), queue_.next_of(id_)
    return {
        "before": before.id if before else None,
        "after": after.id if after else None,
        "passed": queue_.passed,
        "more": len(queue_.items()) >= queue.WINDOW,
    }


def _action(name: str) -> Action:
    for action in ("accept", "reject", "undo"):
        if action == name:
            return action
    raise DataError(f"there is no action {name[:40]!r}", fix="go back to the queue")
