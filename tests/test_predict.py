"""A plan holds what may be proposed, the best of it, the same every time, in bounded memory."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from example_graphs import graph, made_up_model, trained
from hypothesis import given, settings
from hypothesis import strategies as st

import kgsync
from kgsync.calibrate import SUREST
from kgsync.errors import DataError, NotFoundError
from kgsync.identity import Entity
from kgsync.kge.models import MODELS
from kgsync.model import Model
from kgsync.plan import Plan, Scope
from kgsync.predict import predict
from kgsync.snapshot import Snapshot

Edge = tuple[int, int, int]


def rows_of(snapshot: Snapshot, plan: Plan) -> list[Edge]:
    return [(snapshot.rows[e.head], snapshot.relations.index(e.relation), snapshot.rows[e.tail]) for e in plan.edges]


def names_of(plan: Plan) -> set[tuple[str, str, str]]:
    return {(edge.head_name, edge.relation, edge.tail_name) for edge in plan.edges}


@st.composite
def tiny_models(draw: st.DrawFn) -> Model:
    """Return a model of a few entities with a few labels, some triples and some rejected edges."""
    names = [f"e{i}" for i in range(draw(st.integers(2, 9)))]
    labels = {name: draw(st.lists(st.sampled_from("ABC"), max_size=2, unique=True)) for name in names}
    relations = ["R", "S"][: draw(st.integers(1, 2))]
    edges = st.tuples(st.sampled_from(names), st.sampled_from(relations), st.sampled_from(names))
    triples = draw(st.lists(edges, min_size=1, max_size=25, unique=True))
    rejected = draw(st.lists(edges.filter(lambda edge: edge not in triples), max_size=6, unique=True))
    used = {relation for _, relation, _ in triples}
    snapshot = graph(triples, labels, [edge for edge in rejected if edge[1] in used])
    return made_up_model(snapshot, draw(st.integers(0, 1000)), scoring=draw(st.sampled_from(list(MODELS))))


def labels_of(snapshot: Snapshot, row: int) -> set[str]:
    """Return the labels that say something: not `Thing`, which everything has, unless there is nothing else."""
    lists = [set(labels) for labels in snapshot.entities["labels"].to_pylist()]
    telling = {name for name in set().union(*lists) if sum(name in own for own in lists) <= 0.95 * len(lists)}
    return lists[row] & telling if telling else lists[row]


@given(tiny_models(), st.integers(1, 6), st.integers(1, 4), st.sampled_from([0.0, 0.3]))
@settings(max_examples=150, deadline=None)
def test_a_plan_never_holds_what_must_not_be_proposed(
    model: Model, top_k: int, per_entity: int, min_score: float
) -> None:
    snapshot = model.snapshot
    plan = model.predict(top_k=top_k, per_entity=per_entity, min_score=min_score)
    edges = rows_of(snapshot, plan)
    known = {tuple(edge) for edge in snapshot.triples.tolist()}
    assert len(set(edges)) == len(edges)
    assert not set(edges) & known
    assert not set(edges) & {tuple(edge) for edge in snapshot.rejected.tolist()}
    loops = {relation for head, relation, tail in known if head == tail}
    assert all(head != tail or relation in loops for head, relation, tail in edges)
    for side in (0, 2):
        seen: dict[int, list[set[str]]] = {}
        for edge in known:
            seen.setdefault(edge[1], []).append(labels_of(snapshot, edge[side]))
        for edge in edges:
            own = labels_of(snapshot, edge[side])
            assert any(own & labels or not own | labels for labels in seen[edge[1]])
    assert max(Counter(edge[1] for edge in edges).values(), default=0) <= top_k
    touched = Counter(end for head, _, tail in edges for end in {head, tail})
    assert max(touched.values(), default=0) <= per_entity
    assert all(min_score <= edge.score <= 1 and 0 <= edge.score_low <= edge.score for edge in plan.edges)


@given(tiny_models())
@settings(max_examples=100, deadline=None)
def test_rank_and_evidence_are_those_of_a_full_table(model: Model) -> None:
    snapshot, calibrator = model.snapshot, model.calibrated()
    plan = model.predict(min_score=0.0, per_entity=1000)
    n_entities, n_relations = snapshot.entities.num_rows, len(snapshot.relations)
    everyone = torch.arange(n_entities)
    barred = {tuple(edge) for edge in np.concatenate([snapshot.triples, snapshot.rejected]).tolist()}
    for edge, (head, relation, tail) in zip(plan.edges, rows_of(snapshot, plan), strict=True):
        heads, tails = ends_of(snapshot, relation)
        to_tails = model.kge.scores(torch.tensor([head]), torch.tensor([relation]), everyone)[0].double().numpy()
        to_heads = model.kge.scores(torch.tensor([tail]), torch.tensor([relation + n_relations]))[0].double().numpy()
        loop = any(h == t and r == relation for h, r, t in snapshot.triples.tolist())
        tails = [t for t in tails if (head, relation, t) not in barred and (loop or t != head)]
        heads = [h for h in heads if (h, relation, tail) not in barred and (loop or h != tail)]
        forward = to_tails[tail] - np.log(np.exp(to_tails[tails]).sum())
        backward = to_heads[head] - np.log(np.exp(to_heads[heads]).sum())
        known_tails = sum(h == head and r == relation for h, r, _ in snapshot.triples.tolist())
        known_heads = sum(t == tail and r == relation for _, r, t in snapshot.triples.tolist())
        sure = sum(-math.log(max(1 - math.exp(log), math.exp(-SUREST))) for log in (forward, backward))
        evidence = [1.0, max(forward, -30), max(backward, -30), sure, math.log1p(known_tails), math.log1p(known_heads)]
        logit = float(np.dot(evidence, calibrator.weights))
        assert edge.score == pytest.approx(1 / (1 + math.exp(-logit)), abs=1e-4)
        assert edge.kge_score == pytest.approx(to_tails[tail], abs=1e-4)
        gaps = to_tails[tails] - to_tails[tail]
        assert 1 + (gaps > 1e-4).sum() <= edge.rank <= (gaps > -1e-4).sum()


def ends_of(snapshot: Snapshot, relation: int) -> tuple[list[int], list[int]]:
    """Return the entities that share a telling label with a known head, and with a known tail."""
    both = []
    for side in (0, 2):
        seen = [labels_of(snapshot, edge[side]) for edge in snapshot.triples.tolist() if edge[1] == relation]
        own = [labels_of(snapshot, row) for row in range(snapshot.entities.num_rows)]
        both.append([row for row, mine in enumerate(own) if any(mine & s or not mine | s for s in seen)])
    return both[0], both[1]


@given(tiny_models(), st.integers(1, 200))
@settings(max_examples=50, deadline=None)
def test_block_size_does_not_change_a_tiny_plan(model: Model, memory: int) -> None:
    assert predict(model, memory=memory, min_score=0.0).id == predict(model, min_score=0.0).id


def test_block_size_does_not_change_the_plan() -> None:
    model, sizes = trained("umls"), (1 << 10, 1 << 16, 1 << 27)
    some = model.snapshot.relations[::8]
    plans = {predict(model, relations=some, memory=memory, min_score=0.02).id for memory in sizes}
    assert len(plans) == 1


def test_a_better_edge_has_a_better_score_and_the_plan_is_sorted() -> None:
    plan = trained("umls").predict(top_k=20)
    for relation in {edge.relation for edge in plan.edges}:
        scores = [edge.score for edge in plan.edges if edge.relation == relation]
        assert scores == sorted(scores, reverse=True)
        assert len(scores) <= 20
    assert len(plan) > 20


def born_in(people: int, places: int = 5) -> list[tuple[str, str, str]]:
    return [(f"p{i}", "BORN_IN", f"c{i % places}") for i in range(people)]


KINDS = {**{f"p{i}": ["Person"] for i in range(60)}, **{f"c{i}": ["City"] for i in range(5)}}


def test_an_entity_with_its_one_tail_gets_no_second() -> None:
    plan = made_up_model(graph(born_in(50), KINDS)).predict(min_score=0.0, per_entity=100)
    heads = [edge.head_name for edge in plan.edges]
    assert set(heads) == {f"p{i}" for i in range(50, 60)}
    assert len(set(heads)) == len(heads)


def test_the_reverse_of_an_edge_that_holds_one_way_is_never_proposed() -> None:
    chain = [(f"p{i}", "PARENT_OF", f"p{i + step}") for i in range(50) for step in (1, 2)]
    plan = made_up_model(graph(chain)).predict(min_score=0.0, per_entity=1000, top_k=1000)
    proposed = {(edge.head_name, edge.tail_name) for edge in plan.edges}
    assert len(proposed) > 50
    assert not proposed & {(tail, head) for head, _, tail in chain}
    assert not proposed & {(tail, head) for head, tail in proposed}


def test_a_relation_that_is_stored_both_ways_is_proposed_both_ways() -> None:
    borders = [(f"c{i}", "BORDERS", f"c{(i + step) % 30}") for i in range(30) for step in (-2, -1, 1, 2)]
    plan = made_up_model(graph(borders)).predict(min_score=0.0, per_entity=1000, top_k=1000)
    proposed = {(edge.head_name, edge.tail_name) for edge in plan.edges}
    assert proposed & {(tail, head) for head, tail in proposed}


def test_a_loop_is_proposed_only_where_the_relation_has_loops() -> None:
    triples = [("a", "KNOWS", "b"), ("b", "KNOWS", "c"), ("a", "LIKES", "a"), ("b", "LIKES", "c")]
    plan = made_up_model(graph(triples)).predict(min_score=0.0, per_entity=1000)
    assert {edge.relation for edge in plan.edges if edge.head == edge.tail} == {"LIKES"}


def test_a_question_about_one_head_gets_its_tails_and_speaks_for_no_more() -> None:
    model = trained("umls")
    plan = model.predict(relations=["affects"], heads=["virus"], top_k=5, min_score=0.0, per_entity=1)
    assert len(plan) == 5  # the cap is for entities that were not asked for
    assert {edge.head_name for edge in plan.edges} == {"virus"}
    assert [edge.rank for edge in plan.edges] != sorted([edge.rank for edge in plan.edges], reverse=True)
    virus = Entity("Thing", "id", "virus")
    assert plan.scope == Scope(relations=("affects",), labels=("Thing",), heads=(virus,), tails=())


def test_a_question_about_one_tail_gets_its_heads() -> None:
    plan = trained("umls").predict(relations=["affects"], tails=["virus"], top_k=3, min_score=0.0)
    assert {edge.tail_name for edge in plan.edges} == {"virus"}
    assert len(plan) == 3


def test_a_question_about_one_edge_is_answered_however_low_its_score_unless_a_least_one_is_given() -> None:
    model = trained("umls")
    low = model.predict(relations=["affects"], heads=["virus"], top_k=1000, min_score=0.0, per_entity=1000)
    worst = low.edges[-1]
    plan = model.predict(relations=["affects"], heads=[worst.head], tails=[worst.tail])
    assert plan.edges == (worst,)
    assert model.predict(relations=["affects"], heads=[worst.head], tails=[worst.tail], min_score=0.1).edges == ()
    assert worst.score < 0.1
    assert (plan.scope.heads, plan.scope.tails) == ((worst.head,), (worst.tail,))


@pytest.mark.parametrize(
    ("head", "tail", "reason"),
    [
        ("p0", "c0", "the edge is in the graph"),
        ("p1", "c0", "Thing:p1 has its one BORN_IN already"),
        ("p51", "p52", "Thing:p52 is none of what BORN_IN leads to: City"),
        ("c0", "c1", "Thing:c0 is none of what BORN_IN starts at: Person"),
        ("p55", "p55", "no BORN_IN joins an entity with itself"),
        ("p56", "c1", "a reviewer rejected the edge"),
    ],
)
def test_an_edge_that_may_not_be_proposed_is_refused_with_the_reason(head: str, tail: str, reason: str) -> None:
    snapshot = graph(born_in(50), KINDS, [("p56", "BORN_IN", "c1")])
    with pytest.raises(DataError, match=reason):
        made_up_model(snapshot).predict(relations=["BORN_IN"], heads=[head], tails=[tail])


def test_an_entity_that_can_have_no_such_edge_is_refused_with_the_reason() -> None:
    model = made_up_model(graph(born_in(50), KINDS))
    with pytest.raises(DataError, match="is none of what BORN_IN starts at"):
        model.predict(relations=["BORN_IN"], heads=["c0"])
    with pytest.raises(DataError, match="is none of what BORN_IN leads to"):
        model.predict(tails=["p0"])


@pytest.mark.parametrize(
    ("question", "hint"),
    [
        ({"relations": ["afects"]}, "no relation 'afects'.*affects"),
        ({"heads": ["viruss"]}, "no entity 'viruss'; did you mean .*virus"),
        ({"tails": [Entity("Thing", "id", 1)]}, "no entity Thing:1"),
    ],
)
def test_unknown_names_are_refused_with_the_closest(question: dict[str, list[str]], hint: str) -> None:
    with pytest.raises(NotFoundError, match=hint):
        trained("umls").predict(**question)  # type: ignore[arg-type]


def test_a_plan_of_a_part_of_the_graph_speaks_only_for_its_entities() -> None:
    snapshot = graph([("a", "R", "b"), ("b", "R", "c")])
    whole, part = made_up_model(snapshot), made_up_model(replace(snapshot, origin={"selection": {"seeds": ["a"]}}))
    assert whole.predict().scope.heads == ()
    scope = part.predict().scope
    assert scope.heads == scope.tails == tuple(snapshot.identities)


def test_a_plan_knows_its_model_snapshot_and_database() -> None:
    database = {"id": "4F", "name": "neo4j"}
    model = made_up_model(replace(graph([("a", "R", "b")]), origin={"database": database}))
    plan = model.predict()
    assert (plan.model, plan.snapshot_id, plan.database) == (model.card(), model.snapshot.id, database)


def test_a_relation_may_be_named_by_the_id_that_it_had_in_loaded_files() -> None:
    snapshot = graph([(f"e{i}", relation, f"e{i + 1}") for i in range(9) for relation in ("R", "WON_2")])
    model = made_up_model(replace(snapshot, relation_ids={"WON_2": "/award/won"}))
    plan = model.predict(relations=["/award/won"], min_score=0.0)
    assert {edge.relation for edge in plan.edges} == {"WON_2"}
    assert plan.scope.relations == ("WON_2",)
    assert plan.id == model.predict(relations=["WON_2"], min_score=0.0).id


def test_a_model_whose_scores_are_no_numbers_is_refused() -> None:
    model = made_up_model(graph(born_in(9), KINDS))
    model.kge.relations.data[0, 0] = math.nan
    with pytest.raises(DataError, match="scores that are no numbers for BORN_IN"):
        model.predict()


def test_identical_entities_are_ordered_the_same_every_time() -> None:
    model = made_up_model(graph(born_in(50), KINDS))
    model.kge.entities.data[:] = model.kge.entities.data[0].clone()
    first = model.predict(min_score=0.0)
    assert first.id == predict(model, memory=100, min_score=0.0).id
    assert len({edge.score for edge in first.edges}) == 1


@pytest.mark.slow
def test_a_hundred_thousand_entities_fit_into_bounded_memory() -> None:
    """Two thousand heads against a hundred thousand tails would be 800 MB of scores as one table."""
    script = Path(__file__).with_name("predict_large.py")
    environment = {**os.environ, "PYTHONPATH": str(Path(kgsync.__file__).parents[1])}
    done = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True, check=True)
    edges, grown = map(int, done.stdout.split())
    assert edges == 100
    assert grown < 400 << 20
