"""A comparison of voices that teach each other, as rows for the terminal and sentences."""

from __future__ import annotations

from kgsync.synergy.result import Synergy

ARM_HEADER = ("arm", "MRR", "95 %", "Hits@10", "MRR, few edges", "seconds", "MB")
GAIN_HEADER = ("gain", "over", "MRR [95 %]", "p, corrected")


def compared(done: Synergy) -> list[str]:
    """Return what was compared."""
    edges = "" if done.keep >= 1 else f", {done.keep:.0%} of the train edges"
    missing = [f"The voice {voice} is left out: {why}." for voice, why in done.left_out.items()]
    seeds = "1 seed" if done.seeds == 1 else f"{done.seeds} seeds"
    return [f"Snapshot {done.snapshot}: {done.test_triples:,} hidden edges, {seeds}{edges}.", *missing]


def arm_rows(done: Synergy) -> list[tuple[object, ...]]:
    """Return every arm; seconds are the mean over seeds."""
    return [
        (
            arm.name,
            f"{arm.mrr.value:.4f}",
            f"{arm.mrr.low:.4f} to {arm.mrr.high:.4f}",
            arm.hits_at_10,
            "–" if arm.mrr_rare is None else f"{arm.mrr_rare:.4f}",
            f"{arm.seconds:,.1f}",
            f"{arm.memory_mb:,.0f}",
        )
        for arm in done.arms
    ]


def gain_rows(done: Synergy) -> list[tuple[object, ...]]:
    """Return every gain, the one that decides first."""
    return [
        (
            f"{gain.ours} over {gain.theirs}",
            "answers with few edges" if gain.rare else "all answers",
            gain.told(),
            gain.p_holm,
        )
        for gain in done.gains
    ]
