"""The commands that need no database: `benchmark` and `tune`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from kgsync.cli import is_first
from kgsync.cli.export import FORMATS
from kgsync.cli.options import (
    config_option,
    config_path,
    json_option,
    save_settings,
    seconds_of,
    table,
    terminal_progress,
    workspace_option,
    yes_option,
)
from kgsync.config import Config


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@config_option
@click.option("--model", metavar="NAME", help="Scoring function [default: train.model].")
@click.option("--rank", type=click.IntRange(0), help="Size of an embedding [default: train.rank].")
@click.option("--epochs", type=click.IntRange(1), help="At most so many [default: train.epochs].")
@click.option("--members", type=click.IntRange(1), help="Models joined into one [default: train.members].")
@click.option("--seed", type=int, help="Of all that is random [default: train.seed].")
@click.option(
    "--budget",
    callback=seconds_of,
    metavar="TIME",
    help="Find the best settings, and train as much as there is time for.",
)
@click.option("--steps", type=click.IntRange(1), help="Exactly so many steps: repeats what a budget cut short.")
@click.option(
    "--export",
    type=(click.Choice(FORMATS), click.Path(path_type=Path)),
    metavar="FORMAT FOLDER",
    help="Write the model as `kgsync export` does.",
)
@click.option(
    "--workspace",
    type=click.Path(path_type=Path),
    default=Path(".kgsync"),
    show_default=True,
    help="Folder in which an interrupted run waits.",
)
@json_option
def benchmark(
    folder: Path,
    config: Config,
    budget: float | None,
    export: tuple[str, Path] | None,
    workspace: Path,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Train and test on a benchmark folder, without a database.

    FOLDER holds train, valid and test as .tsv, .txt or .csv, or OpenKE's train2id.txt and so on. Valid chooses the
    best epoch, and with --budget the settings; test is looked at once, at the end.

    Interrupted or killed, the same command goes on, and the time that it took counts in the budget.
    """
    from kgsync import benchmark as benchmarks
    from kgsync import dataset, report
    from kgsync import export as exports

    graph = dataset.read(folder)
    settings = replace(config.train, **{name: value for name, value in chosen.items() if value is not None})
    if export is not None:
        exports.check(settings.model, *export)
    progress = terminal_progress()
    done = benchmarks.run(graph, settings, budget=budget, tried=_show, folder=workspace, progress=progress)
    if as_json:
        click.echo(done.to_json())
    else:
        click.echo("\n".join(report.benchmarked(done)))
        click.echo(table(report.BENCHMARK_HEADER, report.benchmark_rows(done)))
    if export is not None and is_first():
        exports.write(exports.of_benchmark(graph, done.trained.model), *export)


@click.command()
@config_option
@workspace_option
@click.option("--snapshot", "snapshot_id", metavar="ID", help="Snapshot to learn from [default: the newest].")
@click.option("--budget", callback=seconds_of, default="10m", show_default=True, metavar="TIME", help="For the search.")
@yes_option
def tune(config: Config, workspace: Path, snapshot_id: str | None, budget: float, yes: bool) -> None:
    """Search for the training settings that suit the graph, and with --yes save them in kgsync.toml.

    Shows every trial. The next `kgsync train` then trains with the best settings. Interrupted or killed, the same
    command goes on, and the time that it took counts in the budget.
    """
    from kgsync import learn
    from kgsync.runs import Workspace
    from kgsync.snapshot import Snapshot

    place = Workspace(workspace)
    snapshot = Snapshot.load(place.snapshot(snapshot_id))
    best = learn.tune(snapshot, config=config.train, split=config.split, seconds=budget, tried=_show, folder=place.root)
    found = {"loss": best.loss, "n3": best.n3, "relation_weight": best.relation_weight}
    click.echo("Best: " + ", ".join(f"{name} = {value}" for name, value in found.items()))
    path = config_path()
    if not yes:
        click.echo(f"Not saved. `kgsync tune --yes` puts them into {path}.")
        return
    save_settings(path, ("train",), found)
    click.echo(f"Saved in {path}, [train].")


def _show(trial: Any) -> None:
    config, kept = trial.config, ", kept from before the interruption" if trial.kept else ""
    click.echo(
        f"{trial.triples:>9,} triples, {config.epochs:>3} epochs  {config.loss:<7}  n3 {config.n3:<6g}"
        f" relation_weight {config.relation_weight:<6g} valid MRR {trial.mrr:.4f}  {trial.seconds:.1f} s{kept}",
        err=True,
    )
