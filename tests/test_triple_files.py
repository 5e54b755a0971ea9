"""Files of triples: every shape that is read, and every line that is not, with its number."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kgsync.errors import DataError, NotFoundError
from kgsync.triple_files import BadLine, find, read_entities, read_relations, read_triples

HEALTHY = settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


def triples(path: Path) -> list[tuple[str, str, str]]:
    def fail(line: BadLine) -> None:
        raise AssertionError(str(line))

    return [(head, relation, tail) for _, head, relation, tail in read_triples(path, fail)]


def bad_lines(path: Path) -> list[str]:
    bad: list[BadLine] = []
    list(read_triples(path, bad.append))
    return [f"{line.line}: {line.reason}" for line in bad]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("plain.tsv", "a\tr\tb\nc\tr\td\n"),
        ("no_newline_at_the_end.tsv", "a\tr\tb\nc\tr\td"),
        ("windows.tsv", "\ufeffa\tr\tb\r\nc\tr\td\r\n"),
        ("blank_lines.tsv", "\na\tr\tb\n\n  \nc\tr\td\n\n"),
        ("header.tsv", "head\trelation\ttail\na\tr\tb\nc\tr\td\n"),
        ("header_in_another_order.csv", "Object,Subject,Predicate\nb,a,r\nd,c,r\n"),
        ("semicolons.csv", "a;r;b\nc;r;d\n"),
        ("tabs.txt", "a\tr\tb\nc\tr\td\n"),
        ("commas.txt", "a,r,b\nc,r,d\n"),
        ("quoted.csv", '"a","r","b"\nc,r,d\n'),
    ],
)
def test_triples_are_read_in_every_usual_shape(tmp_path: Path, name: str, text: str) -> None:
    expected = [("a", "r", "b"), ("c", "r", "d")]
    assert triples(write(tmp_path / name, text)) == expected
    packed = tmp_path / f"{name}.gz"
    packed.write_bytes(gzip.compress(text.encode()))
    assert triples(packed) == expected


def test_quotes_mean_nothing_in_tsv_and_values_of_csv_may_hold_everything(tmp_path: Path) -> None:
    assert triples(write(tmp_path / "a.tsv", '"a\tr,s\t5" pipe\n')) == [('"a', "r,s", '5" pipe')]
    path = write(tmp_path / "a.csv", '"two\nlines","say ""r""","a, b"\nc,r\n')
    bad: list[BadLine] = []
    assert [t[1:] for t in read_triples(path, bad.append)] == [("two\nlines", 'say "r"', "a, b")]
    assert [line.line for line in bad] == [3], "lines are counted as an editor counts them"


@HEALTHY
@given(
    rows=st.lists(
        st.tuples(*[st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda t: t.strip())] * 3), min_size=1
    )
)
def test_whatever_a_csv_writer_writes_is_read_back(tmp_path: Path, rows: list[tuple[str, str, str]]) -> None:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, quoting=csv.QUOTE_ALL).writerows([("head", "relation", "tail"), *rows])
    assert triples(write(tmp_path / "a.csv", buffer.getvalue())) == rows


def test_each_bad_line_comes_with_its_number_and_a_reason(tmp_path: Path) -> None:
    long = "ä" * 4_001
    text = f"a\tr\tb\n\na\tr\na\t\tb\n \tr\tb\na\tr\t{long}\na\tr\tb\tc\na\t{'r' * 1_001}\tb\na\tr\t{long[:-1]}\n"
    assert bad_lines(write(tmp_path / "a.tsv", text)) == [
        "3: 2 columns instead of 3 (head, relation, tail)",
        "4: the relation is empty",
        "5: the head is empty",
        "6: the tail has 8,002 bytes; an index holds 8,000",
        "7: 4 columns instead of 3 (head, relation, tail)",
        "8: the relation has more than 1,000 characters",
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("latin.tsv", b"a\tr\tb\nc\tr\t\xe4\n", "line 2: it is not UTF-8 text"),
        ("open_quote.csv", b'a,r,b\na,r,"b\n', "line 2: unexpected end of data"),
        ("not_packed.tsv.gz", b"a\tr\tb\n", "Not a gzipped file"),
        ("cut.tsv.gz", gzip.compress(b"a\tr\tb\n" * 1000, mtime=0)[:-20], "cannot read"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_the_place(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        list(read_triples(path, lambda _: None))
    assert str(path) in str(error.value)
    assert message in str(error.value)


def test_entities_and_relations_have_a_header_with_any_of_the_known_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "entities.tsv", "types\tID\tdescription\nCity| Capital ||City\tq1\ta city\n\tq2\t\n")
    assert [entity[1:] for entity in read_entities(path, lambda _: None)] == [
        ("q1", "", "a city", ("City", "Capital")),
        ("q2", "", "", ()),
    ]
    path = write(tmp_path / "relations.tsv", "id\tname\nP1\tborn in\nP2\n\tx\n")
    bad: list[BadLine] = []
    assert [relation[1:] for relation in read_relations(path, bad.append)] == [("P1", "born in", "")]
    assert [f"{line.line}: {line.reason}" for line in bad] == ["3: 1 column instead of 2", "4: the relation is empty"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("q1\tBerlin\n", "has no column id"),
        ("id\tpopulation\n", "unknown column 'population'"),
        ("id\ttype\ttypes\n", "names a column twice"),
    ],
)
def test_a_wrong_header_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path / "entities.tsv", text)
    with pytest.raises(DataError, match=message):
        list(read_entities(path, lambda _: None))


def test_a_folder_gives_its_splits_or_its_triples(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="holds no triples"):
        find(tmp_path)
    for name in ("triples.tsv", "entities.csv"):
        write(tmp_path / name, "")
    assert find(tmp_path).triples == (tmp_path / "triples.tsv",)
    for name in ("train.txt", "test.tsv.gz", "relations.tsv"):
        write(tmp_path / name, "")
    found = find(tmp_path)
    assert found.triples == (tmp_path / "train.txt", tmp_path / "test.tsv.gz")
    assert (found.entities, found.relations) == (tmp_path / "entities.csv", tmp_path / "relations.tsv")
    assert find(tmp_path, ["test"]).triples == (tmp_path / "test.tsv.gz",)
    with pytest.raises(NotFoundError, match=r"has no valid\.tsv"):
        find(tmp_path, ["train", "valid"])
    with pytest.raises(NotFoundError, match="there is no"):
        find(tmp_path / "absent")
