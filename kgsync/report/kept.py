"""What a run's folder keeps for its report: the counts of the write step, and `validation.json`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from kgsync import files
from kgsync.graph.write import WriteReport
from kgsync.runs import Run
from kgsync.validate import SEVERITIES, ValidationReport

VALIDATION = "validation.json"
_ROWS = 5  # findings of a check that are kept
_COUNTS = ("created", "updated", "unchanged", "expired", "unmatched", "conflict", "already_true", "reviewed")


@dataclass(frozen=True)
class Check:
    """What one check found that is still there, as it is kept: `rows` are the first findings in words."""

    name: str
    severity: str
    why: str
    count: int
    rows: tuple[str, ...]


@dataclass(frozen=True)
class Findings:
    """What the checks of a run found, the worst first."""

    checks: tuple[Check, ...]
    quarantined: int
    released: int
    expired: int = 0  # by `--fix`, of what the checks had found before

    @property
    def failing(self) -> list[Check]:
        """Return the checks whose findings are still there."""
        return [check for check in self.checks if check.count]


def keep_write(run: Run, report: WriteReport) -> None:
    """Note in the run's folder what was written; a repetition that changed nothing does not replace the first note."""
    if "write" in run.steps and not (report.created or report.updated or report.expired):
        return
    run.note("write", **{name: getattr(report, name) for name in _COUNTS})


def keep_validation(run: Run, report: ValidationReport) -> None:
    """Keep what the checks found, and note that they ran."""
    checks = sorted(report.checks, key=lambda check: (SEVERITIES.index(check.severity), not check.count))
    content = {
        "quarantined": report.quarantined,
        "released": report.released,
        "expired": report.expired,
        "checks": [
            {
                "name": check.name,
                "severity": check.severity,
                "why": check.why,
                "count": check.left,
                "rows": [asdict(row) for row in check.rows[:_ROWS]],
            }
            for check in checks
        ],
    }
    plain = json.loads(json.dumps(content, default=str))  # values of the graph may be dates or points
    files.write_json(run.folder / VALIDATION, plain)
    run.note("validate", quarantined=report.quarantined, released=report.released)


def written(run: Run) -> dict[str, int] | None:
    """Return how many edges the write step treated in which way, or None where nothing was written."""
    step = run.steps.get("write")
    return None if step is None else {name: step[name] for name in _COUNTS if name in step}


def found(run: Run) -> Findings | None:
    """Return what the checks found, or None where none ran."""
    if not (run.folder / VALIDATION).is_file():
        return None
    content = files.read_json(run.folder / VALIDATION)
    checks = tuple(Check(**{**check, "rows": tuple(map(_words, check["rows"]))}) for check in content["checks"])
    return Findings(checks, content["quarantined"], content["released"], content.get("expired", 0))


def _words(row: dict[str, Any]) -> str:
    ends = [row[side]["name"] or str(row[side]["key"] or "") for side in ("focus", "tail")]
    edge = " ".join(part for part in (ends[0], row["path"] or "", ends[1]) if part)
    return ": ".join(part for part in (edge, row["message"] or "") if part)
