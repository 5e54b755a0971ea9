"""Language models read the graph: only what may be told, within a budget, and without forgetting the rest."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from click.testing import CliRunner
from test_lm_models import tiny_decoder
from transformers import AutoTokenizer, BertConfig, BertForMaskedLM

from kgsync.cli.lm import pretrain as command
from kgsync.errors import ConfigError, DataError, NotFoundError
from kgsync.identity import Entity
from kgsync.lm import causal, corpus, encoder, masked, pretrain, quiz, teach
from kgsync.lm.causal import IGNORED, CausalLearner, Decoder
from kgsync.lm.corpus import Corpus, Item, OtherText
from kgsync.lm.masked import MaskedLearner
from kgsync.lm.pretrain_config import PretrainConfig
from kgsync.runs import Workspace
from kgsync.snapshot import Snapshot
from kgsync.verbalize import Span, Verbalizer

SMALL = PretrainConfig(
    time_budget=0.0, tokens=2_000, batch=256, longest=96, questions=20, ways=4, evaluations=2, general_rise=10.0
)


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    """Cities in countries, some near each other, and one entity that has no name."""
    rng = np.random.default_rng(0)
    countries = [Entity("Country", "id", f"C{i}") for i in range(6)]
    cities = [Entity("City", "id", f"Q{i}") for i in range(40)]
    triples = [(city, "LOCATED_IN", countries[i % 6]) for i, city in enumerate(cities)]
    triples += [(cities[a], "NEAR", cities[b]) for a, b in rng.integers(0, 40, (80, 2)).tolist() if a != b]
    names = {
        e: f"{'Land' if e.label == 'Country' else 'Town'} {chr(65 + i)}{i}" for i, e in enumerate(countries + cities)
    }
    del names[cities[-1]]
    return Snapshot.from_names(triples, names=names)


@pytest.fixture(scope="module")
def decoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_decoder(tmp_path_factory.mktemp("decoder"))


@pytest.fixture(scope="module")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("encoder"))


def tiny_encoder(folder: Path) -> Path:
    torch.manual_seed(0)
    BertForMaskedLM(
        BertConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
    ).save_pretrained(folder)
    AutoTokenizer.from_pretrained(encoder.packaged()).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def words(snapshot: Snapshot) -> Verbalizer:
    return Verbalizer.of_snapshot(snapshot, snapshot.triples)


OTHER = OtherText(
    "here", "there", tuple(f"A sentence about number {i}, long enough." for i in range(9)), ("Another one.",)
)


def test_only_what_may_be_told_is_read(snapshot: Snapshot) -> None:
    hidden = snapshot.triples[::4]
    words = Verbalizer.of_snapshot(snapshot, np.delete(snapshot.triples, slice(None, None, 4), 0), without=hidden)
    read = Corpus(words, OTHER, SMALL)
    texts = " ".join(item.text for n in range(600) for item in (read.for_decoder(n), read.for_encoder(n)))
    for triple in hidden:
        sentence = words.sentence(triple)
        assert sentence is None or sentence.text not in texts
    assert "Q3" not in texts  # no identifier


def test_the_same_number_is_the_same_text(words: Verbalizer) -> None:
    one, two = Corpus(words, OTHER, SMALL), Corpus(words, OTHER, SMALL)
    assert [one.for_decoder(n) for n in range(50)] == [two.for_decoder(n) for n in range(50)]
    of_graph = [one.for_decoder(n).of_graph for n in range(400)]
    assert 0.68 < sum(of_graph) / 400 < 0.82  # the ratio
    only = Corpus(words, OTHER, replace(SMALL, ratio=1.0))
    assert all(only.for_encoder(n).of_graph for n in range(50))


def test_a_graph_without_names_cannot_be_read() -> None:
    a, b = Entity("X", "id", "1"), Entity("X", "id", "2")
    snapshot = Snapshot.from_names([(a, "R", b)])
    with pytest.raises(DataError, match="2 entities have no name"):
        Corpus(Verbalizer.of_snapshot(snapshot, snapshot.triples), OTHER, SMALL)


def test_other_text_is_read_from_a_folder(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.txt").write_text("\n\n".join(f"Paragraph {i}, {'and so on ' * 10}" for i in range(10)))
    (tmp_path / "b.md").write_text("ظ" * 100)
    lines = [json.dumps({"text": "一" * 100}), "", json.dumps("plain " * 20)]
    (tmp_path / "c.jsonl").write_text("\n".join(lines))
    (tmp_path / "d.pdf").write_bytes(b"\xff\xfe")
    found = corpus.other_text(tmp_path)
    assert len(found.teaches) + len(found.measures) == 13
    assert not set(found.teaches) & set(found.measures)
    assert corpus.other_text(tmp_path) == found


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"\xff\xfe\xfa", "is not UTF-8 text"),
        ("a.jsonl", b'{"text": "half', "line 1: not JSON"),
        ("a.jsonl", b'{"words": 1}', "line 1: no text"),
        ("a.txt", b"short", "too little text"),
    ],
)
def test_other_text_that_cannot_be_read_is_one_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        corpus.other_text(tmp_path)
    with pytest.raises(NotFoundError, match="there is no folder"):
        corpus.other_text(tmp_path / "nowhere")


def test_text_that_is_there_anyway_measures_on_other_text_than_it_teaches() -> None:
    found = corpus.other_text()
    assert len(found.teaches) > 500
    assert len(found.measures) >= pretrain.GENERAL
    assert not set(found.teaches) & set(found.measures)


def test_no_wrong_answer_is_true(words: Verbalizer, snapshot: Snapshot) -> None:
    for sentences in (False, True):
        tasks = quiz.make(words, snapshot.triples, snapshot.triples, ways=5, limit=60, seed=0, sentences=sentences)
        assert len(tasks) == 60
        assert {task.tail for task in tasks} == {True, False}
        told = {words.sentence(triple).text for triple in words.triples}  # type: ignore[union-attr]
        for task in tasks:
            assert task.names[0] == task.cloze.answer.strip()
            assert len(set(task.names)) == len(task.names) <= 5
            if sentences:
                full = [task.cloze.before + task.cloze.filled(name) + task.cloze.after for name in task.names]
                assert full[0] in told
                assert not told.intersection(full[1:])


def test_ties_are_no_right_answers(words: Verbalizer, snapshot: Snapshot) -> None:
    class Undecided:
        def scores(self, clozes: list[object], names: list[list[str]]) -> list[list[float]]:
            return [[-1.0] * len(each) for each in names]

    tasks = quiz.make(words, snapshot.triples, snapshot.triples, ways=4, limit=10, seed=0)
    found = quiz.ask(Undecided(), tasks)  # type: ignore[arg-type]
    assert (found.accuracy, found.loss) == (0.0, 1.0)


def test_a_decoder_learns_the_answer_and_nothing_else(decoder_folder: Path) -> None:
    decoder = causal.load(decoder_folder)
    text = "Lyon is in France (Country)."
    inputs, labels = decoder.batch([Item(text, (Span(10, 17),)), Item("x", None)], 96)
    learned = [token for token in labels[0].tolist() if token != IGNORED]
    assert decoder.tokenizer.decode(learned) == " France"
    assert (inputs["attention_mask"][1].sum(), (labels[1] != IGNORED).sum()) == (2, 1)


def test_the_loss_is_that_of_a_plain_forward_pass(decoder_folder: Path) -> None:
    decoder = causal.load(decoder_folder)
    items = [Item("Lyon is in France (Country).", (Span(10, 17),)), Item("a longer text of other kind", (Span(2, 8),))]
    inputs, labels = decoder.batch(items, 96)
    with torch.no_grad():
        logits = decoder.model(**inputs).logits
        naive = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
        assert decoder.loss(inputs, labels).item() == pytest.approx(naive.item(), abs=0.02)


@pytest.mark.parametrize("word", ["very ", "\N{CJK UNIFIED IDEOGRAPH-5927}"])
def test_long_descriptions_leave_room_for_the_facts(word: str, snapshot: Snapshot, encoder_folder: Path) -> None:
    texts = pa.array([word * 400 for _ in snapshot.identities])
    at = snapshot.entities.column_names.index("text")
    long = replace(snapshot, entities=snapshot.entities.set_column(at, "text", texts))
    config = replace(SMALL, ratio=1.0, longest=128)
    learner = MaskedLearner(
        masked.load(encoder_folder), Corpus(Verbalizer.of_snapshot(long, long.triples), OTHER, config), config
    )
    described = [item for item in map(learner.item, range(200)) if 3 * word in item.text]
    assert described
    for item in described:
        tokens = learner.tokenizer(item.text[: item.spans[0].end])["input_ids"]
        assert len(tokens) < config.longest


def test_from_texts_whose_facts_are_cut_off_nothing_is_learned(
    words: Verbalizer, decoder_folder: Path, encoder_folder: Path
) -> None:
    cut_off = Item("long " * 400 + "Lyon", (Span(2000, 2004),))
    corpus = Corpus(words, OTHER, SMALL)
    for learner in (
        CausalLearner(causal.load(decoder_folder), corpus, SMALL),
        MaskedLearner(masked.load(encoder_folder), corpus, SMALL),
    ):
        loss, tokens = learner.loss([cut_off], 0)
        assert (loss.item(), loss.requires_grad, tokens > 0) == (0.0, False, True)


def test_whole_parts_are_masked(words: Verbalizer, encoder_folder: Path) -> None:
    learner = MaskedLearner(masked.load(encoder_folder), Corpus(words, OTHER, SMALL), SMALL)
    sentence = words.sentence(words.triples[0])
    assert sentence is not None
    spans = (sentence.head, sentence.tail, *sentence.relation, *sentence.types)
    parts = {tuple(learner._ids(sentence.text[a:b])) for a, b in spans}
    for seed in range(20):
        inputs, labels = learner._batch([Item(sentence.text, spans)], seed)
        hit = labels[0] >= 0
        assert hit.any()
        assert (inputs["input_ids"][0][hit] == learner.tokenizer.mask_token_id).all()
        runs = [[]]  # type: list[list[int]]
        for token in labels[0].tolist():
            runs = [*runs[:-1], [*runs[-1], token]] if token >= 0 else [*runs, []]
        assert all(_made_of(tuple(run), parts) for run in runs if run)


def _made_of(run: tuple[int, ...], parts: set[tuple[int, ...]]) -> bool:
    return not run or any(run[: len(p)] == p and _made_of(run[len(p) :], parts) for p in parts if p)


@pytest.mark.parametrize("kind", ["decoder", "encoder"])
def test_reading_the_graph_makes_the_answers_likelier(
    kind: str, snapshot: Snapshot, decoder_folder: Path, encoder_folder: Path, tmp_path: Path
) -> None:
    folder = decoder_folder if kind == "decoder" else encoder_folder
    config = replace(SMALL, tokens=6_000, learning_rate=1e-2, encoder_learning_rate=3e-3)
    done = teach.teach(snapshot, folder, config=config, folder=tmp_path / "lm")
    history = done.pretrained.history
    assert done.kind == kind
    assert history[done.pretrained.kept].graph_perplexity < history[0].graph_perplexity
    assert done.pretrained.after.loss < done.pretrained.before.loss
    assert done.pretrained.stopped == "the budget is spent"
    assert done.path is not None
    assert {file.suffix for file in done.path.iterdir()} <= {".json", ".safetensors"}  # no pickles
    manifest = json.loads((done.path / "manifest.json").read_text())
    assert manifest["base"] == {"source": str(folder), "hash": done.base_hash}
    assert manifest["skipped"]["entities"] == 1
    assert [path.name for path in (tmp_path / "lm").iterdir()] == [done.id]


def test_what_was_written_scores_as_what_was_learned_from_wherever_it_is_read(
    snapshot: Snapshot, decoder_folder: Path, tmp_path: Path, words: Verbalizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(decoder_folder.parent)
    config = replace(SMALL, learning_rate=1e-2)
    done = teach.teach(snapshot, decoder_folder.name, config=config, folder=tmp_path / "lm")
    assert done.path is not None
    tasks = quiz.make(words, snapshot.triples, snapshot.triples, ways=4, limit=10, seed=0)
    monkeypatch.chdir(tmp_path)
    again = teach.decoder(done.path)
    assert quiz.ask(again, tasks).loss == pytest.approx(quiz.ask(done.learner, tasks).loss, abs=0.02)
    assert quiz.ask(causal.load(decoder_folder), tasks).loss != pytest.approx(quiz.ask(again, tasks).loss, abs=0.02)


def test_a_taught_encoder_is_a_sentence_encoder_again(snapshot: Snapshot, encoder_folder: Path, tmp_path: Path) -> None:
    config = replace(SMALL, encoder_learning_rate=1e-2)
    done = teach.teach(snapshot, encoder_folder, config=config, folder=tmp_path / "lm")
    assert done.path is not None
    assert done.pretrained.kept
    plain, taught = encoder.load(encoder_folder), teach.sentence_encoder(done.path)
    learned = dict(done.learner.module.named_parameters())["bert.encoder.layer.0.output.dense.weight"]
    found = [p for n, p in taught.module.named_parameters() if n.endswith("encoder.layer.0.output.dense.weight")]
    assert torch.equal(found[0], learned)
    assert plain.hash != taught.hash
    assert not torch.allclose(plain.encode(["Town A1"]), taught.encode(["Town A1"]), atol=1e-3)


def test_an_adapter_of_another_model_is_refused(snapshot: Snapshot, tmp_path: Path) -> None:
    base = tiny_decoder(tmp_path / "base")
    done = teach.teach(snapshot, base, config=SMALL, folder=tmp_path / "lm")
    assert done.path is not None
    torch.manual_seed(1)
    model = causal.load(base).model
    model.model.norm.weight.data += 1
    model.save_pretrained(base)
    with pytest.raises(DataError, match="was learned by another model"):
        teach.decoder(done.path)


def test_a_training_that_was_cut_off_ends_as_one_that_was_not(
    words: Verbalizer, snapshot: Snapshot, decoder_folder: Path, tmp_path: Path
) -> None:
    config = replace(SMALL, evaluations=4)
    tasks = quiz.make(words, snapshot.triples, snapshot.triples, ways=4, limit=10, seed=0)

    def learner() -> CausalLearner:
        return CausalLearner(causal.load(decoder_folder), Corpus(words, OTHER, config), config)

    whole, parts = learner(), learner()
    straight = pretrain.pretrain(whole, tasks, tasks, OTHER.measures, config)

    def cut(step: str, done: int, total: int | None) -> None:
        if step == "reading" and done > 600:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pretrain.pretrain(parts, tasks, tasks, OTHER.measures, config, checkpoint=tmp_path, progress=cut)
    assert (tmp_path / pretrain.FILE).is_file()
    other = learner()
    rest = pretrain.pretrain(other, tasks, tasks, OTHER.measures, config, checkpoint=tmp_path)
    assert (rest.steps, rest.tokens, rest.kept) == (straight.steps, straight.tokens, straight.kept)
    for (name, one), two in zip(whole.module.named_parameters(), other.module.parameters(), strict=True):
        assert torch.equal(one, two), name
    assert not (tmp_path / pretrain.FILE).exists()


def test_a_checkpoint_of_another_training_is_refused(
    words: Verbalizer, snapshot: Snapshot, decoder_folder: Path, tmp_path: Path
) -> None:
    tasks = quiz.make(words, snapshot.triples, snapshot.triples, ways=4, limit=10, seed=0)

    def run(config: PretrainConfig, stop: bool) -> None:
        def cut(step: str, done: int, total: int | None) -> None:
            if stop and step == "reading" and done > 600:
                raise KeyboardInterrupt

        learner = CausalLearner(causal.load(decoder_folder), Corpus(words, OTHER, config), config)
        pretrain.pretrain(learner, tasks, tasks, OTHER.measures, config, checkpoint=tmp_path, progress=cut)

    with pytest.raises(KeyboardInterrupt):
        run(replace(SMALL, evaluations=4), stop=True)
    with pytest.raises(DataError, match="belongs to another graph, model or configuration"):
        run(replace(SMALL, evaluations=4, seed=1), stop=False)


def test_looks_that_take_long_leave_time_to_read(
    words: Verbalizer, snapshot: Snapshot, decoder_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look takes a quarter of the budget, and a step a hundredth."""
    config = replace(SMALL, tokens=0, time_budget=100.0, evaluations=6)
    tasks = quiz.make(words, snapshot.triples, snapshot.triples, ways=4, limit=4, seed=0)
    learner = CausalLearner(causal.load(decoder_folder), Corpus(words, OTHER, config), config)
    now, steps = [0.0], list[float]()

    def slowly(name: str, seconds: float) -> None:
        real = getattr(learner, name)

        def slow(*arguments: Any) -> Any:
            now[0] += seconds
            if name == "loss":
                steps.append(now[0])
            return real(*arguments)

        monkeypatch.setattr(learner, name, slow)

    monkeypatch.setattr(pretrain, "time", SimpleNamespace(monotonic=lambda: now[0]))
    slowly("loss", 1.0)
    slowly("general_loss", 25.0)
    done = pretrain.pretrain(learner, tasks, tasks, OTHER.measures, config)
    looks = [moment.seconds for moment in done.history]
    between = [sum(low < step <= high for step in steps) for low, high in pairwise(looks)]
    assert between[:-1] == [17] * (len(between) - 1), "each a sixth of the budget"


def test_without_other_text_nothing_is_learned(words: Verbalizer, snapshot: Snapshot, decoder_folder: Path) -> None:
    tasks = quiz.make(words, snapshot.triples, snapshot.triples, ways=4, limit=4, seed=0)
    learner = CausalLearner(causal.load(decoder_folder), Corpus(words, OTHER, SMALL), SMALL)
    with pytest.raises(DataError, match="no other text to see what the model forgets by; give a folder with --text"):
        pretrain.pretrain(learner, tasks, tasks, (), SMALL)


def test_a_rise_of_the_perplexity_on_other_text_stops_it_and_keeps_the_better_weights(
    words: Verbalizer, snapshot: Snapshot, decoder_folder: Path
) -> None:
    config = replace(SMALL, ratio=1.0, general_rise=0.05, learning_rate=0.3, evaluations=30)
    tasks = quiz.make(words, snapshot.triples, snapshot.triples, ways=4, limit=10, seed=0)
    learner = CausalLearner(_knowing(OTHER.measures, decoder_folder), Corpus(words, OTHER, config), config)
    done = pretrain.pretrain(learner, tasks, tasks, OTHER.measures, config)
    assert done.stopped.startswith("the perplexity on other text rose from")
    assert done.tokens < config.tokens
    limit = 1.05 * done.history[0].general_perplexity
    assert done.history[-1].general_perplexity > limit
    assert done.history[done.kept].general_perplexity <= limit
    now = learner.general_loss(OTHER.measures)
    assert np.exp(now) == pytest.approx(done.history[done.kept].general_perplexity, rel=1e-3)


def _knowing(texts: Sequence[str], folder: Path) -> Decoder:
    """A decoder that has learned some text, so that it can forget it."""
    decoder = causal.load(folder)
    optimizer = torch.optim.Adam(decoder.model.parameters(), 1e-2)
    for _ in range(30):
        optimizer.zero_grad()
        decoder.loss(*decoder.batch([Item(text, None) for text in texts], 96)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return decoder


@pytest.mark.parametrize(
    "wrong",
    [{"tokens": 0}, {"ratio": 0.0}, {"ways": 2}, {"longest": 4}, {"batch": 8}, {"evaluations": 0}],
)
def test_settings_out_of_range_are_one_line(wrong: dict[str, float], snapshot: Snapshot, decoder_folder: Path) -> None:
    with pytest.raises(ConfigError, match="out of range; make it"):
        teach.teach(snapshot, decoder_folder, config=replace(SMALL, **wrong))  # type: ignore[arg-type]


def test_the_command_reads_the_newest_snapshot(snapshot: Snapshot, decoder_folder: Path) -> None:
    place = Workspace(".kgsync")
    snapshot.save(place.snapshots)
    arguments = ["--model", str(decoder_folder), "--tokens", "1500"]
    shown = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert "questions about hidden edges" in shown.output
    assert "Skipped: 1 entities without a name" in shown.output
    told = CliRunner().invoke(command, [*arguments, "--json"], catch_exceptions=False)
    value = json.loads(told.stdout)
    assert value["architecture"] == "decoder"
    assert Path(value["path"]).is_dir()
