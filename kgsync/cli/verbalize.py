"""The command `verbalize`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from kgsync.cli.options import (
    config_option,
    config_path,
    json_option,
    print_json,
    safe,
    save_settings,
    table,
    terminal_progress,
    workspace_option,
    yes_option,
)
from kgsync.config import Config

if TYPE_CHECKING:
    from kgsync.lm.wording import Wording
    from kgsync.snapshot import Snapshot
    from kgsync.verbalize import Verbalizer

FORMS = "sentences", "paragraphs", "questions", "gaps"


@click.command()
@click.argument("entity", required=False)
@config_option
@workspace_option
@click.option("--snapshot", "snapshot_id", metavar="ID", help="Snapshot to tell [default: the newest].")
@click.option("--hops", type=click.IntRange(1, 3), default=1, show_default=True, help="How far a paragraph goes.")
@click.option("--facts", type=click.IntRange(1), default=8, show_default=True, help="Of a paragraph, at most.")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Write the train part as .jsonl.")
@click.option("--form", type=click.Choice(FORMS), default="sentences", show_default=True, help="With --out: of what.")
@click.option("--propose", is_flag=True, help="Let a language model propose templates, from examples.")
@click.option("--lm", "source", default="decoder", show_default=True, metavar="NAME",
              help="With --propose: `decoder`, a folder, a hub name, an id of `pretrain`, `endpoint`.")  # fmt: skip
@click.option("--relation", "relations", multiple=True, metavar="TYPE", help="With --propose: only this relation.")
@yes_option
@json_option
def verbalize(
    entity: str | None,
    config: Config,
    workspace: Path,
    snapshot_id: str | None,
    hops: int,
    facts: int,
    out: Path | None,
    form: str,
    propose: bool,
    source: str,
    relations: tuple[str, ...],
    yes: bool,
    as_json: bool,
) -> None:
    """Tell the graph in sentences.

    With ENTITY, what is known about it; without, the template of each relation with an example. --propose lets a
    language model propose templates, and with --yes puts them into kgsync.toml, where you edit them. --out writes the
    train part for other tools: hidden edges are in no text.
    """
    from kgsync.runs import Workspace
    from kgsync.snapshot import Snapshot
    from kgsync.split import split_snapshot
    from kgsync.verbalize import Verbalizer

    if entity and (out or propose):
        raise click.UsageError("ENTITY shows one entity; --out and --propose are about the whole graph")
    place = Workspace(workspace)
    snapshot = Snapshot.load(place.snapshot(snapshot_id))
    parts = split_snapshot(snapshot, config.split)
    hidden = np.concatenate([parts.select, parts.fuse, parts.calibrate, parts.test])
    learned = bool(out or propose)  # what a model reads must not know what is hidden; a person may
    words = Verbalizer.of_snapshot(
        snapshot,
        parts.train if learned else snapshot.triples,
        templates=config.verbalize.templates,
        without=hidden if learned else None,
    )
    if propose:
        _propose(words, snapshot, config, place.root, source, relations, yes, as_json)
    elif out is not None:
        _write(out, words, snapshot, form, hops, facts)
    elif entity is not None:
        _about(words, snapshot.find(entity), hops, facts, as_json)
    else:
        _templates(words, snapshot, config, as_json)


def _templates(words: Verbalizer, snapshot: Snapshot, config: Config, as_json: bool) -> None:
    rows = []
    for number, relation in enumerate(snapshot.relations):
        first = words.triples[words.triples[:, 1] == number][:1].tolist()
        told = words.sentence(first[0]) if first else None
        by = "kgsync.toml" if relation in config.verbalize.templates else "the relation's name"
        rows.append((relation, words.templates[number].text, by, told.text if told else ""))
    names = "relation", "template", "from", "example"
    if as_json:
        print_json([dict(zip(names, row, strict=True)) for row in rows])
        return
    click.echo(table(names, rows, widest=60))
    if words.skipped.triples:
        click.echo(
            f"{words.skipped.entities:,} entities have no name; {words.skipped.triples:,} triples cannot be told."
        )


def _about(words: Verbalizer, entity: int, hops: int, facts: int, as_json: bool) -> None:
    paragraph = words.paragraph(entity, np.random.default_rng(0), hops=hops, facts=facts)
    description = words.description(entity)
    asked = [_question(words, sentence.triple, entity) for sentence in paragraph.sentences]
    if as_json:
        print_json({"description": description, "text": paragraph.text, "questions": asked})
        return
    if not words.names[entity]:
        click.echo("This entity has no name, and is not told.")
        return
    for text in filter(None, (description, paragraph.text)):
        click.echo(safe(text, 10_000))
    for each in asked:
        click.echo(safe(f"- {each['question']} {each['answer']}"))


def _question(words: Verbalizer, triple: tuple[int, int, int], entity: int) -> dict[str, str]:
    cloze = words.question(triple, tail=triple[0] == entity)
    assert cloze is not None  # noqa: S101 (what is told has names)
    return {"question": cloze.before, "answer": cloze.answer.strip()}


def _write(out: Path, words: Verbalizer, snapshot: Snapshot, form: str, hops: int, facts: int) -> None:
    from kgsync import files

    lines = [json.dumps(item, ensure_ascii=False) + "\n" for item in _items(words, snapshot, form, hops, facts)]
    files.write_bytes(out, "".join(lines).encode("utf-8"))
    skipped = f"; {words.skipped.triples:,} triples have an end without a name" if words.skipped.triples else ""
    click.echo(f"Wrote {len(lines):,} {form} to {out}{skipped}.")


def _items(words: Verbalizer, snapshot: Snapshot, form: str, hops: int, facts: int) -> Iterator[dict[str, Any]]:
    if form == "paragraphs":
        rng = np.random.default_rng(0)
        for entity in range(len(words.names)):
            told = words.paragraph(entity, rng, hops=hops, facts=facts)
            text = " ".join(filter(None, (words.description(entity), told.text)))
            if text:
                yield {"text": text, "entity": words.names[entity]}
        return
    for triple in words.triples.tolist():
        sentence = words.sentence(triple)
        if sentence is None:
            continue
        head, relation, tail = words.names[triple[0]], snapshot.relations[triple[1]], words.names[triple[2]]
        if form == "sentences":
            yield {"text": sentence.text, "head": head, "relation": relation, "tail": tail}
            continue
        for at_tail in (True, False):
            cloze = words.question(triple, tail=at_tail) if form == "questions" else sentence.cloze(tail=at_tail)
            if cloze is not None:
                prompt = cloze.before if form == "questions" else f"{cloze.before} ___{cloze.after}".strip()
                yield {"prompt": prompt, "answer": cloze.answer.strip(), "relation": relation}


def _propose(
    words: Verbalizer,
    snapshot: Snapshot,
    config: Config,
    root: Path,
    source: str,
    relations: tuple[str, ...],
    yes: bool,
    as_json: bool,
) -> None:
    from kgsync.lm import assistant, wording
    from kgsync.question import relation

    found = wording.propose(
        words,
        snapshot.relations,
        assistant.find(source, config.endpoint, root),
        names=snapshot.relation_names,
        only=[snapshot.relations[relation(snapshot, name)] for name in relations],
        cache=root / "wordings",
        progress=terminal_progress(),
    )
    path, new = config_path(), wording.as_toml(found)
    if yes and new:
        save_settings(path, ("verbalize", "templates"), new)
    if as_json:
        print_json([{"relation": w.relation, "template": w.template, "before": w.before} for w in found])
        return
    _proposed(found)
    if not new:
        click.echo("Nothing is worded better than it is.")
    elif yes:
        click.echo(f"Saved in {path}, [verbalize.templates]: read them, and correct what is wrong.")
    else:
        click.echo(f"Not saved. `kgsync verbalize --propose --yes` puts the new ones into {path}.")


def _proposed(found: list[Wording]) -> None:
    rows = [(w.relation, w.before, w.template if w.changed else "(as before)", w.example) for w in found]
    click.echo(table(("relation", "template", "proposed", "example"), rows, widest=60))
