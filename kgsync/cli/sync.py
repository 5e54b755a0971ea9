"""The commands that make a plan: `sync`, `pull`, `train` and `predict`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from kgsync.cli.options import (
    check_promise,
    config_option,
    config_path,
    connection_options,
    json_option,
    open_connection,
    print_json,
    promise_options,
    seconds_of,
    table,
    terminal_progress,
    workspace_option,
    yes_option,
)
from kgsync.config import Config, VoicesConfig
from kgsync.errors import FindingsError

F = TypeVar("F", bound=Callable[..., Any])
ONE_RELATION = "Only this relation (its type, or its id in loaded files)."
NONE = {"embeddings": False, "rules": False, "text": False, "tune_encoder": False}
MODES: dict[str, dict[str, Any]] = {
    "kge": {**NONE, "embeddings": True},
    "rules": {**NONE, "rules": True},
    "text": {**NONE, "text": True},
    "lm": {**NONE, "text": True, "tune_encoder": True},
    "cotrain": {"embeddings": True, "rules": True, "text": True},
}


def selection_options(command: F) -> F:
    """Add the options that choose a subgraph, collected by `_selection`."""
    for option in (
        click.option(
            "--hops", type=click.IntRange(1, 6), metavar="N", help="Hops around --seed, 6 at most [default: 1]."
        ),
        click.option("--seed", "seeds", multiple=True, metavar="LABEL:KEY", help="Only what is around this entity."),
        click.option("--cypher", default="", metavar="QUERY", help="Only relationships `r` that this query returns."),
        click.option("--relation", "relations", multiple=True, metavar="TYPE", help=ONE_RELATION),
        click.option("--label", "labels", multiple=True, metavar="LABEL", help="Only entities with this label."),
    ):
        command = option(command)
    return command


def _selection(options: dict[str, Any]) -> Any:
    from kgsync.graph.pull import Selection

    if options["cypher"] and (options["seeds"] or options["labels"] or options["relations"]):
        raise click.UsageError("--cypher stands alone: say everything in the query.")
    if options["hops"] and not options["seeds"]:
        raise click.UsageError("--hops are counted from a --seed: give one.")
    return Selection(
        labels=options.pop("labels"),
        relations=options.pop("relations"),
        cypher=options.pop("cypher"),
        seeds=options.pop("seeds"),
        hops=options.pop("hops") or 1,
    )


@click.command()
@connection_options
@config_option
@workspace_option
@selection_options
@json_option
def pull(config: Config, workspace: Path, as_json: bool, **options: Any) -> None:
    """Copy the subgraph into a snapshot.

    Reads only. Predictions are never pulled as knowledge. An interrupted pull goes on where it stopped; only a query
    that had not answered yet is asked again.
    """
    from kgsync import report
    from kgsync.graph.graph import Graph
    from kgsync.graph.pull import pull as pull_snapshot

    selection = _selection(options)
    with Graph(open_connection(config, **options), config, workspace) as graph:
        snapshot = pull_snapshot(
            graph.connection,
            graph.scope(),
            selection=selection,
            config=config.pull,
            folder=graph.workspace.snapshots,
            progress=terminal_progress(),
        )
    if as_json:
        print_json({"id": snapshot.id, "entities": snapshot.entities.num_rows, "triples": len(snapshot.triples),
                    "relations": snapshot.relation_counts(), "origin": snapshot.origin})  # fmt: skip
        return
    click.echo("\n".join(report.pulled(snapshot)))
    click.echo(table(["relation", "triples"], list(snapshot.relation_counts().items())[:20]))


@click.command()
@config_option
@workspace_option
@click.option("--snapshot", "snapshot_id", metavar="ID", help="Snapshot to learn from [default: the newest].")
@json_option
@click.option("--from-model", "previous_id", is_flag=False, flag_value="", metavar="[ID]",
              help="Let the embeddings go on from this earlier model [without ID: the newest].")  # fmt: skip
@click.option("--mode", type=click.Choice(list(MODES)), help="Which voices learn [default: as [voices] says].")
@click.option("--rounds", type=click.IntRange(0), help="Of co-training, at most [default: voices.rounds].")
@click.option("--encoder", metavar="NAME", help="Reads the texts: a folder or a hub name [default: voices.encoder].")
@click.option("--budget", callback=seconds_of, metavar="TIME", help="For all voices together [default: voices.budget].")
def train(
    config: Config,
    workspace: Path,
    snapshot_id: str | None,
    as_json: bool,
    previous_id: str | None,
    mode: str | None,
    rounds: int | None,
    encoder: str | None,
    budget: float | None,
) -> None:
    """Train a model on a snapshot.

    Needs no database. A model of the same snapshot and configuration is not trained again. With --from-model a graph
    that grew a little is learned in fewer epochs; what the earlier model has learned is then hidden from none.

    \b
    kge      embeddings alone
    rules    rules alone
    text     names and descriptions alone, read by a frozen encoder
    lm       the same, and the encoder learns as well: slow
    cotrain  all of them, and they teach each other; a voice stays as it was unless it gains
    """
    from kgsync import learn, report
    from kgsync.model import Model
    from kgsync.runs import Workspace
    from kgsync.snapshot import Snapshot

    place = Workspace(workspace)
    snapshot = Snapshot.load(place.snapshot(snapshot_id))
    previous = None if previous_id is None else Model.find(place.model(previous_id or None), place)
    model = learn.train(
        snapshot,
        config=config.train,
        split=config.split,
        voices=_voices(config.voices, mode, rounds=rounds, encoder=encoder, budget=budget),
        folder=place.models,
        previous=previous,
        told=lambda lesson: click.echo(report.lesson(lesson), err=True),
        progress=terminal_progress(),
    )
    if as_json:
        print_json(model.card() | {"metrics": model.metrics.to_dict()})
        return
    click.echo("\n".join(report.learned(model)))
    click.echo(table(report.METRIC_HEADER, report.metric_rows(model)))


def _voices(voices: VoicesConfig, mode: str | None, **chosen: Any) -> VoicesConfig:
    """Return the voices that the options ask for."""
    if mode is not None:
        voices = replace(voices, **MODES[mode])
        voices = replace(voices, rounds=max(voices.rounds, 1) if mode == "cotrain" else 0)
    return replace(voices, **{name: value for name, value in chosen.items() if value is not None})


@click.command()
@config_option
@workspace_option
@click.option("--model", "model_id", metavar="ID", help="Model to ask [default: the newest].")
@click.option("--relation", "relations", multiple=True, metavar="TYPE", help=ONE_RELATION)
@click.option("--from", "heads", multiple=True, metavar="ENTITY", help="Only from this entity (Label:key or name).")
@click.option("--to", "tails", multiple=True, metavar="ENTITY", help="Only to this entity (Label:key or name).")
@click.option("--top-k", type=click.IntRange(1), help="Proposals per relation [default: predict.top_k].")
@click.option(
    "--min-score",
    type=click.FloatRange(0, 1),
    help="Least probability [default: predict.min_score; with --from and --to 0].",
)
@json_option
def predict(config: Config, workspace: Path, model_id: str | None, as_json: bool, **options: Any) -> None:
    """Predict missing edges, into the plan of a new run.

    Needs no database and writes nothing into one: see `kgsync write`.
    """
    from kgsync import report
    from kgsync.model import Model
    from kgsync.runs import Workspace

    place = Workspace(workspace)
    model = Model.find(place.model(model_id), place)
    least = options["min_score"]
    if least is None and not (options["heads"] and options["tails"]):  # an edge that is named has its answer
        least = config.predict.min_score
    plan = model.predict(
        **{k: v or None for k, v in options.items() if k in ("relations", "heads", "tails")},
        top_k=options["top_k"] or config.predict.top_k,
        min_score=least,
        per_entity=config.predict.per_entity,
        progress=terminal_progress(),
    )
    run = place.new_run(config)
    plan.save(run.plan_folder)
    run.note("predict", plan=plan.id, edges=len(plan), model=model.id, snapshot=plan.snapshot_id)
    if as_json:
        print_json({"run": run.id, "plan": plan.id, "edges": plan.to_arrow().to_pylist()})
        return
    click.echo("\n".join([f"Run {run.id}", *report.planned(plan), report.base_rate(model.card())]))
    click.echo(table(report.EDGE_HEADER, report.edge_rows(plan.best(20))))
    click.echo("Write them with `kgsync write` (it shows what it would do; --yes does it).")


@click.command()
@connection_options
@config_option
@workspace_option
@selection_options
@promise_options
@click.option("--budget", callback=seconds_of, metavar="TIME",
              help="Of all training together, say 3m [default: voices.budget].")  # fmt: skip
@click.option("--fresh", is_flag=True, help="Start a new run even if an unfinished one can go on.")
@yes_option
@json_option
def sync(
    config: Config,
    workspace: Path,
    budget: float | None,
    fresh: bool,
    max_false: float | None,
    each_relation: bool,
    yes: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Pull, train, predict, write and validate in one go.

    Without --yes nothing in the database changes: a trial, which --budget keeps short. Interrupted, the same command
    goes on for a day with what it has pulled; what began to be written is finished at any age.
    """
    from kgsync import report
    from kgsync.graph.graph import Graph
    from kgsync.sync import sync as run_sync

    check_promise(max_false, each_relation)
    selection = _selection(options)
    config = replace(config, voices=_voices(config.voices, None, budget=budget))
    with Graph(open_connection(config, **options), config, workspace, config_path().parent) as graph:
        result = run_sync(
            graph,
            selection=selection,
            commit=yes,
            fresh=fresh,
            max_false=max_false,
            each_relation=each_relation,
            told=lambda line: click.echo(line, err=True),
            progress=terminal_progress(),
        )
    if as_json:
        print_json({"run": result.run.id, **result.run.state["steps"], "written": result.written})
    else:
        click.echo("\n".join(report.pulled(result.snapshot) + report.learned(result.model)
                             + report.planned(result.plan) + report.written(result.written)
                             + report.validated(result.validation)))  # fmt: skip
        click.echo(table(report.EDGE_HEADER, report.edge_rows(result.plan.best(10))))
        click.echo(f"Run {result.run.id}: see {result.run.folder / 'report.md'}")
        if not yes:
            click.echo("Nothing was written. The same command with --yes writes the plan.")
    if result.written.needs_attention:
        raise FindingsError(
            f"run {result.run.id}: {result.written.unmatched:,} edges unmatched,"
            f" {result.written.conflict:,} in conflict",
            fix=f"see {result.run.folder / 'rejected.jsonl'}" if yes else f"`kgsync write {result.run.id}` lists them",
        )
