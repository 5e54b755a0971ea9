"""Write: makes the graph hold a plan, effectively once; without `commit` it only reads and says what it would do.

What differs is found by `Differ` and written in batches, each one fenced transaction with its entry in the ledger.
A run that was killed goes on when the same plan is written again. Nothing that kgsync did not create, and
nothing that a person reviewed, is changed; what is not written is reported and listed in `rejected.jsonl`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kgsync
from kgsync import files, interrupt
from kgsync.config import WriteConfig
from kgsync.errors import DataError
from kgsync.graph import diff, keys, ledger, schema, statements
from kgsync.graph.batches import Batches, Item, Step, isolating
from kgsync.graph.connection import Connection, run
from kgsync.graph.diff import Change, Differ, Difference, Problem, by_ends, chunks
from kgsync.graph.lock import Lock, locked
from kgsync.graph.review import REVIEWED
from kgsync.plan import Plan, PlannedEdge
from kgsync.progress import Progress, silent
from kgsync.tabular import Tabular, table

if TYPE_CHECKING:
    import pyarrow

_UNMATCHED = (diff.MISSING, diff.CHANGED, diff.AMBIGUOUS)
_CONFLICT = (diff.CONFLICT, diff.MEANWHILE)
_MOST_CHANGES = 5_000  # per transaction: their before-images are one property of a node
_MOST_READ = 50_000_000  # nodes per transaction, half a minute
_CONSTANTS = {"knowledgeLevel": "prediction", "agentType": "computational_model"}  # words of the Biolink model


@dataclass(frozen=True)
class WriteReport(Tabular):
    """What a write did, or without `commit` would do. Every planned edge is counted once, expired ones besides."""

    run_id: str
    plan_id: str
    committed: bool
    created: int
    updated: int  # with those that had expired and are proposed again
    unchanged: int
    expired: int  # in the plan's scope, not reviewed and no longer predicted
    unmatched: int  # an end is missing, has other labels now, or is there several times
    conflict: int  # the id is between other ends, or somebody changed the edge meanwhile
    already_true: int  # the relationship itself is in the graph
    reviewed: int  # accepted or rejected before, and left alone
    problems: tuple[Problem, ...]  # the planned edges that are not written, with the reason
    installed: tuple[str, ...] = ()  # constraints and indexes that were created for it

    @property
    def needs_attention(self) -> bool:
        """Say whether a person should look: edges are unmatched or in conflict."""
        return bool(self.unmatched or self.conflict)

    def to_arrow(self) -> pyarrow.Table:
        """Return the problems, one row each."""
        columns = dict.fromkeys(("id", "head", "relation", "tail", "reason"), "string")
        return table(columns, map(asdict, self.problems))


def write(
    connection: Connection,
    plan: Plan,
    *,
    run_id: str,
    folder: Path,
    started_at: str,
    config: WriteConfig,
    config_hash: str = "",
    commit: bool = False,
    progress: Progress = silent,
) -> WriteReport:
    """Write `plan` as run `run_id`; `folder` receives `rejected.jsonl` and `bookmarks.json`.

    Idempotent: the same plan again touches no edge. Ctrl-C stops after the batch that is being written.

    Raises:
        DataError: the plan is for another database, the run has written another plan or was rolled back, or a key
            of very many nodes has no index.
        TransientError: another process is writing, or took over after this one gave no sign of life.
        AccessError: the user may not write.
    """
    _check_plan(connection, plan)
    check_run(connection, run_id, plan)
    if not commit:
        difference = Differ(connection, plan, progress=progress).whole()
        return _report(run_id, plan, difference, committed=False)

    installed = schema.install(connection)
    bookmarks = folder / "bookmarks.json"
    if bookmarks.is_file():
        connection.see(files.read_json(bookmarks))
    with (
        interrupt.deferred() as stop_if_asked,
        locked(connection, run_id=run_id, plan_hash=plan.id, timeout=config.lock_timeout) as lock,
    ):
        state = check_run(connection, run_id, plan)

        def keep() -> None:
            stop_if_asked()
            lock.keep()

        differ = Differ(connection, plan, keep=keep, progress=progress)
        difference = differ.whole()
        _check_indexes(connection, difference.creates, config.batch)
        touched = bool(difference.creates or difference.changes)
        if touched or state != "finished":
            _begin(lock, connection, plan, run_id, started_at, config_hash)
        batches = Batches(lock, plan.model["id"], run_id)
        try:
            done = _write_batches(difference, differ, batches, config.batch, stop_if_asked, progress)
        finally:
            files.write_json(bookmarks, connection.bookmarks())
        report = _report(run_id, plan, done, committed=True, installed=installed)
        _list_problems(folder / "rejected.jsonl", report.problems)
        if touched or state != "finished":
            _finish(lock, report)
    files.write_json(bookmarks, connection.bookmarks())
    return report


def _check_plan(connection: Connection, plan: Plan) -> None:
    here = connection.identity()
    if plan.database.get("id") != here["id"]:
        made_for = plan.database.get("name") or "no database"
        raise DataError(
            f"plan {plan.id} was made for {made_for}, with another id than {here['name']} at {connection.uri}",
            fix="pull from this database and predict again; nothing was written",
        )
    if not plan.model.get("id"):
        raise DataError(f"plan {plan.id} names no model", fix="make it with `kgsync predict`")


def check_run(connection: Connection, run_id: str, plan: Plan) -> str | None:
    """Return the status of the run in the graph, None for a new one.

    Raises:
        DataError: it has written another plan, or was rolled back.
    """
    state = ledger.run_state(connection, run_id)
    if state is None:
        return None
    fix = "make a new plan with `kgsync predict`"
    if state["status"] in ("rolling_back", "rolled_back"):
        raise DataError(f"run {run_id} was rolled back", fix=fix)
    if state["planHash"] != plan.id:
        raise DataError(
            f"run {run_id} has written plan {state['planHash']}, not {plan.id}",
            fix=f"repeat the command as it was then, with the same --max-false, or {fix}",
        )
    status: str = state["status"]
    return status


def _check_indexes(connection: Connection, edges: Sequence[PlannedEdge], size: int) -> None:
    """Refuse a batch that would read too many nodes, as the key of an end has no index."""
    ends = {(end.label, end.key_property) for edge in edges for end in (edge.head, edge.tail)}
    for label, key in keys.unindexed(connection, ends):
        nodes = connection.read(statements.load("inspect/nodes").fill(label=label))[0]["count"]
        if nodes * min(size, len(edges)) > _MOST_READ:
            raise DataError(
                f"the key {key} of {label} has no index, and every edge would read all {nodes:,} nodes",
                fix=f"no edge was written; run {keys.uniqueness(label, key)}, then the same command again",
            )


def _begin(lock: Lock, connection: Connection, plan: Plan, run_id: str, started_at: str, config_hash: str) -> None:
    keys: Mapping[str, str] = plan.origin.get("keys") or {}
    parameters = {
        "runId": run_id,
        "startedAt": started_at,
        "pulledAt": plan.origin.get("pulledAt"),
        "run": {
            "kgsyncVersion": kgsync.__version__,
            "configHash": config_hash,
            "snapshotHash": plan.snapshot_id,
            "planHash": plan.id,
            "database": connection.database,
            **({"keyLabels": list(keys), "keyProperties": list(keys.values())} if keys else {}),
        },
        "modelId": plan.model["id"],
        "model": _CONSTANTS | {key: _property(value) for key, value in plan.model.items()},
    }
    lock.again(lambda tx, _, __: run(tx, statements.load("write/run_begin").text, parameters).consume())


def _property(value: Any) -> Any:
    """Return a value of the model card as a node can hold it: what is nested becomes JSON."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if (
        isinstance(value, list | tuple)
        and len({type(v) for v in value}) == 1
        and isinstance(value[0], str | int | float)
    ):
        return list(value)
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=dict)


def _finish(lock: Lock, report: WriteReport) -> None:
    counts = {
        "unchanged": report.unchanged,
        "unmatched": report.unmatched,
        "conflict": report.conflict,
        "alreadyTrue": report.already_true,
        "reviewed": report.reviewed,
    }
    parameters = {"runId": report.run_id, "counts": counts}
    lock.again(lambda tx, _, __: run(tx, statements.load("write/run_finish").text, parameters).consume())


def _write_batches(
    difference: Difference,
    differ: Differ,
    batches: Batches,
    size: int,
    stop_if_asked: Callable[[], None],
    progress: Progress,
) -> Difference:
    """Write everything and return what was done; what changed since it was compared becomes a problem."""
    creates = chain.from_iterable(group for _, group in by_ends(difference.creates))
    steps: list[tuple[Step, Sequence[Item]]] = [
        *((batches.create, batch) for batch in chunks(creates, size)),
        *((batches.change, batch) for batch in chunks(difference.changes, min(size, _MOST_CHANGES))),
    ]
    total = len(difference.creates) + len(difference.changes)
    progress("writing", 0, total)
    done = Difference(unchanged=difference.unchanged, problems=list(difference.problems))
    left: list[Item] = []
    tried = 0
    for step, batch in steps:
        stop_if_asked()
        written = isolating(step, batch)
        done.creates += [item for item in batch if isinstance(item, PlannedEdge) and item.id in written]
        done.changes += [item for item in batch if isinstance(item, Change) and item.id in written]
        left += [item for item in batch if item.id not in written]
        tried += len(batch)
        progress("writing", tried, total)

    planned = [edge for item in left if (edge := item if isinstance(item, PlannedEdge) else item.edge)]
    now = differ.of(planned)
    meanwhile = [*now.creates, *(change.edge for change in now.changes if change.edge)]
    done.unchanged += now.unchanged
    done.problems += now.problems
    done.problems += [Problem.of(edge, diff.MEANWHILE) for edge in meanwhile]
    done.problems += [item.no_longer_predicted() for item in left if isinstance(item, Change) and not item.edge]
    return done


def _report(
    run_id: str, plan: Plan, what: Difference, *, committed: bool, installed: tuple[str, ...] = ()
) -> WriteReport:
    reasons = Counter(problem.reason for problem in what.problems)
    return WriteReport(
        run_id=run_id,
        plan_id=plan.id,
        committed=committed,
        created=len(what.creates),
        updated=what.updates,
        unchanged=what.unchanged,
        expired=what.expires,
        unmatched=sum(reasons[reason] for reason in _UNMATCHED),
        conflict=sum(reasons[reason] for reason in _CONFLICT),
        already_true=reasons[diff.ALREADY_TRUE],
        reviewed=sum(reasons[status] for status in REVIEWED),
        problems=tuple(what.problems),
        installed=installed,
    )


def _list_problems(path: Path, problems: Sequence[Problem]) -> None:
    lines = [json.dumps(asdict(problem), ensure_ascii=False) + "\n" for problem in problems]
    if lines or path.exists():
        files.write_bytes(path, "".join(lines).encode("utf-8", "surrogatepass"))
