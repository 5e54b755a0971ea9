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
    from kgsync.graph.embed_new import NewReport
    from kgsync.identity import Entity
    from kgsync.model import Model


@click.command()
@click.argument("model_id", metavar="[MODEL]", required=False)
@connection_options
@config_option
@workspace_option
@click.option("--new", is_flag=True, help="Only nodes that came after the training: from their text and edges.")
@click.option("--remove", is_flag=True, help="Take the vectors of whichever model out of the graph again.")
@yes_option
@json_option
def embed(
    config: Config,
    workspace: Path,
    model_id: str | None,
    new: bool,
    remove: bool,
    yes: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Put a model's vectors into the graph: of the newest model, or of MODEL.

    Then Cypher alone asks for the best tails or heads of any entity: see cypher/browse/live. Shows what would
    be written; --yes does it. Interrupted or killed, the same command goes on; repeated, it changes nothing.

    With --new, nodes that came after the training of the embedded model get a vector, too, without any training.
    Repeated, it gives one to those that came since, and a new one to those whose text or edges have changed.
    """
    from kgsync.graph import embed as vectors

    if new and remove:
        raise click.UsageError("--new writes vectors, --remove takes them out: give one of the two.")
    if new:
        _embed_new(config, workspace, model_id, yes, as_json, options)
        return
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


def _embed_new(
    config: Config, workspace: Path, model_id: str | None, yes: bool, as_json: bool, options: dict[str, Any]
) -> None:
    from kgsync.errors import NotFoundError
    from kgsync.graph import embed_new
    from kgsync.graph.graph import Graph
    from kgsync.runs import Workspace

    with Graph(open_connection(config, **options), config, workspace) as graph:
        there = embed_new.embedded(graph.connection)
        if model_id is None and not (Workspace(workspace).models / there).is_dir():
            raise NotFoundError(
                f"the graph holds the vectors of model {there}, which is not in {workspace}",
                fix="give the folder in which it was trained (--workspace), or embed another model",
            )
        model = _find(workspace, model_id or there)
        report = graph.embed_new(model, commit=yes, progress=terminal_progress())
    print_json(report) if as_json else _show_new(report, model)


def _show_new(report: NewReport, model: Model) -> None:
    for key, nodes in report.without_key.items():
        label, _, name = key.rpartition(".")
        click.echo(f"{nodes:,} {safe(label, 60)} nodes have no {safe(name, 60)} to be found by, and get no vector.")
    if not report.written:
        labels = safe(", ".join(report.labels), 100)
        also = f", {report.found:,} new ones among them" if report.found else ""
        click.echo(f"Nothing to do: all nodes of {labels} have a vector of model {report.model}{also}.")
        return
    click.echo(f"Model {report.model}: {report.found:,} nodes came after its training.")
    means = {
        "text and edges": "from their text and edges: no training, so less sure than the model's own",
        "edges": "from their edges: no training, so less sure than the model's own",
        "text": "from their text alone: a guess",
        "labels": "they have neither: the mean of nodes like them",
    }
    rows = [("new, by " + kind, count, means[kind]) for kind, count in report.made.items()]
    rows += [
        ("new, as before", report.unchanged, "have a vector, and neither text nor edges have changed"),
        ("back again", report.returned, "the model knows them: they get its own vector"),
    ]
    click.echo(table(["vectors", "count", ""], rows, widest=80))
    if report.unread:
        click.echo(f"Texts are not read: {safe(report.unread, 200)}.")
    if report.shortened:
        click.echo(f"{report.shortened:,} vectors were shortened to the length of the model's longest.")
    if not report.committed:
        click.echo("Nothing was changed; --yes does it.")
    elif report.first is not None:
        click.echo("Ask in Neo4j Browser with cypher/browse/live/best-tails.cypher, for example after this line:")
        click.echo(f"  {safe(_example(model, report.first))}")


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


def _example(model: Model, entity: Entity | None = None) -> str:
    """Return the parameters of a question that the model can answer: about a new entity, or one that it knows."""
    import json

    identities = model.snapshot.identities
    triples = model.snapshot.triples.tolist()
    like = (triple for triple in triples if entity is None or identities[triple[0]].label == entity.label)
    head, relation, _ = next(like, triples[0])
    entity = entity or identities[head]
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
