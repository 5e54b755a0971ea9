"""The command `view`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kgsync.cli.options import config_option, connection_options, open_connection, workspace_option
from kgsync.config import Config


@click.command()
@click.argument("entity", metavar="KEY")
@connection_options
@config_option
@workspace_option
@click.option("--hops", type=click.IntRange(1, 3), default=1, show_default=True, help="How far to look.")
@click.option("--most", type=click.IntRange(2, 500), default=120, show_default=True, help="Entities at most.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), default=Path("view.html"), show_default=True,
              metavar="FILE", help="Its ending says what: .html, .svg, .graphml or .gexf.")  # fmt: skip
def view(config: Config, workspace: Path, entity: str, hops: int, most: int, out: Path, **options: Any) -> None:
    """Draw what is around an entity, known and predicted.

    KEY is Label:key, a key, or a name. Reads only. A page or a picture to look at, which needs no network; or a file
    for other tools, whose edges say where they come from in the names of Biolink and PROV-O.
    """
    from kgsync import files
    from kgsync.graph.graph import Graph
    from kgsync.view.export import check, export
    from kgsync.view.neighbourhood import around

    check(out.suffix)
    with Graph(open_connection(config, **options), config, workspace) as graph:
        found = around(graph.connection, graph.scope().labels, entity, hops=hops, most=most)
    files.write_bytes(out, export(found, out.suffix))
    left = f"; {found.left_out:,} further edges of these are left out" if found.left_out > 0 else ""
    click.echo(
        f"{out}: {len(found.nodes):,} entities, {len(found.edges):,} edges,"
        f" {len(found.predicted):,} of them predicted{left}."
    )
