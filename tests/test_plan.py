"""Plans and the ids of edges."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgsync.errors import DataError
from kgsync.identity import Entity, decode_key, encode_key, named, prediction_id
from kgsync.plan import Plan, PlannedEdge, Scope, _edge, sort_edges

keys = st.one_of(st.text(), st.integers(-(2**63), 2**63 - 1))
entities = st.builds(Entity, st.text(min_size=1), st.text(min_size=1), keys)
edges = st.builds(
    PlannedEdge,
    head=entities,
    relation=st.text(min_size=1),
    tail=entities,
    score=st.floats(0, 1),
    score_low=st.floats(0, 1),
    rank=st.integers(1, 1000),
    kge_score=st.floats(-100, 100),
)


def plan_of(planned: list[PlannedEdge]) -> Plan:
    scope = Scope(relations=("R",), labels=("L",), heads=(Entity("L", "k", 1),))
    return Plan(sort_edges(planned), scope, {"id": "kge-1", "baseRate": 0.01}, "s", {"id": "d", "name": "neo4j"})


@given(entities, entities, st.text(), st.text())
def test_different_triples_have_different_ids(a: Entity, b: Entity, r: str, s: str) -> None:
    same = (a, r) == (b, s) and [type(x) for x in a] == [type(x) for x in b]
    assert (prediction_id(a, r, a) == prediction_id(b, s, b)) == same


def test_one_and_the_text_one_are_different_entities() -> None:
    one, text = Entity("L", "k", 1), Entity("L", "k", "1")
    assert prediction_id(one, "R", one) != prediction_id(text, "R", text)


def test_the_id_of_an_edge_never_changes_between_versions() -> None:
    head, tail = Entity("Person", "id", "ä"), Entity("Place", "code", 7)
    assert prediction_id(head, "LIVES_IN", tail) == "1417036d6c12553fb17b0f83ba0e8131b6edacd2002f225d34efdb71d85b447f"


@given(keys)
def test_keys_round_trip(key: str | int) -> None:
    assert decode_key(*encode_key(key, "")) == key


@given(st.text(), keys)
def test_a_named_key_is_among_those_that_it_may_mean(label: str, key: str | int) -> None:
    label = label.replace(":", "")
    found, candidates = named(f"{label}:{key}")
    assert found == label
    assert key in candidates


@pytest.mark.parametrize("key", ["--5", "²", "٣", "5 ", "", "-", f"{2**63}", "9" * 5_000])
def test_a_text_that_is_no_number_in_a_graph_is_a_text(key: str) -> None:
    assert named(f"L:{key}") == ("L", (key,))


@pytest.mark.parametrize("key", [True, 1.5, None, [1]])
def test_other_keys_are_refused(key: object) -> None:
    with pytest.raises(DataError, match="use a string or integer"):
        encode_key(key, "a City")


@given(st.lists(edges, max_size=5))
def test_a_plan_is_the_same_whatever_the_order_of_its_edges(planned: list[PlannedEdge]) -> None:
    unique = list({edge.id: edge for edge in planned}.values())
    assert plan_of(unique).id == plan_of(unique[::-1]).id


def test_a_saved_plan_is_loaded_as_it_was_and_a_changed_one_is_refused(tmp_path: Path) -> None:
    head, tail = Entity("L", "k", 1), Entity("L", "k", "1")
    edge = PlannedEdge(head, "R", tail, 0.75, 0.5, 1, 3.25, "one", "eins", evidence=("rank 1", "ä"), details="{}")
    plan = plan_of([edge])
    plan.save(tmp_path / "plan")
    loaded = Plan.load(tmp_path / "plan")
    assert loaded == plan
    assert loaded.id == plan.id
    for other in ({"details": "[]"}, {"evidence": ()}):
        assert dataclasses.replace(plan, edges=(dataclasses.replace(edge, **other),)).id != plan.id  # type: ignore[arg-type]
    dataclasses.replace(plan, edges=(dataclasses.replace(edge, score=0.99),)).save(tmp_path / "other")
    (tmp_path / "plan" / "plan.parquet").write_bytes((tmp_path / "other" / "plan.parquet").read_bytes())
    with pytest.raises(DataError, match="damaged"):
        Plan.load(tmp_path / "plan")


def test_a_plan_becomes_a_table_a_frame_and_a_graph() -> None:
    head, tail = Entity("L", "k", 1), Entity("L", "k", "1")
    plan = plan_of([PlannedEdge(head, "R", tail, 0.75, 0.5, 1, 3.25, "one", "eins")])
    assert plan.to_arrow().to_pylist()[0]["head_key_type"] == "integer"
    assert plan.to_pandas().loc[0, "score"] == 0.75
    graph = plan.to_networkx()
    [(one, other, data)] = graph.edges(data=True)
    assert (one, other, data["relation"]) == (head, tail, "R")


def test_a_plan_from_before_evidence_was_kept_is_loaded_as_it_was() -> None:
    head, tail = Entity("L", "k", 1), Entity("L", "k", "1")
    plan = plan_of([PlannedEdge(head, "R", tail, 0.75, 0.5, 1, 3.25, "one", "eins")])
    table = plan.to_arrow().drop_columns(["evidence", "details"])
    rows = table.to_pylist()
    assert [_edge(row) for row in rows] == list(plan.edges)
    content = [[edge.id, edge.properties()] for edge in plan.edges]
    assert "evidence" not in content[0][1]
    assert "kgsyncDetails" not in content[0][1]


def test_the_graph_of_a_plan_has_values_that_every_format_knows() -> None:
    head, tail = Entity("L", "k", 1), Entity("L", "k", "1")
    planned = PlannedEdge(head, "R", tail, 0.75, 0.5, 1, 3.25, evidence=("rank 1", "rule"), details="{}")
    [(_, _, data)] = plan_of([planned]).to_networkx().edges(data=True)
    assert data["evidence"] == "rank 1; rule"
    assert all(isinstance(value, str | int | float) for value in data.values())
