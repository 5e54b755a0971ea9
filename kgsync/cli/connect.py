"""The commands that meet a database: `doctor`, `init`, `load`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kgsync.cli.options import (
    config_option,
    connection_options,
    json_option,
    open_connection,
    print_json,
    safe,
    table,
    terminal_progress,
    yes_option,
)
from kgsync.config import FILE_NAME, Config, ConnectionConfig

if TYPE_CHECKING:
    from kgsync.graph.connection import Connection, ConnectionSettings
    from kgsync.graph.doctor import Diagnosis
    from kgsync.graph.init import Proposal
    from kgsync.graph.load import LoadReport

_KEYLESS = 8  # labels without a key that are shown
_COLOURS = {"ok": "green", "info": "blue", "warning": "yellow", "error": "red"}


@click.command()
@connection_options
@config_option
@json_option
def doctor(config: Config, as_json: bool, **options: Any) -> int:
    """Check the connection and the graph, with a fix for each finding.

    Changes nothing. Exits 0 if nothing is wrong, 3 if something is, 69 if the server does not answer, 77 if it
    refuses the user.
    """
    from kgsync.graph.connection import resolve
    from kgsync.graph.doctor import check

    diagnosis = check(resolve(config=config.connection, **options), config)
    if as_json:
        print_json({"findings": [asdict(finding) for finding in diagnosis.findings]})
    else:
        _show_findings(diagnosis)
    return diagnosis.exit_code


def _show_findings(diagnosis: Diagnosis) -> None:
    for finding in diagnosis.findings:
        source = f" (from: {finding.source})" if finding.source else ""
        level = click.style(f"{finding.level:8}", fg=_COLOURS[finding.level])
        click.echo(f"{level} {safe(finding.what)}{safe(source)}")
        if finding.fix:
            click.echo(f"{'':8} fix: {safe(finding.fix)}")


@click.command()
@connection_options
@config_option
@click.option("--output", type=click.Path(path_type=Path), default=Path(FILE_NAME), show_default=True,
              help="File to write.")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@click.option("--add-key", "add_keys", multiple=True, metavar="LABEL",
              help="Give nodes of this label a property kgsyncId as key (with --yes); may be repeated.")  # fmt: skip
@yes_option
def init(config: Config, output: Path, force: bool, add_keys: tuple[str, ...], yes: bool, **options: Any) -> None:
    """Look at the graph and propose kgsync.toml.

    Writes the file and explains every line in it; one that is there already stays. The database changes only with
    --yes: kgsync's constraints are created, and keys are added where --add-key says so.
    """
    from kgsync.graph.connection import Connection, resolve
    from kgsync.graph.init import propose

    settings = resolve(config=config.connection, **options)
    with Connection.open(settings) as connection:
        for label in add_keys:
            _add_key(connection, label, yes)
        proposal = propose(connection)
        click.echo(_summary(connection, proposal))
        _write_file(connection, proposal, output, settings, force=force)
        _install(connection, yes)


def _add_key(connection: Connection, label: str, yes: bool) -> None:
    from kgsync.graph.init import OWN_KEY, add_key

    if yes:
        click.echo(f"Added {OWN_KEY} to {add_key(connection, label):,} nodes labelled {safe(label)}.")
    else:
        click.echo(
            f"With --yes, every node labelled {safe(label)} would get a property {OWN_KEY} with a random value, and a"
            " constraint would keep it unique. Nothing else on those nodes changes; `kgsync uninstall` takes it out."
        )


def _summary(connection: Connection, proposal: Proposal) -> str:
    rows = [
        (
            label.label,
            label.nodes,
            label.config.key,
            "constraint" if label.key.constrained else "counted",
            label.config.name,
            ", ".join(label.config.text),
        )
        for label in proposal.labels
    ]
    lines = [f"Database {connection.database} at {connection.uri}"]
    if rows:
        lines += ["", table(["label", "nodes", "key", "unique by", "name", "text"], rows)]
    lines += [
        f"{safe(keyless.label)}: left out ({keyless.nodes:,} nodes), because {safe(keyless.why)}."
        f" `kgsync init --add-key '{safe(keyless.label)}' --yes` would give each node a key."
        for keyless in proposal.keyless[:_KEYLESS]
    ]
    if len(proposal.keyless) > _KEYLESS:
        lines.append(f"And {len(proposal.keyless) - _KEYLESS:,} more labels without a key.")
    if proposal.unlabelled:
        lines.append(f"{proposal.unlabelled:,} nodes have no label and are left out.")
    return "\n".join(lines) + "\n"


def _write_file(
    connection: Connection, proposal: Proposal, output: Path, settings: ConnectionSettings, *, force: bool
) -> None:
    from kgsync import files
    from kgsync.errors import DataError
    from kgsync.graph.init_text import toml
    from kgsync.graph.inspect import relation_counts

    if not proposal.labels:
        raise DataError(
            f"database {connection.database} has no nodes with a label and a key",
            fix="load some with `kgsync load`, or use --add-key with --yes",
        )
    if output.exists() and not force:
        click.echo(f"{output} is there already and stays as it is; --force replaces it.")
        return
    is_local = settings.sources["uri"].startswith("local server")  # found without being named
    address = None if is_local else ConnectionConfig(settings.uri, settings.username, connection.database)
    files.write_bytes(output, toml(proposal, relation_counts(connection), address).encode())
    click.echo(f"Wrote {output}. Read it: every line is explained.")


def _install(connection: Connection, yes: bool) -> None:
    from kgsync.errors import AccessError
    from kgsync.graph import schema

    try:
        missing = schema.missing(connection)
    except AccessError:
        click.echo("This user may not see which constraints there are. pull, train and predict do not need them.")
        return
    if not missing:
        click.echo("kgsync's constraints and indexes are there.")
    elif not yes:
        click.echo(
            f"With --yes, kgsync's own constraints and indexes would be created: {', '.join(missing)}."
            " pull, train and predict do not need them."
        )
    else:
        try:
            click.echo(f"Created {', '.join(schema.install(connection))}.")
        except AccessError as error:
            raise AccessError(
                f"kgsync's constraints were not created: {error.what}",
                fix="pull, train and predict work without; for write, let a user who may create them run this",
            ) from error


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@connection_options
@config_option
@click.option("--label", default="Entity", show_default=True, help="Label by which entities are found.")
@click.option("--key", default="id", show_default=True, help="Property that identifies an entity.")
@click.option("--label-from-type", is_flag=True,
              help="Find an entity by its first type; --label is for those without a type.")  # fmt: skip
@click.option("--split", "splits", multiple=True, metavar="NAME",
              help="Only this file of a folder; may be repeated [default: train, valid, test].")  # fmt: skip
@click.option("--skip-bad-lines", is_flag=True, help="Load the rest where lines cannot be used, and report those.")
@click.option("--batch", type=click.IntRange(1, 50_000), default=5_000, show_default=True,
              help="Rows per transaction.")  # fmt: skip
@json_option
def load(config: Config, source: Path, as_json: bool, **options: Any) -> None:
    """Load triples from files into the graph.

    SOURCE is a TSV or CSV file with head, relation and tail, or a folder with train.tsv, valid.tsv and test.tsv (or
    triples.tsv), and perhaps entities.tsv (id, name, description, types) and relations.tsv (id, name, description).
    Changes nothing that is there; repeated, it adds what is missing.
    """
    from kgsync.graph.load import load as load_files

    names = ("label", "key", "label_from_type", "splits", "skip_bad_lines", "batch")
    arguments = {name: options.pop(name) for name in names}
    with open_connection(config, **options) as connection:
        report = load_files(connection, source, progress=terminal_progress(), **arguments)
    print_json(report) if as_json else click.echo(_loaded(report))


def _loaded(report: LoadReport) -> str:
    lines = [
        f"Read {report.triples:,} triples from {', '.join(safe(name) for name in report.files)}"
        f" in {report.seconds:,.1f} s.",
        f"Entities: {report.entities_created:,} created; now in the graph: "
        + ", ".join(f"{safe(label)} {count:,}" for label, count in report.labels.items())
        + ".",
        f"Relationships: {report.relationships_created:,} created,"
        f" {report.relationships_present:,} there before or repeated in the files;"
        f" {len(report.relation_types):,} types.",
    ]
    renamed = {relation: type_ for relation, type_ in report.relation_types.items() if relation != type_}
    for relation, type_ in list(renamed.items())[:5]:
        lines.append(f"  {safe(relation, 60)} is {safe(type_, 60)}")
    if len(renamed) > 5:
        lines.append(f"  … and {len(renamed) - 5:,} more: MATCH (r:__KgsyncRelation) RETURN r.id, r.type")
    if report.differing:
        lines.append(f"{report.differing:,} entities keep another name or description than the file has.")
    if report.skipped:
        lines.append(f"Skipped {report.skipped:,} lines:")
        lines += [f"  {safe(line)}" for line in report.skipped_lines]
    return "\n".join(lines)
