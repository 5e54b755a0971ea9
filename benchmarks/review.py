"""How many looks a reviewer needs to find most of the hidden facts among the proposals of the demonstration.

    kgsync demo && python benchmarks/review.py [--workspace .kgsync] [--seeds 20]

Reads the plan of the newest run of `kgsync demo` and the facts that it hid; no server is needed. A simulated reviewer
knows the truth: a proposal is true if it was hidden. (Others may be true as well, only not in the sample.) Compared:
random order, the order of the scores, the queue of `kgsync review` (which learns after every twentieth decision) with
and without its audit, and the best order there can be. Random parts are repeated for each seed: the mean, the least
and the most. Also what the audit alone says of the share of true proposals. Saves results/review.json.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from results import save

from kgsync.errors import NotFoundError
from kgsync.plan import Plan
from kgsync.review.queue import AGAIN, EVERY, WINDOW, mixed
from kgsync.review.worth import Beliefs, Decided, learn

SHARES = (0.5, 0.8, 0.9)  # of the hidden facts among the proposals
_SLICE = 1 / EVERY


@dataclass(frozen=True)
class Proposal:
    relation: str
    score: float
    reach: int  # other proposals at its ends
    true: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, default=Path(".kgsync"))
    parser.add_argument("--seeds", type=int, default=20)
    arguments = parser.parse_args()
    proposals = read(arguments.workspace / "demo")
    facts = sum(each.true for each in proposals)
    print(f"{len(proposals):,} proposals, {facts:,} of them hidden facts")
    seeds = range(arguments.seeds)
    ways: dict[str, list[list[int]]] = {
        "random": [order_random(proposals, seed) for seed in seeds],
        "score": [sorted(range(len(proposals)), key=lambda i: -proposals[i].score)],
        "queue without audit": [order_queue(proposals, audit=False, seed=0)],
        "queue": [order_queue(proposals, audit=True, seed=seed) for seed in seeds],
        "best possible": [sorted(range(len(proposals)), key=lambda i: not proposals[i].true)],
    }
    found = {name: measure(proposals, orders) for name, orders in ways.items()}
    print(f"{'looks until':22}" + "".join(f"{share:>22.0%}" for share in SHARES))
    for name, by_share in found.items():
        print(f"{name:22}" + "".join(f"{_spread(by_share[str(share)]):>22}" for share in SHARES))
    audit = audits(proposals, seeds)
    print(f"true: {facts / len(proposals):.3f}; by the audit of all: {_spread(audit, 3)}")
    about = {"proposals": len(proposals), "facts": facts, "seeds": arguments.seeds, "shareByAudit": audit}
    print(save("review", about | {"looks": found}))


def read(folder: Path) -> list[Proposal]:
    """Return the proposals of the newest run that has a plan, with what is true of them."""
    plans = sorted((folder / "runs").glob("*/plan"))
    if not plans:
        raise NotFoundError(f"no run of the demonstration is in {folder}", fix="run `kgsync demo`")
    lines = (folder / "hidden.tsv").read_text(encoding="utf-8").splitlines()
    hidden = {tuple(line.split("\t")) for line in lines}
    edges = Plan.load(plans[-1]).edges
    touching = Counter(end for edge in edges for end in (edge.head, edge.tail))
    return [
        Proposal(
            edge.relation,
            edge.score,
            touching[edge.head] + touching[edge.tail] - 2,
            (str(edge.head.key), edge.relation, str(edge.tail.key)) in hidden,
        )
        for edge in edges
    ]


def order_random(proposals: Sequence[Proposal], seed: int) -> list[int]:
    """Return a random order."""
    return random.Random(seed).sample(range(len(proposals)), len(proposals))


def order_queue(proposals: Sequence[Proposal], *, audit: bool, seed: int) -> list[int]:
    """Return the order in which the queue shows the proposals to a reviewer who knows the truth.

    The slice of the audit is drawn by `seed`, where the queue draws it by the ids.
    """
    shuffled = order_random(proposals, seed)
    by_chance = shuffled[: round(_SLICE * len(proposals))] if audit else []
    others = sorted(set(range(len(proposals))) - set(by_chance))
    order: list[int] = []
    while len(order) < len(proposals):
        beliefs = learn(_decided(proposals, order))
        best = sorted(others, key=lambda i: (-_worth(beliefs, proposals[i]), i))[:WINDOW]
        items = mixed([str(i) for i in best], [str(i) for i in by_chance], len(order))
        seen = [int(item.id) for item in items[:AGAIN]]
        order += seen
        others = [i for i in others if i not in set(seen)]
        by_chance = [i for i in by_chance if i not in set(seen)]
    return order


def _worth(beliefs: Beliefs, proposal: Proposal) -> float:
    return beliefs.worth(proposal.relation, proposal.score, proposal.reach)


def _decided(proposals: Sequence[Proposal], seen: Sequence[int]) -> list[Decided]:
    rows = ((proposals[i].relation, round(proposals[i].score, 2), proposals[i].true) for i in seen)
    counts = Counter(rows)
    keys = {(relation, score) for relation, score, _ in counts}
    return [
        Decided(relation, score, counts[relation, score, True] + counts[relation, score, False],
                counts[relation, score, True])
        for relation, score in sorted(keys)
    ]  # fmt: skip


def measure(proposals: Sequence[Proposal], orders: Sequence[Sequence[int]]) -> dict[str, dict[str, float]]:
    """Return how many looks each share of the facts took."""
    return {str(share): _over([_looks(proposals, order, share) for order in orders]) for share in SHARES}


def _looks(proposals: Sequence[Proposal], order: Sequence[int], share: float) -> int:
    wanted = share * sum(each.true for each in proposals)
    found = 0
    for looks, i in enumerate(order, start=1):
        found += proposals[i].true
        if found >= wanted:
            return looks
    return len(order)


def audits(proposals: Sequence[Proposal], seeds: Sequence[int]) -> dict[str, float]:
    """Return the share of true proposals as audits of a twentieth see it."""
    size = round(_SLICE * len(proposals))
    return _over([sum(proposals[i].true for i in order_random(proposals, s)[:size]) / size for s in seeds])


def _over(values: Sequence[float]) -> dict[str, float]:
    return {"mean": round(sum(values) / len(values), 3), "least": min(values), "most": max(values)}


def _spread(found: dict[str, Any], digits: int = 0) -> str:
    if found["least"] == found["most"]:
        return f"{found['mean']:.{digits}f}"
    return f"{found['mean']:.{digits}f} ({found['least']:.{digits}f}-{found['most']:.{digits}f})"


if __name__ == "__main__":
    main()
