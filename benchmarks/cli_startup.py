"""How long the command line takes to answer: `kgsync --help` and `kgsync status`, beside the bare interpreter.

    python benchmarks/cli_startup.py [--runs 15]

Prints medians of wall-clock seconds and their ratio to `python -c pass`, measured in one run, interleaved, and keeps
them in results/cli-startup.json.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

from results import save

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "kgsync --help": [sys.executable, "-m", "kgsync", "--help"],
    "kgsync status": [sys.executable, "-m", "kgsync", "status"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    runs: int = parser.parse_args().runs
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(runs):
        for name, command in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run(command, capture_output=True, check=False)
            seconds[name].append(time.perf_counter() - start)
    bare = statistics.median(seconds["python -c pass"])
    for name, values in seconds.items():
        median = statistics.median(values)
        print(f"{name:16}  {median:.3f} s  {median / bare:5.1f} x")
    medians = {name: round(statistics.median(values), 3) for name, values in seconds.items()}
    print(save("cli-startup", {"runs": runs, "median_seconds": medians}))


if __name__ == "__main__":
    main()
