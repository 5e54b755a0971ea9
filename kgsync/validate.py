"""Judges predicted edges with Cypher: reads checks, runs them, puts failing edges into quarantine.

A check is a file: a header (`// name:`, `// severity: error|warning|info`, `// why:`) and one query that,
as it stands, runs and draws in Neo4j Browser. It returns the columns of `COLUMNS`, null where one does not
apply: `h, p, t` are the edge with its ends, `id` is the edge's; `path`, `value` and `message` are those of a
SHACL report, whose focus is `h`. It must not tell `proposed` from `quarantined`, or edges would go to and fro.
The count form and the rows form wrap that same text: `CALL () { … } RETURN count(*)`, or `… LIMIT 25`.
Checks only ever run in read transactions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import neo4j

from kgsync.config import LabelConfig
from kgsync.errors import AccessError, DataError, NotFoundError
from kgsync.graph import ends, statements
from kgsync.graph.connection import Connection, run
from kgsync.graph.ends import End
from kgsync.progress import Progress, silent

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")  # the worst first; `info` never quarantines
COLUMNS = ("h", "p", "t", "id", "path", "value", "message")
_BATCH = 1_000  # edges per transaction


@dataclass(frozen=True)
class Check:
    """One file of checks. `own` is the path of a user's file, None for those that come with kgsync."""

    name: str
    severity: Severity
    why: str
    text: str
    own: Path | None = None

    def form(self, form: Literal["rows", "count", "findings"]) -> str:
        """Return the query wrapped: `rows` to draw in Browser, `count`, or `findings` for kgsync itself."""
        return statements.load(f"validate/machinery/{form}").text.replace("{{check}}", self.text)


@dataclass(frozen=True)
class Finding:
    """One row of a report. `id` is None where the finding is not about one predicted edge."""

    id: str | None
    focus: End
    path: str | None
    value: Any
    message: str | None
    tail: End
    score: Any  # a float, unless that is what is wrong


@dataclass(frozen=True)
class CheckResult:
    """What one check found: `count` findings, the first of them as `rows`, and the queries that repeat it."""

    name: str
    severity: Severity
    why: str
    count: int
    rows: tuple[Finding, ...]
    query: str
    count_query: str


@dataclass(frozen=True)
class ValidationReport:
    """What every check found, and how many edges went into quarantine or came out of it."""

    checks: tuple[CheckResult, ...]
    quarantined: int = 0
    released: int = 0

    @property
    def failed(self) -> bool:
        """Whether a check of severity error found something."""
        return self.fails("error")

    def fails(self, at: Severity) -> bool:
        """Whether a check of severity `at`, or a worse one, found something."""
        return any(self.failing(at))

    def failing(self, at: Severity = "info") -> list[CheckResult]:
        """Return the checks that found something and are at least as severe as `at`, the worst first."""
        counted = SEVERITIES[: SEVERITIES.index(at) + 1]
        found = [check for check in self.checks if check.count and check.severity in counted]
        return sorted(found, key=lambda check: SEVERITIES.index(check.severity))


def load_checks(folder: Path | None = None) -> list[Check]:
    """Return the checks that come with kgsync, then the `.cypher` files in `folder`, both by file name.

    Raises:
        NotFoundError: there is no such folder.
        DataError: a file has no query or an unknown severity, or two checks have the same name.
    """
    paths = sorted((statements.folder() / "validate").glob("*.cypher"))
    checks = [_check(path, None) for path in paths]
    if folder is not None:
        if not folder.is_dir():
            raise NotFoundError(f"there is no folder {folder} with checks", fix="correct validate.folder or --checks")
        checks += [_check(path, path) for path in sorted(folder.glob("*.cypher"))]
    names: set[str] = set()
    for check in checks:
        if check.name in names:
            raise DataError(f"{check.own}: there is another check named {check.name}", fix="change its `// name:`")
        names.add(check.name)
    return checks


def _check(path: Path, own: Path | None) -> Check:
    statement = statements.parse(path, path.stem)
    severity = statement.header.get("severity", "warning")
    if severity not in SEVERITIES:
        raise DataError(
            f"{path}: the severity {severity!r} is unknown", fix=f"write `// severity: {'|'.join(SEVERITIES)}`"
        )
    return Check(
        name=statement.header.get("name") or path.stem,
        severity=severity,
        why=statement.header.get("why", ""),
        text=statement.text,
        own=own,
    )


def validate(
    connection: Connection,
    *,
    run_id: str | None = None,
    folder: Path | None = None,
    quarantine: bool = True,
    limit: int = 25,
    labels: Mapping[str, LabelConfig] | None = None,
    progress: Progress = silent,
) -> ValidationReport:
    """Run the checks over the predicted edges (of `run_id`, or all), and quarantine those that fail.

    An edge that fails a check of severity error or warning is quarantined, with the names of these checks
    as its reasons; one that fails none of them any more goes back to proposed. Reviewed edges stay as they
    are. A second validation writes nothing. `quarantine=False` only reports. `limit` bounds the rows that
    the report keeps per check; `labels` of the configuration say how entities are called in them.

    Raises:
        NotFoundError, DataError: `folder` or a file in it is not as `load_checks` and `Check` want it.
    """
    checks = load_checks(folder)
    for check in checks:
        _inspect(connection, check)
    parameters = {"runId": run_id, "names": ends.parameter(labels or {})}
    results: list[CheckResult] = []
    judged: dict[str, _Judged] = {}
    for done, check in enumerate(checks):
        progress("validate", done, len(checks))
        results.append(_run(connection, check, parameters, limit, judged))
    progress("validate", len(checks), len(checks))
    if not quarantine:
        return ValidationReport(tuple(results))
    return ValidationReport(tuple(results), *_quarantine(connection, judged, run_id, progress))


@dataclass
class _Judged:
    """An edge that fails, how it stands in the graph, and why it fails."""

    status: str
    old: list[str]
    reasons: set[str]


def _run(
    connection: Connection, check: Check, parameters: Mapping[str, Any], limit: int, judged: dict[str, _Judged]
) -> CheckResult:
    text = check.form("findings")

    def work(tx: neo4j.ManagedTransaction) -> tuple[int, list[Finding], dict[str, _Judged]]:
        count = 0
        rows: list[Finding] = []
        failing: dict[str, _Judged] = {}
        for record in run(tx, text, parameters):
            count += 1
            if len(rows) < limit:
                rows.append(_finding(record))
            if record["id"] is not None and check.severity != "info":
                failing[record["id"]] = _Judged(record["status"], record["reasons"] or [], {check.name})
        return count, rows, failing

    with _named(check):
        count, rows, failing = connection.read_with(work)
    for id_, edge in failing.items():
        judged.setdefault(id_, edge).reasons.add(check.name)
    queries = (check.form("rows"), check.form("count"))
    return CheckResult(check.name, check.severity, check.why, count, tuple(rows), *queries)


def _finding(record: neo4j.Record) -> Finding:
    return Finding(
        id=record["id"],
        focus=ends.end(record["focus"]),
        path=record["path"],
        value=record["value"],
        message=record["message"],
        tail=ends.end(record["tail"]),
        score=record["score"],
    )


def _quarantine(
    connection: Connection, judged: Mapping[str, _Judged], run_id: str | None, progress: Progress
) -> tuple[int, int]:
    """Write the verdicts that differ from what the graph says; return how many (went in, came out)."""
    statement = statements.load("validate/machinery/quarantined").text
    inside = connection.read(statement, runId=run_id)
    rows: list[dict[str, Any]] = [
        {"id": id_, "reasons": sorted(edge.reasons)}
        for id_, edge in judged.items()
        if edge.status == "proposed" or (edge.status == "quarantined" and edge.old != sorted(edge.reasons))
    ]
    rows += [{"id": row["id"], "reasons": []} for row in inside if row["id"] not in judged]
    rows.sort(key=lambda row: row["id"])  # every writer locks in the same order
    quarantined = released = 0
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        counts = connection.write(statements.load("validate/machinery/judge").text, rows=batch)[0]
        quarantined += counts["quarantined"]
        released += counts["released"]
        progress("quarantine", start + len(batch), len(rows))
    return quarantined, released


def _inspect(connection: Connection, check: Check) -> None:
    """Refuse a user's check that cannot be parsed, that would write, or whose columns are others."""
    if check.own is None:
        return

    def work(tx: neo4j.ManagedTransaction) -> tuple[Iterable[str], str | None]:
        result = run(tx, f"EXPLAIN {check.text}", {})
        return result.keys(), result.consume().query_type

    with _named(check):
        columns, kind = connection.read_with(work)
    if kind != "r":
        raise DataError(f"{check.own}: the check writes", fix="make it only read")
    missing = [column for column in COLUMNS if column not in columns]
    if missing:
        raise DataError(
            f"{check.own}: the check returns no {', '.join(missing)}",
            fix=f"end it with RETURN {', '.join(COLUMNS)} (null where one does not apply)",
        )


@contextmanager
def _named(check: Check) -> Iterator[None]:
    """Name the file in the error of a user's check."""
    try:
        yield
    except (DataError, AccessError) as error:
        if check.own is None or not isinstance(error.__cause__, neo4j.exceptions.Neo4jError):
            raise
        what = (error.__cause__.message or str(error.__cause__)).splitlines()[0]
        raise DataError(
            f"{check.own}: the check does not run: {what}", fix="correct it; try it in Neo4j Browser"
        ) from error
