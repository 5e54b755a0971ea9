"""The server's process: starts one that outlives us, knows it again, stops it, and reads in its log why it ended.

Promises never to signal a process that is not the server of that home.
"""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil

_UNWANTED = ("NEO4J_", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH")
_SAME_START = 5.0  # seconds by which one process's start time may read differently after the clock was set


def console(home: Path) -> Path:
    """Return the file that has everything the server printed since its last start."""
    return home / "logs" / "console.log"


def start(home: Path, java: Path, arguments: Path, main_class: str) -> psutil.Process:
    """Start the server in a session of its own, with its output in `console`; the previous one is kept beside it."""
    log = console(home)
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists():
        log.replace(log.with_name("console.previous.log"))
    command = [str(java), f"@{arguments}", main_class, f"--home-dir={home}", f"--config-dir={home / 'conf'}"]
    # The shell ends at once and leaves the server to init, so that it is nobody's zombie when it dies before us.
    started = subprocess.run(
        ["/bin/sh", "-c", '"$@" </dev/null >"$0" 2>&1 & echo $!', str(log), *command],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=home,
        umask=0o077,
        start_new_session=True,
        env={k: v for k, v in os.environ.items() if not k.startswith(_UNWANTED)},
    )
    return psutil.Process(int(started.stdout))


def known(home: Path, pid: int, started: float) -> psutil.Process | None:
    """Return the process `pid` if it lives and is the server of `home` that started then."""
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        if abs(process.create_time() - started) < _SAME_START and _serves(process, home):
            return process
    return None


def search(home: Path) -> psutil.Process | None:
    """Return the server of `home` if one runs, whoever started it: a start that was killed may have left it."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if _serves(process, home):
                return process
    return None


def _serves(process: psutil.Process, home: Path) -> bool:
    return process.status() != psutil.STATUS_ZOMBIE and f"--home-dir={home}" in process.cmdline()


def stop(process: psutil.Process, seconds: float) -> bool:
    """Ask the process to end, and return whether it did within `seconds`."""
    with suppress(psutil.NoSuchProcess):
        process.terminate()  # psutil checks first that the pid still means this process
    deadline = time.monotonic() + seconds
    while lives(process) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not lives(process)


def lives(process: psutil.Process) -> bool:
    """Return whether the process still runs."""
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def reason(home: Path) -> str:
    """Return the line of the console that says best why the server ended."""
    try:
        lines = [line.strip() for line in console(home).read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        return "it printed nothing"
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    errors = [line for line in lines if "OutOfMemoryError" in line or "ERROR" in line or line.startswith("Error")]
    for found in (causes[-1:], errors[:1], lines[-1:]):
        if found:
            return found[0][:300]
    return "it printed nothing"
