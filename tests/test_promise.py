"""The share of false edges that is promised is kept, whatever the scores are."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import pytest
from example_graphs import trained
from hypothesis import given
from hypothesis import strategies as st

from kgsync.cli.options import share_of
from kgsync.cli.write import write
from kgsync.errors import DataError
from kgsync.plan import Plan
from kgsync.promise import Nulls, false_shares, most


def drawn(rng: np.random.Generator, n: int, *, share: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """Scores of candidates, and which are true: these score higher, and overlap."""
    true = rng.random(n) < share
    return rng.normal(np.where(true, 3.0, 0.0)), true


@pytest.mark.parametrize("promised", [0.05, 0.1, 0.3])
def test_selected_candidates_are_false_no_more_often_than_promised(promised: float) -> None:
    rng = np.random.default_rng(0)
    shares, found = [], []
    for _ in range(60):
        nulls = Nulls.of(*drawn(rng, 4_000), np.ones(4_000))
        scores, true = drawn(rng, 4_000)
        chosen = false_shares(nulls.p_values(scores), len(scores)) <= promised
        shares.append((~true[chosen]).mean() if chosen.any() else 0.0)
        found.append(chosen.sum())
    assert np.mean(np.array(shares) <= promised) >= 0.8, (
        "nineteen of twenty calibrations, and chance in what is selected"
    )
    assert np.mean(shares) > 0.3 * promised, "far too careful"
    assert np.mean(found) > 20


def test_without_any_signal_hardly_anything_is_selected() -> None:
    rng = np.random.default_rng(1)
    chosen = 0
    for _ in range(50):
        nulls = Nulls.of(rng.normal(size=2_000), rng.random(2_000) < 0.02, np.ones(2_000))
        chosen += int((false_shares(nulls.p_values(rng.normal(size=2_000)), 2_000) <= 0.1).any())
    assert chosen <= 10


def test_fewer_of_the_hopeless_candidates_change_no_share() -> None:
    rng = np.random.default_rng(2)
    nulls = Nulls.of(*drawn(rng, 4_000), np.ones(4_000))
    scores, _ = drawn(rng, 4_000)
    everything = false_shares(nulls.p_values(scores), 4_000)
    best = np.argsort(-scores)[:500]
    few = false_shares(nulls.p_values(scores[best]), 4_000)
    assert (few >= everything[best] - 1e-12).all()
    assert ((few <= 0.2) == (everything[best] <= 0.2)).all()


@given(
    st.lists(st.floats(-5, 5), min_size=1, max_size=400),
    st.lists(st.floats(-6, 6), min_size=1, max_size=20),
    st.integers(0, 2**31),
)
def test_thinned_p_values_are_never_smaller_than_exact_ones(nulls: list[float], asked: list[float], seed: int) -> None:
    own = np.array(nulls * 7)
    weights = np.random.default_rng(seed).integers(1, 4, len(own)).astype(float)
    weight = float(weights @ weights / weights.sum())
    kept = Nulls.of(own, np.zeros(len(own), bool), weights)
    as_high = np.array([weights[own >= score].sum() for score in asked])
    exact = np.minimum(most(as_high, weight=weight) / (1 + weights.sum()), 1.0)
    found = kept.p_values(np.array(asked))
    assert (found >= exact - 1e-12).all()
    assert (Nulls.from_dict(kept.to_dict()).p_values(np.array(asked)) == found).all()


def test_a_score_higher_than_every_false_one_has_the_smallest_p_value() -> None:
    nulls = Nulls.of(np.array([0.1, 0.5]), np.array([False, False]), np.ones(2))
    bounds = most(np.array([0, 1, 1, 2]))
    assert nulls.p_values(np.array([0.9, 0.5, 0.3, 0.1])).tolist() == pytest.approx(np.minimum(bounds / 3, 1).tolist())


def test_as_many_false_ones_as_seen_are_expected_at_most_nineteen_times_in_twenty() -> None:
    rng = np.random.default_rng(3)
    for mean in (0.2, 1.0, 5.0, 40.0):
        assert (most(rng.poisson(mean, 20_000)) >= mean).mean() >= 0.94
        few = rng.poisson(mean / 4, 20_000)  # each stands for four
        assert (most(4.0 * few, weight=4.0) >= mean).mean() >= 0.94
    assert most(1_000) < 1_060, "many are counted well"


def test_what_is_missing_is_taken_off_where_so_much_of_it_is_labelled() -> None:
    rng = np.random.default_rng(5)
    for false, labelled, times in ((5.0, 60.0, 1.0), (40.0, 50.0, 3.5), (0.5, 8.0, 2.0)):
        seen, others = rng.poisson(labelled, 20_000), rng.poisson(false + times * labelled, 20_000)
        found = most(others, times * seen, times**2 * seen)
        assert (found >= false).mean() >= 0.94
        assert np.median(found) < 0.8 * np.median(most(others))
    assert (most(np.arange(50), 0.0, 0.0) == most(np.arange(50))).all()


def test_a_promise_is_kept_in_a_graph_that_lacks_many_edges() -> None:
    rng = np.random.default_rng(6)
    kept, found = [], []
    for _ in range(40):
        scores, true = drawn(rng, 6_000, share=0.1)
        labelled = true & (rng.random(6_000) < 0.3)  # the others are missing, and nobody knows
        asked, missing = drawn(rng, 6_000, share=0.07)
        shares = [
            false_shares(Nulls.of(scores, labelled, np.ones(6_000), missing=missing_too).p_values(asked), 6_000)
            for missing_too in (np.full(6_000, 0.7 / 0.3), None)
        ]
        chosen = shares[0] <= 0.3
        kept.append(not chosen.any() or (~missing[chosen]).mean() <= 0.3)
        found.append([(each <= 0.3).sum() for each in shares])
    more, fewer = np.sum(found, axis=0)
    assert more > 2 * fewer, "what is missing does not count as false"
    assert np.mean(kept) >= 0.85


def test_a_whole_plan_promises_and_a_plan_for_named_relations_does_not() -> None:
    model = trained("umls")
    plan = model.predict(top_k=20)
    shares = [edge.false_share for edge in plan.edges if edge.false_share is not None]
    assert len(shares) == len(plan)
    some = sorted(set(shares))[0]
    kept = plan.promising(some)
    assert 0 < len(kept) < len(plan)
    assert set(kept.edges) == {edge for edge in plan.edges if edge.false_share == some}
    assert min(edge.score for edge in kept.edges) >= max(e.score for e in set(plan.edges) - set(kept.edges))
    assert len(plan.promising(some / 2)) == 0, "the graph has no missing edges of which so much could be promised"
    assert (kept.scope.relations, kept.scope.labels) == ((), plan.scope.labels), "what is left out does not expire"
    named = model.predict(relations=[plan.edges[0].relation], top_k=5)
    with pytest.raises(DataError, match="no share of false edges can be promised"):
        named.promising(0.1)


def test_a_promise_can_be_made_for_every_relation_by_itself(tmp_path: Path) -> None:
    plan = trained("umls").predict(top_k=20)
    shares = {edge.id: edge.own_false_share for edge in plan.edges}
    for relation in plan.scope.relations:
        own = [edge for edge in plan.edges if edge.relation == relation]  # best first
        assert [shares[e.id] for e in own] == sorted(shares[e.id] or 0 for e in own), "the better, the more is promised"
    some = sorted(share for share in shares.values() if share is not None)[len(shares) // 10]
    kept = plan.promising(some, each_relation=True)
    assert 0 < len(kept) < len(plan)
    assert all(edge.own_false_share is not None and edge.own_false_share <= some for edge in kept.edges)
    assert kept.edges != plan.promising(some).edges
    assert Plan.load(plan.save(tmp_path / "plan")).edges == plan.edges


def test_p_values_above_the_least_score_are_those_of_all_candidates() -> None:
    rng = np.random.default_rng(4)
    scores, true = rng.random(500) ** 4, rng.random(500) < 0.02
    whole, high = Nulls.of(scores, true, np.ones(500)), Nulls.of(scores, true, np.ones(500), least=0.3)
    asked = np.array([0.999, 0.6, 0.31, 0.3])
    assert (high.p_values(asked) == whole.p_values(asked)).all()
    assert len(high.scores) < len(whole.scores)
    assert high.p_values(np.array([0.29])).tolist() == [1.0]
    nothing = Nulls.of(scores, np.ones(500, bool), np.ones(500), least=0.3)
    assert nothing.p_values(np.array([0.5, 0.1])).tolist() == pytest.approx([most(0) / 501, 1.0])


def test_the_model_says_what_its_promises_came_to() -> None:
    reliability = trained("umls").metrics.reliability
    assert reliability is not None
    assert [kept.promised for kept in reliability.promises] == [0.05, 0.1, 0.2, 0.3]
    selected = [kept.selected for kept in reliability.promises]
    assert selected == sorted(selected)
    assert reliability == type(reliability).from_dict(reliability.to_dict())


@pytest.mark.parametrize(("text", "share"), [("10%", 0.1), ("0.25", 0.25), ("2.5%", 0.025)])
def test_shares_are_read_from_percent_and_fractions(text: str, share: float) -> None:
    assert share_of(click.Context(write), click.Option(["--max-false"]), text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["10", "0", "100%", "a tenth", "-5%", "nan"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is no share"):
        share_of(click.Context(write), click.Option(["--max-false"]), text)


def test_a_model_of_before_promises_no_more_than_one_of_today() -> None:
    scores, true = np.linspace(0.1, 0.9, 50), np.zeros(50, bool)
    new = Nulls.of(scores, true, np.ones(50))
    falling = tuple(scores[::-1].tolist())
    old = Nulls(falling, tuple(range(1, 51)), tuple(range(50)), 50.0)  # what was seen, as it was kept
    asked = np.array([0.95, 0.7, 0.2])
    assert (old.p_values(asked) >= new.p_values(asked)).all()
    assert old.p_values(asked)[0] > 0
