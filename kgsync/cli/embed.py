"""The command `embed`: a model's vectors in the graph, so that Cypher alone can ask for predictions."""

from __future__ import annotations

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
    workspace_option,
    yes_option,
)
from kgsync.config import Config

if TYPE_CHECKING:
    from kgsync.graph.embed import EmbedReport, RemoveReport
    from kgsync.model import Model


@click.command()
@click.argument("model_id", metavar="[MODEL]", required=False)
@connection_options
@config_option
@workspace_option
@click.option("--remove", is_flag=True, help="Take the vectors of whichever model out of the graph again.")
@yes_option
@json_option
def embed(
    config: Config, workspace: Path, model_id: str | None, remove: bool, yes: bool, as_json: bool, **options: Any
) -> None:
    """Put a model's vectors into the graph: of the newest model, or of MODEL.

    Then Cypher alone asks for the best tails or heads of any entity: see cypher/browse/live. Shows what would
    be written; --yes does it. Interrupted or killed, the same command goes on; repeated, it changes nothing.
    """
    from kgsync.graph import embed as vectors

    if remove:
        with open_connection(config, **options) as connection:
            gone = vectors.remove(connection, commit=yes, config=config.write, progress=terminal_progress())
        print_json(gone) if as_json else _show_removed(gone)
        return
    model = _find(workspace, model_id)
    with open_connection(config, **options) as connection:
        report = vectors.embed(connection, model, commit=yes, config=config.write, progress=terminal_progress())
    print_json(report) if as_json else _show_embedded(report, model)


def _find(workspace: Path, model_id: str | None) -> Model:
    from kgsync.model import Model
    from kgsync.runs import Workspace

    place = Workspace(workspace)
    return Model.find(place.model(model_id), place)


def _show_embedded(report: EmbedReport, model: Model) -> None:
    click.echo(
        f"Model {report.model} ({report.scoring}): {report.relations:,} relations and {report.entities:,} entities"
        f" with {report.dimension:,} numbers each."
    )
    rows = [
        ("written", report.written, f"{report.megabytes:.1f} MB, without the index"),
        ("unchanged", report.unchanged, "carry this model's vector already"),
        ("unmatched", report.unmatched, "not in the graph any more"),
        ("removed", report.removed, "nodes that this model does not know lose another model's vector"),
    ]
    click.echo(table(["vectors", "count", ""], rows, widest=64))
    if not report.committed:
        click.echo("Nothing was changed; --yes does it.")
        return
    click.echo("It was all there already." if report.complete else f"Indexes: {safe(', '.join(report.indexes), 100)}.")
    click.echo("Ask in Neo4j Browser with cypher/browse/live/best-tails.cypher, for example after this line:")
    click.echo(f"  {safe(_example(model))}")


def _example(model: Model) -> str:
    """Return the parameters of a question that the model can answer."""
    import json

    head, relation, _ = model.snapshot.triples[0].tolist()
    entity = model.snapshot.identities[head]
    values = {"label": entity.label, "key": entity.key_property, "value": entity.key,
              "relation": model.snapshot.relations[relation], "k": 10}  # fmt: skip
    return ":params {" + ", ".join(f"{n}: {json.dumps(v, ensure_ascii=False)}" for n, v in values.items()) + "}"


def _show_removed(report: RemoveReport) -> None:
    if report.empty:
        click.echo("There are no vectors of kgsync in this graph.")
        return
    fate = "Removed" if report.committed else "Would remove"
    click.echo(
        f"{fate} the vectors of {report.vectors:,} entities and {report.relations:,} relations,"
        f" and {len(report.indexes):,} indexes."
    )
    if not report.committed:
        click.echo("Nothing was changed; --yes does it.")
