"""`up`, `down`, `status`, `logs`: the local Neo4j that kgsync manages."""

from __future__ import annotations

import time
from dataclasses import asdict

import click

from kgsync.cli.options import json_option, print_json, safe, terminal_progress
from kgsync.graph import server
from kgsync.graph.server import LocalServer, ServerStatus

_VERSIONS = {"lts": server.LTS, "newest": server.NEWEST}

name_option = click.option("--name", default="default", show_default=True, help="Which local server.")


@click.command()
@name_option
@click.option("--neo4j-version", "version", metavar="VERSION", help=f"lts ({server.LTS}), newest or a number [lts].")
@click.option("--browser/--no-browser", default=None, help="Serve Neo4j Browser; remembered.")
@click.option("--memory", metavar="SIZE", help="For heap and page cache, like 2G; remembered [an eighth of all].")
@json_option
def up(name: str, version: str | None, browser: bool | None, memory: str | None, as_json: bool) -> None:
    """Start a local Neo4j that kgsync manages, or find it running.

    The first start downloads Neo4j from Maven Central (140 MB); later ones need no network. The data stay
    where they are between starts. KGSYNC_HOME says where the servers live, KGSYNC_JARS where the downloads
    are kept, KGSYNC_MAVEN names a Maven mirror. Lines of your own for neo4j.conf go into own.conf in the server's
    folder, which `kgsync status` names.
    """
    version = _VERSIONS.get(version or "", version)
    running = server.up(name, version=version, browser=browser, memory=memory, progress=terminal_progress())
    print_json(running) if as_json else click.echo(_summary(running))


@click.command()
@name_option
def down(name: str) -> None:
    """Stop the local Neo4j; its data stay."""
    stopped = server.down(name)
    click.echo(f"Stopped {name}." if stopped else f"No local server {name} was running.")


@click.command()
@json_option
def status(as_json: bool) -> None:
    """Show the local Neo4j servers, running or not."""
    found = server.status()
    if as_json:
        print_json({"servers": [asdict(one) for one in found]})
    elif not found:
        click.echo("There is no local server yet. `kgsync up` starts one.")
    else:
        click.echo("\n\n".join(_block(one) for one in found))


@click.command()
@name_option
@click.option("--lines", "-n", default=50, show_default=True, type=click.IntRange(min=0), help="How many.")
@click.option("--follow", "-f", is_flag=True, help="Go on with new lines until Ctrl-C.")
def logs(name: str, lines: int, follow: bool) -> None:
    """Show the log of the local Neo4j."""
    for line in server.logs(name, lines=lines, follow=follow):
        click.echo(safe(line))


def _summary(running: LocalServer) -> str:
    rows = {
        "address": running.uri,
        "user": running.username,
        "password": f"in {running.password_file}",
        "browser": f"{running.http_uri}/browser/" if running.browser else "off (--browser turns it on)",
        "stop": "kgsync down" + ("" if running.name == "default" else f" --name {running.name}"),
    }
    return _rows(f"Neo4j {running.version} is running.", rows, running.notes)


def _block(one: ServerStatus) -> str:
    rows = {"address": one.uri}
    if one.browser:
        rows["browser"] = f"{one.http_uri}/browser/"
    if one.pid and one.started:
        rows["process"] = f"{one.pid}, since {_ago(time.time() - one.started)}, {one.memory >> 20} MB of memory"
    rows["folder"] = f"{one.home} ({one.disk >> 20} MB)"
    again = "`kgsync up` starts it again" + ("" if one.name == "default" else f" with --name {one.name}")
    return _rows(f"{one.name}: Neo4j {one.version}, {one.state}", rows, (again,) if one.state == "crashed" else ())


def _rows(title: str, rows: dict[str, str], notes: tuple[str, ...]) -> str:
    width = max(map(len, rows))
    lines = [f"  {key:<{width}}  {safe(value)}" for key, value in rows.items()]
    return "\n".join([click.style(title, bold=True), *lines, *(f"  {note}" for note in notes)])


def _ago(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} seconds"
