"""The command `review`: one by one, on a page, or by list."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kgsync.cli.options import (
    F,
    config_option,
    connection_options,
    json_option,
    open_connection,
    print_json,
    safe,
    table,
    terminal_progress,
    workspace_option,
    yes_option,
)
from kgsync.config import Config
from kgsync.errors import ConfigError, FindingsError
from kgsync.identity import named

if TYPE_CHECKING:
    from kgsync.graph.review import Action, EndFilter, Filter, Proposal, ReviewReport
    from kgsync.review.desk import Desk

_SHOWN = 10  # edges, refusals
_DONE = {"accept": "Accepted", "reject": "Rejected", "undo": "Undone:"}
_ID = 12  # characters of an id in a table: enough to be unique


def _filter_options(command: F) -> F:
    for option in (
        click.option("--run", "run_id", metavar="RUN", help="Only edges that this run changed last."),
        click.option("--tail", metavar="LABEL[:KEY]", help="Only edges to these entities."),
        click.option("--head", metavar="LABEL[:KEY]", help="Only edges from these entities."),
        click.option("--max-score", type=float, metavar="P", help="Only edges with this score or a lower one."),
        click.option("--min-score", type=float, metavar="P", help="Only edges with this score or a higher one."),
        click.option(
            "--relation", metavar="TYPE", help="Only edges of this relation (its type, or its id in loaded files)."
        ),
    ):
        command = option(command)
    return command


_by = click.option("--by", metavar="NAME", help="Reviewer [default: the user of this computer].")


def _decision_options(command: F) -> F:
    for option in (
        connection_options,
        config_option,
        json_option,
        yes_option,
        _by,
        _filter_options,
        click.argument("ids", nargs=-1),
    ):
        command = option(command)
    return command


_reason = click.option("--reason", metavar="TEXT", help="Why; kept on the edge.")
_quarantined = click.option("--include-quarantined", is_flag=True, help="Let a filter take quarantined edges too.")


@click.group(invoke_without_command=True)
@connection_options
@config_option
@click.option("--web", is_flag=True, help="Review on a page in your web browser, served on this computer alone.")
@click.option("--port", type=click.IntRange(0, 65535), metavar="PORT", help="Of the page [default: any].")
@workspace_option
@_by
@_filter_options
@click.pass_context
def review(
    context: click.Context,
    /,
    config: Config,
    web: bool,
    port: int | None,
    workspace: Path,
    by: str | None,
    **options: Any,
) -> None:
    """Review predicted edges: one by one, on a page, or by list.

    Without a command it asks about one edge after the other, the one first where a look helps most: y accepts, n
    rejects, s skips, u takes back, e explains, q quits. --web does the same on a page, with the edge's neighbourhood
    drawn. An accepted edge becomes a relationship of its own type; a rejected one is never proposed again.
    """
    if context.invoked_subcommand:
        _nothing_before(context)
        return
    from kgsync.cli.review_steps import one_by_one
    from kgsync.graph import review as reviews
    from kgsync.review.desk import Desk
    from kgsync.runs import Workspace

    which = _filter(config, options)
    if web and which != reviews.Filter():
        raise click.UsageError("The page has filters of its own: give none with --web.")
    if port is not None and not web:
        raise click.UsageError("--port is that of the page: give it with --web.")
    by = by or _user()
    with open_connection(config, **options) as connection:
        desk = Desk(connection, by, config.graph.labels, Workspace(workspace))
        if web:
            _serve(desk, port or 0)
        else:
            one_by_one(desk, replace(reviews.by_type(connection, which), statuses=("proposed",)))


def _nothing_before(context: click.Context) -> None:
    """Refuse options that stand before the name of a command: they would not reach it."""
    for name in context.params:
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            option = next(each.opts[0] for each in context.command.params if each.name == name)
            raise click.UsageError(f"Options stand behind the command: review {context.invoked_subcommand} {option}")


def _serve(desk: Desk, port: int) -> None:
    from kgsync.review.serve import serve

    def ready(address: str) -> None:
        click.echo(f"The review page, for {safe(desk.by)}, on this computer alone:\n\n  {address}\n\nCtrl-C stops it.")

    serve(desk, port=port, ready=ready)
    click.echo("Stopped.")


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
    """Accept predicted edges: IDS (their first characters suffice), or all that fit a filter but the random audit's.

    Each becomes a relationship of its own type, with its provenance.
    """
    _decide("accept", **options)


@review.command()
@_quarantined
@_reason
@_decision_options
def reject(**options: Any) -> None:
    """Reject predicted edges: IDS (their first characters suffice), or all that fit a filter but the random audit's.

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
            found, left = reviews.fitting(
                connection, action, which, by=by, include_quarantined=include_quarantined, labels=config.graph.labels
            )
            _print_matching(action, found, left, as_json)
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
    label, keys = named(text)
    if not keys:
        return EndFilter(label)
    if label not in config.graph.labels:
        raise ConfigError(
            f"no key property is known for the label {label}", fix="add it to kgsync.toml (`kgsync init`)"
        )
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


def _print_matching(action: Action, edges: Sequence[Proposal], left: int, as_json: bool) -> None:
    if as_json:
        print_json({"action": action, "matching": len(edges), "left": left})
        return
    click.echo(_edges(edges[:_SHOWN]))
    click.echo(f"\n{len(edges):,} edges fit. Nothing is changed yet; add --yes to {action} them.")
    _tell_left(left)


def _tell_left(left: int) -> None:
    if left:
        click.echo(f"{left:,} more fit, and are left to the random audit: see them one by one with `kgsync review`.")


def _print_review(report: ReviewReport, as_json: bool) -> None:
    if as_json:
        print_json(report)
    else:
        notes = [(report.already_true, "true before"), (report.unchanged, "decided so before")]
        extra = "".join(f", {count:,} {what}" for count, what in notes if count)
        click.echo(f"{_DONE[report.action]} {report.done:,}{extra}.")
        for refusal in report.refused[:_SHOWN]:
            click.echo(f"  {refusal.id[:_ID]} {safe(refusal.why)}")
        _tell_left(report.left)
    if report.refused:
        raise FindingsError(
            f"{len(report.refused):,} edges stay as they were", fix="see why above, or with --json for all of them"
        )
