"""How well `kgsync benchmark` does on the benchmark graphs, with defaults that it chooses itself in a given time.

    python benchmarks/quality.py ../shared/data --graphs umls codex-s --seeds 5 --budget 10m

Runs the command once per graph and seed, prints a row each, and keeps them in results/quality-GRAPH.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from results import save

METRICS = "mrr", "hits_at_1", "hits_at_3", "hits_at_10"
CHOSEN = "loss", "n3", "relation_weight", "rank", "members", "threads"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--graphs", nargs="+", default=["umls", "codex-s", "wn18rr", "fb15k-237"])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--budget", default="1h")
    arguments = parser.parse_args()
    for graph in arguments.graphs:
        runs = [run(arguments.folder / graph, seed, arguments.budget) for seed in range(arguments.seeds)]
        mean = {name: round(statistics.mean(each["test"][name] for each in runs), 4) for name in METRICS}
        spread = [min(each["test"]["mrr"] for each in runs), max(each["test"]["mrr"] for each in runs)]
        print(f"{graph}: test {mean}, MRR from {spread[0]} to {spread[1]} over {len(runs)} seeds", flush=True)
        save(f"quality-{graph}", {"budget": arguments.budget, "mean": mean, "mrr_range": spread, "runs": runs})


def run(folder: Path, seed: int, budget: str) -> dict[str, Any]:
    """Return what one run came to, without its rows per relation."""
    command = [sys.executable, "-m", "kgsync", "benchmark", str(folder), "--budget", budget, "--seed", str(seed)]
    done = subprocess.run([*command, "--json"], stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout)
    row = {
        "seed": seed,
        "chosen": {name: found["config"][name] for name in CHOSEN},
        **{name: found[name] for name in ("train_seconds", "eval_seconds", "peak_memory_mb", "best_epoch", "steps")},
        **{part: means(found[part]) for part in ("valid", "test")},
        "slices": {
            name: {part: means(metrics) for part, metrics in parts.items()}
            for name, parts in found["test"]["slices"].items()
        },
    }
    print(f"{folder.name} seed {seed}: test {row['test']} {row['chosen']} {row['train_seconds']} s", flush=True)
    return row


def means(metrics: dict[str, Any]) -> dict[str, float]:
    return {name: round(metrics[name], 4) for name in (*METRICS, "count")}


if __name__ == "__main__":
    main()
