"""The command `complete`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kgsync.cli.options import (
    config_option,
    json_option,
    print_json,
    safe,
    table,
    terminal_progress,
    workspace_option,
)
from kgsync.config import Config
from kgsync.lm.rationale import TEMPLATE

if TYPE_CHECKING:
    from kgsync.lm.ballot import Said
    from kgsync.lm.complete import Completion
    from kgsync.lm.rationale import Rationale
    from kgsync.snapshot import Snapshot

TITLES = {"fused": "all voices", "rules": "rules", "text": "texts", "lm": "language model"}  # any other: embeddings


@click.command()
@click.argument("entity")
@click.argument("relation")
@config_option
@workspace_option
@click.option("--model", "model_id", metavar="ID", help="Model to ask [default: the newest].")
@click.option("--heads", is_flag=True, help="Ask which entities have this relation to ENTITY.")
@click.option("--top", type=click.IntRange(1), default=10, show_default=True, help="Answers to show.")
@click.option(
    "--lm",
    "source",
    metavar="NAME",
    help="`decoder`, a folder, a hub name, an id of `pretrain`, `endpoint`, `none` [default: decoder, if it is here].",
)
@click.option(
    "--by",
    type=click.Choice(["likelihood", "choice"]),
    default="likelihood",
    show_default=True,
    help="How a decoder judges: each name, or a choice among the first ten.",
)
@click.option("--free", is_flag=True, help="Let a decoder add entities that it names by itself.")
@click.option("--allow-new", is_flag=True, help="Ask for names that may be missing in the graph; only shown.")
@json_option
def complete(
    entity: str,
    relation: str,
    config: Config,
    workspace: Path,
    model_id: str | None,
    heads: bool,
    top: int,
    source: str | None,
    by: Any,
    free: bool,
    allow_new: bool,
    as_json: bool,
) -> None:
    """Show what each voice answers to one question, side by side.

    The question is where ENTITY's RELATION leads, or with --heads, where it comes from. A language model ranks the
    best answers of all voices and says in one sentence why the first may hold. Needs no database, writes into none.
    """
    from kgsync.errors import NotFoundError
    from kgsync.lm import assistant as assistants
    from kgsync.lm.complete import complete as ask
    from kgsync.model import Model
    from kgsync.runs import Workspace

    place = Workspace(workspace)
    model = Model.find(place.model(model_id), place)
    assistant, left_out = None, ""
    if source != "none":
        try:
            assistant = assistants.find(source or "decoder", config.endpoint, place.root, by)
        except NotFoundError as error:
            if source is not None:
                raise
            left_out = str(error)
    found = ask(
        model,
        entity,
        relation,
        tail=not heads,
        top=top,
        assistant=assistant,
        free=free,
        allow_new=allow_new,
        templates=config.verbalize.templates,
        progress=terminal_progress(),
    )
    if as_json:
        print_json(found.to_dict() | {"model": model.id, "lm": assistant.name if assistant else None})
        return
    _show(found)
    if found.unlisted:
        _unlisted(found, model.snapshot)
    for why in filter(None, (left_out, found.missing)):
        click.echo(f"No language model: {safe(why)}", err=True)
    if isinstance(assistant, assistants.Served):
        spent, limits = assistant.endpoint.spent, config.endpoint
        click.echo(
            f"Asked {safe(assistant.name, 80)}: {spent.requests:,} of {limits.max_requests:,} requests,"
            f" {spent.tokens:,} of {limits.max_tokens:,} tokens; {spent.remembered:,} answers were remembered.",
            err=True,
        )


def _show(found: Completion) -> None:
    given, relation = safe(found.anchor, 44), found.relation
    click.echo(f"{given} -{relation}-> ?" if found.tail else f"? -{relation}-> {given}")
    if found.known:
        more = f" and {len(found.known) - 5:,} more" if len(found.known) > 5 else ""
        click.echo(f"The graph has: {', '.join(safe(name, 44) for name in found.known[:5])}{more}.")
    if found.objection:
        click.echo(f"Nothing would be proposed here: {safe(found.objection)}.")
    titles = [TITLES.get(voice, "embeddings") for voice in found.voices]
    rows = [
        (
            answer.name,
            "" if answer.score is None else f"{answer.score:.3f}",
            *(_cell(answer.said.get(voice)) for voice in found.voices),
        )
        for answer in found.answers
    ]
    click.echo(table(("answer", "score", *titles), rows))
    if found.rationale is not None:
        _reason(found.rationale)


def _unlisted(found: Completion, snapshot: Snapshot) -> None:
    """Show what the language model names by itself, and what of the graph it may mean."""
    rows = []
    for each in found.unlisted:
        nearest = "" if each.nearest is None else snapshot.display_name(each.nearest)
        verdict = "new" if each.entity is None else f"is {nearest}"
        alike = "" if each.meaning is None else f"{each.meaning:.2f}"
        rows.append((each.name, verdict, nearest, f"{each.letters:.2f}", alike, "yes" if each.near else "no"))
    click.echo("\nWhat the language model names by itself, held against the graph:")
    click.echo(table(("name", "verdict", "most similar", "letters", "meaning", "near"), rows))
    if any(each.new for each in found.unlisted):
        click.echo(
            "New names are its opinion, and kgsync never adds an entity. Add one that is right yourself, with its key;"
            " then `kgsync embed --new` lets it answer."
        )


def _cell(said: Said | None) -> str:
    """Return rank and score in one cell."""
    if said is None:
        return ""
    if not said.speaks:
        return "silent"
    return f"{said.rank:,}" if said.score is None else f"{said.rank:,} ({said.score:.2f})"


def _reason(rationale: Rationale) -> None:
    numbers = ", ".join(map(str, rationale.named))
    click.echo(f"\n{safe(rationale.sentence)}{f' [{numbers}]' if numbers else ''}")
    for fact in rationale.facts:
        mark = "*" if fact.of_rule else " "
        click.echo(f"  {mark} {fact.number}. {safe(fact.text)}")
    source = "the facts alone, by a template" if rationale.by == TEMPLATE else f"{rationale.by}, from these facts"
    why = f" (the language model's sentence was dropped: {rationale.dropped})" if rationale.dropped else ""
    click.echo(f"Written by {safe(source)}{safe(why)}; * is what a rule rests on.")
