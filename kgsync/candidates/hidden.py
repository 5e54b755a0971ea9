"""Candidates labelled by the edges that were hidden: what calibration learns from and is judged by."""

from __future__ import annotations

import numpy as np

from kgsync.calibrate import Floats, Labelled
from kgsync.candidates.admissible import Admissible, Rows
from kgsync.candidates.search import BEST, Scorer
from kgsync.candidates.signatures import Edges, Mask
from kgsync.progress import Progress
from kgsync.snapshot import Snapshot
from kgsync.voice import Voice

ROWS = 400_000  # candidates in all, about; where there are more, queries without hidden answers are sampled


def label_hidden(
    model: Voice,
    snapshot: Snapshot,
    *,
    known: Edges,
    hidden: Edges,
    competing: Edges,
    step: str,
    progress: Progress,
) -> Labelled:
    """Return the candidates that prediction makes when only `known` is known, labelled by `hidden`.

    Other true edges may be `competing`: the voices choose between them and the hidden ones, as between all that is
    missing in the end, and then they are left out. What a reviewer rejected is a candidate, and false: without it the
    others would look better than what prediction proposes.
    """
    admissible = Admissible(snapshot, known, known[:0])
    scorer = Scorer(model, admissible)
    random = np.random.default_rng(0)
    limit = max(50, ROWS // (2 * BEST * len(snapshot.relations)))
    parts: list[tuple[Floats, Mask, Floats]] = []
    relations: list[int] = []
    for relation in range(len(snapshot.relations)):
        progress(step, relation, len(snapshot.relations))
        edges = hidden[hidden[:, 1] == relation].astype(np.int64)
        heads, tails = admissible.ends(relation)
        asked_heads, head_weights = _sample(heads, edges[:, 0], limit, admissible.n_entities, random)
        asked_tails, tail_weights = _sample(tails, edges[:, 2], limit, admissible.n_entities, random)
        found = scorer.candidates(relation, asked_heads, asked_tails)
        n = admissible.n_entities
        codes, others = found.heads * n + found.tails, competing[competing[:, 1] == relation].astype(np.int64)
        true = np.isin(codes, edges[:, 0] * n + edges[:, 2])
        weights = np.where(found.from_head, head_weights[found.heads], tail_weights[found.tails])
        judged = ~np.isin(codes, others[:, 0] * n + others[:, 2])
        parts.append((found.features[judged], true[judged], weights[judged]))
        relations += [relation] * int(judged.sum())
    progress(step, len(snapshot.relations), len(snapshot.relations))
    rows, true, weights = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Labelled(
        features=rows,
        relations=np.array(relations, dtype=np.int64),
        true=true,
        weights=weights,
        hidden=np.bincount(hidden[:, 1], minlength=len(snapshot.relations)),
        known=np.bincount(known[:, 1], minlength=len(snapshot.relations)),
    )


def _sample(ends: Rows, certain: Rows, limit: int, n_entities: int, random: np.random.Generator) -> tuple[Rows, Floats]:
    """Return the ends to ask, and for every entity how many ends it stands for (0 if it is not asked)."""
    weights = np.zeros(n_entities)
    certain = np.intersect1d(ends, certain)
    others = np.setdiff1d(ends, certain)
    chosen = random.choice(others, limit, replace=False) if len(others) > limit else others
    weights[chosen] = len(others) / max(len(chosen), 1)
    weights[certain] = 1.0
    return np.flatnonzero(weights), weights
