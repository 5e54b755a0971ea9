"""Reads the Cypher files: every statement that kgsync sends is a file under `cypher/`.

A file starts with a header of `// field: text` lines. `{{name}}` in the text stands for an identifier
that is quoted when the statement is filled; everything else is a parameter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from kgsync.errors import DataError, NotFoundError
from kgsync.graph.names import Fragment, quote

_HEADER = re.compile(r"^//\s*([a-z][a-z ]*):\s*(.*)$")
_PLACEHOLDER = re.compile(r"\{\{([a-z_]+)\}\}")


@dataclass(frozen=True)
class Statement:
    """One Cypher file: its `header` fields and its `text` without the header."""

    name: str
    header: Mapping[str, str]
    text: str

    def fill(self, **identifiers: str) -> str:
        """Return the text with each `{{name}}` replaced: a `Fragment` as it is, any other name quoted."""

        def replace(match: re.Match[str]) -> str:
            value = identifiers[match.group(1)]
            return value if isinstance(value, Fragment) else quote(value)

        return _PLACEHOLDER.sub(replace, self.text)


def folder() -> Path:
    """Return the folder of the Cypher files: in the wheel inside the package, in a checkout beside it."""
    packaged = Path(__file__).parent.parent / "cypher"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "cypher"


@cache
def load(name: str) -> Statement:
    """Return the statement `name`, for example `pull/entities`."""
    return parse(folder() / f"{name}.cypher", name)


def parse(path: Path, name: str) -> Statement:
    """Return the statement in the file at `path`.

    Raises:
        NotFoundError: there is no such file.
        DataError: the file holds no statement, or is not UTF-8.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise NotFoundError(f"cannot read {path}: {error.strerror}", fix="check the path") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text", fix="save it as UTF-8") from error
    header: dict[str, str] = {}
    field = ""
    body = 0
    for line in lines:
        if not line.startswith("//"):
            break
        body += 1
        if match := _HEADER.match(line):
            field = match.group(1)
            header[field] = match.group(2).strip()
        elif field:
            header[field] += " " + line.lstrip("/ ").strip()
    text = "\n".join(lines[body:]).strip().rstrip(";")
    if not text:
        raise DataError(f"{path} holds no statement", fix="put one Cypher query below its header")
    return Statement(name, header, text)


def load_all(name: str) -> list[str]:
    """Return the statements of a file that holds several, separated by `;` at the end of a line."""
    text = re.sub(r"^//.*$", "", load(name).text, flags=re.MULTILINE)
    return [part.strip() for part in re.split(r";\s*$", text, flags=re.MULTILINE) if part.strip()]
