"""Reads triples and what is known about their entities and relations from TSV and CSV files.

Promises: line by line, in bounded memory; a line that does not fit is handed to the caller with its
number and a reason, and a file that cannot be read at all is a `DataError` that names file and line.
TSV is taken as it stands (quotes mean nothing); CSV follows RFC 4180, so values may hold newlines.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple, cast

from kgsync.errors import ConfigError, DataError, NotFoundError
from kgsync.identity import LONGEST_KEY

SPLITS = ("train", "valid", "test")
LONGEST_RELATION = 1_000  # characters
_SUFFIXES = (".tsv", ".csv", ".txt", ".tsv.gz", ".csv.gz", ".txt.gz")
_ROLES = {
    "head": {"head", "subject", "source", "from", "start", "h", "s"},
    "relation": {"relation", "predicate", "type", "relationship", "r", "p"},
    "tail": {"tail", "object", "target", "to", "end", "t", "o"},
}


class BadLine(NamedTuple):
    """A line that cannot be used, and why."""

    path: Path
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.path}, line {self.line}: {self.reason}"


OnBadLine = Callable[[BadLine], None]


class TripleLine(NamedTuple):
    """One triple, and the line it stands on."""

    line: int
    head: str
    relation: str
    tail: str


class EntityLine(NamedTuple):
    """What `entities.tsv` says of one entity; empty where it says nothing."""

    line: int
    id: str
    name: str
    description: str
    types: tuple[str, ...]


class RelationLine(NamedTuple):
    """What `relations.tsv` says of one relation; empty where it says nothing."""

    line: int
    id: str
    name: str
    description: str


@dataclass(frozen=True)
class TripleFiles:
    """The files of one graph: triples in one or several, and what is known about their parts."""

    triples: tuple[Path, ...]
    entities: Path | None = None
    relations: Path | None = None


def find(source: Path, splits: Sequence[str] | None = None) -> TripleFiles:
    """Return the files that `source` stands for: one file of triples, or a folder.

    A folder holds `triples.tsv`, or one file per split (all that are there of train, valid and test, or
    exactly the named ones), and may hold `entities.tsv` and `relations.tsv`. CSV and gzip will do as well.

    Raises:
        NotFoundError: there is no such file, or no triples in the folder.
        ConfigError: splits of a file are asked for.
    """
    if source.is_file() and splits:
        raise ConfigError(
            f"{source} is a file, and only a folder has splits", fix="leave out --split, or give the folder"
        )
    if source.is_file():
        return TripleFiles((source,))
    if not source.is_dir():
        raise NotFoundError(f"there is no {source}", fix="give a folder, or a TSV or CSV file with triples")
    found = {name: _in_folder(source, name) for name in splits or SPLITS}
    missing = [name for name, path in found.items() if path is None]
    if splits and missing:
        raise NotFoundError(f"{source} has no {missing[0]}.tsv", fix="name the splits that are there")
    triples = [path for path in found.values() if path] or [path for path in [_in_folder(source, "triples")] if path]
    if not triples:
        raise NotFoundError(
            f"{source} holds no triples",
            fix="put train.tsv or triples.tsv in it (head, relation, tail; no header)",
        )
    return TripleFiles(tuple(triples), _in_folder(source, "entities"), _in_folder(source, "relations"))


def _in_folder(folder: Path, name: str) -> Path | None:
    return next((path for s in _SUFFIXES if (path := folder / f"{name}{s}").is_file()), None)


def read_triples(path: Path, bad: OnBadLine) -> Iterator[TripleLine]:
    """Yield the triples of a file: three columns, with or without a header that names them in any order."""
    order = (0, 1, 2)
    for number, (line, fields) in enumerate(_records(path)):
        if number == 0 and (header := _header_order(fields)):
            order = header
            continue
        if len(fields) != 3:
            bad(BadLine(path, line, f"{_count(len(fields), 'column')} instead of 3 (head, relation, tail)"))
            continue
        head, relation, tail = (fields[i] for i in order)
        reason = _key_refusal("head", head) or _relation_refusal(relation) or _key_refusal("tail", tail)
        if reason:
            bad(BadLine(path, line, reason))
        else:
            yield TripleLine(line, head, relation, tail)


def _header_order(fields: list[str]) -> tuple[int, int, int] | None:
    """Return the positions of head, relation and tail if `fields` is a header."""
    words = [field.strip().casefold() for field in fields]
    positions = [[i for i, word in enumerate(words) if word in names] for names in _ROLES.values()]
    if len(words) == 3 and all(len(p) == 1 for p in positions):
        return (positions[0][0], positions[1][0], positions[2][0])
    return None


def read_entities(path: Path, bad: OnBadLine) -> Iterator[EntityLine]:
    """Yield the entities of a file with the header `id` and any of `name`, `description`, `types` (a|b)."""
    for line, row in _table(path, ("name", "description", "types"), bad):
        types = tuple(dict.fromkeys(t for part in row.get("types", "").split("|") if (t := part.strip())))
        if reason := _key_refusal("id", row["id"]):
            bad(BadLine(path, line, reason))
        else:
            yield EntityLine(line, row["id"], row.get("name", ""), row.get("description", ""), types)


def read_relations(path: Path, bad: OnBadLine) -> Iterator[RelationLine]:
    """Yield the relations of a file with the header `id` and any of `name`, `description`."""
    for line, row in _table(path, ("name", "description"), bad):
        if reason := _relation_refusal(row["id"]):
            bad(BadLine(path, line, reason))
        else:
            yield RelationLine(line, row["id"], row.get("name", ""), row.get("description", ""))


def _table(path: Path, optional: tuple[str, ...], bad: OnBadLine) -> Iterator[tuple[int, Mapping[str, str]]]:
    header: list[str] | None = None
    for line, fields in _records(path):
        if header is None:
            header = [field.strip().casefold() for field in fields]
            header = ["types" if field == "type" and "types" in optional else field for field in header]
            _check_header(path, header, optional)
        elif len(fields) != len(header):
            bad(BadLine(path, line, f"{_count(len(fields), 'column')} instead of {len(header)}"))
        else:
            yield line, dict(zip(header, fields, strict=True))


def _check_header(path: Path, header: list[str], optional: tuple[str, ...]) -> None:
    known = ("id", *optional)
    if "id" not in header:
        raise DataError(f"{path}, line 1 has no column id", fix=f"begin with a header: {', '.join(known)}")
    unknown = [field for field in header if field not in known]
    if unknown:
        raise DataError(f"{path} has an unknown column {unknown[0]!r}", fix=f"keep these: {', '.join(known)}")
    if len(set(header)) < len(header):
        raise DataError(f"{path} names a column twice", fix="keep one of them")


def _key_refusal(part: str, key: str) -> str | None:
    if not key.strip():
        return f"the {part} is empty"
    if len(key) * 4 > LONGEST_KEY and (length := len(key.encode())) > LONGEST_KEY:
        return f"the {part} has {length:,} bytes; an index holds {LONGEST_KEY:,}"
    return None


def _relation_refusal(relation: str) -> str | None:
    if not relation.strip():
        return "the relation is empty"
    if len(relation) > LONGEST_RELATION:
        return f"the relation has more than {LONGEST_RELATION:,} characters"
    return None


def _records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield (number of its first line, fields) of every record that is not blank."""
    line = 1
    try:
        delimiter = _delimiter(path)
        with _open(path) as file:
            lines = (text.decode("utf-8-sig" if i == 0 else "utf-8") for i, text in enumerate(file))
            if delimiter == "\t":
                reader = csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
            else:
                reader = csv.reader(lines, delimiter=delimiter, strict=True)
            for fields in reader:
                if len(fields) > 1 or (fields and fields[0].strip()):
                    yield line, fields
                line = reader.line_num + 1
    except UnicodeDecodeError as error:
        raise DataError(f"{path}, line {line}: it is not UTF-8 text", fix="save the file as UTF-8") from error
    except csv.Error as error:
        raise DataError(f"{path}, line {line}: {error}", fix="correct that line") from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot read {path}: {error}", fix="check the file") from error


def _open(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def _delimiter(path: Path) -> str:
    """Return what separates the columns: what the name says, or else what the first line holds."""
    suffix = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if suffix.lower() == ".tsv":
        return "\t"
    with _open(path) as file:
        first = file.readline().decode("utf-8", "replace")
    if suffix.lower() != ".csv" and "\t" in first:
        return "\t"
    return ";" if first.count(";") >= 2 and "," not in first else ","


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
