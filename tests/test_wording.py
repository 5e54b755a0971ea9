"""The graph is told in sentences, whose words a language model may propose: templates, examples, files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from test_lm_endpoint import Faulty, endpoint, faulty, said
from test_lm_models import real_cache, tiny_decoder

from kgsync import sample, triple_files
from kgsync.cli.verbalize import verbalize as command
from kgsync.config import SplitConfig
from kgsync.errors import NotFoundError
from kgsync.identity import Entity
from kgsync.lm import causal, models, wording
from kgsync.lm.assistant import Local, Served
from kgsync.lm.causal import Decoder
from kgsync.lm.templates import Template
from kgsync.snapshot import Snapshot
from kgsync.split import split_snapshot
from kgsync.verbalize import Verbalizer

__all__ = ["faulty", "real_cache"]  # fixtures
PAIRS = [("Lyon", "France"), ("Porto", "Portugal"), ("Graz", "Austria")]


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Decoder:
    return causal.load(tiny_decoder(tmp_path_factory.mktemp("decoder")))


@pytest.fixture(scope="module")
def world() -> Snapshot:
    """A part of the sample graph: what touches a city or a language, with names in words."""
    folder = sample.folder()
    lines = {e.id: e for e in triple_files.read_entities(folder / "entities.tsv", print)}
    wanted = {"IN_COUNTRY", "IN_TIME_ZONE", "SPEAKS", "WRITTEN_IN"}
    rows = [line.split("\t") for line in (folder / "triples.tsv").read_text(encoding="utf-8").splitlines()]
    things = {i: Entity(line.types[0], "id", i) for i, line in lines.items()}
    snapshot = Snapshot.from_names(
        [(things[h], r, things[t]) for h, r, t in rows if r in wanted],
        names={thing: lines[i].name for i, thing in things.items()},
        labels={thing: [thing.label] for thing in things.values()},
    )
    return replace(snapshot, relation_names={"WRITTEN_IN": "is written in"})


def words_of(snapshot: Snapshot) -> Verbalizer:
    return Verbalizer.of_snapshot(snapshot, snapshot.triples)


@pytest.fixture
def workspace(world: Snapshot, tmp_path: Path) -> Path:
    world.save(tmp_path / "ws" / "snapshots")
    (tmp_path / "kgsync.toml").touch()
    return tmp_path / "ws"


def run(workspace: Path, *arguments: str) -> Result:
    config = workspace.parent / "kgsync.toml"
    return CliRunner().invoke(command, [*arguments, "--config", str(config), "--workspace", str(workspace)])


@pytest.mark.parametrize(
    ("sentence", "template"),
    [
        ("Lyon is a city in France.", "{head} is a city in {tail}"),
        ("In France lies Lyon", "In {tail} lies {head}"),
        ("Lyon is nice.", ""),
        ("Lyon, not Lyon, is in France.", ""),
        ("Lyon is in {France}.", ""),
    ],
)
def test_a_sentence_about_a_pair_becomes_a_template(sentence: str, template: str) -> None:
    assert wording._template_of(sentence, "Lyon", "France") == template


@pytest.mark.parametrize(
    "template",
    ["", "{head} is in it", "{head} {tail} {tail}", "{head} is in Portugal and {tail}", "{head} has 3 {tail}",
     "{head} a b c d e f g h i j k l m {tail}"],
)  # fmt: skip
def test_what_is_no_template_or_names_somebody_is_not_used(template: str) -> None:
    assert not wording._usable(template, PAIRS)
    assert wording._usable("{head} is a city in {tail}", PAIRS)


def test_a_decoder_proposes_templates_for_named_relations_once(
    world: Snapshot, decoder: Decoder, tmp_path: Path
) -> None:
    words = words_of(world)
    found = wording.propose(words, world.relations, Local(decoder, "tiny"), cache=tmp_path / "cache", only=("SPEAKS",))
    assert [each.relation for each in found] == ["SPEAKS"]
    assert Template(found[0].template, "SPEAKS").text == found[0].template
    assert found[0].before == words.templates[world.relations.index("SPEAKS")].text

    class Silent(Local):
        def word(self, relation: str, before: str, pairs: wording.Pairs) -> str:
            raise AssertionError("asked again")

    silent = Silent(decoder, "tiny")
    assert wording.propose(words, world.relations, silent, cache=tmp_path / "cache", only=("SPEAKS",)) == found
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_text("{}")
    with pytest.raises(AssertionError, match="asked again"):
        wording.propose(words, world.relations, silent, cache=tmp_path / "cache", only=("SPEAKS",))


@pytest.mark.parametrize(
    ("answer", "template"),
    [
        ('{"template": "{head}  lies in {tail}"}', "{head} lies in {tail}"),
        ('{"template": "{head} lies in France, as {tail}"}', "{head} before {tail}"),
        ('{"template": "{head}"}', "{head} before {tail}"),
        ('{"words": 1}', "{head} before {tail}"),
        ("[" * 10_000, "{head} before {tail}"),
    ],
)
def test_a_served_model_proposes_or_nothing_changes(faulty: Faulty, answer: str, template: str) -> None:
    faulty.replies = [said(answer)]
    assert Served(endpoint(faulty.url)).word("in country", "{head} before {tail}", PAIRS) == template


def test_the_fetched_decoder_words_relations_as_people_do(
    monkeypatch: pytest.MonkeyPatch, real_cache: Path, world: Snapshot
) -> None:
    monkeypatch.setenv("KGSYNC_MODELS", str(real_cache))
    assistant = Local(causal.load(models.fetch()), "decoder")
    found = {each.relation: each.template for each in wording.propose(words_of(world), world.relations, assistant)}
    print(found)
    assert set(found) == set(world.relations)
    assert all("{head}" in each and "{tail}" in each for each in found.values())


def test_the_command_tells_an_entity_and_every_relation(world: Snapshot, workspace: Path) -> None:
    shown = run(workspace)
    assert shown.exit_code == 0, shown.output
    assert "{head} is written in {tail}" in shown.output
    about = run(workspace, "Lyon")
    assert "Lyon (City) is in country France (Country)." in about.output or "France (Country)" in about.output
    assert "- Lyon (City)" in about.output
    told = json.loads(run(workspace, "Lyon", "--json").output)
    assert {"question", "answer"} == set(told["questions"][0])
    assert run(workspace, "Lyon", "--propose").exit_code == 2


def in_words(words: Verbalizer, form: str, triple: list[int]) -> list[str]:
    """Return how an edge would stand in a file of that form."""
    sentence = words.sentence(triple)
    if sentence is None:
        return []
    if form in ("sentences", "paragraphs"):
        return [sentence.text]
    both = (True, False)
    if form == "questions":
        asked = [words.question(triple, tail=tail) for tail in both]
        return [f"{each.before} -> {each.answer.strip()}" for each in asked if each]
    gaps = [sentence.cloze(tail=tail) for tail in both]
    return [f"{each.before} ___{each.after} -> {each.answer.strip()}".strip() for each in gaps if each]


@pytest.mark.parametrize("form", ["sentences", "paragraphs", "questions", "gaps"])
def test_no_hidden_edge_is_in_a_file_for_other_tools(world: Snapshot, workspace: Path, form: str) -> None:
    out = workspace / "told.jsonl"
    done = run(workspace, "--out", str(out), "--form", form)
    assert done.exit_code == 0, done.output
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert len(lines) > 1_000
    parts = split_snapshot(world, SplitConfig())
    words = words_of(world)
    told = {line["text"] if "text" in line else f"{line['prompt']} -> {line['answer']}" for line in lines}
    found = "\n".join(told) if form == "paragraphs" else told
    hidden = [in_words(words, form, triple) for triple in parts.test.tolist()]
    assert not any(each in found for ways in hidden for each in ways)
    known = [in_words(words, form, triple) for triple in parts.train[::50].tolist()]
    assert sum(each in found for ways in known for each in ways) > 20, "others are found in that way"
    if form == "sentences":
        assert len(lines) == len(np.unique(parts.train, axis=0))
    if form == "gaps":
        assert all("___" in line["prompt"] for line in lines)


def test_proposals_are_saved_only_on_request_and_used_then(
    monkeypatch: pytest.MonkeyPatch, real_cache: Path, workspace: Path
) -> None:
    monkeypatch.setenv("KGSYNC_MODELS", str(real_cache))
    models.fetch()
    config = workspace.parent / "kgsync.toml"
    config.write_text("[train]\nrank = 8  # mine\n", encoding="utf-8")
    first = run(workspace, "--propose", "--relation", "SPEAKS", "--json")
    (proposed,) = json.loads(first.output)
    assert config.read_text(encoding="utf-8") == "[train]\nrank = 8  # mine\n"
    done = run(workspace, "--propose", "--relation", "SPEAKS", "--yes")
    assert done.exit_code == 0, done.output
    shown = {row["relation"]: row for row in json.loads(run(workspace, "--json").output)}
    assert shown["SPEAKS"]["template"] == proposed["template"]
    assert config.read_text(encoding="utf-8").startswith("[train]\nrank = 8  # mine\n")
    assert isinstance(run(workspace, "--propose", "--relation", "NOWHERE").exception, NotFoundError)
