"""Texts become vectors once; whatever a text or a model folder holds ends in vectors or in one clear line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kgsync.errors import ConfigError, DataError, NotFoundError, UnavailableError
from kgsync.lm import encoder as encoders
from kgsync.lm import texts
from kgsync.lm.encoder import Encoder
from kgsync.lm.texts import LONGEST, EntityText
from kgsync.lm.vector_cache import SHARDS, VectorCache


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        return encoders.load()


@pytest.fixture
def packaged(tmp_path: Path) -> Path:
    """A copy of the packaged model folder, to be broken."""
    return Path(shutil.copytree(encoders.packaged(), tmp_path / "model"))


def test_the_sentence_holds_what_is_there_and_nothing_else() -> None:
    assert (
        EntityText("Lyon", ("City", "Place"), "a city\n in France").sentence() == "Lyon (City, Place): a city in France"
    )
    assert EntityText("Lyon").sentence() == "Lyon"
    assert EntityText("", ("human",)).sentence() == "human"
    assert EntityText("", (), "a stone").sentence() == "a stone"
    assert EntityText().sentence() == ""


@settings(deadline=None)
@given(st.text(), st.lists(st.text(), max_size=3), st.text())
def test_any_text_is_one_line_of_valid_unicode(name: str, types: list[str], description: str) -> None:
    sentence = EntityText(name, tuple(types), description).sentence()
    assert "\n" not in sentence
    sentence.encode()


def test_identifiers_are_never_put_into_words(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("Q42\tP1\tQ64\n")
    (tmp_path / "entities.tsv").write_text("id\tname\ttypes\nQ64\tBerlin\tcity|capital\n")
    found = texts.of_folder(tmp_path, ["Q42", "Q64"])
    assert [text.sentence() for text in found] == ["", "Berlin (city, capital)"]


def test_entities_of_a_folder_without_texts_have_empty_ones(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("a\tr\tb\n")
    assert texts.of_folder(tmp_path, ["a", "b"]) == (EntityText(), EntityText())


def test_vectors_have_length_one_and_do_not_depend_on_their_company(encoder: Encoder) -> None:
    sentences = ["Lyon (City): a city in France", "北京 (城市)", "القاهرة: عاصمة مصر", "x" * 100_000]
    together = encoder.encode(sentences)
    assert together.shape == (4, encoder.dimension)
    torch.testing.assert_close(together.norm(dim=1), torch.ones(4))
    alone = torch.cat([encoder.encode([sentence]) for sentence in sentences])
    torch.testing.assert_close(together, alone, atol=0.02, rtol=0)  # padding changes the last bits of bf16


def test_an_empty_text_has_the_vector_zero(encoder: Encoder) -> None:
    assert encoder.encode(["", "Lyon"])[0].abs().sum() == 0
    assert encoder.encode([]).shape == (0, encoder.dimension)


def test_special_tokens_in_a_text_are_letters(encoder: Encoder) -> None:
    tokens = encoder.tokenize(["[SEP] [MASK] [CLS] [PAD]"])["input_ids"][0].tolist()
    special = set(encoder.module.tokenizer.all_special_ids)
    assert not special & set(tokens[1:-1])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(min_size=1, max_size=200))
def test_any_text_has_a_finite_vector(encoder: Encoder, text: str) -> None:
    vector = encoder.encode([EntityText(text).sentence()])
    assert torch.isfinite(vector).all()


def test_what_is_cached_is_not_computed_again(encoder: Encoder, tmp_path: Path) -> None:
    seen: list[int] = []
    first = encoder.encode(["one", "two", "one", ""], tmp_path, lambda step, done, total: seen.append(done))
    again = encoder.encode(["two", "one", "three"], tmp_path, lambda step, done, total: seen.append(done))
    assert seen == [0, 2, 0, 1]
    assert torch.equal(again[:2], first[[1, 0]])


def test_vectors_of_another_encoder_are_not_mixed_in(encoder: Encoder, tmp_path: Path) -> None:
    encoder.encode(["one"], tmp_path)
    other = encoders.load(tokens=8)
    assert other.hash != encoder.hash
    seen: list[int] = []
    other.encode(["one"], tmp_path, lambda step, done, total: seen.append(done))
    assert seen == [0, 1]


def test_a_damaged_cache_file_is_made_again(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    VectorCache(cache, 2).add(["one"], torch.ones(1, 2))
    VectorCache(cache, 2).add(["two"], torch.ones(1, 2))
    damaged, whole = sorted(cache.iterdir())
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"!")
    assert len(VectorCache(cache, 2).missing(["one", "two"])) == 1
    assert sorted(cache.iterdir()) == [whole]


def test_many_cache_files_become_one(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    for number in range(SHARDS):
        VectorCache(cache, 2).add([f"text {number}"], torch.full((1, 2), float(number)))
    joined = VectorCache(cache, 2)
    assert len(list(cache.iterdir())) == 1
    assert VectorCache(cache, 2).rows([f"text {SHARDS - 1}", ""]).tolist() == [[SHARDS - 1] * 2, [0, 0]]
    assert joined.missing(["text 0", "", "new"]) == ["new"]


def test_many_cache_files_that_cannot_be_used_are_no_error(tmp_path: Path) -> None:
    for number in range(SHARDS):
        VectorCache(tmp_path, 2).add([f"text {number}"], torch.full((1, 2), float(number)))
        if number == SHARDS - 2:
            found = VectorCache(tmp_path, 3)  # an encoder whose vectors have another length
            assert found.missing(["text 0"]) == ["text 0"]
    assert VectorCache(tmp_path, 3).missing(["text 0"]) == ["text 0"]
    assert VectorCache(tmp_path, 2).missing(["text 0"]) == []


def test_a_cache_file_that_another_process_has_joined_to_others_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    VectorCache(tmp_path, 2).add(["one"], torch.ones(1, 2))
    listed = list(tmp_path.glob("*"))
    listed[0].unlink()
    monkeypatch.setattr(Path, "glob", lambda self, pattern: iter(listed))
    assert VectorCache(tmp_path, 2).missing(["one"]) == ["one"]


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no model folder"):
        encoders.load(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="0 tokens"):
        encoders.load(tokens=0)


def test_a_hub_that_cannot_be_reached_is_one_line() -> None:
    with pytest.raises(UnavailableError, match="give the path of a local model folder") as caught:
        encoders.load("sentence-transformers/all-mpnet-base-v2")
    assert "\n" not in str(caught.value)


def test_a_folder_of_something_else_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no model folder"):
        encoders.load(tmp_path)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", b"{"),
        ("config.json", b'{"model_type": "unheard-of"}'),
        ("model.safetensors", b"not tensors"),
        ("tokenizer.json", b"[]"),
    ],
)
def test_a_broken_model_folder_is_one_line(packaged: Path, file: str, content: bytes) -> None:
    (packaged / file).write_bytes(content)
    with pytest.raises(DataError, match=r"choose another folder|download the model again") as caught:
        encoders.load(packaged)
    assert "\n" not in str(caught.value)


def test_a_folder_whose_weights_belong_to_another_model_is_refused(packaged: Path) -> None:
    config = json.loads((packaged / "config.json").read_text())
    (packaged / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 8}))
    with pytest.raises(DataError, match="lacks weights"):
        encoders.load(packaged)


def test_a_saved_encoder_gives_the_same_vectors(encoder: Encoder, tmp_path: Path) -> None:
    encoder.save(tmp_path / "saved")
    again = encoders.load(tmp_path / "saved")
    assert torch.equal(encoder.encode(["Lyon"]), again.encode(["Lyon"]))


def test_only_the_top_layers_learn_where_that_is_asked(encoder: Encoder) -> None:
    own = encoder.copy()
    own.learn(2)
    learning = {name for name, parameter in own.module.named_parameters() if parameter.requires_grad}
    assert learning
    assert all(".layer.4." in name or ".layer.5." in name for name in learning)
    own.learn(0)
    assert all(parameter.requires_grad for parameter in own.module.parameters())


def test_a_long_text_costs_no_more_than_its_beginning(encoder: Encoder) -> None:
    long = EntityText("Lyon", (), "a city " * 20_000)
    assert len(long.sentence()) < 2 * LONGEST
    assert np.isfinite(encoder.encode([long.sentence()]).numpy()).all()
