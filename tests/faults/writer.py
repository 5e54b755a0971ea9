"""Writes the plan of a run as a process of its own, which signals itself after a batch.

    writer.py URI PASSWORD_FILE WORKSPACE RUN STEP SIGNAL AFTER LOCK_TIMEOUT

STEP is `write` or `rollback`. SIGNAL is a number, 0 for none; AFTER is how many batches are done by then.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from kgsync.config import WriteConfig
from kgsync.errors import KgsyncError
from kgsync.graph.connection import Connection, resolve
from kgsync.graph.rollback import rollback
from kgsync.graph.write import write
from kgsync.plan import Plan
from kgsync.runs import Workspace


def main() -> int:
    uri, password_file, workspace, run_id, step, signal, after, timeout = sys.argv[1:]
    calls = 0

    def progress(name: str, done: int, total: int | None) -> None:
        nonlocal calls
        if name in ("writing", "rolling back"):
            if calls == int(after) and int(signal):
                os.kill(os.getpid(), int(signal))
            calls += 1

    run = Workspace(workspace).run(run_id)
    config = WriteConfig(batch=5, lock_timeout=float(timeout))
    try:
        with Connection.open(resolve(uri=uri, password_file=Path(password_file), database="neo4j")) as connection:
            if step == "rollback":
                rollback(connection, run_id, commit=True, config=config, progress=progress)
            else:
                write(connection, Plan.load(run.plan_folder), run_id=run.id, folder=run.folder,
                      started_at=run.started_at, config=config, commit=True, progress=progress)  # fmt: skip
    except KgsyncError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
