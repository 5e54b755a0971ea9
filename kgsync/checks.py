"""The checks: reads the files of `cypher/validate`, and a user's own.

A check is a file: a header (`// name:`, `// severity: error|warning|info`, `// why:`, `// fix:`) and one query that,
with the parameters that its header names, runs and draws in Neo4j Browser. It returns the columns of `COLUMNS`, null
where one does not apply: `h, p, t` are the edge with its ends, `id` is the edge's; `path`, `value` and `message` are
those of a SHACL report, whose focus is `h`. It must not tell `proposed` from `quarantined`, or edges would go to and
fro: which proposals have a fault of their own, so that they are no rivals, it takes as `$wrong`. The count form and the
rows form wrap that same text: `CALL () { … } RETURN count(*)`, or `… LIMIT 25`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import neo4j

from kgsync.errors import AccessError, DataError, NotFoundError
from kgsync.graph import statements
from kgsync.graph.connection import Connection, run
from kgsync.graph.literals import literal

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")  # the worst first; `info` never quarantines
Fix = Literal["", "expire", "forget"]
FIXES: tuple[Fix, ...] = ("", "expire", "forget")  # of unreviewed edges; of kgsync's own notes
COLUMNS = ("h", "p", "t", "id", "path", "value", "message")
_PARAMETER = re.compile(r"\$(\w+)")


@dataclass(frozen=True)
class Check:
    """One file of checks. `own` is the path of a user's file, None for those that come with kgsync."""

    name: str
    severity: Severity
    why: str
    text: str
    own: Path | None = None
    fix: Fix = ""  # what `--fix` does to what it finds

    def form(self, form: Literal["rows", "count", "findings", "forget"]) -> str:
        """Return the query wrapped: `rows` to draw in Browser, `count`, `findings` and `forget` for kgsync itself."""
        text = statements.load(f"validate/machinery/{form}").text
        text = text.replace("{{name}}", literal(self.name)).replace("{{severity}}", literal(self.severity))
        return text.replace("{{check}}", self.text)

    @property
    def weighs(self) -> bool:
        """Say whether it weighs proposals against each other: then it takes the ids of those that are wrong anyway."""
        return "wrong" in _PARAMETER.findall(self.text)

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return those of the `given` parameters that it takes."""
        return {name: given[name] for name in dict.fromkeys(_PARAMETER.findall(self.text)) if name in given}


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
    fix = statement.header.get("fix", "")
    if fix not in FIXES:
        raise DataError(f"{path}: the fix {fix!r} is unknown", fix="write `// fix: expire`, or leave it out")
    return Check(
        name=statement.header.get("name") or path.stem,
        severity=severity,
        why=statement.header.get("why", ""),
        text=statement.text,
        own=own,
        fix=fix,
    )


def inspect_own(connection: Connection, check: Check) -> None:
    """Refuse a user's check that cannot be parsed, that would write, or whose columns are others."""
    if check.own is None:
        return

    def work(tx: neo4j.ManagedTransaction) -> tuple[Iterable[str], str | None]:
        result = run(tx, f"EXPLAIN {check.text}", {})
        return result.keys(), result.consume().query_type

    with naming(check):
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
def naming(check: Check) -> Iterator[None]:
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
