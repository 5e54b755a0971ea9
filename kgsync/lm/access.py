"""Where a served language model is, and the key that opens it.

Reads the configuration and the environment; promises a key that does not show itself, and goes nowhere that only a
file names.
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from kgsync.errors import ConfigError

if TYPE_CHECKING:
    import requests


@dataclass(frozen=True)
class EndpointConfig:
    """A language model that somebody serves. The key is never in the file: see `named`."""

    url: str = ""  # such as https://example.org/v1; $KGSYNC_LM_URL wins over it
    model: str = ""  # its name there; $KGSYNC_LM_MODEL wins over it. Empty: the first that the server lists
    timeout: float = 60.0  # seconds for one answer, to its last byte
    attempts: int = 4  # for one answer
    max_requests: int = 200  # of one command, attempts included
    max_tokens: int = 200_000  # of one command, read and written


class Key:
    """A secret that does not show itself."""

    def __init__(self, value: str) -> None:
        self._value = value

    @property
    def plain(self) -> bool:
        """Return whether it can stand in a header; the error that a library raises shows it."""
        return self._value.isascii() and self._value.isprintable() and " " not in self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "<key>" if self else "<no key>"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign a request, which keeps `requests` from looking for passwords in a .netrc."""
        if self:
            request.headers["Authorization"] = f"Bearer {self._value}"
        return request

    def out_of(self, text: str) -> str:
        """Return a text in which the key does not stand."""
        return text.replace(self._value, "<key>") if self else text


def named(config: EndpointConfig) -> tuple[EndpointConfig, Key]:
    """Return what the environment says of an endpoint, and where it says nothing, `config`; with its key.

    The key is $KGSYNC_LM_KEY, or else $OPENAI_API_KEY. Either goes where $KGSYNC_LM_URL leads, the first also to this
    machine, the second also to api.openai.com: an address that a file brought along gets none.

    Raises:
        ConfigError: there is a key, and a file alone names the address.
    """
    given = os.environ.get("KGSYNC_LM_URL", "")
    url, model = given or config.url, os.environ.get("KGSYNC_LM_MODEL") or config.model
    key = os.environ.get("KGSYNC_LM_KEY", "").strip()
    if key and url and not given and not _local(_host(url)):
        raise ConfigError(
            "KGSYNC_LM_KEY is not sent to an address that only a file names",
            fix="export KGSYNC_LM_URL with that address if you trust it, or unset the key",
        )
    if not key and (given or url.startswith("https://api.openai.com/")):
        key = os.environ.get("OPENAI_API_KEY", "").strip()
    return replace(config, url=url, model=model), Key(key)


def checked(url: str, key: Key) -> str:
    """Return the address without a slash at its end.

    Raises:
        ConfigError: address or key cannot be meant.
    """
    if not url:
        raise ConfigError("no endpoint is configured", fix="set KGSYNC_LM_URL, or endpoint.url in kgsync.toml")
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 (raises where it is no number)
    except ValueError as error:
        raise ConfigError("endpoint.url is no address", fix="write it like https://example.org/v1") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ConfigError("endpoint.url is no address", fix="write it like https://example.org/v1")
    if parts.username or parts.password:
        raise ConfigError("endpoint.url holds a user or a password", fix="put the key into KGSYNC_LM_KEY")
    if not key.plain:
        raise ConfigError("the endpoint's key has characters that no key has", fix="set KGSYNC_LM_KEY again")
    if key and parts.scheme == "http" and not _local(parts.hostname):
        raise ConfigError(f"the key would travel openly to {parts.hostname}", fix="use https, or unset the key")
    return url.rstrip("/")


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
