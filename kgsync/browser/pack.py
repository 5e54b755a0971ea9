"""The pack: everything for Neo4j Browser as files, by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kgsync import files
from kgsync.browser import favourites, guide, parameters
from kgsync.browser.style import style

GUIDE, GUIDE_ASCIIDOC, FAVOURITES = "guide.html", "guide.adoc", "favourites.zip"
STYLE, PARAMETERS = "kgsync.grass", "parameters.txt"


def content(captions: Mapping[str, str] | None = None) -> dict[str, bytes]:
    """Return the files by name; `captions` says which property names the entities of a label in the drawing."""
    grass = style(captions)
    texts = {
        GUIDE: guide.html(grass),
        GUIDE_ASCIIDOC: guide.asciidoc(),
        STYLE: grass,
        PARAMETERS: "\n\n".join(f"// {one.title}\n{one.text}" for one in parameters.ALL) + "\n",
    }
    return {**{name: text.encode() for name, text in texts.items()}, FAVOURITES: favourites.archive()}


def write(folder: Path, pack: Mapping[str, bytes]) -> None:
    """Write the files into `folder`, each whole or absent; other files there stay."""
    for name, data in pack.items():
        files.write_bytes(folder / name, data)
