"""Where the benchmarks keep what they saw: one JSON file each, with date, machine, command and commit."""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

FOLDER = Path(__file__).parent / "results"


def save(name: str, results: Any) -> Path:
    """Write `results` to `results/NAME.json` and return its path."""
    path = FOLDER / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    about = {"date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", "command": _command(), "commit": commit()}
    path.write_text(json.dumps(about | {"machine": machine(), "results": results}, indent=1) + "\n", encoding="utf-8")
    return path


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    return {
        "cpu": _cpuinfo("model name") or platform.processor() or "unknown",
        "bf16": any(unit in _cpuinfo("flags").split() for unit in ("avx512_bf16", "amx_bf16")),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
    }


def _cpuinfo(field: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(field)), "")


def _command() -> str:
    return shlex.join(["python", "benchmarks/" + Path(sys.argv[0]).name, *sys.argv[1:]])


def commit() -> str:
    """Return the commit that runs, marked if files differ from it."""
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    return subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
