"""Favourites: a zip of queries that Neo4j Browser keeps in its drawer, one folder each.

Reads every statement below `cypher/browse/` and `cypher/review/` whose first line is a title, for a person; the
others are for kgsync itself. Promises the same bytes for the same statements.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

from kgsync.browser import parameters
from kgsync.graph import statements

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can say
_FOLDERS = {
    "browse": "kgsync",
    "browse/live": "kgsync live predictions",
    "review": "kgsync review",
}  # below cypher/ -> in Browser
_PARAMETERS = "kgsync parameters"
_TITLE = re.compile(r"// (?![a-z][a-z ]*:)(.+)")  # a header field starts small, and has a colon


def favourites() -> dict[str, str]:
    """Return the text of each favourite, by its path in the zip: folder in Browser and file."""
    found = {f"{_FOLDERS[kind]}/{path.name}": path.read_text(encoding="utf-8") for kind, path in _titled()}
    for number, one in enumerate(parameters.ALL, start=1):
        found[f"{_PARAMETERS}/{number}.cypher"] = f"// {one.title}\n{one.text}\n"
    return found


def archive() -> bytes:
    """Return the zip that is dropped onto Browser."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, text in favourites().items():
            zipped.writestr(zipfile.ZipInfo(name, _EPOCH), text, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _titled() -> Iterator[tuple[str, Path]]:
    for kind in _FOLDERS:
        for path in sorted((statements.folder() / kind).glob("*.cypher")):
            if _TITLE.match(path.read_text(encoding="utf-8")):
                yield kind, path
