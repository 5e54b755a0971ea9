"""Parts: what a pull has read so far, in files, so that an interrupted pull goes on from them. They go at its end."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kgsync import files
from kgsync.identity import Key, decode_key, encode_key

STALE = 24 * 3600.0  # seconds after which what an interrupted pull or sync has read is read again

_PAGE = 50_000  # records that are Python's objects at a time

Row = tuple[str, tuple[int, Key], tuple[int, Key]]  # relation, (label number, key) of head and of tail

ROWS = pa.schema(
    [
        ("relation", pa.string()),
        ("head_label", pa.int32()),
        ("head", pa.string()),
        ("head_type", pa.string()),  # string | integer
        ("tail_label", pa.int32()),
        ("tail", pa.string()),
        ("tail_type", pa.string()),
    ]
)


@dataclass(frozen=True)
class Parts:
    """The parts of one pull."""

    folder: Path
    began: Mapping[str, Any]  # how the pull began: now, or before it was interrupted

    def table(self, name: str, schema: pa.Schema, read: Callable[[], pa.Table]) -> pa.Table:
        """Return the part `name`; where it is not there yet, read and keep it."""
        file = self.folder / f"{name}.parquet"
        with suppress(OSError, pa.ArrowInvalid):  # not there yet, or damaged
            return pq.read_table(file, schema=schema)
        found, temporary = read(), file.with_suffix(".tmp")
        with files.storing(file):
            pq.write_table(found, temporary, compression="zstd")
            files.sync(temporary)
            temporary.replace(file)
        return found.cast(schema)


@contextmanager
def opened(folder: Path, begin: Callable[[], Mapping[str, Any]]) -> Iterator[Parts]:
    """Yield the parts in `folder`, which nobody else has meanwhile. They go when the block ends well.

    Raises:
        TransientError: another process pulls the same.
    """
    with files.alone(folder.with_name(f".lock{folder.name}"), "the same pull"):
        with files.storing(folder):
            if folder.exists() and time.time() - folder.stat().st_mtime > STALE:
                shutil.rmtree(folder)
            folder.mkdir(parents=True, exist_ok=True)
        try:
            if not _any(folder):
                files.write_json(folder / "began.json", begin())
            yield Parts(folder, files.read_json(folder / "began.json"))
        except BaseException:
            if not _any(folder):  # a query that does not run leaves nothing behind
                shutil.rmtree(folder, ignore_errors=True)
            raise
        shutil.rmtree(folder, ignore_errors=True)


def _any(folder: Path) -> bool:
    return any(folder.glob("*.parquet"))


def rows_table(records: Iterable[Mapping[str, Any]], labels: list[str]) -> pa.Table:
    """Return the triples that a statement returned with their ends as (label number, key)."""
    rest = iter(records)
    pages = iter(lambda: list(islice(rest, _PAGE)), [])
    return pa.concat_tables([ROWS.empty_table(), *(_page(page, labels) for page in pages)])


def _page(records: Iterable[Mapping[str, Any]], labels: list[str]) -> pa.Table:
    columns: list[list[Any]] = [[] for _ in ROWS]
    for record in records:
        ends = [(record[f"{end}_label"], record[end]) for end in ("head", "tail")]
        row = [record["relation"]]
        for label, key in ends:
            row += [label, *encode_key(key, f"a {labels[label]}")]
        for column, value in zip(columns, row, strict=True):
            column.append(value)
    return pa.table([pa.array(column, kind.type) for column, kind in zip(columns, ROWS, strict=True)], ROWS)


def rows(table: pa.Table) -> list[Row]:
    """Return the triples that `rows_table` put into a table."""
    columns = (table[name].to_pylist() for name in ROWS.names)
    return [
        (relation, (head_label, decode_key(head, head_type)), (tail_label, decode_key(tail, tail_type)))
        for relation, head_label, head, head_type, tail_label, tail, tail_type in zip(*columns, strict=True)
    ]
