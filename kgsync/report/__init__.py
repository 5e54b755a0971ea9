"""What a run found, for people: lines for the terminal and Markdown (`text`), a page and a model card (`page`).

`kept` says what a run's folder keeps for its report, `dossier` reads all of it back, and needs no database.
"""

from __future__ import annotations

from kgsync.report.text import (
    BENCHMARK_HEADER,
    EDGE_HEADER,
    METRIC_HEADER,
    base_rate,
    benchmark_rows,
    benchmarked,
    cell,
    edge_rows,
    learned,
    lesson,
    markdown,
    metric_rows,
    planned,
    promised,
    pulled,
    summary,
    validated,
    written,
)

__all__ = [
    "BENCHMARK_HEADER",
    "EDGE_HEADER",
    "METRIC_HEADER",
    "base_rate",
    "benchmark_rows",
    "benchmarked",
    "cell",
    "edge_rows",
    "learned",
    "lesson",
    "markdown",
    "metric_rows",
    "planned",
    "promised",
    "pulled",
    "summary",
    "validated",
    "written",
]
