"""`browser`: the guide, the favourites and the style for Neo4j Browser."""

from __future__ import annotations

from pathlib import Path

import click

from kgsync.browser.server import PORT
from kgsync.cli.options import config_option, safe, workspace_option
from kgsync.config import Config


@click.command()
@config_option
@workspace_option
@click.option("--write", "folder", metavar="DIR", type=click.Path(path_type=Path), help="Only write them into DIR.")
@click.option(
    "--port",
    default=PORT,
    show_default=True,
    type=click.IntRange(min=0, max=65535),
    help="Port of this machine to serve them at; 0 takes a free one.",
)
@click.option(
    "--origin",
    "origins",
    multiple=True,
    metavar="URL",
    help="Where your Browser is served from, if that is not this machine, like https://neo4j.example.com:7473.",
)
def browser(config: Config, workspace: Path, folder: Path | None, port: int, origins: tuple[str, ...]) -> None:
    """Serve the guide, the favourites and the style for Neo4j Browser until Ctrl-C.

    Only this machine can reach them, and no database is asked. `kgsync up --browser` starts a Neo4j with Browser.
    """
    from kgsync.browser import content, serve, write

    pack = content({label: entry.name for label, entry in config.graph.labels.items() if entry.name})
    if folder:
        write(folder, pack)
        click.echo(f"Wrote {', '.join(pack)} to {folder}.")
        return
    with serve(pack, port=port, origins=origins) as server:
        folder = workspace / "browser"
        write(folder, pack)
        click.echo("\n".join(safe(line) for line in _what_to_do(server.address, folder)))
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            click.echo("\nStopped.")


def _what_to_do(address: str, folder: Path) -> list[str]:
    from kgsync.browser.pack import FAVOURITES, GUIDE, GUIDE_ASCIIDOC, STYLE

    return [
        *_local_browsers(f"{address}/{GUIDE}"),
        "In Neo4j Browser:",
        f"  :guide {address}/{GUIDE}   the guide, in the Browser of Neo4j 5",
        f"  :guide {address}/{GUIDE_ASCIIDOC}   the guide, in the newer Browser",
        f"  :style {address}/{STYLE}  predicted edges apart from asserted ones; the guide has a link for it",
        f"Favourites: drop {(folder / FAVOURITES).resolve()} onto Browser.",
        "Ctrl-C ends this.",
    ]


def _local_browsers(guide: str) -> list[str]:
    from kgsync.graph import server

    return [
        f"Open {one.http_uri}/browser/?cmd=guide&arg={guide} (local server {one.name})"
        for one in server.status()
        if one.browser and one.state == "running"
    ]
