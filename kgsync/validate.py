"""Judges predicted edges with Cypher: runs the checks of `kgsync.checks`, puts failing edges into quarantine.

What a check knows of the relations it takes as parameters from the schema: a person's, or what the graph shows and the
server declares.
Checks only ever run in read transactions; what is written afterwards is a status, or by `fix` what kgsync itself made.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import neo4j

from kgsync.checks import (
    COLUMNS,
    SEVERITIES,
    Check,
    Severity,
    inspect_own,
    load_checks,
    naming,
)
from kgsync.config import LabelConfig
from kgsync.errors import NotFoundError
from kgsync.graph import declared, ends, inspect, ledger, statements, traits
from kgsync.graph.connection import Connection, run
from kgsync.graph.ends import End
from kgsync.graph.literals import params
from kgsync.progress import Progress, silent
from kgsync.schema import Schema
from kgsync.tabular import Tabular, table

if TYPE_CHECKING:
    import pyarrow

__all__ = [
    "COLUMNS",
    "SEVERITIES",
    "Check",
    "CheckResult",
    "Finding",
    "Severity",
    "ValidationReport",
    "load_checks",
    "validate",
]

_BATCH = 1_000  # edges per transaction
_AT_ONCE = 2  # checks: more would be no friends to others who ask the server
_MOST_PARAMETERS = 4_000  # characters that are shown
_COLUMNS = {
    **dict.fromkeys(("check", "severity", "id"), "string"),
    **ends.COLUMNS["head"],
    "path": "string",
    **ends.COLUMNS["tail"],
    **dict.fromkeys(("value", "message"), "string"),
    "score": "double",
}


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
    """What one check found: `count` findings, the first of them as `rows`, and the queries that repeat it.

    Both queries take `parameters`; `browser` is the rows form for Neo4j Browser, with a line that sets them.
    """

    name: str
    severity: Severity
    why: str
    count: int
    rows: tuple[Finding, ...]
    query: str
    count_query: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    fixed: int = 0  # findings that are gone since `--fix`

    @property
    def left(self) -> int:
        """Return how many findings there still are."""
        return self.count - self.fixed

    @property
    def browser(self) -> str:
        """Return what to paste into Neo4j Browser."""
        return f"{params(self.parameters)}\n\n{self.query}" if self.parameters else self.query

    @property
    def shown(self) -> str:
        """Return `browser` for a person to read, without parameters that would fill pages."""
        if len(self.browser) - len(self.query) <= _MOST_PARAMETERS:
            return self.browser
        return f"// its parameters are long: `kgsync validate --json` has them\n{self.query}"


@dataclass(frozen=True)
class ValidationReport(Tabular):
    """What every check found, and how many edges went into quarantine or came out of it."""

    checks: tuple[CheckResult, ...]
    quarantined: int = 0
    released: int = 0
    expired: int = 0  # by `fix`
    forgotten: int = 0  # by `fix`: kgsync's own nodes

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
        found = [check for check in self.checks if check.left and check.severity in counted]
        return sorted(found, key=lambda check: SEVERITIES.index(check.severity))

    def to_arrow(self) -> pyarrow.Table:
        """Return the findings that are shown, one row each; the ends as label, key and name, all of them text."""
        rows = (
            vars(row)
            | {"check": check.name, "severity": check.severity, "value": None if row.value is None else str(row.value)}
            | row.focus.columns("head")
            | row.tail.columns("tail")
            | {"score": row.score if isinstance(row.score, float) else None}
            for check in self.checks
            for row in check.rows
        )
        return table(_COLUMNS, rows)


def validate(
    connection: Connection,
    *,
    run_id: str | None = None,
    folder: Path | None = None,
    quarantine: bool = True,
    fix: bool = False,
    limit: int = 25,
    labels: Mapping[str, LabelConfig] | None = None,
    schema: Schema | None = None,
    progress: Progress = silent,
) -> ValidationReport:
    """Run the checks over the predicted edges (of `run_id`, or all), and quarantine those that fail.

    An edge that fails a check of severity error or warning is quarantined, with the names of these checks
    as its reasons; one that fails none of them any more goes back to proposed. Reviewed edges stay as they
    are. A second validation writes nothing. `quarantine=False` only reports. `limit` bounds the rows that
    the report keeps per check; `labels` of the configuration say how entities are found and called, else the latest
    run does.

    `schema` is a person's; what the graph shows is learned for the relations that it does not name. `fix` lets
    edges that nobody reviewed expire where a check's header says so, and deletes kgsync's own orphaned notes (not with
    `run_id`); what is left is judged anew, as if that had never been there.

    Raises:
        NotFoundError: the graph does not know the run.
        NotFoundError, DataError: `folder` or a file in it is not as `load_checks` and `Check` want it.
    """
    checks = load_checks(folder)
    for check in checks:
        inspect_own(connection, check)
    if run_id is not None and ledger.run_state(connection, run_id) is None:
        raise NotFoundError(f"the graph knows no run {run_id}", fix="see `kgsync runs`")
    names = ends.parameter(labels) if labels else connection.read(statements.load("validate/machinery/keys").text)
    parameters = {"runId": run_id, "names": names, "wrong": []} | _of_schema(connection, schema, progress)
    results, judged = _run_all(connection, checks, parameters, limit, progress)
    report = ValidationReport(results)
    if fix:
        expired, forgotten = _fix(connection, checks, results, parameters, judged)
        if expired or forgotten:
            left, judged = _run_all(connection, checks, parameters, limit, progress)
            results = tuple(_since(before, after) for before, after in zip(results, left, strict=True))
            report = ValidationReport(results, expired=expired, forgotten=forgotten)
    if not quarantine:
        return report
    quarantined, released = _quarantine(connection, judged, run_id, progress)
    return replace(report, quarantined=quarantined, released=released)


def _of_schema(connection: Connection, schema: Schema | None, progress: Progress) -> dict[str, Any]:
    """Return what the checks take from the schema of the predicted relations, and from the counts of the graph."""
    rows = connection.read(statements.load("validate/machinery/relations").text)
    known = inspect.relation_counts(connection)
    unnamed = {row["relation"] for row in rows} - set(schema.relations if schema else ())
    learned, _ = declared.meant(connection, unnamed, progress=progress)
    whole = schema.over(learned) if schema else learned
    types = traits.changing(connection, whole.changed) if rows else ()
    changed = {"properties": list(whole.changed), "types": list(types)}
    return whole.parameters() | {"known": known, "changed": changed}


@dataclass
class _Judged:
    """An edge that fails, how it stands in the graph, and why it fails."""

    status: str
    old: list[str]
    reasons: set[str]


@dataclass(frozen=True)
class _Found:
    """What one check found: of the run that is judged the result, and of all runs the edges that fail, by id."""

    result: CheckResult
    judged: Mapping[str, _Judged]
    ends: Mapping[str, tuple[End, End]]
    wrong: frozenset[str]  # that fail whatever else is proposed


def _run_all(
    connection: Connection, checks: Sequence[Check], parameters: Mapping[str, Any], limit: int, progress: Progress
) -> tuple[tuple[CheckResult, ...], dict[str, _Judged]]:
    """Return what each check found, and by id the edges that fail one that counts.

    A check that weighs proposals against each other runs again where some of them are wrong anyway: these come last.
    """
    found = _at_once(connection, checks, parameters, limit, progress)
    weighing = [i for i, check in enumerate(checks) if check.weighs]
    beaten = [pair for i in weighing for id_, pair in found[i].ends.items() if id_ not in found[i].wrong]
    places = {end for pair in beaten for end in pair}
    wrong = {id_ for each in found for id_ in each.wrong if not places.isdisjoint(each.ends[id_])}
    if wrong:  # the same for all these checks, so that one set of parameters repeats them
        again = {**parameters, "wrong": sorted(wrong, key=str)}
        for i, each in zip(weighing, _at_once(connection, [checks[i] for i in weighing], again, limit), strict=True):
            found[i] = each
    judged: dict[str, _Judged] = {}
    for each in found:
        for id_, edge in each.judged.items():
            judged.setdefault(id_, edge).reasons.update(edge.reasons)
    return tuple(each.result for each in found), judged


def _at_once(
    connection: Connection,
    checks: Sequence[Check],
    parameters: Mapping[str, Any],
    limit: int,
    progress: Progress = silent,
) -> list[_Found]:
    """Return what each check found. The server plans and runs each on one processor: two at a time shorten the wait."""
    pool = ThreadPoolExecutor(_AT_ONCE)
    try:
        running = [pool.submit(_run, connection, check, parameters, limit) for check in checks]
        progress("validate", 0, len(checks))
        for done, each in enumerate(as_completed(running), start=1):
            each.result()
            progress("validate", done, len(checks))
        return [each.result() for each in running]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # after Ctrl-C closing the connection ends those that run


def _run(connection: Connection, check: Check, parameters: Mapping[str, Any], limit: int) -> _Found:
    text = check.form("findings")
    start = time.perf_counter()

    def work(tx: neo4j.ManagedTransaction) -> _Found:
        count = 0
        rows: list[Finding] = []
        judged: dict[str, _Judged] = {}
        ends_: dict[str, tuple[End, End]] = {}
        wrong: set[str] = set()
        for record in run(tx, text, parameters):
            id_ = record["id"]
            if id_ is not None and check.severity != "info":
                ends_[id_] = (ends.end(record["focus"]), ends.end(record["tail"]))
                if not check.weighs or record["value"] == "asserted":
                    wrong.add(id_)
            if record["inside"]:
                count += 1
                if len(rows) < limit:
                    rows.append(_finding(record))
                if id_ in ends_:
                    judged[id_] = _Judged(record["status"], record["reasons"] or [], {check.name})
        result = _result(check, parameters, count, rows, time.perf_counter() - start)
        return _Found(result, judged, ends_, frozenset(wrong))

    with naming(check):
        return connection.read_with(work)


def _result(
    check: Check, parameters: Mapping[str, Any], count: int, rows: Iterable[Finding], seconds: float
) -> CheckResult:
    return CheckResult(
        name=check.name,
        severity=check.severity,
        why=check.why,
        count=count,
        rows=tuple(rows),
        query=check.form("rows"),
        count_query=check.form("count"),
        parameters=check.parameters(parameters),
        seconds=seconds,
    )


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


def _fix(
    connection: Connection,
    checks: Iterable[Check],
    results: Iterable[CheckResult],
    parameters: Mapping[str, Any],
    judged: Mapping[str, _Judged],
) -> tuple[int, int]:
    """Do what the headers of the checks say to what kgsync wrote itself; return how many (expired, were forgotten)."""
    fixes = {check.name: check for check in checks if check.fix}
    wanted = sorted(
        id_ for id_, edge in judged.items() if any(fixes[name].fix == "expire" for name in edge.reasons & fixes.keys())
    )
    expired = forgotten = 0
    for start in range(0, len(wanted), _BATCH):
        batch = wanted[start : start + _BATCH]
        expired += len(connection.write(statements.load("validate/machinery/expire").text, ids=batch)[0]["ids"])
    for result in results:
        check = fixes.get(result.name)
        if result.count and check and check.fix == "forget" and parameters["runId"] is None:
            forgotten += connection.write(check.form("forget"), **check.parameters(parameters))[0]["done"]
    return expired, forgotten


def _since(before: CheckResult, after: CheckResult) -> CheckResult:
    """Return what a check found at first, and how much of it is gone now; the rows are of what is left."""
    gone = max(0, before.count - after.count)
    return replace(after, count=after.count + gone, rows=after.rows or before.rows, fixed=gone)


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
