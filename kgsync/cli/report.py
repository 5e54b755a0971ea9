"""The command `report`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from kgsync.cli.options import (
    config_option,
    json_option,
    print_json,
    seconds_of,
    share_of,
    table,
    terminal_progress,
    workspace_option,
)
from kgsync.config import Config


@click.command()
@click.argument("run_id", metavar="[RUN]", required=False)
@config_option
@workspace_option
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Where to [default: report.html, or card.md, in the run's folder].")  # fmt: skip
@click.option("--card", "as_card", is_flag=True, help="Write the card of the model as Markdown instead.")
@click.option("--synergy", is_flag=True, help="Measure instead whether the voices should teach each other; trains.")
@click.option("--seeds", type=click.IntRange(1), help="Of --synergy: trainings of everything [default: 3].")
@click.option("--budget", callback=seconds_of, metavar="TIME",
              help="Of --synergy: for all trainings together [default: no limit].")  # fmt: skip
@click.option("--keep", callback=share_of, metavar="SHARE",
              help="Of --synergy: learn from this share of the train edges, such as 30% [default: all].")  # fmt: skip
@json_option
def report(
    run_id: str | None,
    config: Config,
    workspace: Path,
    out: Path | None,
    as_card: bool,
    synergy: bool,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Write the report of a run: one HTML file, to be read anywhere.

    Of the run whose id begins like that, or of the newest. Needs no database, and the page no network: what was pulled
    and learned, how good it is, what is proposed and why, what was written and found, and how to do it again.

    With --synergy it trains on the snapshot of the run, or on the newest, and compares on the same hidden edges: each
    voice alone, all together, two seeds of each, voices that taught each other, and a sham. Interrupted, the same
    command goes on. The result is kept in the workspace, and from then on reports on that snapshot show it.
    """
    from kgsync.runs import Workspace

    given = {name: value for name, value in chosen.items() if value is not None}
    if synergy:
        if out or as_card:
            raise click.UsageError("--synergy writes no page: leave out --out and --card.")
        _compare(Workspace(workspace), run_id, config, as_json, **given)
        return
    if given or as_json:
        raise click.UsageError("--seeds, --budget, --keep and --json belong to --synergy.")
    _write(Workspace(workspace), run_id, out, as_card)


def _write(workspace: Any, run_id: str | None, out: Path | None, as_card: bool) -> None:
    from kgsync import files
    from kgsync.report import page
    from kgsync.report.dossier import Dossier

    dossier = Dossier.read(workspace, run_id)
    text = page.card(dossier) if as_card else page.page(dossier)
    path = out or dossier.run.folder / ("card.md" if as_card else "report.html")
    files.write_bytes(path, text.encode("utf-8", "replace"))
    click.echo(f"{path} ({len(text) / 1000:,.0f} kB)")


def _compare(workspace: Any, run_id: str | None, config: Config, as_json: bool, **chosen: Any) -> None:
    from kgsync.report import synergy as words
    from kgsync.report.dossier import snapshot_of
    from kgsync.snapshot import Snapshot
    from kgsync.synergy.compare import compare_snapshot

    folder = workspace.snapshot(None if run_id is None else snapshot_of(workspace.run(run_id)))
    clear = "\r\x1b[K" if sys.stderr.isatty() else ""
    done = compare_snapshot(
        Snapshot.load(folder),
        config,
        workspace.root,
        told=lambda line: click.echo(clear + line, err=True),
        progress=terminal_progress(),
        **chosen,
    )
    if as_json:
        print_json(done.to_dict())
        return
    click.echo("\n".join(words.compared(done)))
    click.echo(table(words.ARM_HEADER, words.arm_rows(done)))
    click.echo()
    click.echo(table(words.GAIN_HEADER, words.gain_rows(done)))
    click.echo()
    click.echo("\n".join(done.verdict()))
    click.echo(f"Kept in {done.path(workspace.root)}; `kgsync report` shows it with a run on this snapshot.")
