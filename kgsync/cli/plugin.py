"""The commands of `plugin`: kgsync's procedures in a Neo4j server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kgsync.cli.options import config_option, connection_options, json_option, open_connection, print_json, safe, table
from kgsync.config import Config

if TYPE_CHECKING:
    from kgsync.graph.plugin import Place, Procedure

_LOOK = "SHOW PROCEDURES YIELD name, description WHERE name STARTS WITH 'kgsync.'"
_STATES = {"current": "this kgsync's plugin", "another": "another kgsync's plugin", "none": "no plugin of kgsync"}


def _home_option(*, required: bool) -> Callable[..., Any]:
    return click.option("--home", type=click.Path(path_type=Path), metavar="DIR", required=required,
                        help="Home of the Neo4j server: the folder with its conf and plugins.")  # fmt: skip


@click.group()
def plugin() -> None:
    """Put kgsync's procedures into a Neo4j server: explain, accept, reject, undo, validate, predict.

    `CALL kgsync.explain('…')` and the others then work in Neo4j Browser and from any driver. Nothing needs them: each
    wraps a statement of cypher/, which runs without. The local server of `kgsync up` has them already.
    """


@plugin.command()
@_home_option(required=True)
def install(home: Path) -> None:
    """Put the plugin into the home of a server, in the place of an older one."""
    from kgsync.graph import plugin as plugins

    written = plugins.install(home)
    place = plugins.look(home)
    click.echo(f"{'Wrote' if written else 'It is there already:'} {safe(str(place.jar))}")
    click.echo("Restart the server if it runs. Then this shows the procedures in Neo4j Browser:\n  " + _LOOK)
    _warn(place)


@plugin.command()
@_home_option(required=True)
def remove(home: Path) -> None:
    """Take the plugin out of the home of a server. The graph stays as it is."""
    from kgsync.graph import plugin as plugins

    if plugins.remove(home):
        click.echo("Removed it. A server that runs offers the procedures until it is restarted.")
    else:
        click.echo("It is not there.")


@plugin.command()
@_home_option(required=False)
@connection_options
@config_option
@json_option
def status(config: Config, home: Path | None, as_json: bool, **options: Any) -> None:
    """Show which procedures the server offers; with --home what lies in the home of a server, which need not run."""
    from kgsync.graph import plugin as plugins

    if home is not None:
        place = plugins.look(home)
        print_json(place) if as_json else _show_place(place)
        return
    with open_connection(config, **options) as connection:
        found = plugins.offered(connection)
    print_json({"procedures": [asdict(one) for one in found]}) if as_json else _show(found)


def _show_place(place: Place) -> None:
    click.echo(f"{safe(str(place.jar.parent))} holds {_STATES[place.state]}.")
    if place.state != "current":
        click.echo("`kgsync plugin install` puts this kgsync's there.")
    _warn(place)


def _warn(place: Place) -> None:
    from kgsync.graph.plugin import ALLOWLIST

    if place.refused:
        click.echo(f"Its neo4j.conf keeps out {', '.join(place.refused)}: add kgsync.* to {ALLOWLIST}.")


def _show(found: list[Procedure]) -> None:
    from kgsync.graph.plugin import ALLOWLIST

    if found:
        click.echo(
            table(("procedure", "mode", ""), [(one.name, one.mode, one.description) for one in found], widest=110)
        )
        return
    click.echo(
        "The server offers no procedures of kgsync, and nothing needs them. To have them, where you may put files into"
        "\nits home: `kgsync plugin install --home DIR`, and restart it. If neo4j.conf sets"
        f"\n{ALLOWLIST}, kgsync.* must be in it."
    )
