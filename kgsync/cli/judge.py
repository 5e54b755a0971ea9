"""The commands that judge predicted edges: `validate` and `review`."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kgsync import files
from kgsync.cli.options import (
    F,
    config_option,
    config_path,
    connection_options,
    json_option,
    open_connection,
    print_json,
    safe,
    table,
    terminal_progress,
    yes_option,
)
from kgsync.config import Config
from kgsync.errors import ConfigError, FindingsError

if TYPE_CHECKING:
    from kgsync.graph.review import Action, EndFilter, Filter, Proposal, ReviewReport
    from kgsync.validate import Severity, ValidationReport

_SHOWN = 10  # findings, refusals
_DONE = {"accept": "Accepted", "reject": "Rejected", "undo": "Undone:"}
_ID = 12  # characters of an id in a table: enough to be unique


@click.command()
@connection_options
@config_option
@json_option
@click.option("--run", "run_id", metavar="RUN", help="Only the edges that this run changed last.")
@click.option("--checks", type=click.Path(path_type=Path), help="Folder with your own checks [validate.folder].")
@click.option("--schema", "schema_path", type=click.Path(path_type=Path),
              help="Your schema [default: schema.yml beside the configuration, if there is one].")  # fmt: skip
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
    from kgsync.validate import validate as run_checks

    if fix and read_only:
        raise click.UsageError("--fix changes the graph, and --read-only does not: give one of them.")
    own = schema_file.load(schema_path) if schema_path else schema_file.find(config_path().parent)
    folder = checks or (Path(config.validate.folder) if config.validate.folder else None)
    with open_connection(config, **options) as connection:
        report = run_checks(
            connection,
            run_id=run_id,
            folder=folder,
            quarantine=not read_only,
            fix=fix,
            labels=config.graph.labels,
            schema=own,
            progress=terminal_progress(),
        )
    if junit:
        from kgsync.junit import junit as as_junit

        files.write_bytes(junit, as_junit(report, fail_on).encode())
    if as_json:
        print_json(asdict(report) | {"failed": report.fails(fail_on)})
    else:
        _print_validation(report)
    if report.fails(fail_on):
        names = ", ".join(check.name for check in report.failing(fail_on))
        raise FindingsError(f"checks failed: {names}", fix="look with `kgsync review list --status quarantined`")


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
        click.echo(f"\nThe findings of {failing[0].name} in Neo4j Browser (--json has this for each check):\n")
        click.echo("\n".join(safe(line) for line in failing[0].browser.splitlines()))
    fixed = f", expired {report.expired:,}, notes deleted {report.forgotten:,}"
    extra = fixed if report.expired or report.forgotten else ""
    click.echo(f"\nQuarantined {report.quarantined:,}, released {report.released:,}{extra}.")


@click.group()
def review() -> None:
    """List, accept and reject predicted edges.

    An accepted edge becomes a relationship of its own type; a rejected one is never proposed again.
    """


def _filter_options(command: F) -> F:
    for option in (
        click.option("--run", "run_id", metavar="RUN", help="Only edges that this run changed last."),
        click.option("--tail", metavar="LABEL[:KEY]", help="Only edges to these entities."),
        click.option("--head", metavar="LABEL[:KEY]", help="Only edges from these entities."),
        click.option("--max-score", type=float, metavar="P", help="Only edges with this score or a lower one."),
        click.option("--min-score", type=float, metavar="P", help="Only edges with this score or a higher one."),
        click.option("--relation", metavar="TYPE", help="Only edges of this relation."),
    ):
        command = option(command)
    return command


def _decision_options(command: F) -> F:
    for option in (
        connection_options,
        config_option,
        json_option,
        yes_option,
        click.option("--by", metavar="NAME", help="Reviewer [default: the user of this computer]."),
        _filter_options,
        click.argument("ids", nargs=-1),
    ):
        command = option(command)
    return command


_reason = click.option("--reason", metavar="TEXT", help="Why; kept on the edge.")
_quarantined = click.option("--include-quarantined", is_flag=True, help="Let a filter take quarantined edges too.")


@review.command("list")
@connection_options
@config_option
@json_option
@click.option("--limit", type=click.IntRange(min=1), default=25, show_default=True, help="At most so many edges.")
@_filter_options
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(["proposed", "quarantined", "accepted", "rejected", "expired"]),
    help="Only edges of this status; may be repeated [default: proposed, quarantined].",
)
def list_(config: Config, as_json: bool, statuses: tuple[str, ...], limit: int, **options: Any) -> None:
    """List predicted edges, best score first."""
    from kgsync.graph import review as reviews

    which = replace(_filter(config, options), statuses=statuses or reviews.LIVE)
    with open_connection(config, **options) as connection:
        found = reviews.proposals(connection, which, limit=limit, labels=config.graph.labels)
    if as_json:
        print_json({"edges": [asdict(edge) for edge in found]})
    else:
        click.echo(_edges(found))


@review.command()
@_quarantined
@_reason
@_decision_options
def accept(**options: Any) -> None:
    """Accept predicted edges: IDS (their first characters suffice), or all that fit a filter.

    Each becomes a relationship of its own type, with its provenance.
    """
    _decide("accept", **options)


@review.command()
@_quarantined
@_reason
@_decision_options
def reject(**options: Any) -> None:
    """Reject predicted edges: IDS (their first characters suffice), or all that fit a filter.

    They are never proposed again.
    """
    _decide("reject", **options)


@review.command()
@_decision_options
def undo(**options: Any) -> None:
    """Take back what a reviewer (--by) decided: IDS (their first characters suffice), or all that fit a filter.

    A relationship that accepting made goes again, unless somebody has put more properties on it.
    """
    _decide("undo", **options)


def _decide(
    action: Action,
    *,
    ids: tuple[str, ...],
    by: str | None,
    yes: bool,
    as_json: bool,
    config: Config,
    reason: str | None = None,
    include_quarantined: bool = False,
    **options: Any,
) -> None:
    from kgsync.graph import review as reviews

    which = _filter(config, options)
    if bool(ids) == (which != reviews.Filter()):
        raise click.UsageError("Name the ids of edges, or a filter such as --relation.")
    by = by or _user()
    with open_connection(config, **options) as connection:
        if not ids and not yes:
            chosen = reviews.selected(action, which, by=by, include_quarantined=include_quarantined)
            _print_matching(action, reviews.proposals(connection, chosen, labels=config.graph.labels), as_json)
            return
        report = reviews.decide(
            connection,
            action,
            reviews.find(connection, ids) if ids else which,
            by=by,
            reason=reason,
            include_quarantined=include_quarantined,
            progress=terminal_progress(),
        )
    _print_review(report, as_json)


def _filter(config: Config, options: dict[str, Any]) -> Filter:
    """Take the options of `_filter_options` out of `options` and return what they mean."""
    from kgsync.graph.review import Filter

    head, tail = (_end(config, options.pop(end)) for end in ("head", "tail"))
    given = {name: options.pop(name) for name in ("relation", "min_score", "max_score", "run_id")}
    return Filter(head=head, tail=tail, **given)


def _end(config: Config, text: str | None) -> EndFilter | None:
    """Return what LABEL[:KEY] means; a key of digits may be text or a number in the graph."""
    from kgsync.graph.review import EndFilter

    if text is None:
        return None
    label, colon, key = text.partition(":")
    if not colon:
        return EndFilter(label)
    if label not in config.graph.labels:
        raise ConfigError(
            f"no key property is known for the label {label}", fix="add it to kgsync.toml (`kgsync init`)"
        )
    keys = (key, int(key)) if key.removeprefix("-").isdecimal() else (key,)
    return EndFilter(label, config.graph.labels[label].key, keys)


def _user() -> str:
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError) as error:
        raise ConfigError("this computer's user has no name", fix="say who reviews with --by") from error


def _edges(edges: Sequence[Proposal]) -> str:
    header = ("id", "score", "status", "head", "relation", "tail", "reason")
    rows = [
        (e.id[:_ID], e.score, e.status, e.head, e.relation, e.tail, e.review_reason or ", ".join(e.reasons))
        for e in edges
    ]
    return table(header, rows)


def _print_matching(action: Action, edges: Sequence[Proposal], as_json: bool) -> None:
    if as_json:
        print_json({"action": action, "matching": len(edges)})
        return
    click.echo(_edges(edges[:_SHOWN]))
    click.echo(f"\n{len(edges):,} edges fit. Nothing is changed yet; add --yes to {action} them.")


def _print_review(report: ReviewReport, as_json: bool) -> None:
    if as_json:
        print_json(report)
    else:
        notes = [(report.already_true, "true before"), (report.unchanged, "decided so before")]
        extra = "".join(f", {count:,} {what}" for count, what in notes if count)
        click.echo(f"{_DONE[report.action]} {report.done:,}{extra}.")
        for refusal in report.refused[:_SHOWN]:
            click.echo(f"  {refusal.id[:_ID]} {safe(refusal.why)}")
    if report.refused:
        raise FindingsError(
            f"{len(report.refused):,} edges stay as they were", fix="see why above, or with --json for all of them"
        )
