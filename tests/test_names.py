"""Identifiers and statements: whatever a name holds, the server reads it back or kgsync refuses it."""

from __future__ import annotations

from pathlib import Path

import neo4j
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kgsync.errors import DataError, NotFoundError
from kgsync.graph import names, statements
from kgsync.graph.connection import Connection

ON_THE_SERVER = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12) | st.text("`'\"\\{}$:u0060 \n", min_size=1)


@pytest.fixture
def connection(graph_db: neo4j.Driver) -> Connection:
    return Connection.wrap(graph_db, "neo4j")


@ON_THE_SERVER
@given(name=NAMES)
def test_a_quoted_name_is_read_back_as_it_is_or_refused(connection: Connection, name: str) -> None:
    if names.refusal(name):
        with pytest.raises(DataError, match="cannot be used in Cypher"):
            names.quote(name)
        return
    quoted = names.quote(name)
    text = f"CREATE (n:{quoted} {{{quoted}: 1}})-[r:{quoted}]->(n) RETURN labels(n) AS l, keys(n) AS k, type(r) AS t"
    assert connection.write(text) == [{"l": [name], "k": [name], "t": name}]


@pytest.mark.parametrize("name", ["", "a\\u0060b", "a\nb", "a\x00b", "\ud800", "x" * 65_535])
def test_names_that_could_end_a_quotation_are_refused(name: str) -> None:
    with pytest.raises(DataError):
        names.quote(name)


def test_only_quoted_names_and_fragments_come_into_a_statement() -> None:
    statement = statements.Statement("x", {}, "MATCH (n:{{label}} {{{key}}: 1}) {{rest}}")
    filled = statement.fill(label="a`b", key="k", rest=names.Fragment("RETURN n"))
    assert filled == "MATCH (n:`a``b` {`k`: 1}) RETURN n"
    assert statement.fill(label="a", key="k", rest="RETURN n").endswith("`RETURN n`")


def test_fragments_choose_labels_keys_and_types() -> None:
    assert names.type_filter([]) == ""
    assert names.type_filter(["A", "b`c"]) == ":`A`|`b``c`"
    assert names.relation_counts(["A", "B"]) == "COUNT { ()-[:`A`]->() }, COUNT { ()-[:`B`]->() }"
    assert names.label_case("n", ["A", "B"]) == "CASE WHEN n:`A` THEN 0 WHEN n:`B` THEN 1 END"
    assert names.key_case("n", [("A", "id"), ("B", "id")]) == "n.`id`"


def test_a_statement_file_has_a_header_and_a_text(tmp_path: Path) -> None:
    path = tmp_path / "a.cypher"
    path.write_text("// promises: one\n//   and two\n// columns: x\nRETURN 1 AS x;\n", encoding="utf-8")
    statement = statements.parse(path, "a")
    assert (statement.header, statement.text) == ({"promises": "one and two", "columns": "x"}, "RETURN 1 AS x")
    path.write_text("// promises: nothing\n", encoding="utf-8")
    with pytest.raises(DataError, match="holds no statement"):
        statements.parse(path, "a")
    with pytest.raises(NotFoundError):
        statements.parse(tmp_path / "absent.cypher", "absent")
