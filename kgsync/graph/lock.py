"""The write lock: one writer at a time, and a fence that makes every batch happen once.

One node holds the owner and the number of the next batch. The first statement of a batch's transaction
locks that node, looks, and counts the batch: so the database decides whether a batch is committed, still
to do, or no longer ours (a crash, a lost COMMIT reply, a paused process that wakes up). The constraints give
uniqueness, the lock gives order. Times are the server's.

A sign of life is given by every batch as it begins, and between reads. A batch or a read that takes longer than the
timeout may be followed by somebody else's takeover: no harm, but this process stops and says so.
"""

from __future__ import annotations

import os
import platform
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import neo4j
from neo4j.exceptions import IncompleteCommit

from kgsync.errors import KgsyncError, TransientError, UnavailableError
from kgsync.graph import statements
from kgsync.graph.connection import Connection, run

T = TypeVar("T")

Work = Callable[[neo4j.ManagedTransaction, int, str], T]
"""`work(tx, number of the batch, time of the server as text)`; it may be run again, and must only use `tx`."""

_ATTEMPTS = 3  # to commit where the reply of the COMMIT was lost
_BEATS = 4  # signs of life within the time after which a lock counts as stale


class Lock:
    """The held lock. Take it with `locked`."""

    def __init__(self, connection: Connection, owner: str, next_batch: int, timeout: float) -> None:
        self._connection = connection
        self._owner = owner
        self._next_batch = next_batch
        self._timeout = timeout
        self._beaten = monotonic()

    def once(self, work: Work[T]) -> T:
        """Do `work` in one transaction, once, whatever happens to the connection, and return its result.

        Raises:
            TransientError: the lock was taken over, or the database cannot be asked what became of the commit.
        """
        result = self._fenced(work, advance=1)
        self._next_batch += 1
        return result

    def again(self, work: Work[T]) -> T:
        """Do `work`, which may be repeated without harm, in one transaction, if the lock is still ours."""
        return self._fenced(work, advance=0)

    def keep(self) -> None:
        """Give a sign of life, if it is time for one.

        Raises:
            TransientError: the lock was taken over.
        """
        if monotonic() - self._beaten > self._timeout / _BEATS:
            self.again(lambda _tx, _number, _now: None)

    def release(self) -> None:
        """Free the lock, if it is still ours."""
        self._connection.write(statements.load("write/lock_release").text, owner=self._owner)

    def _fenced(self, work: Work[T], advance: int) -> T:
        number = self._next_batch
        results: list[T] = []  # of the latest attempt: if a commit is in doubt, it is that attempt's

        def attempt(tx: neo4j.ManagedTransaction) -> None:
            parameters = {"owner": self._owner, "batch": number, "advance": advance}
            fence = run(tx, statements.load("write/lock_fence").text, parameters).single()
            if fence is not None and fence["mine"]:
                results[:] = [work(tx, number, fence["now"])]
            elif fence is None or fence["owner"] != self._owner or not results:
                raise _lost(fence)
            # else the lock is ours and the batch is counted: the commit in doubt has succeeded

        for attempts_left in reversed(range(_ATTEMPTS)):
            try:
                self._connection.write_with(attempt)
                break
            except TransientError as error:
                if not isinstance(error.__cause__, IncompleteCommit) or not attempts_left:
                    raise
        self._beaten = monotonic()
        return results[0]


@contextmanager
def locked(connection: Connection, *, run_id: str, plan_hash: str = "", timeout: float) -> Iterator[Lock]:
    """Hold the write lock in the block. Batches are counted from the run's last committed one.

    Raises:
        TransientError: another process holds it.
    """
    lock = _acquire(connection, run_id, plan_hash, timeout)
    try:
        yield lock
    except UnavailableError:
        raise  # nobody there to release it; it becomes stale
    except BaseException:
        with suppress(KgsyncError):  # the first error counts
            lock.release()
        raise
    lock.release()


def _acquire(connection: Connection, run_id: str, plan_hash: str, timeout: float) -> Lock:
    owner = f"{_host()}/{os.getpid()}/{_started(os.getpid())}/{secrets.token_hex(4)}"
    dead = []
    for holder in connection.read(statements.load("write/lock_read").text):
        if _is_dead(holder["owner"]):
            dead.append(holder["owner"])
        elif holder["age"] <= timeout:
            raise _held(holder, timeout)
    parameters = {
        "owner": owner,
        "runId": run_id,
        "planHash": plan_hash,
        "dead": dead,
        "timeout": round(timeout * 1000),
    }
    for attempts_left in reversed(range(_ATTEMPTS)):
        try:
            row = connection.write(statements.load("write/lock_acquire").text, **parameters)[0]
            break
        except TransientError as error:
            if not isinstance(error.__cause__, IncompleteCommit) or not attempts_left:
                raise
    if row["owner"] != owner:
        raise _held(row, timeout)
    return Lock(connection, owner, row["nextBatch"], timeout)


def _held(holder: Mapping[str, Any], timeout: float) -> TransientError:
    return TransientError(
        f"{_describe(holder)} is writing into this database",
        fix=f"wait for it; if it does not live any more, try again in {max(1, round(timeout - holder['age']))} s",
    )


def _lost(fence: Mapping[str, Any] | neo4j.Record | None) -> TransientError:
    who = "somebody" if fence is None or fence["owner"] is None else _describe(fence)
    return TransientError(
        f"{who} took over the write lock, as this process gave no sign of life; what it had committed stays",
        fix="wait for the other one, then run the same command again",
    )


def _describe(holder: Mapping[str, Any] | neo4j.Record) -> str:
    host, pid, _, _ = holder["owner"].rsplit("/", 3)
    machine = host.split("/")[0]
    return f"run {holder['runId']} (process {pid} on {machine}, last sign of life {holder['age']:,} s ago)"


def _host() -> str:
    """Return what tells apart machines, boots of a machine, and containers that number their processes anew."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{platform.node()}/{boot}/{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return f"{platform.node()}/?/?"


def _started(pid: int) -> str:
    """Return when a process of this host started, in ticks since boot; "" if there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    state, *rest = stat.rpartition(")")[2].split()
    return "" if state in "ZX" else rest[18]


def _is_dead(owner: str) -> bool:
    """Say whether the process is known not to live any more; False where that cannot be known."""
    host, pid, started, _ = owner.rsplit("/", 3)
    return "?" not in host and host == _host() and _started(int(pid)) != started
