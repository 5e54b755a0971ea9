"""The command `report`."""

from __future__ import annotations

from pathlib import Path

import click

from kgsync.cli.options import workspace_option


@click.command()
@click.argument("run_id", metavar="[RUN]", required=False)
@workspace_option
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Where to [default: report.html, or card.md, in the run's folder].")  # fmt: skip
@click.option("--card", "as_card", is_flag=True, help="Write the card of the model as Markdown instead.")
def report(run_id: str | None, workspace: Path, out: Path | None, as_card: bool) -> None:
    """Write the report of a run: one HTML file, to be read anywhere.

    Of the run whose id begins like that, or of the newest. Needs no database, and the page no network: what was pulled
    and learned, how good it is, what is proposed and why, what was written and found, and how to do it again.
    """
    from kgsync import files
    from kgsync.report import page
    from kgsync.report.dossier import Dossier
    from kgsync.runs import Workspace

    dossier = Dossier.read(Workspace(workspace), run_id)
    text = page.card(dossier) if as_card else page.page(dossier)
    path = out or dossier.run.folder / ("card.md" if as_card else "report.html")
    files.write_bytes(path, text.encode("utf-8", "replace"))
    click.echo(f"{path} ({len(text) / 1000:,.0f} kB)")
