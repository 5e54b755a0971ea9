"""What a comparison came to: a table of arms, what one gains over another, and what that means in words.

Kept as JSON in the workspace, `synergy/SNAPSHOT.json`, one more where a share of the train edges was left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kgsync import files
from kgsync.errors import DataError
from kgsync.logbook import MIX
from kgsync.synergy.arms import AGREED, EXCHANGE, Taught
from kgsync.synergy.statistics import Effect

FOLDER = "synergy"
SURE = 0.05  # p-value, corrected, below which a gain is believed


@dataclass(frozen=True)
class Arm:
    """One arm over all seeds."""

    name: str
    mrr: Effect
    mrr_by_seed: tuple[float, ...]
    hits_at_10: float
    mrr_rare: float | None  # over answers of few train edges; None where there are none
    seconds: float  # of training, asking and fusing, mean over seeds
    memory_mb: float  # that the process held at most, over seeds


@dataclass(frozen=True)
class Gain:
    """By how much the MRR of one arm is above that of another."""

    ours: str
    theirs: str
    rare: bool  # over answers of few train edges alone
    primary: bool  # fixed beforehand
    delta: Effect
    p_holm: float  # corrected for all gains together

    @property
    def sure(self) -> bool:
        """Whether it is above 0 beyond doubt."""
        return self.delta.low > 0 and self.p_holm < SURE

    def told(self) -> str:
        """Return the gain with its interval."""
        return f"{self.delta.value:+.4f} [{self.delta.low:+.4f}, {self.delta.high:+.4f}]"


@dataclass(frozen=True)
class Synergy:
    """The whole comparison."""

    snapshot: str  # or the name of a benchmark graph
    keep: float  # share of the train edges that was there
    seeds: int
    budget: float  # seconds in all; 0: no limit
    test_triples: int
    rare_share: float  # of the questions, whose answer has few train edges
    voices: tuple[str, ...]
    left_out: Mapping[str, str]  # voice -> why
    arms: tuple[Arm, ...]
    gains: tuple[Gain, ...]  # the primary ones first
    taught: tuple[tuple[Taught, ...], ...]  # of each seed
    kgsync_version: str
    finished_at: str

    @property
    def file(self) -> str:
        """Return the name of the file that keeps it."""
        part = "" if self.keep >= 1 else f"-{100 * self.keep:g}-percent"
        return f"{self.snapshot}{part}.json"

    def path(self, root: Path) -> Path:
        """Return where a workspace `root` keeps it."""
        return root / FOLDER / self.file

    @property
    def alone(self) -> frozenset[str]:
        """Return the arms that are one voice alone."""
        return frozenset(itertools.takewhile(lambda name: name != MIX, (arm.name for arm in self.arms)))

    def primary(self, *, rare: bool = False) -> Gain | None:
        """Return the primary comparison, over all or over answers of few train edges."""
        return next((gain for gain in self.gains if gain.primary and gain.rare == rare), None)

    @property
    def helps(self) -> bool:
        """Whether the exchange of knowledge should be switched on."""
        gain = self.primary()
        return gain is not None and gain.sure

    def verdict(self) -> list[str]:
        """Return in words what follows, the primary comparison first."""
        gain, rare = self.primary(), self.primary(rare=True)
        sentences = [] if gain is None else [f"The {_outcome(gain)} {self._advice(gain)}"]
        if rare is not None:
            sentences.append(f"Over answers with few known edges, the {_outcome(rare)}")
        return sentences

    def _advice(self, gain: Gain) -> str:
        if gain.sure:
            how = ' and `voices.lessons = "mean"`' if any(arm.name == AGREED for arm in self.arms) else ""
            return f"Switch it on with `voices.rounds = 1`{how}."
        return "Leave it off: `voices.rounds = 0`."

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON, with what they mean in words."""
        return {**asdict(self), "helps": self.helps, "verdict": self.verdict()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Synergy:
        """Return what `to_dict` described.

        Raises:
            KeyError, TypeError: it is of another version.
        """
        plain = {name: value for name, value in content.items() if name not in ("helps", "verdict")}
        arms = [
            Arm(**{**arm, "mrr": Effect(**arm["mrr"]), "mrr_by_seed": tuple(arm["mrr_by_seed"])})
            for arm in plain["arms"]
        ]
        gains = [Gain(**{**gain, "delta": Effect(**gain["delta"])}) for gain in plain["gains"]]
        taught = tuple(tuple(Taught(**each) for each in seed) for seed in plain["taught"])
        voices = tuple(plain["voices"])
        return cls(**{**plain, "voices": voices, "arms": tuple(arms), "gains": tuple(gains), "taught": taught})

    def save(self, root: Path) -> Path:
        """Write it below the workspace `root` and return the path of the file."""
        path = self.path(root)
        files.write_json(path, self.to_dict())
        return path


def kept(root: Path, snapshot_id: str) -> tuple[Synergy, ...]:
    """Return what the workspace `root` keeps about a snapshot: with all train edges first, then with ever fewer.

    Raises:
        DataError: a file is damaged.
    """
    paths = [root / FOLDER / f"{snapshot_id}.json", *(root / FOLDER).glob(f"{snapshot_id}-*-percent.json")]
    found = [_read(path) for path in paths if path.is_file()]
    return tuple(sorted(found, key=lambda each: -each.keep))


def _read(path: Path) -> Synergy:
    try:
        return Synergy.from_dict(files.read_json(path))
    except (KeyError, TypeError) as error:
        raise DataError(
            f"{path} is damaged or of another version of kgsync", fix="delete it, and compare again"
        ) from error


def _outcome(gain: Gain) -> str:
    """Return one sentence about the gain of the exchange, without its article."""
    gained = f"{EXCHANGE} gains {gain.told()} MRR over {gain.theirs}"
    if gain.sure:
        return f"{gained}."
    if gain.delta.low > 0:
        return f"{gained}, but among so many comparisons one may by chance (p = {gain.p_holm:.2g})."
    if gain.delta.high < 0:
        return f"{EXCHANGE} loses: {gain.told()} MRR against {gain.theirs}."
    return f"{gained}: the interval includes zero."
