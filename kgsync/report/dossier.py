"""The dossier of a run: everything that its files say, read and checked. What is not there has a sentence instead."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kgsync import files
from kgsync.errors import NotFoundError
from kgsync.logbook import Logbook
from kgsync.metrics import Metrics
from kgsync.plan import Plan
from kgsync.report import kept
from kgsync.rules import artefact as rule_files
from kgsync.rules.voice import RuleVoice
from kgsync.runs import Run, Workspace
from kgsync.snapshot import Snapshot
from kgsync.synergy import result
from kgsync.synergy.result import Synergy


@dataclass(frozen=True)
class Learned:
    """What the folder of a model says; the tensors stay where they are."""

    content: Mapping[str, Any]  # model.json
    metrics: Metrics
    logbook: Logbook | None
    rules: RuleVoice | None


@dataclass(frozen=True)
class Dossier:
    """What there is of a run. None where its files do not say it."""

    run: Run
    state: Mapping[str, Any]
    plan: Plan | None
    snapshot: Snapshot | None
    learned: Learned | None
    written: Mapping[str, int] | None
    problems: tuple[Mapping[str, Any], ...]  # planned edges that were not written
    findings: kept.Findings | None
    manifests: Mapping[str, Mapping[str, Any]]  # snapshot, model, plan -> manifest
    compared: tuple[Synergy, ...] = ()  # what `kgsync report --synergy` found on the snapshot

    @classmethod
    def read(cls, workspace: Workspace, run_id: str | None = None) -> Dossier:
        """Return the dossier of a run (by the beginning of its id), or of the newest.

        Raises:
            NotFoundError: there is no such run, or several match.
            DataError: a file is damaged.
        """
        run = workspace.run(run_id)
        state = run.state
        plan = Plan.load(run.plan_folder) if (run.plan_folder / "manifest.json").is_file() else None
        steps = state["steps"]
        snapshot_id = plan.snapshot_id if plan else steps.get("pull", {}).get("snapshot")
        model_id = plan.model["id"] if plan else steps.get("train", {}).get("model")
        folders = {
            "snapshot": _there(workspace.snapshot, snapshot_id),
            "model": _there(workspace.model, model_id),
            "plan": run.plan_folder if plan else None,
        }
        manifests = {kind: files.read_manifest(folder, kind) for kind, folder in folders.items() if folder}
        return cls(
            run=run,
            state=state,
            plan=plan,
            snapshot=Snapshot.load(folders["snapshot"]) if folders["snapshot"] else None,
            learned=_learned(folders["model"]) if folders["model"] else None,
            written=kept.written(run),
            problems=_problems(run.folder / "rejected.jsonl"),
            findings=kept.found(run),
            manifests=manifests,
            compared=result.kept(workspace.root, snapshot_id) if snapshot_id else (),
        )


def snapshot_of(run: Run) -> str:
    """Return the id of the snapshot that a run is about.

    Raises:
        NotFoundError: it has pulled nothing yet.
    """
    for step in run.steps.values():
        if "snapshot" in step:
            return str(step["snapshot"])
    raise NotFoundError(f"run {run.id} has no snapshot yet", fix="run `kgsync pull`, and leave the run out")


def _there(find: Callable[[str], Path], wanted: str | None) -> Path | None:
    """Return the folder that a workspace finds, or None: a report is made of what is left."""
    try:
        return find(wanted) if wanted else None
    except NotFoundError:
        return None


def _learned(folder: Path) -> Learned:
    content = files.read_json(folder / "model.json")
    rules = folder / "rules.safetensors"
    return Learned(
        content=content,
        metrics=Metrics.from_dict(content["metrics"]),
        logbook=Logbook.load(folder),
        rules=rule_files.load(rules)[0] if rules.is_file() else None,
    )


def _problems(path: Path) -> tuple[Mapping[str, Any], ...]:
    if not path.is_file():
        return ()
    return tuple(json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line)
