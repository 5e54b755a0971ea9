"""Serves the review page on this machine alone, until Ctrl-C."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from kgsync.errors import AccessError, ConfigError, UnavailableError
from kgsync.graph import statements
from kgsync.review.desk import Desk

if TYPE_CHECKING:
    import uvicorn

HOST = "127.0.0.1"


def serve(desk: Desk, *, port: int = 0, ready: Callable[[str], None] = lambda address: None) -> None:
    """Serve the page of a desk until Ctrl-C. `ready` is told the address, with the token that opens it.

    Raises:
        UnavailableError: the port is in use.
        ConfigError: what the page needs is not installed.
    """
    with listening(port) as listener:
        token = secrets.token_urlsafe(24)
        running = server(desk, listener, token)
        ready(f"http://{HOST}:{listener.getsockname()[1]}/?token={token}")
        with suppress(KeyboardInterrupt):
            running.run(sockets=[listener])


def server(desk: Desk, listener: socket.socket, token: str) -> uvicorn.Server:
    """Return the server of the page behind its guard, ready to run on `listener`."""
    try:
        import uvicorn

        from kgsync.review.guard import Guard
        from kgsync.review.web import Page
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the review page needs {error.name}, which is not installed", fix="run `pip install 'kgsync[web]'`"
        ) from error
    with suppress(AccessError):  # a reviewer who may make no index gets the history without it, more slowly
        desk.connection.write(statements.load("review/desk/history_index").text)
    app = Guard(Page(desk).app(), token, listener.getsockname()[1])
    return uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False, lifespan="off", server_header=False))


def listening(port: int) -> socket.socket:
    """Return a socket of this machine alone that waits for the page's requests."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise UnavailableError(
            f"port {port} of this machine cannot be used: {error.strerror}", fix="choose another with --port"
        ) from error
    listener.listen(128)
    return listener
