"""Does it help that voices teach each other?

    python benchmarks/cotraining.py ../shared/data/codex-s --cache /tmp/voices [--seeds 3] [--minutes 5] [--keep 0.3]

What `kgsync report --synergy` compares on a graph of one's own (see `kgsync.synergy.arms`), on a benchmark graph with
its own test triples: valid is split by pairs, 40 % select, 40 % weigh the fusion, and on 20 % it is seen which fusion
is the one to beat. Minutes are those of one training of the embeddings; every learner is trained five times per seed.
Voices are kept in the cache until their seed is finished, and so are finished seeds. Results go to
results/cotraining-GRAPH.json, in the form of the command's --json.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

from results import save
from synergy import folds, settings_of, task_of

from kgsync import dataset
from kgsync.cli.options import table
from kgsync.report.synergy import ARM_HEADER, GAIN_HEADER, arm_rows, gain_rows
from kgsync.synergy.compare import SEEDS, compare

UNSEEN = 1 / 3  # of the 60 % of valid that do not select


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--config", type=Path, help="settings of [train]; without it they are searched")
    parser.add_argument("--minutes", type=float, default=5.0, help="for the embeddings")
    parser.add_argument("--text-minutes", type=float, default=0.0, help="for the text head [default: its epochs]")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--keep", type=float, default=1.0, help="share of the train triples that is there")
    arguments = parser.parse_args()
    whole = task_of(dataset.read(arguments.folder), arguments.folder).thinned(arguments.keep)
    calibrate, fuse = folds(whole.parts.fuse, 0, UNSEEN)
    task = replace(whole, parts=replace(whole.parts, fuse=fuse, calibrate=calibrate))
    settings = settings_of(whole, arguments.cache, (arguments.minutes, arguments.text_minutes), arguments.config)
    done = compare(
        task,
        settings,
        arguments.cache / "cotraining",  # the voices of a finished seed are deleted there; synergy.py keeps its own
        seeds=arguments.seeds,
        keep=arguments.keep,
        vectors=arguments.cache / "vectors",
        told=partial(print, flush=True),
    )
    print(table(ARM_HEADER, arm_rows(done)))
    print(table(GAIN_HEADER, gain_rows(done)))
    print("\n".join(done.verdict()))
    save(f"cotraining-{Path(done.file).stem}", done.to_dict())


if __name__ == "__main__":
    main()
