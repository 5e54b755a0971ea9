"""Tuning teaches the encoder what the graph knows; an interrupted run goes on as if nothing had been."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kgsync.errors import ConfigError, DataError
from kgsync.lm import encoder as encoders
from kgsync.lm import tune as tuning
from kgsync.lm.config import HeadConfig, TuneConfig
from kgsync.lm.encoder import Encoder
from kgsync.lm.fit import Graph, fit
from kgsync.lm.head import TextVoice
from kgsync.lm.neighbours import Neighbours
from kgsync.lm.texts import EntityText
from kgsync.lm.tune import clusters, tune

KINDS = {
    "fruit": "apple pear plum cherry grape",
    "tool": "hammer saw drill file axe",
    "bird": "crow swan hawk owl wren",
}
CONFIG = TuneConfig(layers=1, batch=6, negatives=18, warm_up=2, epochs=2, learning_rate=3e-4)


def small_graph() -> Graph:
    """Fifteen things, each of one of three kinds; the last of each kind is to be guessed."""
    kinds = list(KINDS)
    names = [(name, kind) for kind, words in KINDS.items() for name in words.split()]
    triples = np.array([(i, 0, len(names) + kinds.index(kind)) for i, (_, kind) in enumerate(names)])
    texts = [EntityText(name) for name, _ in names] + [EntityText(kind) for kind in kinds]
    hidden = np.arange(len(triples)) % 5 == 4
    return Graph(texts, triples[~hidden], triples[hidden], 1)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        return encoders.load()


@pytest.fixture(scope="module")
def start(encoder: Encoder) -> TextVoice:
    graph = small_graph()
    vectors = encoder.encode([text.sentence() for text in graph.texts])
    return fit(graph, vectors, HeadConfig(batch=8, negatives=18, epochs=2)).voice


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 19), st.just(0), st.integers(0, 19)), min_size=1, max_size=60), st.integers(1, 8)
)
def test_every_entity_is_in_exactly_one_batch(edges: list[tuple[int, int, int]], size: int) -> None:
    batches = clusters(Neighbours(np.array(edges), 20), size, np.random.default_rng(0))
    assert sorted(np.concatenate(batches).tolist()) == list(range(20))
    assert all(len(batch) == size for batch in batches[:-1])
    assert all((np.diff(batch) > 0).all() for batch in batches)


def test_batches_keep_neighbours_together() -> None:
    chain = np.array([(i, 0, i + 1) for i in range(99)])
    batches = clusters(Neighbours(chain, 100), 10, np.random.default_rng(0))
    inside = sum(np.isin(batch + 1, batch).sum() for batch in batches)
    assert inside > 70


def test_tuning_changes_the_top_layer_alone_and_leaves_the_start_as_it_was(encoder: Encoder, start: TextVoice) -> None:
    before = {name: tensor.clone() for name, tensor in encoder.module.state_dict().items()}
    result = tune(small_graph(), encoder, start, CONFIG)
    after = result.encoder.module.state_dict()
    moved = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert moved
    assert all(".layer.5." in name for name in moved)
    assert all(torch.equal(tensor, before[name]) for name, tensor in encoder.module.state_dict().items())
    assert result.encoder.hash != encoder.hash
    assert result.history[1].loss < result.history[0].loss
    assert result.after is not None


def test_an_interrupted_tuning_ends_with_the_same_bits(
    encoder: Encoder, start: TextVoice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tune(small_graph(), encoder, start, CONFIG)
    monkeypatch.setattr(tuning, "CHECKPOINT_SECONDS", 0.0)

    def interrupt(step: str, done: int, total: int | None) -> None:
        if done == 5:  # of eight, in the second epoch
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(small_graph(), encoder, start, CONFIG, checkpoint=tmp_path, progress=interrupt)
    assert (tmp_path / tuning.CHECKPOINT).is_file()
    with pytest.raises(DataError, match="belongs to another graph"):
        tune(small_graph(), encoder, start, replace(CONFIG, seed=1), checkpoint=tmp_path)
    resumed = tune(small_graph(), encoder, start, CONFIG, checkpoint=tmp_path)
    assert torch.equal(resumed.voice.bank.vectors, whole.voice.bank.vectors)
    assert [epoch.loss for epoch in resumed.history] == [epoch.loss for epoch in whole.history]
    assert not (tmp_path / tuning.CHECKPOINT).exists()


def test_a_time_budget_ends_the_tuning(encoder: Encoder, start: TextVoice) -> None:
    result = tune(small_graph(), encoder, start, replace(CONFIG, epochs=10_000, time_budget=0.5))
    assert result.stopped == "the time budget of 0.5 s is spent"


def test_a_tuned_encoder_and_its_voice_are_saved_and_loaded(encoder: Encoder, start: TextVoice, tmp_path: Path) -> None:
    graph = small_graph()
    result = tune(graph, encoder, start, CONFIG)
    result.save(tmp_path / "tuned")
    voice, _ = TextVoice.load(tmp_path / "tuned" / "voice.safetensors", graph.texts, graph.train)
    again = encoders.load(tmp_path / "tuned" / "encoder")
    asked = torch.arange(18), torch.zeros(18, dtype=torch.int64)
    assert torch.equal(voice.scores(*asked), result.voice.scores(*asked))
    # Not to the bit: products of one text and of several are summed in another order.
    torch.testing.assert_close(again.encode(["apple"])[0], result.voice.bank.vectors[0], rtol=0.0, atol=1e-4)


def test_settings_out_of_range_are_named(encoder: Encoder, start: TextVoice) -> None:
    with pytest.raises(ConfigError, match=r"text\.tune\.batch is 0"):
        tune(small_graph(), encoder, start, replace(CONFIG, batch=0))
