"""A run in a few sentences, for those who read nothing else. Each says a fact of the dossier, and what limits it."""

from __future__ import annotations

from datetime import datetime

from kgsync.report import quality
from kgsync.report.dossier import Dossier


def story(dossier: Dossier) -> list[str]:
    """Return the sentences."""
    parts = (_read(dossier), _proposed(dossier), _worth(dossier), _meant(dossier), _written(dossier), _found(dossier))
    return [sentence for sentence in parts if sentence]


def day(dossier: Dossier) -> str:
    """Return the day on which the run started."""
    moment = datetime.fromisoformat(dossier.run.started_at)
    return f"{moment.day} {moment:%B %Y}"


def _read(dossier: Dossier) -> str:
    snapshot = dossier.snapshot
    if snapshot is None:
        return ""
    return (
        f"kgsync read {len(snapshot.triples):,} facts of {len(snapshot.relations):,} kinds about"
        f" {snapshot.entities.num_rows:,} entities, and looked for facts that are missing."
    )


def _proposed(dossier: Dossier) -> str:
    plan = dossier.plan
    if plan is None:
        return "It has proposed nothing yet."
    if not plan.edges:
        return "It proposes nothing: no missing fact was probable enough."
    true = sum(edge.score for edge in plan.edges)
    return (
        f"It proposes {len(plan):,} new facts. By its own scores about {true:,.0f} of them"
        f" ({true / len(plan):.0%}) are true; which ones, a person decides."
    )


def _worth(dossier: Dossier) -> str:
    if dossier.learned is None:
        return ""
    metrics = dossier.learned.metrics
    hits = quality.overall(metrics)
    return (
        f"To see what its answers are worth, {metrics.test_triples:,} known facts were hidden from it. Asked for them,"
        f" it had the right answer among its first ten in {hits.value:.0%} of the questions (95 % interval"
        f" {hits.low:.0%} to {hits.high:.0%}), and in first place in {metrics.hits_at_1:.0%}."
    )


def _meant(dossier: Dossier) -> str:
    judged = dossier.learned.metrics.reliability if dossier.learned else None
    if judged is None:
        return ""
    return (
        f"A score is a probability: by it, the chance to be one of the hidden facts was off by {judged.ece:.3f} on"
        f" average, where perfect scores would be off by {judged.ece_floor:.3f} by chance. Its level rests on an"
        " assumption about how many facts are missing, which only a review of randomly drawn proposals can replace."
    )


def _written(dossier: Dossier) -> str:
    counts = dossier.written
    if counts is None:
        return "Nothing was written: the graph is as it was."
    changed = f", and {counts['updated']:,} changed" if counts.get("updated") else ""
    return (
        f"{counts['created']:,} proposals were added to the graph as relationships of type PREDICTED{changed};"
        " no fact of yours was touched, and the run can be taken back."
    )


def _found(dossier: Dossier) -> str:
    findings = dossier.findings
    if findings is None:
        return ""
    total = sum(check.count for check in findings.failing)
    gone = f" {findings.expired:,} proposals that failed one have expired." if findings.expired else ""
    if not total:
        return f"{len(findings.checks)} checks of the proposals found nothing{' more' if gone else ''}.{gone}"
    return (
        f"{len(findings.checks)} checks made {total:,} findings; {findings.quarantined:,} proposals are in quarantine"
        f" and wait for a person.{gone}"
    )
