"""What an entity is called, of what types it is and how it is described: the only words that text models see.

Reads snapshots and benchmark folders. Promises: identifiers are never put into words; whatever a text says is data,
so nothing in it is followed, and no text is too long, empty or in the wrong script.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kgsync import triple_files
from kgsync.errors import DataError
from kgsync.snapshot import Snapshot
from kgsync.triple_files import BadLine

LONGEST = 4_000  # characters of one part; models read some hundred, words beyond would only cost time


@dataclass(frozen=True)
class EntityText:
    """The words about one entity; each part may be empty."""

    name: str = ""
    types: tuple[str, ...] = ()
    description: str = ""

    def sentence(self) -> str:
        """Return "name (type, type): description" of the parts that are there; empty where none is."""
        types = ", ".join(_plain(kind) for kind in self.types)
        name = _plain(self.name)
        called = f"{name} ({types})" if name and types else name or types
        return ": ".join(part for part in (called, _plain(self.description)) if part)

    def explanation(self) -> str:
        """Return types and description: what the text says beside the name."""
        return " ".join(part for part in (*map(_plain, self.types), _plain(self.description)) if part)


def of_snapshot(snapshot: Snapshot) -> tuple[EntityText, ...]:
    """Return the words about every entity, by row; labels are its types."""
    columns = snapshot.entities.select(["name", "labels", "text"]).to_pydict()
    rows = zip(columns["name"], columns["labels"], columns["text"], strict=True)
    return tuple(EntityText(name or "", tuple(labels or ()), text or "") for name, labels, text in rows)


def of_folder(folder: Path, entities: Sequence[str]) -> tuple[EntityText, ...]:
    """Return the words that `entities.tsv` (or .csv, …) in `folder` has about `entities`, in their order.

    Where there is no such file, or no line for an entity, its text is empty.

    Raises:
        DataError: a line cannot be used.
    """
    path = triple_files.find(folder).entities
    lines = {} if path is None else {line.id: line for line in triple_files.read_entities(path, _refuse)}
    found = (lines.get(entity) for entity in entities)
    return tuple(EntityText(e.name, e.types, e.description) if e else EntityText() for e in found)


def _plain(text: str) -> str:
    """Return a text on one line, without what cannot be encoded, and not longer than `LONGEST`."""
    return " ".join(text[:LONGEST].encode("utf-8", "replace").decode("utf-8").split())


def _refuse(bad: BadLine) -> None:
    raise DataError(str(bad), fix="correct that line")
