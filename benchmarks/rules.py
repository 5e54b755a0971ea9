"""How good rules alone are, and what they cost: mined from train, one number per relation chosen on valid.

    OMP_NUM_THREADS=1 python benchmarks/rules.py ../shared/data/{fb15k-237,wn18rr,codex-s,umls}

Each graph runs in a process of its own, so that its peak memory is its own. Metrics are filtered, both sides, mean
rank for ties; valid by train and valid, test by all three. Keeps them in results/rules.json.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from pathlib import Path
from typing import Any

import numpy as np
from results import save

from kgsync import dataset
from kgsync.benchmark import peak_memory_mb
from kgsync.kge.evaluate import evaluate
from kgsync.kge.known import KnownAnswers
from kgsync.rules.choose import choose
from kgsync.rules.facts import Facts
from kgsync.rules.mine import mine
from kgsync.rules.voice import RuleVoice


def measure(folder: Path) -> dict[str, Any]:
    graph = dataset.read(folder)
    size = len(graph.entities), len(graph.relations)
    seconds = {}
    start = time.perf_counter()
    facts = Facts(graph.train, *size)
    rules = mine(facts)
    seconds["mine"] = time.perf_counter() - start
    start = time.perf_counter()
    powers = choose(facts, rules, graph.valid)
    seconds["choose"] = time.perf_counter() - start
    voice = RuleVoice(facts, rules, powers)
    seen = np.concatenate([graph.train, graph.valid])
    valid = evaluate(voice, graph.valid, KnownAnswers(seen, *size))
    start = time.perf_counter()
    test = evaluate(voice, graph.test, KnownAnswers(np.concatenate([seen, graph.test]), *size), train=graph.train)
    seconds["test"] = time.perf_counter() - start
    chosen, count = np.unique(powers, return_counts=True)
    return {
        "rules": {"single": len(rules.single), "double": len(rules.double), "constant": len(rules.constant)},
        "relations_by_power": {str(power): int(n) for power, n in zip(chosen, count, strict=True)},
        "seconds": {step: round(value, 1) for step, value in seconds.items()},
        "peak_memory_mb": round(peak_memory_mb()),
        "valid": {name: value for name, value in valid.to_dict().items() if name != "per_relation"},
        "test": {name: value for name, value in test.to_dict().items() if name != "per_relation"},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+")
    found = {}
    for folder in parser.parse_args().folders:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            row = found[folder.name] = pool.apply(measure, [folder])
        print(
            f"{folder.name:10} test MRR {row['test']['mrr']:.4f}  {row['seconds']}  {row['peak_memory_mb']} MB",
            flush=True,
        )
    print(save("rules", found))


if __name__ == "__main__":
    main()
