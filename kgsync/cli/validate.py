"""The command `validate`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kgsync import files
from kgsync.cli.options import (
    config_option,
    config_path,
    connection_options,
    json_option,
    open_connection,
    print_json,
    safe,
    table,
    terminal_progress,
    workspace_option,
)
from kgsync.config import Config
from kgsync.errors import FindingsError, NotFoundError

if TYPE_CHECKING:
    from kgsync.runs import Run
    from kgsync.validate import Severity, ValidationReport

_SHOWN = 10  # findings
_ID = 12  # characters of an id in a table: enough to be unique


@click.command()
@connection_options
@config_option
@json_option
@workspace_option
@click.option("--run", "run_id", metavar="RUN",
              help="Only the edges that this run changed last; keeps the findings for `kgsync report`.")  # fmt: skip
@click.option("--checks", type=click.Path(path_type=Path), help="Folder with your own checks [validate.folder].")
@click.option("--schema", "schema_path", type=click.Path(path_type=Path),
              help="Your schema [default: validate.schema, else a schema.yml beside the configuration].")  # fmt: skip
@click.option("--read-only", is_flag=True, help="Only report; change no status.")
@click.option("--fix", is_flag=True, help="Let useless unreviewed edges expire; delete kgsync's own orphaned notes.")
@click.option("--junit", type=click.Path(path_type=Path), metavar="FILE", help="Write JUnit XML for a CI server.")
@click.option(
    "--fail-on",
    type=click.Choice(["error", "warning"]),
    default="error",
    show_default=True,
    help="Severity from which findings make the command fail (exit code 3).",
)
def validate(
    config: Config,
    as_json: bool,
    workspace: Path,
    run_id: str | None,
    checks: Path | None,
    schema_path: Path | None,
    read_only: bool,
    fix: bool,
    junit: Path | None,
    fail_on: Severity,
    **options: Any,
) -> None:
    """Check the predicted edges with Cypher.

    Edges that fail a check of severity error or warning are quarantined with their reasons; edges that
    fail none any more are proposed again. Your own .cypher files run the same way. What holds for a relation
    is learned from the graph, unless your schema (`kgsync schema`) says it.
    """
    from kgsync import schema_file
    from kgsync.graph.graph import Graph

    if fix and read_only:
        raise click.UsageError("--fix changes the graph, and --read-only does not: give one of them.")
    own = schema_file.load(schema_path) if schema_path else None
    here = _here(workspace, run_id) if run_id else None
    with Graph(open_connection(config, **options), config, workspace, config_path().parent) as graph:
        graph.connection.see(graph.workspace.bookmarks(here))  # what was just written is there, on a cluster too
        report = graph.validate(
            run_id=here.id if here else run_id,
            quarantine=not read_only,
            fix=fix,
            checks=checks,
            schema=own,
            progress=terminal_progress(),
        )
    if here:
        from kgsync.report.kept import keep_validation

        keep_validation(here, report)
    if junit:
        from kgsync.junit import junit as as_junit

        files.write_bytes(junit, as_junit(report, fail_on).encode())
    if as_json:
        checks_ = [asdict(check) | {"browser": check.browser} for check in report.checks]
        print_json(asdict(report) | {"checks": checks_, "failed": report.fails(fail_on)})
    else:
        _print_validation(report)
    if report.fails(fail_on):
        names = ", ".join(check.name for check in report.failing(fail_on))
        raise FindingsError(f"checks failed: {names}", fix="look with `kgsync review list --status quarantined`")


def _here(workspace: Path, run_id: str) -> Run | None:
    """Return the run with this id, or with this unique beginning of one; one that was made elsewhere has no folder."""
    from kgsync.runs import Workspace

    try:
        return Workspace(workspace).run(run_id)
    except NotFoundError:
        return None


def _print_validation(report: ValidationReport) -> None:
    click.echo(table(("check", "severity", "findings"), [(c.name, c.severity, c.count) for c in report.checks]))
    failing = report.failing()
    if failing:
        rows = [
            (check.name, (row.id or "")[:_ID], row.focus, row.path or "", row.tail, row.message or "")
            for check in failing
            for row in check.rows[: -(-_SHOWN // len(failing))]
        ]
        click.echo("\n" + table(("check", "id", "head", "relation", "tail", "message"), rows, widest=60))
        click.echo(
            f"\nThe findings of {failing[0].name} in Neo4j Browser (--json has this for each check, as `browser`):\n"
        )
        click.echo("\n".join(safe(line) for line in failing[0].shown.splitlines()))
    fixed = f", expired {report.expired:,}, notes deleted {report.forgotten:,}"
    extra = fixed if report.expired or report.forgotten else ""
    click.echo(f"\nQuarantined {report.quarantined:,}, released {report.released:,}{extra}.")
