"""The demonstration: hides a tenth of what the sample graph knows, syncs, and counts what was found.

What is hidden never reaches the database, so nothing that is learned has seen it.
"""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kgsync import files, sample
from kgsync.config import Config, GraphConfig, LabelConfig
from kgsync.graph import server
from kgsync.graph.connection import Connection, resolve
from kgsync.graph.graph import Graph
from kgsync.graph.load import load
from kgsync.kge.config import TrainConfig
from kgsync.plan import PlannedEdge
from kgsync.progress import Progress, silent
from kgsync.split import Triples, split_triples
from kgsync.sync import SyncResult, sync

INSTANCE = "demo"  # the local server of the demonstration, apart from the user's own
SHARE = 0.1  # of the facts that are hidden
EPOCHS = 24  # of the embeddings at most: more gain little here, and a demonstration should not make people wait
_SEED = 1  # another one than the split's: both hash the same pairs


@dataclass(frozen=True)
class DemoResult:
    """What the demonstration did and found."""

    server: server.LocalServer
    loaded: int  # triples in the graph
    hidden: frozenset[tuple[str, str, str]]  # head, relation, tail that the graph does not know
    sync: SyncResult

    def was_hidden(self, edge: PlannedEdge) -> bool:
        """Return whether a proposed edge is one of the hidden facts."""
        return (str(edge.head.key), edge.relation, str(edge.tail.key)) in self.hidden

    @property
    def found(self) -> list[PlannedEdge]:
        """Return the proposed edges that were hidden facts."""
        return [edge for edge in self.sync.plan.edges if self.was_hidden(edge)]

    def by_relation(self) -> list[tuple[str, int, int, int, float]]:
        """Return (relation, hidden, proposed, found, share that the scores promised), most found first."""
        hidden = Counter(relation for _, relation, _ in self.hidden)
        found = Counter(edge.relation for edge in self.found)
        scores: dict[str, list[float]] = {}
        for edge in self.sync.plan.edges:
            scores.setdefault(edge.relation, []).append(edge.score)
        return [
            (
                r,
                hidden[r],
                len(scores.get(r, [])),
                found[r],
                sum(scores.get(r, [])) / max(len(scores.get(r, [])), 1),
            )
            for r in sorted(hidden, key=lambda r: (-found[r], r))
        ]


def demo(folder: Path, *, browser: bool | None = None, progress: Progress = silent) -> DemoResult:
    """Start a local server, load nine tenths of the sample graph, sync, and compare. Repeatable, fast the second time.

    Raises:
        KgsyncError: of the step that failed; running it again goes on.
    """
    facts, hidden = hide(folder)
    local = server.up(INSTANCE, browser=browser, progress=progress)
    settings = resolve(
        uri=local.uri, username=local.username, database=local.database, password_file=local.password_file
    )
    with Graph(Connection.open(settings), config(facts), folder) as graph:
        report = load(graph.connection, facts, label_from_type=True, progress=progress)
        return DemoResult(local, report.triples, hidden, sync(graph, commit=True, progress=progress))


def hide(folder: Path, *, seed: int = _SEED) -> tuple[Path, frozenset[tuple[str, str, str]]]:
    """Write the facts that the graph may know to `folder / facts`, and return that with the hidden ones.

    `seed` says which are hidden; it must not be `split.seed` of the training.
    """
    triples = _rows(sample.folder() / "triples.tsv")
    ids = sorted({end for head, _, tail in triples for end in (head, tail)})
    relations = sorted({relation for _, relation, _ in triples})
    rows = {name: row for row, name in enumerate(ids)}
    numbers = {name: number for number, name in enumerate(relations)}
    array = np.array([(rows[h], numbers[r], rows[t]) for h, r, t in triples])
    split = split_triples(array, ids, valid=0.0, test=SHARE, seed=seed)

    def named(part: Triples) -> list[tuple[str, str, str]]:
        return [(ids[h], relations[r], ids[t]) for h, r, t in part.tolist()]

    facts = folder / "facts"
    with files.whole_folder(facts) as new:
        for name in ("entities.tsv", "relations.tsv"):
            shutil.copy(sample.folder() / name, new / name)
        known = np.concatenate([split.train, split.select, split.fuse, split.calibrate])
        text = "".join("\t".join(triple) + "\n" for triple in named(known))
        (new / "triples.tsv").write_text(text, encoding="utf-8")
    hidden = named(split.test)
    files.write_bytes(folder / "hidden.tsv", "".join("\t".join(t) + "\n" for t in sorted(hidden)).encode())
    return facts, frozenset(hidden)


def config(facts: Path) -> Config:
    """Return the configuration of the sample graph: every main label is found by its id."""
    with (facts / "entities.tsv").open(encoding="utf-8", newline="") as file:
        labels = {row["types"].split("|")[0] for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)}
    entry = LabelConfig(key="id", name="name", text=("description",))
    return Config(graph=GraphConfig(labels=dict.fromkeys(sorted(labels), entry)), train=TrainConfig(epochs=EPOCHS))


def _rows(path: Path) -> list[tuple[str, str, str]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [(head, relation, tail) for head, relation, tail in (line.split("\t") for line in lines)]
