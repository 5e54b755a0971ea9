"""Reads a benchmark folder: triples that are split already, in the layouts that are in use.

- `train`, `valid` and `test` with .tsv, .txt or .csv (and .gz): head, relation, tail as names (LibKGE, PyKEEN, and what
  DGL-KE calls raw);
- OpenKE: `train2id.txt` and so on with a count on the first line, then head, tail, relation as numbers, and their names
  in `entity2id.txt` and `relation2id.txt`;
- DGL-KE: the same three files with head, relation, tail as numbers, or as names, beside a map of either
  (`entities.dict` and `relations.dict`, or `entities.tsv` and `relations.tsv` without a header).

Entities and relations are numbered as they first appear, so that other names for them change nothing at all.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
        """Return how many triples of `valid` are in `train` as well, and of `test` in one of them."""
        train, valid, test = (
            (part[:, 0] * len(self.relations) + part[:, 1]) * len(self.entities) + part[:, 2]
            for part in (self.train, self.valid, self.test)
        )
        return int(np.isin(valid, train).sum() + (np.isin(test, train) | np.isin(test, valid)).sum())


def read(folder: Path) -> Dataset:
    """Return the graph in `folder`.

    Raises:
        NotFoundError: the folder or one of its parts is not there.
        DataError: a line cannot be used, or a part is empty.
    """
    if not folder.is_dir():
        raise NotFoundError(f"there is no folder {folder}", fix="give one with train.tsv, valid.tsv and test.tsv")
    if (folder / "train2id.txt").is_file():
        parts = _openke(folder)
    elif maps := _dglke_maps(folder):
        parts = _dglke(folder, *maps)
    else:
        parts = _named(folder)
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
    entities, relations = (_openke_names(folder / f"{kind}2id.txt") for kind in ("entity", "relation"))
    paths = {name: folder / f"{name}2id.txt" for name in SPLITS}
    for path in paths.values():
        if not path.is_file():
            raise NotFoundError(f"{folder} has no {path.name}", fix="OpenKE keeps one such file per split")
    return {name: _openke_triples(path, entities, relations) for name, path in paths.items()}


def _openke_names(path: Path) -> dict[str, str]:
    """Return names by number; a name may hold spaces, the number stands last."""
    if not path.is_file():
        raise NotFoundError(f"there is no {path}", fix="OpenKE keeps names in it, with a count on the first line")
    names: dict[str, str] = {}
    for line, text in _openke_lines(path):
        fields = text.rsplit(maxsplit=1)
        if len(fields) < 2 or not fields[-1].isdecimal():
            raise DataError(f"{path}, line {line}: no name and number", fix="write a name, a tab and its number")
        names[fields[1]] = fields[0]
    _check_distinct(path, names)
    return names


def _openke_triples(path: Path, entities: dict[str, str], relations: dict[str, str]) -> Named:
    for line, text in _openke_lines(path):
        fields = text.split()
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


def _openke_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield every line after the first, which holds a count."""
    with _reading(path), path.open(encoding="utf-8") as file:
        for number, text in enumerate(file, 1):
            if number > 1 and text.strip():
                yield number, text.rstrip("\n")


@dataclass(frozen=True)
class _Map:
    """A map of DGL-KE: numbers from 0, and names."""

    path: Path
    delimiter: str  # of all files in the folder
    names: Mapping[str, str]  # by number

    def __post_init__(self) -> None:
        _check_distinct(self.path, self.names)


def _dglke_maps(folder: Path) -> tuple[Path, Path] | None:
    """Return the maps of entities and of relations, if the folder has some.

    Raises:
        NotFoundError: there is only one of the two.
    """
    entities, relations = (
        next((path for name in names if (path := folder / f"{name}.dict").is_file()), None)
        for names in (("entities", "entity"), ("relations", "relation"))
    )
    if entities and relations:
        return entities, relations
    if entities or relations:
        there, missing = ("entities", "relations") if entities else ("relations", "entities")
        raise NotFoundError(f"{folder} names {there} but has no {missing}.dict", fix="DGL-KE keeps both")
    tables = folder / "entities.tsv", folder / "relations.tsv"
    found = all(path.is_file() and _ID_FIRST.match(_first_line(path)) for path in tables)  # else they have a header
    return tables if found else None


_ID_FIRST = re.compile(r"\d+([\t|,;])")
_ID_LAST = re.compile(r".*([\t|,;])\d+$")


def _dglke(folder: Path, entity_map: Path, relation_map: Path) -> dict[str, Named]:
    """Return the triples, whose parts are names if the maps hold all of train's, and numbers otherwise."""
    entities, relations = _dglke_map(entity_map), _dglke_map(relation_map)
    paths = dict(zip(SPLITS, triple_files.find(folder, SPLITS).triples, strict=True))
    names = {name: name for name in entities.names.values()}, {name: name for name in relations.names.values()}
    numbers = entities.names, relations.names
    named = all(
        head in names[0] and relation in names[1] and tail in names[0]
        for _, (head, relation, tail) in _dglke_triples(paths["train"], entities.delimiter)
    )
    return {part: _dglke_named(path, entities, *(names if named else numbers)) for part, path in paths.items()}


def _dglke_map(path: Path) -> _Map:
    """Return a map. DGL-KE documents number and name, and its own examples have name and number: both will do."""
    first = _first_line(path)
    found = _ID_FIRST.match(first) or _ID_LAST.match(first)
    if found is None:
        raise DataError(f"{path}, line 1: no number and name", fix="write a number, a tab and a name on each line")
    rows = []
    for line, fields in _dglke_lines(path, found[1]):
        if len(fields) != 2:
            raise DataError(f"{path}, line {line}: {len(fields)} columns instead of 2", fix="write number and name")
        rows.append(fields)
    columns: list[tuple[str, ...]] = list(zip(*rows, strict=True))
    expected = {str(number) for number in range(len(rows))}
    for ids, names in (columns, reversed(columns)):
        if set(ids) == expected:
            return _Map(path, found[1], dict(zip(ids, names, strict=True)))
    raise DataError(f"{path} does not number its {len(rows)} lines from 0", fix="give each line a number of its own")


def _dglke_named(path: Path, entities: _Map, heads: Mapping[str, str], relations: Mapping[str, str]) -> Named:
    for line, (head, relation, tail) in _dglke_triples(path, entities.delimiter):
        if head not in heads or tail not in heads or relation not in relations:
            raise DataError(
                f"{path}, line {line}: something that {entities.path.name} or its counterpart does not list",
                fix="mind the order: head, relation, tail; all numbers, or all names",
            )
        yield heads[head], relations[relation], heads[tail]


def _dglke_triples(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    for line, fields in _dglke_lines(path, delimiter):
        if len(fields) != 3:
            raise DataError(
                f"{path}, line {line}: {len(fields)} columns instead of 3", fix="write head, relation, tail"
            )
        yield line, fields


def _dglke_lines(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    with _reading(path), path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        for fields in reader:
            if fields:
                yield reader.line_num, fields


def _check_distinct(path: Path, names: Mapping[str, str]) -> None:
    if len(set(names.values())) < len(names):
        raise DataError(f"{path} gives one name to several numbers", fix="give each number a name of its own")


def _first_line(path: Path) -> str:
    with _reading(path), path.open(encoding="utf-8-sig") as file:
        return file.readline().rstrip("\n")


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what can go wrong with a file into a `DataError` that names it."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text", fix="save the file as UTF-8") from error
    except csv.Error as error:
        raise DataError(f"{path}: {error}", fix="check its quotation marks") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}", fix="check the file") from error
