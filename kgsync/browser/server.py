"""The server that hands the pack to Neo4j Browser: on this machine only, read-only, from memory.

A page may read an answer of another origin only if that answer names the page's origin (CORS). Named are Browsers
that this machine serves, on any port, and the origins that are given; nobody else gets to read anything.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from kgsync.errors import UnavailableError

HOST = "127.0.0.1"
NAME = "localhost"  # Browser's list of allowed hosts has this name, not the number
PORT = 8001
_KINDS = {
    "html": "text/html; charset=utf-8",
    "adoc": "text/plain; charset=utf-8",
    "grass": "text/plain; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
    "zip": "application/zip",
}
_LOOPBACK = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?")


@contextmanager
def serve(content: Mapping[str, bytes], *, port: int = PORT, origins: Collection[str] = ()) -> Iterator[Server]:
    """Yield a server that is bound and answers within `serve_forever`; it is closed when the block ends.

    `port` 0 is any free one.

    Raises:
        UnavailableError: the port is taken, or may not be used.
    """
    try:
        server = Server(content, port, origins)
    except OSError as error:
        raise UnavailableError(
            f"cannot listen on port {port} of {HOST}: {error.strerror}",
            fix="choose another with --port, or stop what listens there",
        ) from error
    with server:
        yield server


class Server(ThreadingHTTPServer):
    """The bound server."""

    daemon_threads = True  # a Browser that keeps its connection open does not hold up the end

    def __init__(self, content: Mapping[str, bytes], port: int, origins: Collection[str]) -> None:
        self.content = content
        self.origins = frozenset(origin.rstrip("/") for origin in origins)
        super().__init__((HOST, port), _Handler)

    @property
    def address(self) -> str:
        """Return the URL that Browser is given."""
        return f"http://{NAME}:{self.server_address[1]}"

    def admits(self, origin: str) -> bool:
        """Return whether a page of this origin may read the answers."""
        return origin in self.origins or _LOOPBACK.fullmatch(origin) is not None


class _Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = 30  # seconds that a silent connection may last

    def do_GET(self) -> None:
        body = self._head()
        if body is not None:
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        self._head()

    def do_OPTIONS(self) -> None:
        """Answer what a browser asks before it sends headers of its own, as Neo4j Browser does."""
        self.send_response(204)
        self._allow_origin()
        self.end_headers()

    def _head(self) -> bytes | None:
        name = self.path.partition("?")[0].removeprefix("/")
        body = self.server.content.get(name)
        if body is None:
            self.send_error(404)
            return None
        self.send_response(200)
        self.send_header("Content-Type", _KINDS[name.rpartition(".")[2]])
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        self._allow_origin()
        self.end_headers()
        return body

    def _allow_origin(self) -> None:
        origin = self.headers.get("Origin", "")
        self.send_header("Vary", "Origin")
        if self.server.admits(origin):
            self.send_header("Access-Control-Allow-Origin", origin)
            self.send_header("Access-Control-Allow-Methods", "GET, HEAD")
            # Browser sends pragma and cache-control, and what its error reporting adds (sentry-trace)
            self.send_header("Access-Control-Allow-Headers", self.headers.get("Access-Control-Request-Headers", ""))
            self.send_header("Access-Control-Allow-Private-Network", "true")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the terminal shows what to do, not who asked for what."""
