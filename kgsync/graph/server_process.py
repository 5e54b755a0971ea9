"""The server's process: starts one that outlives us, knows it again, stops it, says why it ended.

Promises never to signal, and never to take for the server, a process that is not the server of that home.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil

# Java reads JDK_JAVA_OPTIONS too, and may: it is the way to give the server an option that kgsync does not have.
_NOT_FOR_THE_SERVER = ("NEO4J_", "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH")
_SAME_START = 5.0  # seconds by which a process's start time may read differently after the clock was set
_NO_REASON = ("Error: Could not create", "Error: A fatal exception", "Error occurred during init", "NOTE: Picked")


def log(home: Path) -> Path:
    """Return the file that Neo4j writes for people; it rotates."""
    return home / "logs" / "neo4j.log"


def printed(home: Path) -> list[str]:
    """Return the lines that Java itself printed since the last start; mostly there are none."""
    return [line for line in _lines(_console(home)) if line.isprintable()]  # the server starts with an ACK


def _console(home: Path) -> Path:
    return home / "logs" / "console.log"


def start(home: Path, java: Path, arguments: Path, main_class: str) -> tuple[psutil.Process, float] | None:
    """Start the server in a session of its own, and return it with its start; None if it has ended by then."""
    console = _console(home)
    console.parent.mkdir(parents=True, exist_ok=True)
    if console.exists():
        console.replace(console.with_name("console.previous.log"))
    command = [str(java), f"@{arguments}", main_class, f"--home-dir={home}", f"--config-dir={home / 'conf'}"]
    # The shell ends at once and leaves the server to init: it is nobody's zombie when it dies before us.
    shell = subprocess.run(
        ["/bin/sh", "-c", '"$@" </dev/null >"$0" 2>&1 & echo $!', str(console), *command],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=home,
        umask=0o077,
        start_new_session=True,
        env={k: v for k, v in os.environ.items() if not k.startswith(_NOT_FOR_THE_SERVER)},
    )
    try:
        process = psutil.Process(int(shell.stdout))
        return process, process.create_time()
    except psutil.NoSuchProcess:
        return None


def known(home: Path, pid: int, started: float) -> psutil.Process | None:
    """Return the process `pid` if it is the server of `home` that started then, and still runs."""
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        if abs(process.create_time() - started) < _SAME_START and _serves(process, home):
            return process
    return None


def search(home: Path) -> psutil.Process | None:
    """Return the server of `home` if one runs that nobody remembers: its `up` may have been killed."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if _serves(process, home):
                return process
    return None


def _serves(process: psutil.Process, home: Path) -> bool:
    return lives(process) and f"--home-dir={home}" in process.cmdline()


def lives(process: psutil.Process) -> bool:
    """Return whether the process still runs."""
    with suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def usage(process: psutil.Process) -> tuple[float, int] | None:
    """Return when the process started and the bytes of memory that it holds; None if it has ended meanwhile."""
    with suppress(psutil.NoSuchProcess):
        return process.create_time(), process.memory_info().rss
    return None


def listens(process: psutil.Process, *ports: int) -> bool:
    """Return whether this very process, and no other program, listens on all of `ports`."""
    with suppress(psutil.Error):
        open_ports = {c.laddr.port for c in process.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
        return open_ports.issuperset(ports)
    return False


def stop(process: psutil.Process, seconds: float) -> bool:
    """Ask the process to end, and return whether it did within `seconds`."""
    with suppress(psutil.NoSuchProcess):
        process.terminate()  # psutil makes sure that the pid still means this process
    deadline = time.monotonic() + seconds
    while lives(process) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not lives(process)


def reason(home: Path) -> str:
    """Return the line that says best why the server ended: of Java's, else of Neo4j's since its last start."""
    java = printed(home)
    for line in java:
        if not line.startswith(_NO_REASON):
            return re.sub(r'^Exception in thread "\w+" [\w.$]+: ', "", line)
    logged = _lines(log(home))
    while any("Starting..." in line for line in logged[1:]):
        logged = logged[1 + next(i for i, line in enumerate(logged[1:]) if "Starting..." in line) :]
    causes = [line.removeprefix("Caused by: ") for line in logged if line.startswith("Caused by: ")]
    errors = [line for line in logged if " ERROR " in line]
    return (causes[-1:] or errors[:1] or logged[-1:] or java[-1:] or ["it wrote nothing"])[0]


def _lines(path: Path) -> list[str]:
    with suppress(OSError):
        return [line.strip()[:300] for line in path.read_text(errors="replace").splitlines() if line.strip()]
    return []
