"""The index of known answers equals sets built by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgsync.errors import DataError
from kgsync.kge.known import KnownAnswers

ENTITIES, RELATIONS = 6, 3
TRIPLES = st.lists(st.tuples(st.integers(0, ENTITIES - 1), st.integers(0, RELATIONS - 1), st.integers(0, ENTITIES - 1)))


def by_hand(triples: list[tuple[int, int, int]]) -> dict[tuple[int, int], set[int]]:
    answers: dict[tuple[int, int], set[int]] = {}
    for h, r, t in triples:
        answers.setdefault((h, r), set()).add(t)
        answers.setdefault((t, r + RELATIONS), set()).add(h)
    return answers


def array(triples: list[tuple[int, int, int]]) -> np.ndarray:
    return np.array(triples, dtype=np.int32).reshape(-1, 3)


@settings(max_examples=60, deadline=None)
@given(TRIPLES)
def test_answers_in_both_directions_equal_sets_built_by_hand(triples: list[tuple[int, int, int]]) -> None:
    known, expected = KnownAnswers(array(triples), ENTITIES, RELATIONS), by_hand(triples)
    assert len(known) == len(expected)
    assert known.counts().sum() == sum(map(len, expected.values()))
    for anchor in range(ENTITIES):
        for relation in range(2 * RELATIONS):
            assert known.answers(anchor, relation).tolist() == sorted(expected.get((anchor, relation), ()))


@settings(max_examples=60, deadline=None)
@given(TRIPLES, st.lists(st.tuples(st.integers(0, ENTITIES - 1), st.integers(0, 2 * RELATIONS - 1)), max_size=8))
def test_mask_lists_every_answer_of_every_row_also_of_repeated_and_unknown_queries(
    triples: list[tuple[int, int, int]], queries: list[tuple[int, int]]
) -> None:
    known, expected = KnownAnswers(array(triples), ENTITIES, RELATIONS), by_hand(triples)
    wanted = np.array(queries, dtype=np.int64).reshape(-1, 2)
    rows, entities = known.mask(wanted[:, 0], wanted[:, 1])
    found = sorted(zip(rows.tolist(), entities.tolist(), strict=True))
    assert found == sorted((row, e) for row, query in enumerate(queries) for e in expected.get(query, ()))


def test_ids_out_of_range_and_wrong_shapes_are_refused_by_name() -> None:
    with pytest.raises(DataError, match="triple 1 has tail 6, outside 0 to 5"):
        KnownAnswers(array([(0, 0, 1), (0, 0, 6)]), ENTITIES, RELATIONS)
    with pytest.raises(DataError, match="triple 0 has relation -1"):
        KnownAnswers(array([(0, -1, 1)]), ENTITIES, RELATIONS)
    with pytest.raises(DataError, match="shape"):
        KnownAnswers(np.zeros((4, 2), dtype=np.int64), ENTITIES, RELATIONS)
    with pytest.raises(DataError, match="float64"):
        KnownAnswers(np.zeros((4, 3)), ENTITIES, RELATIONS)
