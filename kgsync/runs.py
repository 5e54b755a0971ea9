"""The workspace: a folder of snapshots, models and runs. A run's folder says in plain files where it is.

.kgsync/snapshots/<id>/   .kgsync/models/<id>/
.kgsync/runs/<id>/{run.json, plan/, report.md, rejected.jsonl, validation.json}
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import kgsync
from kgsync import files
from kgsync.config import Config
from kgsync.errors import NotFoundError

LIBRARIES = ("torch", "numpy", "scipy", "pyarrow", "neo4j", "sentence-transformers", "transformers")
STEPS = ("pull", "train", "predict", "write", "validate")


@dataclass(frozen=True)
class Run:
    """One run: its folder, and `run.json` in it, which is rewritten whole after every step."""

    folder: Path

    @property
    def id(self) -> str:
        """Return the id, which is the name of the folder and of the (:__KgsyncRun) node."""
        return self.folder.name

    @property
    def state(self) -> dict[str, Any]:
        """Return what `run.json` says."""
        state: dict[str, Any] = files.read_json(self.folder / "run.json")
        return state

    @property
    def started_at(self) -> str:
        """Return when it started, ISO 8601 in UTC."""
        started: str = self.state["startedAt"]
        return started

    @property
    def plan_folder(self) -> Path:
        """Return the folder of its plan."""
        return self.folder / "plan"

    @property
    def steps(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the finished steps with what they noted."""
        steps: dict[str, dict[str, Any]] = self.state["steps"]
        return steps

    def describe(self, **facts: Any) -> None:
        """Add facts about the whole run."""
        files.write_json(self.folder / "run.json", self.state | facts)

    def note(self, step: str, **facts: Any) -> None:
        """Record that `step` is finished, with its facts."""
        state = self.state
        state["steps"][step] = {"finishedAt": now(), **facts}
        files.write_json(self.folder / "run.json", state)


class Workspace:
    """The folder in which kgsync keeps what it pulled and learned."""

    def __init__(self, root: Path | str = ".kgsync") -> None:
        self.root = Path(root)
        self.snapshots = self.root / "snapshots"
        self.models = self.root / "models"
        self.runs = self.root / "runs"

    def new_run(self, config: Config) -> Run:
        """Make a run folder with the resolved configuration in it."""
        start = datetime.now(UTC)  # ids sort as runs start: the last digits are the part of the second
        run = Run(self.runs / f"{start:%Y%m%d-%H%M%S}-{start.microsecond * 0x10000 // 1_000_000:04x}")
        state = {
            "id": run.id,
            "startedAt": now(),
            "kgsyncVersion": kgsync.__version__,
            "environment": environment(),
            "configHash": config.hash(),
            "config": config.resolved(),
            "steps": {},
        }
        files.write_json(run.folder / "run.json", state)
        return run

    def run(self, run_id: str | None = None) -> Run:
        """Return the run with this id (or its unique beginning), or the one that started last.

        Raises:
            NotFoundError: there is none, or several match.
        """
        found = _matching(self.runs, run_id, "run.json", lambda folder: folder.name)
        return Run(_only(found, run_id, "run", self.runs, "kgsync predict"))

    def kept(self, run_id: str) -> Run | None:
        """Return the run with exactly this id, if it was made here."""
        run = Run(self.runs / run_id)
        return run if (run.folder / "run.json").is_file() else None

    def bookmarks(self, run: Run | None = None) -> list[str]:
        """Return the bookmarks of what `run`, or else the newest, has written; none where nothing was."""
        folders = [run.folder] if run else _matching(self.runs, None, "bookmarks.json", lambda folder: folder.name)
        files_ = [path for folder in folders if (path := folder / "bookmarks.json").is_file()]
        return [bookmark for path in files_ for bookmark in files.read_json(path)]

    def snapshot(self, snapshot_id: str | None = None) -> Path:
        """Return the folder of a snapshot, or of the newest: the one that was pulled last.

        Raises:
            NotFoundError: there is none, or several match.
        """
        found = _matching(self.snapshots, snapshot_id, "manifest.json", _made)
        return _only(found, snapshot_id, "snapshot", self.snapshots, "kgsync pull")

    def model(self, model_id: str | None = None) -> Path:
        """Return the folder of a model, or of the newest: the one that a training gave last.

        Raises:
            NotFoundError: there is none, or several match.
        """
        found = _matching(self.models, model_id, "manifest.json", _made)
        return _only(found, model_id, "model", self.models, "kgsync train")


def _matching(folder: Path, wanted: str | None, marker: str, age: Callable[[Path], Any]) -> list[Path]:
    """Return the folders with a file `marker` that match, or the last one in the order of `age`."""
    folders = [f for f in folder.glob("*") if not f.name.startswith(".") and (f / marker).is_file()]
    if wanted is None:
        return sorted(folders, key=age)[-1:]
    exact = [f for f in folders if f.name == wanted]
    return exact or [f for f in folders if f.name.startswith(wanted)]


def _made(folder: Path) -> tuple[int, str]:
    """Return when an artefact was made, or made again with the same content."""
    return (folder / "manifest.json").stat().st_mtime_ns, folder.name


def _only(found: list[Path], wanted: str | None, kind: str, folder: Path, command: str) -> Path:
    if len(found) == 1:
        return found[0]
    if not found:
        named = f" {wanted!r}" if wanted else ""
        raise NotFoundError(f"there is no {kind}{named} in {folder}", fix=f"run `{command}` first")
    raise NotFoundError(f"{wanted!r} is the beginning of {len(found)} {kind}s in {folder}", fix="write more of it")


def environment() -> dict[str, Any]:
    """Return what a run depends on beside kgsync: the platform, and the libraries that compute."""
    installed = {}
    for name in LIBRARIES:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {"python": platform.python_version(), "platform": platform.platform(), "libraries": installed}


def now() -> str:
    """Return the time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
