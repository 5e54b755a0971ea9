"""Sync: pull, train, predict, write and validate in one go, as a run that a person can read.

Each step notes in the run's folder that it is done; the same command goes on after the last noted step.
Without `commit` nothing in the database changes: the write step only looks.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kgsync import files, schema_file
from kgsync.config import Config
from kgsync.errors import NotFoundError
from kgsync.graph import statements
from kgsync.graph.graph import Graph
from kgsync.graph.pull import Selection, pull
from kgsync.graph.write import WriteReport, write
from kgsync.learn import train
from kgsync.model import Model
from kgsync.plan import Plan
from kgsync.progress import Progress, silent
from kgsync.report import summary
from kgsync.report.kept import keep_validation, keep_write
from kgsync.runs import Run, Workspace
from kgsync.snapshot import Snapshot
from kgsync.validate import ValidationReport, validate


@dataclass(frozen=True)
class SyncResult:
    """What one sync did."""

    run: Run
    snapshot: Snapshot
    model: Model
    plan: Plan
    written: WriteReport
    validation: ValidationReport | None  # None when nothing was written


def sync(
    graph: Graph,
    *,
    selection: Selection | None = None,
    commit: bool = False,
    fresh: bool = False,
    progress: Progress = silent,
) -> SyncResult:
    """Run all steps, or go on with an unfinished run of the same configuration (not with `fresh`).

    Raises:
        KgsyncError: of the step that failed; the run stays, and the next sync goes on with it.
    """
    config, workspace = graph.config, graph.workspace
    run = (None if fresh else _unfinished(workspace, config, selection)) or workspace.new_run(config)
    server = graph.connection.read(statements.load("inspect/server").text)[0]
    run.describe(
        selection=_plain(selection),
        database=graph.connection.identity(),
        server={"version": server["version"], "edition": server["edition"]},
    )
    steps = run.steps

    if "pull" in steps:
        snapshot = Snapshot.load(workspace.snapshot(steps["pull"]["snapshot"]))
    else:
        snapshot = pull(
            graph.connection,
            graph.scope(),
            selection=selection,
            config=config.pull,
            folder=workspace.snapshots,
            progress=progress,
        )
        run.note("pull", snapshot=snapshot.id, entities=snapshot.entities.num_rows, triples=len(snapshot.triples))

    model = train(
        snapshot,
        config=config.train,
        split=config.split,
        voices=config.voices,
        folder=workspace.models,
        progress=progress,
    )
    run.note("train", model=model.id)

    if "predict" in steps:
        plan = Plan.load(run.plan_folder)
    else:
        plan = model.predict(
            top_k=config.predict.top_k,
            min_score=config.predict.min_score,
            per_entity=config.predict.per_entity,
            progress=progress,
        )
        plan.save(run.plan_folder)
        run.note("predict", plan=plan.id, edges=len(plan))

    written = write(
        graph.connection,
        plan,
        run_id=run.id,
        folder=run.folder,
        started_at=run.started_at,
        config=config.write,
        config_hash=config.hash(),
        commit=commit,
        progress=progress,
    )
    validation = None
    if commit:
        keep_write(run, written)
        own = config.validate.folder
        validation = validate(
            graph.connection,
            folder=Path(own) if own else None,
            labels=graph.config.graph.labels or None,
            schema=schema_file.configured(config.validate),
        )
        keep_validation(run, validation)
    result = SyncResult(run, snapshot, model, plan, written, validation)
    files.write_bytes(run.folder / "report.md", summary(snapshot, model, plan, written, validation).encode())
    return result


def _unfinished(workspace: Workspace, config: Config, selection: Selection | None) -> Run | None:
    """Return the newest run if it is a sync of this configuration that has not been written yet."""
    try:
        run = workspace.run()
    except NotFoundError:
        return None
    state = run.state
    same = state["configHash"] == config.hash() and state.get("selection") == _plain(selection)
    return run if same and "validate" not in state["steps"] else None


def _plain(selection: Selection | None) -> dict[str, Any]:
    """Return a selection as `run.json` has it."""
    fields = asdict(selection or Selection())
    return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}
