"""The command `export`: a trained model in the layout of another tool."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kgsync.cli.options import json_option, print_json, safe, table, workspace_option

if TYPE_CHECKING:
    from kgsync.export import Export

# Stands here so that `--help` imports nothing; a test compares it with `kgsync.export.FORMATS`.
FORMATS = ("npy", "parquet", "safetensors", "openke", "dglke", "gds", "onnx", "tensorflow")


@click.command()
@click.argument("form", metavar="FORMAT", type=click.Choice(FORMATS))
@click.argument("model_id", metavar="[MODEL]", required=False)
@workspace_option
@click.option("--to", type=click.Path(path_type=Path), metavar="FOLDER", help="Where to [default: MODEL-FORMAT].")
@json_option
def export(form: str, model_id: str | None, workspace: Path, to: Path | None, as_json: bool) -> None:
    """Write a trained model for other tools: the newest, or MODEL.

    FORMAT is one of npy, parquet, safetensors (embeddings with names), openke, dglke (folders of those projects),
    gds (vectors for Neo4j Graph Data Science), onnx, tensorflow (the scorer). Says what the export holds, and
    where its scores differ from kgsync's. An older export in FOLDER is replaced, anything else is not.
    """
    from kgsync import export as exports
    from kgsync.model import Model
    from kgsync.runs import Workspace

    place = Workspace(workspace)
    model = Model.find(place.model(model_id), place)
    done = exports.write(exports.of_model(model), form, to or Path(f"{model.id}-{form}"))
    print_json(done) if as_json else show(done)


def show(done: Export) -> None:
    """Print what was written."""
    click.echo(
        f"{safe(done.of)}: {done.entities:,} entities and {done.relations:,} relations in {safe(str(done.path))}."
    )
    click.echo(table(["file", "kB"], [(name, -(-about["bytes"] // 1000)) for name, about in done.files.items()]))
    for note in done.notes:
        click.echo(note)
