"""Reads a benchmark folder: triples that are split already, in the layouts that are in use.

- `train`, `valid` and `test` with .tsv, .txt or .csv (and .gz): head, relation, tail as names (LibKGE, PyKEEN, DGL-KE);
- OpenKE: `train2id.txt` and so on with a count on the first line, then head, tail, relation as numbers, and their names
  in `entity2id.txt` and `relation2id.txt`.

Entities and relations are numbered as they first appear, so that other names for them change nothing at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kgsync import triple_files
from kgsync.errors import DataError, NotFoundError
from kgsync.triple_files import SPLITS, BadLine

Triples = np.ndarray[Any, np.dtype[np.int64]]
Named = Iterator[tuple[str, str, str]]


@dataclass(frozen=True)
class Dataset:
    """A benchmark graph: three sets of triples, each [n, 3] of head, relation and tail as numbers."""

    name: str
    entities: tuple[str, ...]
    relations: tuple[str, ...]
    train: Triples
    valid: Triples
    test: Triples

    @property
    def leaked(self) -> int:
        """Return how many triples of `valid` and `test` are in `train` as well."""
        width = max(len(self.entities), len(self.relations), 1)
        codes = [(part[:, 0] * width + part[:, 1]) * width + part[:, 2] for part in (self.train, self.valid, self.test)]
        return int(np.isin(np.concatenate(codes[1:]), codes[0]).sum())


def read(folder: Path) -> Dataset:
    """Return the graph in `folder`.

    Raises:
        NotFoundError: the folder or one of its parts is not there.
        DataError: a line cannot be used, or a part is empty.
    """
    if not folder.is_dir():
        raise NotFoundError(f"there is no folder {folder}", fix="give one with train.tsv, valid.tsv and test.tsv")
    parts = _openke(folder) if (folder / "train2id.txt").is_file() else _named(folder)
    entities: dict[str, int] = {}
    relations: dict[str, int] = {}
    arrays: dict[str, Triples] = {}
    for name, triples in parts.items():
        rows = [(_number(entities, h), _number(relations, r), _number(entities, t)) for h, r, t in triples]
        if not rows:
            raise DataError(f"{folder} has no triples in {name}", fix="put head, relation and tail on each line")
        arrays[name] = np.array(rows, dtype=np.int64)
    return Dataset(folder.resolve().name, tuple(entities), tuple(relations), **arrays)


def _number(numbers: dict[str, int], name: str) -> int:
    return numbers.setdefault(name, len(numbers))


def _named(folder: Path) -> dict[str, Named]:
    found = triple_files.find(folder, SPLITS)
    return {name: _triples(path) for name, path in zip(SPLITS, found.triples, strict=True)}


def _triples(path: Path) -> Named:
    for _, head, relation, tail in triple_files.read_triples(path, _refuse):
        yield head, relation, tail


def _refuse(bad: BadLine) -> None:
    raise DataError(str(bad), fix="correct that line")


def _openke(folder: Path) -> dict[str, Named]:
    entities, relations = (_names(folder / f"{kind}2id.txt") for kind in ("entity", "relation"))
    paths = {name: folder / f"{name}2id.txt" for name in SPLITS}
    for path in paths.values():
        if not path.is_file():
            raise NotFoundError(f"{folder} has no {path.name}", fix="OpenKE keeps one such file per split")
    return {name: _numbered(path, entities, relations) for name, path in paths.items()}


def _names(path: Path) -> dict[str, str]:
    """Return names by number; a name may hold spaces, the number stands last."""
    if not path.is_file():
        raise NotFoundError(f"there is no {path}", fix="OpenKE keeps names in it, with a count on the first line")
    names: dict[str, str] = {}
    for line, fields in _lines(path):
        if len(fields) < 2 or not fields[-1].isdecimal():
            raise DataError(f"{path}, line {line}: no name and number", fix="write a name, a tab and its number")
        names[fields[-1]] = " ".join(fields[:-1])
    return names


def _numbered(path: Path, entities: dict[str, str], relations: dict[str, str]) -> Named:
    for line, fields in _lines(path):
        if len(fields) != 3:
            raise DataError(
                f"{path}, line {line}: {len(fields)} columns instead of 3", fix="write head, tail, relation"
            )
        head, tail, relation = fields
        if head not in entities or tail not in entities or relation not in relations:
            raise DataError(
                f"{path}, line {line}: a number that entity2id.txt or relation2id.txt does not name",
                fix="mind the order: head, tail, relation",
            )
        yield entities[head], relations[relation], entities[tail]


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the fields of every line after the first, which holds a count."""
    try:
        with path.open(encoding="utf-8") as file:
            for number, text in enumerate(file, 1):
                if number > 1 and text.strip():
                    yield number, text.split()
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text", fix="save the file as UTF-8") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}", fix="check the file") from error
