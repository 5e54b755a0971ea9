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
from kgsync.errors import FindingsError

if TYPE_CHECKING:
    from kgsync.graph.connection import Connection
    from kgsync.graph.declared import Declarations
    from kgsync.schema import Difference, Schema, Trait

_HEADER = ("relation", "trait", "is", "seen")
_EXAMPLES = 3


def _file_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--file", "path", type=click.Path(path_type=Path), metavar="FILE",
                        help="The schema [default: schema.yml beside the configuration].")(command)  # fmt: skip


def _shapes_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--shapes", type=click.Path(path_type=Path), metavar="FILE",
                        help="SHACL shapes in Turtle; they go before what is learned.")(command)  # fmt: skip


@click.group()
def schema() -> None:
    """Show what the relations of the graph mean, and keep it in a file of your own.

    Domain, range, cardinality, symmetry, inverse, dates and disjoint labels are learned from the known edges, with
    support and confidence. What a graph type, the shapes in n10s or your own --shapes declare goes before what was
    learned. `kgsync validate` takes them from the graph, or from your schema.yml where there is one.
    """


@schema.command()
@connection_options
@config_option
@_shapes_option
@json_option
@click.argument("relations", nargs=-1)
def show(config: Config, shapes: Path | None, as_json: bool, relations: tuple[str, ...], **options: Any) -> None:
    """Show what the graph, and what is declared of it, says of RELATIONS, or of all. Reads only."""
    from kgsync.graph import declared

    with open_connection(config, **options) as connection:
        meant, declarations = _meant(connection, config, shapes, relations)
        constraints = declared.property_constraints(connection)
    _tell(declarations)
    if constraints:
        click.echo(f"{constraints:,} constraints are on properties: Neo4j itself keeps them.", err=True)
    if as_json:
        print_json(meant)
    else:
        click.echo(table(_HEADER, [_row(trait) for trait in meant.traits], widest=60))


@schema.command()
@connection_options
@config_option
@_file_option
@_shapes_option
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
def save(config: Config, path: Path | None, shapes: Path | None, force: bool, **options: Any) -> None:
    """Learn the schema and write it to a file, which is yours from then on. The graph is only read."""
    from kgsync import schema_file

    path = path or config_path().parent / (config.validate.schema or schema_file.FILE_NAME)
    with open_connection(config, **options) as connection:
        meant, declarations = _meant(connection, config, shapes)
    _tell(declarations)
    schema_file.save(meant, path, force=force)
    click.echo(f"{path}: {len(meant.traits):,} traits of {len(meant.relations):,} relations. Edit it as you like.")


@schema.command()
@connection_options
@config_option
@_file_option
@_shapes_option
@json_option
def compare(config: Config, path: Path | None, shapes: Path | None, as_json: bool, **options: Any) -> None:
    """Compare the graph with your file, and with what is declared: where they differ, and how much is against it.

    Without a file, only where known edges are against what is declared. Exits with 3 if there is a difference.
    """
    from kgsync import schema_file
    from kgsync.graph import declared, disagreement, traits
    from kgsync.schema import Schema

    kept = _kept(config, path)
    with open_connection(config, **options) as connection:
        wanted = _wanted(connection, config)
        declarations = declared.read(connection, wanted, shapes=shapes)
        if kept is None and not declarations.traits and shapes is None:
            kept = schema_file.load(config_path().parent / schema_file.FILE_NAME)  # says that it is not there
        mine = (kept or Schema()).declaring(declarations.traits)
        learned = traits.learn(connection, wanted, progress=terminal_progress())
        found = disagreement.compared(connection, mine, learned)
    found = [difference for difference in found if kept or difference.change != "added"]
    _tell(declarations, kept)
    if as_json:
        print_json({"differences": [asdict(difference) for difference in found]})
    elif found:
        header = ("relation", "trait", "file" if kept else "declared", "by", "graph", "seen", "against it")
        click.echo(table(header, [_difference(difference) for difference in found]))
    else:
        click.echo("The graph and the file say the same." if kept else "Nothing is against what is declared.")
    if found and kept:
        raise FindingsError(
            f"graph and file differ in {len(found):,} traits", fix="edit the file where the graph is right"
        )
    if found:
        raise FindingsError(
            f"the graph is against {len(found):,} declared traits", fix="`kgsync schema explain RELATION` shows where"
        )


@schema.command()
@connection_options
@config_option
@_file_option
@_shapes_option
@click.argument("relation")
def explain(config: Config, path: Path | None, shapes: Path | None, relation: str, **options: Any) -> None:
    """Explain what holds for RELATION, on what that rests, and which known edges do not agree."""
    from kgsync.graph import disagreement

    kept = _kept(config, path)
    with open_connection(config, **options) as connection:
        meant, declarations = _meant(connection, config, shapes, (relation,))
        mine = kept is not None and relation in kept.relations
        shown = kept if kept and mine else meant
        _tell(declarations, kept)
        click.echo(f"{safe(relation)}, {'as your file has it' if mine else 'as the graph shows it'}:")
        if not shown.of(relation):
            click.echo("  nothing is said of it, so that nothing is checked")
        for trait in shown.of(relation):
            click.echo(f"  {trait.kind}: {safe(trait.sentence)} ({_seen(trait)})")
            common = shown.common or meant.common
            for head, tail in disagreement.exceptions(connection, trait, common, _EXAMPLES):
                click.echo(safe(f"    but {head or 'nothing'} {relation} {tail or 'nothing'}"))
            if not trait.learned and (against := disagreement.count(connection, trait, common))[0] > _EXAMPLES:
                click.echo(f"    in all, {against[0]:,} {against[1]} are against it")


@schema.command()
@connection_options
@config_option
@click.option("--file", "path", type=click.Path(path_type=Path), metavar="FILE",
              help="The schema [default: schema.yml beside the configuration, else what the graph shows].")  # fmt: skip
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Where to [default: print it].")
def shapes(config: Config, path: Path | None, output: Path | None, **options: Any) -> None:
    """Write the schema as SHACL shapes in Turtle, for n10s and other tools."""
    from kgsync import files
    from kgsync.shacl import shapes as as_shapes

    kept = _kept(config, path)
    if kept is None:
        with open_connection(config, **options) as connection:
            kept, _ = _meant(connection, config)
    turtle = as_shapes(kept)
    if output:
        files.write_bytes(output, turtle.encode())
    else:
        click.echo(turtle, nl=False)


def _kept(config: Config, path: Path | None) -> Schema | None:
    from kgsync import schema_file

    return schema_file.load(path) if path else schema_file.configured(config.validate, config_path().parent)


def _wanted(connection: Connection, config: Config, relations: Iterable[str] = ()) -> tuple[str, ...] | None:
    from kgsync.graph import inspect

    wanted = tuple(relations) or config.graph.relations or None
    if wanted:
        noted, known = inspect.relation_notes(connection), inspect.relation_counts(connection)
        return tuple(noted.find(relation, known, "the graph") for relation in wanted)
    return None


def _meant(
    connection: Connection, config: Config, shapes: Path | None = None, relations: Iterable[str] = ()
) -> tuple[Schema, Declarations]:
    from kgsync.graph import declared

    wanted = _wanted(connection, config, relations)
    return declared.meant(connection, wanted, shapes=shapes, progress=terminal_progress())


def _tell(declarations: Declarations, kept: Schema | None = None) -> None:
    """Say on standard error what was declared where, and where a person's file goes before it."""
    for note in declarations.notes:
        click.echo(safe(note), err=True)
    own = {trait.key: trait for trait in kept.traits if trait.source == "person"} if kept else {}
    for trait in declarations.traits:
        mine = own.get(trait.key)
        if mine and mine.value != trait.value:
            what = f"{trait.relation} {trait.kind}: your file says {_value(mine)}, a {trait.source} {_value(trait)}"
            click.echo(safe(f"{what}; the file counts"), err=True)


def _difference(difference: Difference) -> tuple[str, ...]:
    against = "" if difference.against is None else f"{difference.against:,} {difference.of}"
    by = difference.file.source if difference.file else ""
    shown = (_value(difference.file), by, _value(difference.graph), _seen(difference.graph), against)
    return difference.relation or "(labels)", difference.kind, *shown


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
