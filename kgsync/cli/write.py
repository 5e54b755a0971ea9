"""The commands that change a graph as a whole: `write`, `rollback`, `runs`, `uninstall`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kgsync.cli.options import (
    check_promise,
    config_option,
    connection_options,
    json_option,
    open_connection,
    print_json,
    promise_options,
    table,
    terminal_progress,
    workspace_option,
    yes_option,
)
from kgsync.config import Config
from kgsync.errors import FindingsError, NotFoundError

if TYPE_CHECKING:
    from kgsync.graph.rollback import RollbackReport
    from kgsync.graph.uninstall import UninstallReport
    from kgsync.graph.write import WriteReport
    from kgsync.plan import Plan
    from kgsync.runs import Run

_SAMPLE = 10  # edges that are shown of a plan


@click.command()
@click.argument("run_id", metavar="[RUN]", required=False)
@connection_options
@config_option
@workspace_option
@promise_options
@yes_option
@json_option
def write(
    config: Config,
    workspace: Path,
    run_id: str | None,
    max_false: float | None,
    each_relation: bool,
    yes: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Write a plan into the graph: that of the run, or of the newest one.

    --max-false holds nine times in ten, if missing edges resemble hidden ones and are as frequent as assumed.
    It leaves out what it cannot promise, and lets nothing expire.

    Shows the plan and what would change; --yes does it. Interrupted or killed, the same command goes on;
    repeated, it changes nothing. Exits 3 if edges could not be matched or are in conflict.
    """
    from kgsync import report as reports
    from kgsync.graph.write import write as write_plan
    from kgsync.plan import Plan
    from kgsync.report.kept import keep_write
    from kgsync.runs import Workspace

    check_promise(max_false, each_relation)
    run = Workspace(workspace).run(run_id)
    if not run.plan_folder.is_dir():
        raise NotFoundError(
            f"run {run.id} has no plan yet", fix="finish it with `kgsync sync`, or run `kgsync predict`"
        )
    plan = Plan.load(run.plan_folder)
    if max_false is not None:
        proposals, plan = len(plan), plan.promising(max_false, each_relation=each_relation)
        click.echo(reports.promised(plan, proposals, max_false), err=True)
    if not as_json:
        _show_plan(run, plan)
    with open_connection(config, **options) as connection:
        report = write_plan(connection, plan, run_id=run.id, folder=run.folder, started_at=run.started_at,
                            config=config.write, config_hash=config.hash(), commit=yes,
                            progress=terminal_progress())  # fmt: skip
    if report.committed:
        keep_write(run, report)
    print_json(report) if as_json else _show_written(report)
    if report.needs_attention:
        where = run.folder / "rejected.jsonl" if yes else "the list above"
        raise FindingsError(
            f"{report.unmatched:,} edges could not be matched and {report.conflict:,} are in conflict",
            fix=f"see {where}",
        )


@click.command()
@click.argument("run_id", metavar="RUN")
@connection_options
@config_option
@yes_option
@json_option
def rollback(config: Config, run_id: str, yes: bool, as_json: bool, **options: Any) -> None:
    """Undo what a run wrote.

    Needs only the graph. What a person reviewed, or a later run changed, stays and is listed. --yes does it.
    """
    from kgsync.graph.rollback import rollback as roll_back

    with open_connection(config, **options) as connection:
        report = roll_back(connection, run_id, commit=yes, config=config.write, progress=terminal_progress())
    print_json(report) if as_json else _show_rolled_back(report)


@click.command()
@connection_options
@config_option
@json_option
def runs(config: Config, as_json: bool, **options: Any) -> None:
    """List the runs that the graph knows, the latest first."""
    from kgsync.graph.ledger import runs as known_runs

    with open_connection(config, **options) as connection:
        found = known_runs(connection)
    if as_json:
        print_json({"runs": found})
    elif found:
        rows = [(r.id, r.status, r.started_at[:19], r.created, r.updated, r.expired) for r in found]
        click.echo(table(["run", "status", "started (UTC)", "created", "updated", "expired"], rows))
    else:
        click.echo("No run has written into this graph.")


@click.command()
@connection_options
@config_option
@click.option("--delete-accepted", is_flag=True, help="Delete also the relationships that accepting has made.")
@yes_option
@json_option
def uninstall(config: Config, delete_accepted: bool, yes: bool, as_json: bool, **options: Any) -> None:
    """Take every trace of kgsync out of the graph.

    Relationships that came from accepted predictions stay, without kgsync's properties. --yes does it.
    """
    from kgsync.graph.uninstall import uninstall as take_out

    with open_connection(config, **options) as connection:
        report = take_out(
            connection, commit=yes, delete_accepted=delete_accepted, config=config.write, progress=terminal_progress()
        )
    print_json(report) if as_json else _show_uninstalled(report)


def _show_plan(run: Run, plan: Plan) -> None:
    click.echo(f"Plan {plan.id} of run {run.id}: {len(plan):,} edges. The best of them:")
    rows = [(e.score, e.head_name or e.head, e.relation, e.tail_name or e.tail) for e in plan.best(_SAMPLE)]
    click.echo(table(["score", "from", "relation", "to"], rows))


def _show_written(report: WriteReport) -> None:
    if report.installed:
        click.echo(f"Created in the database: {', '.join(report.installed)}.")
    meanings = {
        "created": "new",
        "updated": "other values than before, or proposed again",
        "unchanged": "there already",
        "expired": "no longer predicted",
        "unmatched": "an end is missing, has other labels now, or is there twice",
        "conflict": "the edge is somewhere else, or somebody changed it meanwhile",
        "already_true": "the relationship is there",
        "reviewed": "accepted or rejected before, left alone",
    }
    rows = [(name.replace("_", " "), getattr(report, name), meaning) for name, meaning in meanings.items()]
    click.echo(table(["edges", "count", ""], rows, widest=64))
    if report.problems:
        shown = [(p.reason.replace("_", " "), p.head, p.relation, p.tail) for p in report.problems[:_SAMPLE]]
        click.echo(f"Not written ({len(report.problems):,}):")
        click.echo(table(["reason", "from", "relation", "to"], shown))
    if not report.committed:
        click.echo("Nothing was changed; --yes writes it.")


def _show_rolled_back(report: RollbackReport) -> None:
    done = ("Deleted", "restored") if report.committed else ("Would delete", "restore")
    click.echo(f"{done[0]} {report.deleted:,} edges and {done[1]} {report.restored:,} of run {report.run_id}.")
    if report.left:
        click.echo(f"{len(report.left):,} edges stay as they are:")
        click.echo(
            table(["edge", "relation", "because it"], [(e.id[:12], e.relation, e.reason) for e in report.left[:20]])
        )
    if not report.committed:
        click.echo("Nothing was changed; --yes does it.")
    elif report.deleted or report.restored:
        click.echo("Run `kgsync validate`: what is in quarantine because of these edges may be proposed again.")


def _show_uninstalled(report: UninstallReport) -> None:
    from kgsync.graph.keys import CONSTRAINT

    if report.empty:
        click.echo("There is nothing of kgsync in this graph.")
        return
    of_keys = [name for name in report.schema if name.startswith(CONSTRAINT)]
    fate = "deleted" if report.accepted_deleted else "stay, without kgsync's properties"
    rows = [
        ("predicted edges", report.predictions, "deleted"),
        *((f"accepted {relation}", edges, fate) for relation, edges in report.accepted.items()),
        *((f":{label} nodes", nodes, "deleted") for label, nodes in report.nodes.items()),
        ("nodes with kgsyncId", report.keys, "lose that property"),
        ("nodes with a vector", report.vectors, "lose it"),
        *((f"constraint {name}", 1, "dropped") for name in of_keys),
        ("other constraints and indexes", len(report.schema) - len(of_keys), "dropped"),
        ("other PREDICTED edges", report.foreign, "stay, kgsync did not make them"),
    ]
    click.echo(table(["what", "count", "done" if report.committed else "to do"], [row for row in rows if row[1]]))
    if not report.committed:
        click.echo("Nothing was changed; --yes does it.")
