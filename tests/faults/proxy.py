"""A TCP proxy in front of Bolt that cuts one connection at a COMMIT, before or after the server has seen it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Literal
from urllib.parse import urlsplit

_COMMIT = b"\x00\x02\xb0\x12\x00\x00"  # one chunk: the structure COMMIT, without fields
_BEGIN = b"\xb1\x11"  # the structure BEGIN, with one field


class Proxy:
    """Forwards to `uri`; cuts the first transaction whose bytes satisfy `chosen`, then never again."""

    def __init__(self, uri: str, drop: Literal["commit", "reply"], chosen: Callable[[bytes], bool]) -> None:
        parts = urlsplit(uri)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 7687)
        self._drop = drop
        self._chosen = chosen
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.uri = f"bolt://127.0.0.1:{self._listener.getsockname()[1]}"
        self.cut = False
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            upstream = socket.create_connection(self._target)
            silent = threading.Event()  # set: the server's answers are dropped
            threading.Thread(target=self._answers, args=(upstream, client, silent), daemon=True).start()
            threading.Thread(target=self._requests, args=(client, upstream, silent), daemon=True).start()

    def _requests(self, client: socket.socket, upstream: socket.socket, silent: threading.Event) -> None:
        transaction = b""
        try:
            while data := client.recv(65_536):
                if _BEGIN in data:
                    transaction = b""
                transaction += data
                if not self.cut and _COMMIT in data and self._chosen(transaction):
                    self.cut = True
                    if self._drop == "commit":
                        break
                    silent.set()
                upstream.sendall(data)
        except OSError:
            pass
        if not silent.is_set():
            _close(client, upstream)

    def _answers(self, upstream: socket.socket, client: socket.socket, silent: threading.Event) -> None:
        try:
            while data := upstream.recv(65_536):
                if silent.is_set():  # the server has committed
                    break
                client.sendall(data)
        except OSError:
            pass
        _close(client, upstream)


def _close(*sockets: socket.socket) -> None:
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()
