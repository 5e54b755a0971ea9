"""What the processor can do."""

from __future__ import annotations

from functools import cache
from pathlib import Path

BF16_UNITS = {"avx512_bf16", "amx_bf16"}  # processors without them emulate, several times slower than float32


@cache
def has_bf16() -> bool:
    """Return whether the processor multiplies bf16 numbers itself; torch says so also of those that emulate it."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "")
    return not BF16_UNITS.isdisjoint(flags.split())
