"""The head learns from text and from neighbours, never from the edge that it is asked about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kgsync.errors import ConfigError, DataError
from kgsync.kge.evaluate import evaluate
from kgsync.kge.known import KnownAnswers
from kgsync.lm.config import HeadConfig
from kgsync.lm.fit import Fitted, Graph, fit
from kgsync.lm.head import TextHead, TextVoice
from kgsync.lm.neighbours import Bank, Neighbours
from kgsync.lm.objective import Objective, Rows
from kgsync.lm.texts import EntityText
from kgsync.lm.words import Words

CITIES, COUNTRIES = 24, 4
N = CITIES + COUNTRIES
QUICK = HeadConfig(batch=16, negatives=N, epochs=30, patience=30, learning_rate=0.003)


def texts() -> tuple[EntityText, ...]:
    lands = ("Arland", "Borland", "Corland", "Dorland")
    cities = [EntityText(f"Town{i}", ("City",), f"a city of {lands[i % COUNTRIES]}") for i in range(CITIES)]
    return (*cities, *(EntityText(land, ("Country",), "a country") for land in lands))


def triples() -> np.ndarray:
    """Every city in its country, and a ring of cities."""
    located = [(i, 0, CITIES + i % COUNTRIES) for i in range(CITIES)]
    ring = [(i, 1, (i + COUNTRIES) % CITIES) for i in range(CITIES)]
    return np.array(located + ring)


def vectors(seed: int = 0) -> torch.Tensor:
    """Vectors that say nothing."""
    drawn = torch.randn(N, 8, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(drawn, dim=1)


def graph(hidden: int = 4) -> Graph:
    """The graph, whose last `hidden` cities have no country in train."""
    all_triples = triples()
    valid = (all_triples[:, 1] == 0) & (all_triples[:, 0] >= CITIES - hidden)
    return Graph(texts(), all_triples[~valid], all_triples[valid], 2)


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    return fit(graph(), vectors(), QUICK)


pairs = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2), st.integers(0, 9)), min_size=1, max_size=40)


@settings(deadline=None)
@given(pairs, st.integers(0, 9), st.integers(0, 9))
def test_the_mean_of_neighbours_is_a_naive_mean_without_the_one_taken_out(
    edges: list[tuple[int, int, int]], entity: int, without: int
) -> None:
    table = torch.randn(10, 3, generator=torch.Generator().manual_seed(0))
    near = {t for h, _, t in edges if h == entity} | {h for h, _, t in edges if t == entity}
    near -= {entity, without}
    expected = table[sorted(near)].mean(0) if near else torch.zeros(3)
    bank = Bank(table, Neighbours(np.array(edges), 10))
    found = bank.around(np.array([entity]), np.array([without]))[0]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


@settings(deadline=None)
@given(pairs, st.sets(st.integers(0, 9), min_size=1))
def test_a_bank_after_updates_is_a_bank_of_the_new_vectors(edges: list[tuple[int, int, int]], who: set[int]) -> None:
    neighbours, entities = Neighbours(np.array(edges), 10), np.array(sorted(who))
    table = torch.randn(10, 3, generator=torch.Generator().manual_seed(0))
    bank = Bank(table, neighbours)
    bank.update(entities, torch.ones(len(entities), 3))
    table[torch.from_numpy(entities)] = 1.0
    torch.testing.assert_close(bank.sums, Bank(table, neighbours).sums, atol=1e-5, rtol=1e-4)


def test_neither_end_of_a_train_triple_sees_the_other() -> None:
    neighbours = Neighbours(triples(), N)
    bank, rng = Bank(torch.eye(N), neighbours), np.random.default_rng(0)
    rows = Rows.both_ways(triples(), 2)
    around = bank.around(rows.anchors, rows.targets)
    assert around[torch.arange(len(rows)), torch.from_numpy(rows.targets)].abs().max() < 1e-6
    everyone = np.arange(N)
    assert neighbours.joined(everyone, neighbours.any(everyone, rng)).all()


def test_known_answers_and_only_they_are_hidden_from_a_step() -> None:
    g = graph()
    objective = Objective(Bank(vectors(), g.neighbours), g.words, g.known, negatives=N, margin=0.0, seed=0)
    rows = g.rows[np.arange(10)]
    candidates = np.concatenate([rows.targets, np.arange(N)])
    hidden = np.zeros((10, len(candidates)), bool)
    hidden[tuple(part.numpy() for part in objective._known_columns(rows, candidates))] = True
    for i in range(10):
        known = g.known.answers(int(rows.anchors[i]), int(rows.relations[i]))
        expected = np.isin(candidates, known)
        expected[i] = False
        np.testing.assert_array_equal(hidden[i], expected)


def test_the_words_that_two_share_equal_a_product_by_hand() -> None:
    words = Words(texts())
    rng = np.random.default_rng(0)
    anchors, candidates = rng.integers(0, N, 5), rng.permutation(N)
    weights = rng.random((5, words.ways)).astype(np.float32)
    rows, columns, ways, values = words.shared(anchors, words.columns(candidates))
    by_hand = np.zeros((5, N), np.float32)
    np.add.at(by_hand, (rows, candidates[columns]), weights[rows, ways] * values)
    np.testing.assert_allclose(words.weighted(anchors, weights), by_hand, atol=1e-5)


def test_an_entity_named_in_an_explanation_shares_words_with_it() -> None:
    words = Words(texts())
    weighted = words.weighted(np.array([0]), np.ones((1, words.ways), np.float32))[0]
    assert weighted[CITIES:].argmax() == 0  # "a city of Arland"


def test_names_in_any_script_share_letters() -> None:
    words = Words(
        [EntityText("北京市"), EntityText("北京大学"), EntityText("القاهرة"), EntityText("قاهرة"), EntityText()]
    )
    shared = words.weighted(np.arange(5), np.ones((5, words.ways), np.float32))
    assert shared[0, 1] > 0
    assert shared[2, 3] > 0
    assert shared[4].sum() == 0


def test_texts_without_words_leave_the_voice_silent_but_whole() -> None:
    g = Graph([EntityText()] * N, triples(), triples()[:0], 2)
    assert g.words.ways == 0
    result = fit(g, torch.zeros(N, 8), HeadConfig(batch=16, negatives=N, epochs=1))
    assert torch.isfinite(result.voice.scores(torch.arange(3), torch.zeros(3, dtype=torch.int64))).all()


def test_entities_that_were_never_trained_on_are_found_by_their_words(fitted: Fitted) -> None:
    g = graph()
    tails = evaluate(fitted.voice, g.valid, g.true).sides["tail"]
    assert tails.mrr > 0.9
    assert fitted.history[fitted.best_epoch - 1].valid_mrr == max(epoch.valid_mrr or 0 for epoch in fitted.history)


def test_training_twice_gives_the_same_bits(fitted: Fitted) -> None:
    again = fit(graph(), vectors(), QUICK)
    asked = torch.arange(5), torch.zeros(5, dtype=torch.int64)
    assert torch.equal(fitted.voice.scores(*asked), again.voice.scores(*asked))


@pytest.mark.parametrize("rank", [0, 3])
def test_a_full_and_a_low_rank_head_start_as_the_identity(rank: int) -> None:
    head, x = TextHead(8, 2, 0, rank), vectors()
    found = head.queries(x, torch.randn(N, 8), torch.arange(N) % 4)
    torch.testing.assert_close(found, x)
    torch.testing.assert_close(head.candidates(x, x), x)


def test_nobody_answers_their_own_query_unless_the_relation_has_loops() -> None:
    loop = np.array([[0, 1, 0]])
    g = Graph(texts(), np.concatenate([triples(), loop]), triples()[:0], 2)
    voice = g.voice(TextHead(8, 2, g.words.ways), Bank(vectors(), g.neighbours))
    scores = voice.scores(torch.tensor([0, 0]), torch.tensor([0, 1]))
    assert scores[0, 0] == scores[0].min()
    assert scores[1, 0] == scores[1].max()


def test_a_saved_voice_gives_the_same_scores(fitted: Fitted, tmp_path: Path) -> None:
    path = tmp_path / "voice.safetensors"
    fitted.voice.save(path, {"note": "kept"})
    again, meta = TextVoice.load(path, texts(), graph().train)
    assert meta == {"note": "kept"}
    asked = torch.arange(N), torch.arange(N) % 4
    assert torch.equal(fitted.voice.scores(*asked), again.scores(*asked))
    with pytest.raises(DataError, match="other texts"):
        TextVoice.load(path, (*texts()[:-1], EntityText("Elsewhere")), graph().train)


def test_a_new_entity_is_ranked_without_training(fitted: Fitted) -> None:
    new = EntityText("Newtown", ("City",), "a city of Borland")
    voice = fitted.voice.extended(torch.zeros(1, 8), [new], graph().train)
    scores = voice.scores(torch.tensor([N]), torch.tensor([0]))[0]
    assert len(scores) == N + 1
    assert scores[CITIES : CITIES + COUNTRIES].argmax() == 1


def test_settings_out_of_range_are_named() -> None:
    with pytest.raises(ConfigError, match=r"text\.dropout is 1\.5"):
        fit(graph(), vectors(), HeadConfig(dropout=1.5))
    with pytest.raises(DataError, match="3 vectors for 28 entities"):
        fit(graph(), vectors()[:3], HeadConfig())


def test_a_graph_without_valid_triples_trains_all_epochs() -> None:
    g = Graph(texts(), triples(), triples()[:0], 2)
    result = fit(g, vectors(), HeadConfig(batch=16, negatives=N, epochs=2, patience=1))
    assert result.stopped == "2 epochs are done"
    assert result.best_epoch == 2
    assert len(KnownAnswers(g.train, N, 2)) == len(g.known)


def test_the_exact_voice_says_the_same_whatever_else_is_asked(fitted: Fitted) -> None:
    voice = fitted.voice
    exact = voice.exact()
    anchors, relations = torch.arange(6), torch.arange(6) % len(voice.loops)
    together = exact.scores(anchors, relations)
    assert together.dtype == torch.float64
    some = torch.tensor([4, 1])
    single = torch.cat([exact.scores(anchors[i : i + 1], relations[i : i + 1], some) for i in range(6)])
    torch.testing.assert_close(single, together[:, some], rtol=0, atol=1e-5)
    torch.testing.assert_close(voice.scores(anchors, relations).double(), together, rtol=0.05, atol=0.5)
