"""Who may see the page: the browser that opened the address with the token, from this machine, and no other site.

A site that a reviewer visits at the same time can send requests to a local server. It cannot know the token or read
the cookie; its name is not ours (DNS rebinding: the Host header is checked), and for what changes something the
Origin header must be ours, since a cookie of `localhost` goes to all ports. Nothing runs on the page but its own file.
"""

from __future__ import annotations

import secrets
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
LONGEST_BODY = 65_536  # bytes


class Guard:
    """Wraps an application: lets only requests through that carry the cookie, which only the token gives."""

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self._app = app
        self._token = token
        self._session = secrets.token_urlsafe(32)
        self._cookie = f"kgsync_review_{port}"
        self._hosts = (f"127.0.0.1:{port}", f"localhost:{port}")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let the application do it."""
        if scope["type"] != "http":
            return
        answer = self._answer(scope)
        await (answer or self._app)(scope, receive, _with_headers(send))

    def _answer(self, scope: Scope) -> Response | None:
        """Return what is said instead of the page, None if the request may go on."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if host not in self._hosts:
            return PlainTextResponse("This address is not the page's.\n", status_code=400)
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        if scope["method"] == "GET" and _same(query.pop("token", ""), self._token):
            return self._welcome(scope["path"], query)
        if not _same(cookie_parser(headers.get("cookie", "")).get(self._cookie, ""), self._session):
            return PlainTextResponse("Open the address that `kgsync review --web` has printed.\n", status_code=403)
        if scope["method"] not in ("GET", "HEAD"):
            return _refusal(headers, host)
        return None

    def _welcome(self, path: str, query: dict[str, str]) -> Response:
        """Go on at the same address without the token, which then stands in no history."""
        answer = RedirectResponse(path + ("?" + urlencode(query) if query else ""), status_code=303)
        answer.set_cookie(self._cookie, self._session, httponly=True, samesite="strict")
        return answer


def _refusal(headers: Headers, host: str) -> Response | None:
    if headers.get("origin") != f"http://{host}" or headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return PlainTextResponse("Only the page itself may send this.\n", status_code=403)
    length = headers.get("content-length", "")
    if not length.isdecimal() or int(length) > LONGEST_BODY:
        return PlainTextResponse("This is too long.\n", status_code=413)
    return None


def _same(given: str, expected: str) -> bool:
    return secrets.compare_digest(given.encode(), expected.encode())


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
        await send(message)

    return sending
