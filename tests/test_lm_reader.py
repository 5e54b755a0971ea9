"""An encoder of one's own reads the texts for a model; one that has read the graph before tests nothing it knows."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from test_lm_models import tiny_decoder
from test_lm_pretrain import tiny_encoder
from transformers import AutoTokenizer, BertForMaskedLM

from kgsync.cli import main
from kgsync.config import SplitConfig, VoicesConfig
from kgsync.errors import DataError
from kgsync.identity import Entity
from kgsync.kge.config import TrainConfig
from kgsync.learn import train
from kgsync.lm import reader, teach
from kgsync.lm.config import TuneConfig
from kgsync.lm.pretrain_config import PretrainConfig
from kgsync.lm.texts import of_snapshot
from kgsync.model import Model
from kgsync.newcomers import Placer
from kgsync.runs import Workspace
from kgsync.snapshot import Snapshot
from kgsync.split import Split, split_snapshot

READING = PretrainConfig(
    time_budget=0.0, tokens=2_000, batch=256, longest=96, questions=20, ways=4, evaluations=2, general_rise=10.0,
    encoder_learning_rate=1e-2,
)  # fmt: skip
TINY = TrainConfig(rank=8, epochs=2, threads=1)
HIDDEN = "select", "fuse", "calibrate", "test"


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    people = [Entity("Person", "id", f"p{i}") for i in range(200)]
    homes = [Entity("City", "id", f"c{i}") for i in range(8)]
    names = {e: f"Person {chr(65 + i % 26)}{i}" for i, e in enumerate(people)}
    names |= {e: f"Town {i}" for i, e in enumerate(homes)}
    lives = [(person, "LIVES_IN", homes[i % 8]) for i, person in enumerate(people)]
    knows = [(people[i], "KNOWS", people[(i + step) % 200]) for i in range(200) for step in (3, 7)]
    return Snapshot.from_names(lives + knows, names=names)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def taught(snapshot: Snapshot, plain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    done = teach.teach(snapshot, plain, config=READING, folder=tmp_path_factory.mktemp("lm"))
    assert done.path is not None
    assert done.pretrained.kept
    return done.path


def test_nothing_that_it_has_read_is_hidden_whatever_the_split_says(snapshot: Snapshot, taught: Path) -> None:
    read = split_snapshot(snapshot, SplitConfig())
    same = reader.unread(read, snapshot, str(taught))
    assert all(np.array_equal(getattr(same, name), getattr(read, name)) for name in ("train", *HIDDEN))
    other = split_snapshot(snapshot, SplitConfig(seed=1))
    assert pairs(other, *HIDDEN) & pairs(read, "train"), "else there is nothing to see"
    parts = reader.unread(other, snapshot, str(taught))
    assert not pairs(parts, *HIDDEN) & pairs(read, "train")
    assert sum(len(getattr(parts, name)) for name in ("train", *HIDDEN)) == len(snapshot.triples)


def test_what_it_has_read_is_known_again_in_a_graph_that_changed(snapshot: Snapshot, taught: Path) -> None:
    read = split_snapshot(snapshot, SplitConfig())
    told = {frozenset(names(snapshot, row)) for row in read.train}
    first = Entity("Area", "id", "a0")  # all others move by one
    turned = Snapshot.from_names(
        [*(names(snapshot, row) for row in snapshot.triples), (first, "HOLDS", Entity("City", "id", "c0"))]
    )
    assert turned.identities[1:] == snapshot.identities
    parts = reader.unread(split_snapshot(turned, SplitConfig(seed=1)), turned, str(taught))
    hidden = np.concatenate([getattr(parts, name) for name in HIDDEN])
    assert len(hidden)
    assert not any(frozenset(names(turned, row)) in told for row in hidden)


@pytest.mark.parametrize("which", ["plain", "taught"])
def test_a_model_reads_texts_with_the_encoder_that_is_asked_for(
    snapshot: Snapshot, which: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    source = str(request.getfixturevalue(which))
    voices = VoicesConfig(rules=False, encoder=source)
    model = train(snapshot, config=TINY, voices=voices, folder=tmp_path)
    texts = [text.sentence() for text in of_snapshot(snapshot)]
    bank = {voice.name: voice for voice in model.others}["text"].tensors()["vectors"]
    assert torch.allclose(bank, reader.load(source).encode(texts), atol=1e-6)
    assert bank.shape[1] == 32, "the packaged one has 384"
    assert model.card()["encoder"] == source
    again = Model.load(tmp_path / model.id, snapshot)
    assert (again.id, again.recipe, again.read_by) == (model.id, model.recipe, model.read_by)
    assert train(snapshot, config=TINY, voices=voices, folder=tmp_path).id == model.id
    placed = Placer(model).rows(of_snapshot(snapshot)[:1], np.empty((0, 3), np.int64))
    assert np.isfinite(placed).all()


def test_other_weights_in_the_same_folder_are_another_model(snapshot: Snapshot, plain: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    AutoTokenizer.from_pretrained(plain).save_pretrained(own)
    weights = BertForMaskedLM.from_pretrained(plain)
    weights.save_pretrained(own)
    voices = VoicesConfig(rules=False, encoder=str(own))
    first = train(snapshot, config=TINY, voices=voices, folder=tmp_path)
    weights.bert.embeddings.word_embeddings.weight.data.mul_(-1)
    weights.save_pretrained(own)
    assert train(snapshot, config=TINY, voices=voices, folder=tmp_path).id != first.id
    with pytest.raises(DataError, match=r"learned with another encoder than .*own is now"):
        Placer(first).rows(of_snapshot(snapshot)[:1], np.empty((0, 3), np.int64))


def test_an_encoder_that_was_tuned_is_kept_and_reads_new_texts(
    snapshot: Snapshot, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kgsync.lm.fit.Graph.measure", lambda graph, head, bank: None)  # else the better one is kept
    monkeypatch.setattr("kgsync.voices.TuneConfig", partial(TuneConfig, warm_up=0, learning_rate=1e-2))
    voices = VoicesConfig(rules=False, encoder=str(plain), tune_encoder=True, budget=20.0)
    model = train(snapshot, config=TINY, voices=voices, folder=tmp_path)
    texts = of_snapshot(snapshot)
    sentences = [text.sentence() for text in texts]
    again = Model.load(tmp_path / model.id, snapshot)
    assert again.id == model.id
    voice = next(voice for voice in again.others if voice.name == "text")
    bank = voice.tensors()["vectors"]
    assert not torch.allclose(bank, reader.load(str(plain)).encode(sentences), atol=1e-3)
    assert torch.allclose(bank, voice.tuned().encode(sentences), atol=1e-5)
    nothing = np.empty((0, 3), np.int64)
    rows = [Placer(each).rows(texts[:1], nothing) for each in (model, again)]
    np.testing.assert_allclose(rows[0], rows[1], atol=1e-5)
    voice.tuned = None  # as in models of before
    with pytest.raises(DataError, match="learned with another encoder than"):
        Placer(again).rows(texts[:1], nothing)
    shutil.rmtree(tmp_path / model.id / "encoder")
    with pytest.raises(DataError, match="is damaged"):
        Model.load(tmp_path / model.id, snapshot)


def test_what_encodes_no_sentences_is_refused_in_one_line(
    snapshot: Snapshot, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    snapshot.save(Workspace(tmp_path / "ws").snapshots)
    decoder = teach.teach(snapshot, tiny_decoder(tmp_path / "base"), config=READING, folder=tmp_path / "lm").path
    for source, words in (("./nowhere", "there is no model folder nowhere"), (str(decoder), "holds a decoder")):
        arguments = ["train", "--workspace", str(tmp_path / "ws"), "--mode", "text", "--encoder", source]
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code
        said = capsys.readouterr().err
        assert words in said
        assert "Traceback" not in said
    assert not list((tmp_path / "ws" / "models").glob("*/manifest.json"))


def test_an_encoder_that_has_read_nearly_all_is_refused(snapshot: Snapshot, taught: Path) -> None:
    few = SplitConfig(valid=0.02, test=0.01, seed=3)  # so that nothing is left to measure by
    assert len(split_snapshot(snapshot, few).test)
    with pytest.raises(DataError, match="has read what the split hides to measure by"):
        train(snapshot, config=TINY, split=few, voices=VoicesConfig(encoder=str(taught)))


def test_no_edge_that_chose_the_encoder_tests_it(snapshot: Snapshot, taught: Path) -> None:
    chose = pairs(split_snapshot(snapshot, SplitConfig()), "select")
    other = split_snapshot(snapshot, SplitConfig(seed=1))
    assert pairs(other, "fuse", "calibrate", "test") & chose, "else there is nothing to see"
    assert not pairs(reader.unread(other, snapshot, str(taught)), "fuse", "calibrate", "test") & chose


def test_an_encoder_without_texts_to_read_changes_nothing() -> None:
    triples = [(Entity("X", "id", f"{i}"), "R", Entity("X", "id", f"{(i * 7 + 1) % 60}")) for i in range(60)]
    triples += [(Entity("X", "id", f"{i}"), "Q", Entity("X", "id", f"{(i * 5 + 2) % 60}")) for i in range(60)]
    found = train(Snapshot.from_names(triples), config=TINY, voices=VoicesConfig(encoder="./nowhere"))
    assert found.read_by == ""
    assert "too few" in found.left_out["text"]


def test_an_encoder_that_does_not_say_what_it_read_is_refused(snapshot: Snapshot, taught: Path, tmp_path: Path) -> None:
    before = tmp_path / "lm-of-before"
    before.mkdir()
    for file in taught.iterdir():
        if file.name != teach.TOLD:
            (before / file.name).write_bytes(file.read_bytes())
    with pytest.raises(DataError, match="what it has read"):
        train(snapshot, config=TINY, voices=VoicesConfig(encoder=str(before)))


def test_an_encoder_counts_only_where_there_is_a_text_voice(snapshot: Snapshot) -> None:
    voices = VoicesConfig(rules=False, text=False)
    found = train(snapshot, config=TINY, voices=replace(voices, encoder="./nowhere"))
    assert found.read_by == ""


def pairs(parts: Split, *wanted: str) -> set[frozenset[int]]:
    return {frozenset(row[[0, 2]].tolist()) for name in wanted for row in getattr(parts, name)}


def names(snapshot: Snapshot, row: np.ndarray) -> tuple[Entity, str, Entity]:
    head, relation, tail = row.tolist()
    return Entity(*snapshot.identities[head]), snapshot.relations[relation], Entity(*snapshot.identities[tail])
