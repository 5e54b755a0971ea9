"""Parts of the evaluated triples that say more than their mean: where a model is good, and where it only looks so."""

from __future__ import annotations

from typing import Any

import numpy as np

MANY = 1.5  # answers per query on average from which a side counts as "many" (Bordes et al. 2013, NIPS 26)

Mask = np.ndarray[Any, np.dtype[np.bool_]]
CLASSES = ("1-1", "1-N", "N-1", "N-N")


def slices(triples: np.ndarray[Any, Any], train: np.ndarray[Any, Any]) -> dict[str, dict[str, Mask]]:
    """Return masks of `triples` [n, 3] by what `train` [m, 3], and nothing else, says about them.

    - cardinality: the class of the relation; "1-N" has one head per tail and many tails per head.
    - entities: "seen" if both ends occur in `train`.
    - reverse: "known" if `train` joins the same two entities in the other direction, which gives many answers away.
    """
    classes = cardinality(train, int(max(train[:, 1].max(initial=-1), triples[:, 1].max(initial=-1))) + 1)
    of_triple = classes[triples[:, 1]]
    seen = np.isin(triples[:, 0], train[:, [0, 2]]) & np.isin(triples[:, 2], train[:, [0, 2]])
    width = int(max(train.max(initial=0), triples.max(initial=0))) + 1
    pairs = train[:, 0].astype(np.int64) * width + train[:, 2]
    reverse = np.isin(triples[:, 2].astype(np.int64) * width + triples[:, 0], pairs)
    return {
        "cardinality": {name: of_triple == number for number, name in enumerate(CLASSES)},
        "entities": {"seen": seen, "unseen": ~seen},
        "reverse": {"known": reverse, "unknown": ~reverse},
    }


def cardinality(train: np.ndarray[Any, Any], n_relations: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return for each relation the index in `CLASSES`; a relation without triples counts as "1-1"."""
    triples = np.bincount(train[:, 1], minlength=n_relations)
    heads, tails = (np.bincount(np.unique(train[:, [1, side]], axis=0)[:, 0], minlength=n_relations) for side in (0, 2))
    many_tails, many_heads = (triples >= MANY * np.maximum(ends, 1) for ends in (heads, tails))
    classes: np.ndarray[Any, np.dtype[np.int64]] = many_tails.astype(np.int64) + 2 * many_heads.astype(np.int64)
    return classes
