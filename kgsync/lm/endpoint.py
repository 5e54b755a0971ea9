"""A language model behind an OpenAI-compatible address.

Reads instructions and data, which never mix; promises an answer or one line why there is none, that nothing is asked
twice, that the ceiling is never passed, and that the key is in no file, message or list of processes.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from kgsync import files
from kgsync.errors import AccessError, ConfigError, DataError, KgsyncError, NotFoundError, SpentError, UnavailableError
from kgsync.lm.access import EndpointConfig, checked, named

if TYPE_CHECKING:
    import requests

CONNECT_SECONDS = 10.0
LONGEST_WAIT = 60.0  # seconds that an endpoint may ask to wait, or that pass between two attempts
LARGEST = 1 << 20  # bytes of one answer
AGAIN = (408, 425, 429, 500, 502, 503, 504, 529)  # statuses that time may mend
OVERHEAD = 64  # tokens that the wrapping of one request may take
_OPTIONAL = ("temperature", "seed", "response_format", "max_tokens")  # that some models refuse


class _AgainError(Exception):
    """An attempt failed, and another may not."""

    def __init__(self, why: str, wait: float = 0.0, *, paid: bool = True) -> None:
        super().__init__(why)
        self.wait = wait  # seconds that the server asks for
        self.paid = paid  # whether it can have cost tokens: nobody knows what a server did until it broke off


@dataclass
class Spent:
    """What one command has used."""

    requests: int = 0
    tokens: int = 0  # as the server counts; where it does not say, as many as there can have been
    remembered: int = 0  # answers that were on disk already


class Endpoint:
    """Asks a served model."""

    def __init__(
        self,
        config: EndpointConfig,
        *,
        cache: Path | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Address, model and key are those that the environment means, see `access.named`.

        `cache` is a folder of answers, by a hash of what was asked.

        Raises:
            ConfigError: the address or the key cannot be meant.
        """
        import requests

        self.config, self._key = named(config)
        self.url = checked(self.config.url, self._key)
        self.spent = Spent()
        self._cache, self._sleep = cache, sleep
        self._session = requests.Session()
        self._model = self.config.model
        self._refused: set[str] = set()  # options that the model does not know

    @property
    def name(self) -> str:
        """Return model and host, for people."""
        return f"{self.model} at {urlsplit(self.url).netloc}"

    @property
    def model(self) -> str:
        """Return the model's name there; asked for once where none is configured."""
        if not self._model:
            listed = self._sent("GET", "/models", None, 0)
            try:
                self._model = str(listed["data"][0]["id"])
            except (KeyError, IndexError, TypeError) as error:
                raise NotFoundError(f"{self.url} lists no model", fix="set endpoint.model") from error
        return self._model

    def answer(
        self, instruction: str, data: Mapping[str, Any], *, longest: int, shape: Mapping[str, Any] | None = None
    ) -> str:
        """Return what the model answers, at most `longest` tokens; `data` is what it is asked about.

        `shape` is a JSON schema that servers hold the answer to, where they can.

        Raises:
            SpentError: this could pass the ceiling.
            UnavailableError: it does not answer.
            DataError: it refuses, or its answer is none.
            AccessError, NotFoundError: it does not know the key, or the model.
        """
        asked: dict[str, Any] = {
            "model": self.model,
            "messages": [
                {"role": "system", "content": instruction},
                {"role": "user", "content": quoted(data)},
            ],
        }
        if shape is not None:
            asked["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": shape}}
        path = self._remembered_at(asked, longest)
        if path is not None and (known := _read(path)) is not None:
            self.spent.remembered += 1
            return known
        text = self._ask(asked, longest)
        if path is not None and text:
            files.write_json(path, {"text": text})
        return text

    def _remembered_at(self, asked: Mapping[str, Any], longest: int) -> Path | None:
        if self._cache is None:
            return None
        said = json.dumps([self.url, asked, longest], sort_keys=True)
        return self._cache / f"{hashlib.sha256(said.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}.json"

    def _ask(self, asked: Mapping[str, Any], longest: int) -> str:
        while True:
            options = {"temperature": 0, "seed": 0, "max_tokens": longest, **asked}
            body = {name: value for name, value in options.items() if name not in self._refused}
            if "max_tokens" in self._refused:
                body["max_completion_tokens"] = longest
            try:
                value = self._sent("POST", "/chat/completions", body, longest)
                return str(value["choices"][0]["message"]["content"] or "")
            except _RefusedOptionError as refused:
                self._refused.add(refused.option)

    def _sent(self, method: str, path: str, body: Mapping[str, Any] | None, longest: int) -> Any:
        """Return the JSON that is answered, after as many attempts as it may take."""
        for attempt in range(self.config.attempts):
            bound = self._reserve(body, longest)
            try:
                value = self._attempt(method, path, body)
            except _AgainError as error:
                self.spent.tokens += bound if error.paid else 0
                self._wait(error, attempt)
                continue
            self.spent.tokens += _used(value, bound)
            return value
        raise AssertionError  # `_wait` raises after the last attempt

    def _reserve(self, body: Mapping[str, Any] | None, longest: int) -> int:
        """Count a request, and return how many tokens it can take: one has at least a byte."""
        config, spent = self.config, self.spent
        said = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        bound = len(said) + longest + OVERHEAD if body else 0
        if spent.requests + 1 > config.max_requests:
            raise SpentError(
                f"the ceiling of {config.max_requests:,} requests is reached", fix="raise endpoint.max_requests"
            )
        if spent.tokens + bound > config.max_tokens:
            raise SpentError(
                f"the next request could pass the ceiling of {config.max_tokens:,} tokens ({spent.tokens:,} are used)",
                fix="raise endpoint.max_tokens",
            )
        spent.requests += 1
        return bound

    def _wait(self, error: _AgainError, attempt: int) -> None:
        host, tried = urlsplit(self.url).netloc, attempt + 1
        if tried >= self.config.attempts:
            times = "attempt" if tried == 1 else "attempts"
            raise UnavailableError(
                f"{host} {error} ({tried} {times})", fix="try again later, or raise endpoint.timeout"
            ) from error
        if error.wait > LONGEST_WAIT:
            raise UnavailableError(f"{host} {error} and asks to wait {error.wait:,.0f} s", fix="try again then")
        pause = min(0.5 * 2**attempt, LONGEST_WAIT) * random.uniform(0.8, 1.2)  # noqa: S311 (no secret)
        self._sleep(max(error.wait, pause))

    def _attempt(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        import requests

        try:
            response = self._session.request(
                method,
                self.url + path,
                json=body,
                auth=self._key,
                timeout=(min(CONNECT_SECONDS, self.config.timeout), self.config.timeout),
                allow_redirects=False,  # the key goes nowhere else
                stream=True,
            )
            with response:
                content = self._content(response)
        except requests.ConnectTimeout as error:
            raise _AgainError("cannot be reached", paid=False) from error
        except requests.Timeout as error:
            raise _AgainError(f"did not answer within {self.config.timeout:g} s") from error
        except requests.ConnectionError as error:
            raise _AgainError("cannot be reached, or breaks off") from error
        except requests.RequestException as error:
            raise _AgainError(f"answers something that is no HTTP ({type(error).__name__})") from error
        if response.status_code != 200:
            raise self._refusal(response, content)
        try:
            value = json.loads(content)
            if body is not None:
                value["choices"][0]["message"]["content"]
        except (ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
            raise _AgainError("answers something that is no chat completion") from error
        return value

    def _content(self, response: requests.Response) -> bytes:
        """Return the body, unless it is too large or drips in for too long."""
        from urllib3.exceptions import HTTPError

        found, until = b"", time.monotonic() + self.config.timeout
        try:
            while part := response.raw.read1(1 << 14, decode_content=True):  # what is there, without waiting for more
                found += part
                if len(found) > LARGEST:
                    raise _AgainError(f"answers with more than {LARGEST:,} bytes")
                if time.monotonic() > until:
                    raise _AgainError(f"did not end its answer within {self.config.timeout:g} s")
        except (HTTPError, OSError) as error:
            raise _AgainError("breaks off in its answer") from error
        return found

    def _refusal(self, response: requests.Response, content: bytes) -> Exception:
        """Return what a status other than 200 means."""
        status, host = response.status_code, urlsplit(self.url).netloc
        says, code, option = self._complaint(content)
        if status in AGAIN and code != "insufficient_quota":
            return _AgainError(
                f"answers with status {status}", _seconds(response.headers.get("Retry-After")), paid=False
            )
        if status in (400, 422) and option and option not in self._refused:
            return _RefusedOptionError(option)
        if status in (401, 403):
            return AccessError(f"{host} refuses the key{says}", fix="set KGSYNC_LM_KEY to a key of this endpoint")
        if status == 404:
            return NotFoundError(
                f"{host} knows no {self._model or 'such address'}{says}", fix="check endpoint.url and endpoint.model"
            )
        if 300 <= status < 400:
            return ConfigError(f"{host} has moved", fix="set endpoint.url to where it is now")
        return DataError(f"{host} refuses the request with status {status}{says}", fix="check endpoint.model")

    def _complaint(self, content: bytes) -> tuple[str, str, str]:
        """Return what a refusal says for people, its code, and the option that it is about."""
        try:
            error = json.loads(content)["error"]
            message, code, about = (str(error.get(name) or "") for name in ("message", "code", "param"))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return "", "", ""
        option = next((name for name in _OPTIONAL if name in (about or message)), "")
        plain = " ".join(self._key.out_of(message).split())[:160]
        return f": {plain}" if plain else "", code, option


class _RefusedOptionError(Exception):
    """The model does not know an option of a request."""

    def __init__(self, option: str) -> None:
        super().__init__(option)
        self.option = option


def quoted(data: Mapping[str, Any]) -> str:
    """Return data (texts in dictionaries) as JSON, in which no text ends its quotes or is a token like <|im_end|>."""
    plain = json.dumps(data, ensure_ascii=False, indent=0).encode("utf-8", "replace").decode()
    return re.sub(r"[<>|\[\]｜]", lambda found: f"\\u{ord(found[0]):04x}", plain)


def _read(path: Path) -> str | None:
    """Return an answer that was kept; None where there is none, or it is damaged."""
    try:
        text = files.read_json(path)["text"]
    except (KgsyncError, KeyError, TypeError):
        return None
    return text if isinstance(text, str) else None


def _used(value: Any, bound: int) -> int:
    """Return how many tokens a server counted, or the bound where it does not say."""
    usage = value.get("usage") if isinstance(value, dict) else None
    total = usage.get("total_tokens") if isinstance(usage, dict) else None
    return total if isinstance(total, int) and total > 0 else bound


def _seconds(header: str | None) -> float:
    """Return how long `Retry-After` asks to wait, in seconds or until a date; 0 where it does not."""
    from urllib3.exceptions import InvalidHeader
    from urllib3.util import Retry

    try:
        return 0.0 if header is None else float(Retry().parse_retry_after(header))
    except (InvalidHeader, OverflowError, ValueError):
        return 0.0
