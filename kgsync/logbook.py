"""The logbook of a training: what it leaves behind for people to judge it by, beside the model and no part of its id.

Two files in the folder of the model: `history.json`, the epochs of every voice that has some, and `ranks.parquet`,
where each voice, their plain mix and their fusion put every test edge, so that a report can say how sure a figure is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kgsync import files
from kgsync.cotrain import Lesson
from kgsync.kge.checkpoint import Epoch

MIX = "plain mix"  # the voices with equal weights
HISTORY, RANKS = "history.json", "ranks.parquet"
Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Logbook:
    """How a model came about, and the filtered ranks of its test edges."""

    history: Mapping[str, Sequence[Epoch]]  # of each voice that learns in epochs
    stopped: str  # why the embeddings' training ended, in words
    seconds: float  # of that training
    test: np.ndarray[Any, Any]  # [n, 3]
    ranks: Mapping[str, Floats]  # [n, 2] of each voice: of the tail, of the head; 1 is best
    lessons: Sequence[Lesson] = ()  # of co-training, in order
    cotraining: str = ""  # why that ended, in words; empty where there was none

    def save(self, folder: Path) -> None:
        """Write both files to `folder`."""
        history = {voice: [asdict(epoch) for epoch in epochs] for voice, epochs in self.history.items()}
        files.write_json(
            folder / HISTORY,
            {
                "stopped": self.stopped,
                "seconds": round(self.seconds, 1),
                "epochs": history,
                "lessons": [asdict(lesson) for lesson in self.lessons],
                "cotraining": self.cotraining,
            },
        )
        columns = dict(zip(("head", "relation", "tail"), self.test.T.astype(np.int32), strict=True))
        for voice, ranks in self.ranks.items():
            columns |= {f"{voice}/{side}": ranks[:, at] for at, side in enumerate(("tail", "head"))}
        pq.write_table(pa.table(columns), folder / RANKS, compression="zstd")

    @classmethod
    def load(cls, folder: Path) -> Logbook | None:
        """Return the logbook in `folder`, or None for a model that has none."""
        if not (folder / HISTORY).is_file() or not (folder / RANKS).is_file():
            return None
        content = files.read_json(folder / HISTORY)
        table = pq.read_table(folder / RANKS)
        names = dict.fromkeys(name.rsplit("/", 1)[0] for name in table.column_names[3:])
        ranks = {
            name: np.stack([table[f"{name}/{side}"].to_numpy() for side in ("tail", "head")], axis=1) for name in names
        }
        return cls(
            history={voice: [Epoch(**epoch) for epoch in epochs] for voice, epochs in content["epochs"].items()},
            stopped=content["stopped"],
            seconds=content["seconds"],
            test=np.stack([table[name].to_numpy() for name in ("head", "relation", "tail")], axis=1),
            ranks=ranks,
            lessons=tuple(Lesson(**lesson) for lesson in content.get("lessons", ())),
            cotraining=content.get("cotraining", ""),
        )
