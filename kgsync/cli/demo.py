"""The command `demo`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kgsync.cli.options import table, terminal_progress, workspace_option

if TYPE_CHECKING:
    from kgsync.demo import DemoResult
    from kgsync.plan import PlannedEdge


@click.command()
@workspace_option
@click.option("--browser/--no-browser", default=None, help="Start it with Neo4j Browser [default: as last time].")
def demo(workspace: Path, browser: bool | None) -> None:
    """Show the whole thing on a sample graph in a local Neo4j.

    Starts a Neo4j of its own, hides a tenth of what the sample graph knows about the world, syncs,
    and says honestly how much of it was found. Running it again is fast.
    """
    from kgsync.demo import demo as run

    click.echo(describe(run(workspace / "demo", browser=browser, progress=terminal_progress())))


def describe(result: DemoResult) -> str:
    """Return what the demonstration shows, for a terminal."""
    plan, found = result.sync.plan, result.found
    promised = sum(edge.score for edge in plan.edges)
    snapshot = result.sync.snapshot
    lines = [
        f"The graph knows {len(snapshot.triples):,} facts about {snapshot.entities.num_rows:,} entities;"
        f" {len(result.hidden):,} more were hidden from it.",
        f"kgsync proposes {len(plan):,} edges. Of these {len(found):,} are hidden facts"
        f" ({len(found) / max(len(plan), 1):.0%}); the others may be true, only not in the sample.",
        f"The scores promised {promised:,.0f}: they assume that {plan.model['missingShare']:.1%} as many edges are"
        f" missing as are known; here it is {len(result.hidden) / len(snapshot.triples):.1%}.",
        "",
        table(["relation", "hidden", "proposed", "found", "promised share"], result.by_relation()),
        "",
        "The best proposals:",
        table(["score", "from", "relation", "to", ""], [_row(result, edge) for edge in plan.best(10)]),
        "",
        "The most doubtful:",
        table(["score", "from", "relation", "to", ""], [_row(result, edge) for edge in plan.doubtful(5)]),
        "",
        *_where_to_look(result),
    ]
    return "\n".join(lines)


def _row(result: DemoResult, edge: PlannedEdge) -> tuple[object, ...]:
    verdict = "was hidden" if result.was_hidden(edge) else "unknown"
    return edge.score, edge.head_name, edge.relation, edge.tail_name, verdict


def _where_to_look(result: DemoResult) -> list[str]:
    from kgsync.graph import statements

    local = result.server
    query = statements.load("browse/best").text
    browser = (
        f"See them in Neo4j Browser at {local.http_uri}/browser/ (user {local.username}, password in"
        f" {local.password_file}):"
        if local.browser
        else "See them in Neo4j Browser: `kgsync demo --browser` starts it. The query:"
    )
    return [
        browser,
        *(f"  {line}" for line in query.splitlines()),
        f"The run, in files: {result.sync.run.folder}",
        f"Take it back: kgsync rollback RUN --yes (`kgsync runs` lists them)."
        f" Stop the server: kgsync down --name {local.name}",
    ]
