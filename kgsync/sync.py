"""Sync: pull, train, predict, write and validate in one go, as a run that a person can read.

Each step notes in the run's folder that it is done; the same command goes on after the last noted step, as long as
what was pulled is not out of date.
Without `commit` nothing in the database changes: the write step only looks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from kgsync import files
from kgsync.errors import ConfigError, NotFoundError
from kgsync.graph import ledger, statements
from kgsync.graph.graph import Graph
from kgsync.graph.parts import STALE
from kgsync.graph.pull import Selection, pull
from kgsync.graph.write import WriteReport, check_run, write
from kgsync.learn import train
from kgsync.model import Model
from kgsync.plan import Plan
from kgsync.progress import Progress, silent
from kgsync.report import lesson, promised, summary
from kgsync.report.kept import keep_validation, keep_write
from kgsync.runs import Run, now
from kgsync.snapshot import Snapshot
from kgsync.validate import ValidationReport


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
    max_false: float | None = None,
    each_relation: bool = False,
    told: Callable[[str], None] = lambda line: None,
    progress: Progress = silent,
) -> SyncResult:
    """Run all steps, or go on with an unfinished run of the same configuration (not with `fresh`).

    With `max_false` only what keeps that promise is planned (`Plan.promising`). `told` hears with which run it goes on,
    and what is promised.

    Raises:
        ConfigError: `max_false` is no share between 0 and 1, or `each_relation` has none to keep.
        DataError: the run that it goes on with has begun to write what another `max_false` left.
        TransientError: another sync is at work in the workspace, or another process is writing.
        KgsyncError: of the step that failed; the run stays, and the next sync goes on with it.
    """
    if max_false is not None and not 0 < max_false < 1:
        raise ConfigError(f"max_false is {max_false:g}, which is no share", fix="make it between 0 and 1: 0.1 is 10%")
    if each_relation and max_false is None:
        raise ConfigError("each_relation is about a promise that nobody made", fix="give max_false as well")
    with files.alone(graph.workspace.root / ".sync.lock", "`kgsync sync`"):
        run = None if fresh else _unfinished(graph, selection, commit=commit)
        if run is not None:
            pulled = run.steps.get("pull")
            when = f", pulled {pulled['origin']['startedAt']}" if pulled else ""
            told(f"Going on with run {run.id}{when} (--fresh starts a new one).")
        run = run or graph.workspace.new_run(graph.config)
        promise = None if max_false is None else _Promise(max_false, each_relation)
        return _steps(graph, run, selection, commit, promise, told, progress)


@dataclass(frozen=True)
class _Promise:
    """What is promised of the edges that are written."""

    max_false: float
    each_relation: bool


def _steps(
    graph: Graph,
    run: Run,
    selection: Selection | None,
    commit: bool,
    promise: _Promise | None,
    told: Callable[[str], None],
    progress: Progress,
) -> SyncResult:
    """Do what is left of a run."""
    config, workspace = graph.config, graph.workspace
    server = graph.connection.read(statements.load("inspect/server").text)[0]
    run.describe(
        selection=_plain(selection),
        database=graph.connection.identity(),
        server={"version": server["version"], "edition": server["edition"]},
    )
    steps = run.steps

    if "pull" in steps:
        kept = Snapshot.load(workspace.snapshot(steps["pull"]["snapshot"]))
        snapshot = replace(kept, origin=steps["pull"]["origin"])  # another pull may have found the same content
    else:
        snapshot = pull(
            graph.connection,
            graph.scope(),
            selection=selection,
            config=config.pull,
            folder=workspace.snapshots,
            progress=progress,
        )
        run.note(
            "pull",
            snapshot=snapshot.id,
            entities=snapshot.entities.num_rows,
            triples=len(snapshot.triples),
            origin=dict(snapshot.origin),
        )

    model = train(
        snapshot,
        config=config.train,
        split=config.split,
        voices=config.voices,
        folder=workspace.models,
        told=lambda done: told(lesson(done)),
        progress=progress,
    )
    run.note("train", model=model.id)

    plan = _plan(graph, run, model, promise, told, progress)
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
        validation = graph.validate(progress=progress)
        keep_validation(run, validation)
    files.write_bytes(run.folder / "report.md", summary(snapshot, model, plan, written, validation).encode())
    if not commit:
        run.describe(shownAt=now())
    return SyncResult(run, snapshot, model, plan, written, validation)


def _plan(
    graph: Graph,
    run: Run,
    model: Model,
    promise: _Promise | None,
    told: Callable[[str], None],
    progress: Progress,
) -> Plan:
    """Return what is to be written, which the run's folder has then, too.

    What it has already is taken if the same was promised of it, or if it began to be written and nothing is asked now.
    Else all proposals are narrowed anew, never those that an earlier promise left.
    """
    noted, asked = run.steps.get("predict"), None if promise is None else asdict(promise)
    begun = ledger.run_state(graph.connection, run.id) is not None
    if noted and (noted.get("promise") == asked or (begun and asked is None)):
        plan, proposals = Plan.load(run.plan_folder), noted.get("proposals", noted["edges"])
    else:
        config = graph.config.predict
        whole = (
            Plan.load(run.plan_folder)
            if noted and noted.get("promise") is None
            else model.predict(
                top_k=config.top_k, min_score=config.min_score, per_entity=config.per_entity, progress=progress
            )
        )
        plan, proposals = whole if promise is None else whole.promising(**asdict(promise)), len(whole)
        check_run(graph.connection, run.id, plan)  # before the plan that began to be written is replaced
        plan.save(run.plan_folder)
        run.note("predict", plan=plan.id, edges=len(plan), proposals=proposals, promise=asked)
    if promise is not None:
        told(promised(plan, proposals, promise.max_false))
    return plan


def _unfinished(graph: Graph, selection: Selection | None, *, commit: bool) -> Run | None:
    """Return the newest run if it is a sync of the same into the same database that is not done and not out of date.

    A run that began to write is finished whatever its age. A plan that was shown is written within a day, also if
    the graph has changed since: it is what was agreed to; but it is shown again only if nothing has changed.
    """
    try:
        run = graph.workspace.run()
    except NotFoundError:
        return None
    state = run.state
    asked = state["configHash"], state.get("selection"), state.get("database", {}).get("id")
    here = graph.config.hash(), _plain(selection), graph.connection.identity()["id"]
    if asked != here or "validate" in state["steps"]:
        return None
    written = ledger.run_state(graph.connection, run.id)
    if written and written["status"] != "finished":
        return run if written["status"] == "running" else None  # the others are rolled back
    if "pull" not in state["steps"]:
        return run
    origin = state["steps"]["pull"]["origin"]
    if (datetime.now(UTC) - datetime.fromisoformat(origin["startedAt"])).total_seconds() > STALE:
        return None
    if "shownAt" in state and not commit and graph.connection.read_bookmark() != origin["bookmark"]:
        return None
    return run


def _plain(selection: Selection | None) -> dict[str, Any]:
    """Return a selection as `run.json` has it."""
    fields = asdict(selection or Selection())
    return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}
