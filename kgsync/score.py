"""From voices to a score: weighed, and made a probability, by edges that were hidden from all of them.

Reads voices and the split they learned by; promises that no edge makes a score of a fusion that it has weighed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kgsync.calibrate import Audited, Calibrator, Labelled, fit
from kgsync.candidates.hidden import label_hidden
from kgsync.errors import DataError
from kgsync.fuse import Fusion, fuse, sharpen
from kgsync.progress import Progress
from kgsync.reliability import Reliability, judge
from kgsync.snapshot import Snapshot
from kgsync.split import Split, Triples
from kgsync.voice import Voice

VALID = "select", "fuse", "calibrate"
CROSSWISE = 2_000  # edges to calibrate by: with no more, all that are held out for validation make scores


@dataclass(frozen=True)
class Weighed:
    """Several voices as one."""

    mix: Fusion  # all count alike
    fusion: Fusion
    unseen: Mapping[str, Fusion]  # part of the split -> a fusion that was not fitted on it, to make scores with


def weigh(voices: Sequence[Voice], parts: Split, snapshot: Snapshot) -> Weighed:
    """Return the voices as one; in a small graph all parts of valid make scores, two of them crosswise."""
    size = snapshot.entities.num_rows, len(snapshot.relations)
    hidden = np.concatenate([parts.fuse, parts.calibrate])
    several = len(voices) > 1
    sharpness = [sharpen(v, parts.train, parts.select, *size, also_true=hidden) if several else 1.0 for v in voices]

    def by(*folds: Triples) -> Fusion:
        fold = np.concatenate(folds)
        return fuse(voices, parts.train, fold, *size, also_true=parts.select, sharpness=sharpness)

    mix, by_fuse = by(parts.fuse[:0]), by(parts.fuse)
    if len(parts.calibrate) > CROSSWISE or len(parts.fuse) == 0:
        return Weighed(mix, by_fuse, {"calibrate": by_fuse})
    by_both = by(parts.fuse, parts.calibrate)
    return Weighed(mix, by_both, {"calibrate": by_fuse, "fuse": by(parts.calibrate), "select": by_both})


def calibrate(
    snapshot: Snapshot,
    voice: Voice,
    unseen: Mapping[str, Voice],
    parts: Split,
    *,
    missing: float,
    progress: Progress,
) -> tuple[Calibrator | None, Reliability | None, str]:
    """Return the calibrator, how it fares on the test fold, and why there is none.

    Scores are made of the parts that `unseen` names, each with a voice that has not seen it.

    Voices choose among what is missing: the more true edges compete, the less sure they are of each. So as many
    compete as are assumed to be missing, although few of them are looked at: test edges in the place of others.
    """

    def labelled(asked: Voice, name: str, step: str, test: Triples = parts.test[:0]) -> Labelled:
        hidden, others = getattr(parts, name), [getattr(parts, other) for other in VALID if other != name]
        mixed = np.random.default_rng(0).permutation(np.concatenate(others))
        places = min(len(parts.test), len(mixed))
        known, rest = np.split(mixed, [places])
        competing, surplus = np.split(np.random.default_rng(1).permutation(test), [places])
        return label_hidden(
            asked,
            snapshot,
            known=np.concatenate([parts.train, known, surplus]),
            hidden=hidden,
            competing=np.concatenate([rest, competing]),
            step=step,
            progress=progress,
        )

    parted = [labelled(each, name, "calibrating", parts.test) for name, each in unseen.items()]
    data = Labelled.together(parted)
    audit = [Audited(*row) for row in snapshot.origin.get("audit", ())]
    try:
        calibrator = fit(data, len(snapshot.relations), missing_share=missing, audit=audit)
    except DataError as error:
        return None, None, str(error)
    test = labelled(voice, "test", "checking scores")
    return calibrator, judge(calibrator, test), ""
