"""What a sync found, as text that a person reads: Markdown in the run's folder, and rows for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # so that reports of the database alone need no torch
    from kgsync.benchmark import Benchmark
    from kgsync.cotrain import Lesson
    from kgsync.graph.write import WriteReport
    from kgsync.kge.ranks import Metrics
    from kgsync.model import Model
    from kgsync.plan import Plan, PlannedEdge
    from kgsync.reliability import Kept
    from kgsync.snapshot import Snapshot
    from kgsync.validate import ValidationReport

METRIC_HEADER = ("part", "test edges", "MRR", "Hits@1", "Hits@3", "Hits@10")
BENCHMARK_HEADER = ("part", "triples", "MRR", "Hits@1", "Hits@3", "Hits@10")
_SLICES = {"cardinality": "relations", "entities": "entities", "reverse": "reverse edge"}
PROMISED = 0.1  # the promise that is reported
EDGE_HEADER = ("score", "at least", "from", "relation", "to")


def metric_rows(model: Model, most: int = 20) -> list[tuple[object, ...]]:
    """Return the metrics on hidden edges: all together, then by side and slice, then the most frequent relations."""
    metrics = model.metrics
    rows: list[tuple[object, ...]] = [
        ("all", metrics.test_triples, metrics.mrr, metrics.hits_at_1, metrics.hits_at_3, metrics.hits_at_10)
    ]
    if metrics.test is not None:
        rows += part_rows(metrics.test)
    measured = [relation for relation in metrics.relations if relation.mrr is not None]
    for relation in measured[:most]:
        hits = (relation.hits_at_1, relation.hits_at_3, relation.hits_at_10)
        rows.append((relation.relation, relation.test_triples, relation.mrr, *hits))
    return rows


def part_rows(test: Metrics) -> list[tuple[object, ...]]:
    """Return the metrics of the parts of test that tell something of their own: each side, and each slice."""
    parts = {f"  {side}s asked": (metrics, 1) for side, metrics in sorted(test.sides.items())}
    for name, slices in test.slices.items():
        if len(slices) > 1:
            parts |= {f"  {_SLICES[name]} {part}": (metrics, 2) for part, metrics in slices.items()}
    return [(name, m.count // ranks, *_means(m)) for name, (m, ranks) in parts.items()]


def by_chance(test: Metrics) -> str:
    """Return how far the ranks are from chance, and what ties could hide."""
    best, worst = f"{test.optimistic_mrr:.3f}", f"{test.pessimistic_mrr:.3f}"
    ties = "" if best == worst else f"; ties can move the MRR between {worst} and {best}"
    return f"Adjusted mean rank index {test.adjusted_mean_rank_index:.3f} (1 is perfect, 0 is chance){ties}."


def edge_rows(edges: Iterable[PlannedEdge]) -> list[tuple[object, ...]]:
    """Return edges with their score and its lower bound."""
    return [(e.score, e.score_low, _end(e.head_name, e.head), e.relation, _end(e.tail_name, e.tail)) for e in edges]


def benchmarked(done: Benchmark) -> list[str]:
    """Return what a benchmark came to."""
    config = done.trained.config
    lines = [
        f"{done.dataset}: {config.model}, loss {config.loss}, rank {config.rank}, n3 {config.n3!r}, relation weight"
        f" {config.relation_weight!r}; best after epoch {done.trained.best_epoch}, then {done.trained.stopped}.",
        f"{done.train_seconds:,.1f} s of training, {done.eval_seconds:.1f} s of evaluation,"
        f" {done.peak_memory_mb:,.0f} MB of memory.",
    ]
    if config.members > 1 or "budget" in done.trained.stopped:
        lines.append(
            f"{config.members} members of {done.trained.steps:,} steps; with the settings above, `--members` and"
            " `--steps` repeat them."
        )
    if not done.searched and config.time_budget:
        lines.append("Not searched: valid has too few triples to choose settings by; these are the defaults.")
    if done.leaked:
        lines.append(f"{done.leaked:,} triples of valid and test are in train or in both: the results flatter.")
    return [*lines, by_chance(done.test)]


def benchmark_rows(done: Benchmark) -> list[tuple[object, ...]]:
    """Return the metrics of valid and test, and of the parts of test that tell something of their own."""
    parts = {"valid (test edges compete)": done.valid, "test": done.test}
    return [*((name, m.count // 2, *_means(m)) for name, m in parts.items()), *part_rows(done.test)]


def _means(metrics: Metrics) -> tuple[float, ...]:
    return metrics.mrr, metrics.hits_at_1, metrics.hits_at_3, metrics.hits_at_10


def pulled(snapshot: Snapshot) -> list[str]:
    """Return what was pulled, and what a person should know about how."""
    origin = snapshot.origin
    lines = [
        f"Snapshot {snapshot.id}: {snapshot.entities.num_rows:,} entities, {len(snapshot.triples):,} triples of"
        f" {len(snapshot.relations)} relations, {len(snapshot.rejected):,} rejected edges."
    ]
    for label, count in origin.get("withoutKey", {}).items():
        lines.append(f"{count:,} {label} nodes have no key and were left out.")
    drift = origin.get("drift", {})
    if drift.get("changed"):
        changes = ", ".join(f"{relation} {a:,} → {b:,}" for relation, (a, b) in drift["counts"].items())
        lines.append(f"The graph changed while it was pulled ({changes or 'its counts are the same'}).")
    return lines


def _promise(kept: Kept) -> str:
    if not kept.selected:
        return f"Of no set of them could be promised that at most {kept.promised:.0%} are false (`--max-false`)."
    return (
        f"Of the {kept.selected:,.0f} best, at most {kept.promised:.0%} of them promised to be false (`--max-false`),"
        f" {kept.hidden or 0:.0%} were hidden edges; if as many are missing as assumed, {kept.false:.1%} are false."
    )


def promised(kept: Plan, proposals: int, max_false: float) -> str:
    """Return what is promised of the part of so many proposals that is written, and what that rests on."""
    return (
        f"{len(kept):,} of {proposals:,} proposals keep the promise of {100 * max_false:g}% false: nine times in ten,"
        " if missing edges resemble hidden ones and are at least as frequent. None expires."
    )


def lesson(done: Lesson) -> str:
    """Return what a round of co-training did to one voice."""
    mrr = f"{done.before:.4f} -> {done.after:.4f}" if done.edges else f"{done.after:.4f}"
    taught = f" was taught {done.edges:,} edges" if done.edges else ""
    return (
        f"Round {done.round}: {done.voice}{taught}; valid MRR {mrr}, Hits@10 {done.hits_at_10:.3f},"
        f" {done.seconds:.0f} s: {done.outcome}."
    )


def _learned(model: Model) -> str:
    if model.kge is None:
        return f"{', '.join(voice.name for voice in model.others)}, without embeddings"
    return f"{model.kge.name}, rank {model.kge.rank}, best after epoch {model.best_epoch}"


def learned(model: Model) -> list[str]:
    """Return what was learned, and what its scores mean."""
    metrics, calibrator = model.metrics, model.calibrator
    lines = [
        f"Model {model.id}: {_learned(model)};"
        f" MRR {metrics.mrr:.3f}, Hits@10 {metrics.hits_at_10:.3f} on {metrics.test_triples:,} hidden edges."
    ]
    if metrics.test is not None:
        lines.append(by_chance(metrics.test))
    if len(metrics.voices) > 1:
        alone = ", ".join(f"{voice} {mrr:.3f}" for voice, mrr in metrics.voices.items())
        lines.append(f"Each voice alone has an MRR of: {alone}; together {metrics.mrr:.3f}.")
    lines += [f"The voice {voice} is left out: {why}." for voice, why in model.left_out.items()]
    if model.logbook is not None and model.logbook.cotraining:
        lines.append(f"The voices taught each other until {model.logbook.cotraining}.")
    if calibrator is not None:
        lines.append(base_rate(model.card()))
    if metrics.reliability is not None:
        lines.append(
            f"The chance to be a hidden test edge was off by {metrics.reliability.ece:.3f} on average"
            f" ({metrics.reliability.ece_floor:.3f} would be chance); Brier score {metrics.reliability.brier:.3f}"
            f" ({metrics.reliability.brier_constant:.3f} if all were the same)."
        )
        lines += [_promise(kept) for kept in metrics.reliability.promises if kept.promised == PROMISED]
    return lines


def base_rate(card: dict[str, str | int | float]) -> str:
    """Return the sentence that goes with every score."""
    if "auditedEdges" in card:
        rate, why = "a base rate", f"{card['auditedEdges']:,} edges of the random audit say that"
    elif card.get("baseRateBasis") == "estimated":
        rate, why = "a base rate", "the hidden edges allow no more:"
    else:
        rate, why = "an assumed base rate", "as if"
    return (
        f"A score is the probability that the edge is true, at {rate} of {card['baseRate']:.2%}"
        f" among the candidates ({why} {card['missingShare']:.1%} as many edges were missing as are known)."
    )


def planned(plan: Plan) -> list[str]:
    """Return what was predicted."""
    return [f"Plan {plan.id}: {len(plan):,} edges, {sum(e.score for e in plan.edges):,.0f} of them true by the scores."]


def written(report: WriteReport) -> list[str]:
    """Return what was written, or would be."""
    verb = "Written" if report.committed else "Not written; it would be"
    counts = {
        "created": report.created,
        "updated": report.updated,
        "unchanged": report.unchanged,
        "expired": report.expired,
        "unmatched": report.unmatched,
        "in conflict": report.conflict,
        "already true": report.already_true,
        "reviewed before": report.reviewed,
    }
    shown = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count or name == "created")
    return [f"{verb}: {shown}."]


def validated(report: ValidationReport | None) -> list[str]:
    """Return what the checks found."""
    if report is None:
        return []
    found = "; ".join(f"{check.name} ({check.severity}): {check.count:,}" for check in report.failing())
    return [
        f"{len(report.checks)} checks: {found or 'no findings'}."
        f" {report.quarantined:,} edges quarantined, {report.released:,} released."
    ]


def summary(
    snapshot: Snapshot, model: Model, plan: Plan, write: WriteReport, validation: ValidationReport | None
) -> str:
    """Return the whole report of a run as Markdown."""
    parts = [
        "# What kgsync found",
        *pulled(snapshot),
        *learned(model),
        *planned(plan),
        *written(write),
        *validated(validation),
        "## The best proposals (status proposed until a person decides)",
        markdown(EDGE_HEADER, edge_rows(plan.best(20))),
        "## The most doubtful",
        markdown(EDGE_HEADER, edge_rows(plan.doubtful(10))),
        "## Quality on hidden edges",
        markdown(METRIC_HEADER, metric_rows(model, 50)),
    ]
    return "\n\n".join(parts) + "\n"


def markdown(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table; text from the graph cannot break out of its cell."""
    lines = ["| " + " | ".join(header) + " |", "| " + " | ".join("---" for _ in header) + " |"]
    lines += ["| " + " | ".join(cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines)


def cell(value: object) -> str:
    """Return a value as text that Markdown shows as it is."""
    text = f"{value:.3f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
    printable = "".join(c if c.isprintable() else " " for c in text)
    return printable.translate({ord(c): f"\\{c}" for c in "\\|`*_[]<>"})


def _end(name: str, entity: object) -> str:
    return name or str(entity)
