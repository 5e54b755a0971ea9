"""The split hides pairs without leaks, repeatably, and leaves train with everything that occurs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgsync.errors import ConfigError, DataError
from kgsync.split import Split, split_triples

PARTS = ("train", "select", "fuse", "calibrate", "test")


@st.composite
def graphs(draw: st.DrawFn) -> tuple[np.ndarray, list[str]]:
    """Between 10 and 120 triples that join different entities, some loops, and ids in no order."""
    size, relations = draw(st.integers(6, 25)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    rows = rng.integers(0, [size, relations, size], (draw(st.integers(40, 160)), 3))
    return rows, [f"id-{number}" for number in rng.permutation(1_000)[:size]]


def rows_of(part: np.ndarray) -> list[tuple[int, ...]]:
    return sorted(map(tuple, part.tolist()))


def named(split: Split, ids: list[str]) -> dict[str, set[tuple[str, int, str]]]:
    return {part: {(ids[h], r, ids[t]) for h, r, t in getattr(split, part).tolist()} for part in PARTS}


@settings(max_examples=60, deadline=None)
@given(graphs(), st.floats(0, 0.45), st.floats(0, 0.45), st.integers(0, 9))
def test_parts_cover_the_graph_without_leaks_and_train_has_all_that_occurs(
    graph: tuple[np.ndarray, list[str]], valid: float, test: float, seed: int
) -> None:
    triples, ids = graph
    split = split_triples(triples, ids, valid=valid, test=test, seed=seed)
    parts = [getattr(split, name) for name in PARTS]
    assert rows_of(np.concatenate(parts)) == rows_of(triples)
    pairs = [{frozenset((h, t)) for h, _, t in part.tolist()} for part in parts]
    assert sum(map(len, pairs)) == len(set.union(*pairs)), "one pair of entities is in two parts"
    assert set(triples[:, [0, 2]].ravel()) == set(split.train[:, [0, 2]].ravel())
    assert set(triples[:, 1]) == set(split.train[:, 1])


@settings(max_examples=30, deadline=None)
@given(graphs(), st.integers(0, 9), st.integers(0, 99))
def test_order_and_numbering_of_rows_entities_and_relations_do_not_matter(
    graph: tuple[np.ndarray, list[str]], seed: int, shuffle: int
) -> None:
    triples, ids = graph
    rng = np.random.default_rng(shuffle)
    entity = rng.permutation(len(ids))
    renumbered = np.stack([entity[triples[:, 0]], triples[:, 1], entity[triples[:, 2]]], axis=1)
    new_ids = [ids[old] for old in np.argsort(entity)]
    first = split_triples(triples, ids, valid=0.2, test=0.2, seed=seed)
    second = split_triples(rng.permutation(renumbered), new_ids, valid=0.2, test=0.2, seed=seed)
    assert named(first, ids) == named(second, new_ids)


def big(count: int) -> tuple[np.ndarray, list[str]]:
    rng = np.random.default_rng(0)
    return rng.integers(0, [300, 5, 300], (count, 3)), [f"entity {number}" for number in range(300)]


def test_a_growing_graph_keeps_its_hidden_triples_hidden() -> None:
    triples, ids = big(8_000)
    before = named(split_triples(triples[:6_000], ids, valid=0.1, test=0.05, seed=0), ids)
    after = named(split_triples(triples, ids, valid=0.1, test=0.05, seed=0), ids)
    for part in PARTS:
        assert before[part] <= after[part]


def test_the_shares_are_about_as_asked_for_and_another_seed_hides_others() -> None:
    triples, ids = big(20_000)
    split = split_triples(triples, ids, valid=0.1, test=0.05, seed=0)
    assert len(split.test) / len(triples) == pytest.approx(0.05, abs=0.01)
    assert len(split.select) / len(triples) == pytest.approx(0.04, abs=0.01)
    assert len(split.fuse) / len(triples) == pytest.approx(0.03, abs=0.01)
    assert len(split.calibrate) / len(triples) == pytest.approx(0.03, abs=0.01)
    other = split_triples(triples, ids, valid=0.1, test=0.05, seed=1)
    shared = set(rows_of(split.test)) & set(rows_of(other.test))
    assert len(shared) < 0.2 * len(split.test)


def test_no_part_gives_more_of_its_hard_edges_back_to_train_than_another() -> None:
    random = np.random.default_rng(1)
    triples = np.unique(random.integers(0, [9_000, 1, 9_000], (20_000, 3)), axis=0)  # many have one edge or two
    split = split_triples(triples, [f"id-{n}" for n in range(9_000)], valid=0.3, test=0.3, seed=0)
    shares = {"test": 0.3, "select": 0.12, "fuse": 0.09, "calibrate": 0.09}
    kept = {name: len(getattr(split, name)) / share / len(triples) for name, share in shares.items()}
    assert max(kept.values()) < 0.95
    assert max(kept.values()) - min(kept.values()) < 0.06, kept


def test_a_pair_linked_under_every_relation_in_both_directions_is_hidden_whole() -> None:
    triples, ids = big(6_000)
    next_relation = np.stack([triples[:, 0], (triples[:, 1] + 1) % 5, triples[:, 2]], axis=1)
    both = np.concatenate([triples, triples[:, [2, 1, 0]], next_relation])
    split = split_triples(both, ids, valid=0.2, test=0.2, seed=3)
    seen = {frozenset((h, t)) for h, _, t in split.train.tolist()}
    assert len(split.test) > 500
    assert all(frozenset((h, t)) not in seen for h, _, t in split.test.tolist())


@pytest.mark.parametrize(
    ("triples", "words"),
    [
        ([], "0 triples join two different entities, too few"),
        ([(0, 0, 1), (1, 0, 2)], "2 triples join two different entities, too few"),
        ([(e, 0, e) for e in range(30)], r"0 triples join two different entities \(30 more are self-loops\)"),
        ([(0, 0, 1)] * 30, "1 triples join two different entities"),
    ],
)
def test_a_graph_too_small_to_learn_from_is_one_clear_line(triples: list[tuple[int, int, int]], words: str) -> None:
    with pytest.raises(DataError, match=words):
        split_triples(np.array(triples).reshape(-1, 3), [str(n) for n in range(40)], valid=0.1, test=0.05, seed=0)


def test_a_chain_and_a_star_keep_every_entity_in_train_even_if_nothing_can_be_hidden() -> None:
    for triples in ([(n, 0, n + 1) for n in range(20)], [(0, 0, n + 1) for n in range(20)]):
        ids = [str(number) for number in range(21)]
        split = split_triples(np.array(triples), ids, valid=0.3, test=0.3, seed=0)
        assert set(split.train[:, [0, 2]].ravel()) == set(range(21))
    assert len(split.train) == 20, "a leaf of a star has no other triple"


@pytest.mark.parametrize(("valid", "test"), [(-0.1, 0.1), (0.6, 0.5), (0.1, 1.0), (float("nan"), 0.1)])
def test_shares_that_leave_nothing_to_train_are_refused(valid: float, test: float) -> None:
    triples, ids = big(100)
    with pytest.raises(ConfigError, match=r"split\.valid"):
        split_triples(triples, ids, valid=valid, test=test, seed=0)
