"""The command `schema`: what the relations of the graph mean, beside the file in which a person keeps it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

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
)
from kgsync.config import Config
from kgsync.errors import FindingsError, NotFoundError

if TYPE_CHECKING:
    from kgsync.graph.connection import Connection
    from kgsync.schema import Schema, Trait

_HEADER = ("relation", "trait", "is", "seen")
_EXAMPLES = 3


def _file_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--file", "path", type=click.Path(path_type=Path), metavar="FILE",
                        help="The schema [default: schema.yml beside the configuration].")(command)  # fmt: skip


@click.group()
def schema() -> None:
    """Show what the relations of the graph mean, and keep it in a file of your own.

    Domain, range, cardinality, symmetry, inverse, dates and disjoint labels are learned from the known edges, with
    support and confidence. `kgsync validate` takes them from the graph, or from your schema.yml where there is one.
    """


@schema.command()
@connection_options
@config_option
@json_option
@click.argument("relations", nargs=-1)
def show(config: Config, as_json: bool, relations: tuple[str, ...], **options: Any) -> None:
    """Show what the graph says of RELATIONS, or of all. Reads only."""
    with open_connection(config, **options) as connection:
        learned = _learn(connection, config, relations)
    if as_json:
        print_json(learned)
    else:
        click.echo(table(_HEADER, [_row(trait) for trait in learned.traits], widest=60))


@schema.command()
@connection_options
@config_option
@_file_option
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
def save(config: Config, path: Path | None, force: bool, **options: Any) -> None:
    """Learn the schema and write it to a file, which is yours from then on. The graph is only read."""
    from kgsync import schema_file

    path = path or config_path().parent / schema_file.FILE_NAME
    with open_connection(config, **options) as connection:
        learned = _learn(connection, config)
    schema_file.save(learned, path, force=force)
    click.echo(f"{path}: {len(learned.traits):,} traits of {len(learned.relations):,} relations. Edit it as you like.")


@schema.command()
@connection_options
@config_option
@_file_option
@json_option
def compare(config: Config, path: Path | None, as_json: bool, **options: Any) -> None:
    """Compare the graph with your file: what each says that the other does not.

    Exits with 3 if they differ.
    """
    from kgsync.schema import compare as differences

    mine = _mine(path)
    with open_connection(config, **options) as connection:
        found = differences(mine, _learn(connection, config))
    if as_json:
        print_json({"differences": [asdict(difference) for difference in found]})
    elif found:
        rows = [(d.relation or "(labels)", d.kind, _value(d.file), _value(d.graph), _seen(d.graph)) for d in found]
        click.echo(table(("relation", "trait", "file", "graph", "seen"), rows))
    else:
        click.echo("The graph and the file say the same.")
    if found:
        raise FindingsError(
            f"graph and file differ in {len(found):,} traits", fix="edit the file where the graph is right"
        )


@schema.command()
@connection_options
@config_option
@_file_option
@click.argument("relation")
def explain(config: Config, path: Path | None, relation: str, **options: Any) -> None:
    """Explain what holds for RELATION, on what that rests, and which known edges do not agree."""
    from kgsync import schema_file
    from kgsync.graph import traits

    kept = schema_file.load(path) if path else schema_file.find(config_path().parent)
    with open_connection(config, **options) as connection:
        learned = _learn(connection, config, (relation,))
        mine = kept is not None and relation in kept.relations
        shown = kept if kept and mine else learned
        click.echo(f"{safe(relation)}, {'as your file has it' if mine else 'as the graph shows it'}:")
        if not shown.of(relation):
            click.echo("  nothing is said of it, so that nothing is checked")
        for trait in shown.of(relation):
            click.echo(f"  {trait.kind}: {safe(trait.sentence)} ({_seen(trait)})")
            for head, tail in traits.exceptions(connection, trait, shown.common or learned.common, _EXAMPLES):
                click.echo(safe(f"    but {head} {relation} {tail}"))


@schema.command()
@connection_options
@config_option
@click.option("--file", "path", type=click.Path(path_type=Path), metavar="FILE",
              help="The schema [default: schema.yml beside the configuration, else what the graph shows].")  # fmt: skip
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Where to [default: print it].")
def shapes(config: Config, path: Path | None, output: Path | None, **options: Any) -> None:
    """Write the schema as SHACL shapes in Turtle, for n10s and other tools."""
    from kgsync import files, schema_file
    from kgsync.shacl import shapes as as_shapes

    kept = schema_file.load(path) if path else schema_file.find(config_path().parent)
    if kept is None:
        with open_connection(config, **options) as connection:
            kept = _learn(connection, config)
    turtle = as_shapes(kept)
    if output:
        files.write_bytes(output, turtle.encode())
    else:
        click.echo(turtle, nl=False)


def _learn(connection: Connection, config: Config, relations: Iterable[str] = ()) -> Schema:
    from kgsync.graph import inspect, traits

    wanted = tuple(relations) or config.graph.relations or None
    if wanted:
        known = inspect.relation_counts(connection)
        for relation in wanted:
            if relation not in known:
                raise NotFoundError(f"the graph has no relation {relation!r}", fix=f"it has: {', '.join([*known][:8])}")
    return traits.learn(connection, wanted, progress=terminal_progress())


def _mine(path: Path | None) -> Schema:
    from kgsync import schema_file

    return schema_file.load(path or config_path().parent / schema_file.FILE_NAME)


def _row(trait: Trait) -> tuple[str, str, str, str]:
    return trait.relation or "(labels)", trait.kind, _value(trait), _seen(trait)


def _value(trait: Trait | None) -> str:
    if trait is None:
        return "-"
    if isinstance(trait.value, tuple):
        return ", ".join(trait.value)
    return str(trait.value).lower() if isinstance(trait.value, bool) else str(trait.value)


def _seen(trait: Trait | None) -> str:
    return trait.evidence if trait else ""
