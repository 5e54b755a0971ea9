"""Which triples are hidden from training, and for what; without leaks, and the same as the graph grows.

Reads triples and the stable ids of their entities. Every triple between the same two entities, in either
direction and under any relation, falls in the same part, decided by a hash of that pair and the seed alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kgsync.errors import ConfigError, DataError

if TYPE_CHECKING:
    from kgsync.config import SplitConfig
    from kgsync.snapshot import Snapshot

Triples = np.ndarray[Any, np.dtype[np.int64]]
Hashes = np.ndarray[Any, np.dtype[np.uint64]]

SELECT_SHARE, FUSE_SHARE = 0.4, 0.3  # of valid; the rest calibrates
TRAIN = 4  # the number of that part; the others are held out
MIN_TRIPLES = 10  # between different entities: with fewer there is nothing to generalise from


@dataclass(frozen=True)
class Split:
    """Disjoint parts of the triples, each [n, 3] in the order they came in."""

    train: Triples  # what models learn from; holds every entity and relation that occurs in the other parts
    select: Triples  # chooses the best epoch and configuration
    fuse: Triples  # weighs the voices
    calibrate: Triples  # turns raw model values into probabilities
    test: Triples  # measures; scores are fitted among these edges as well, which count neither as true nor as false


def split_triples(
    triples: np.ndarray[Any, Any], entity_ids: Sequence[str], *, valid: float, test: float, seed: int
) -> Split:
    """Return the split of `triples` [n, 3]; about `valid` and `test` of the pairs are held out.

    A held-out pair goes back to train if an entity or relation of its triples would be missing there, so
    hidden parts can be smaller than asked for, and empty in a small or very sparse graph.

    Raises:
        ConfigError: the shares are not possible.
        DataError: fewer than ten triples join two different entities.
    """
    if not (valid >= 0 and test >= 0 and valid + test < 1):
        raise ConfigError(
            f"cannot hide {valid} of the graph for validation and {test} for the test",
            fix="make split.valid and split.test at least 0 and their sum less than 1",
        )
    array: Triples = np.asarray(triples, dtype=np.int64).reshape(-1, 3)
    joining = np.unique(array[array[:, 0] != array[:, 2]], axis=0)
    if len(joining) < MIN_TRIPLES:
        loops = len(array) - int((array[:, 0] != array[:, 2]).sum())
        note = f" ({loops} more are self-loops)" if loops else ""
        raise DataError(
            f"{len(joining)} triples join two different entities{note}, too few to learn from:"
            f" {MIN_TRIPLES} are needed",
            fix="pull a larger subgraph or add facts to it",
        )
    pairs = _pair_hashes(array, entity_ids, seed)
    share = pairs.astype(np.float64) / 2.0**64  # uniform in [0, 1)
    ends = test + valid * np.array([0, SELECT_SHARE, SELECT_SHARE + FUSE_SHARE, 1])
    part = np.searchsorted(ends, share, side="right")  # 0 test, 1 select, 2 fuse, 3 calibrate, 4 train
    _move_back(array, pairs, part)
    names = "test", "select", "fuse", "calibrate", "train"
    return Split(**{name: array[part == number] for number, name in enumerate(names)})


def split_snapshot(snapshot: Snapshot, config: SplitConfig) -> Split:
    """Return the split of a snapshot's triples: every model of it is trained on the same.

    Raises:
        ConfigError, DataError: as `split_triples`.
    """
    return split_triples(snapshot.triples, _ids(snapshot), valid=config.valid, test=config.test, seed=config.seed)


def pair_hashes(snapshot: Snapshot, triples: np.ndarray[Any, Any]) -> Hashes:
    """Return 64 bits for each of the `triples` [n, 3]: the same for the same two entities, in every snapshot."""
    return _pair_hashes(triples.astype(np.int64), _ids(snapshot), 0)


def unhidden(parts: Split, pairs: np.ndarray[Any, Any]) -> Split:
    """Return the split with everything between these `pairs` [n, 2] of entities, in either direction, in train."""
    width = 1 + max(int(part.max(initial=0)) for part in (parts.train, pairs, *_hidden(parts).values()))
    codes = np.unique(np.sort(pairs, axis=1) @ [width, 1])
    train, others = [parts.train], {}
    for name, part in _hidden(parts).items():
        known = np.isin(np.sort(part[:, [0, 2]], axis=1) @ [width, 1], codes)
        train.append(part[known])
        others[name] = part[~known]
    return Split(train=np.concatenate(train), **others)


def _ids(snapshot: Snapshot) -> list[str]:
    return [json.dumps(list(entity), ensure_ascii=False) for entity in snapshot.identities]


def _hidden(parts: Split) -> dict[str, Triples]:
    return {name: getattr(parts, name) for name in ("select", "fuse", "calibrate", "test")}


def _move_back(triples: Triples, pairs: Hashes, part: np.ndarray[Any, Any]) -> None:
    """Give `part` `TRAIN` to held-out pairs whose entities or relations train would otherwise lack.

    Pairs are taken whole, until everything that occurs occurs in train; in an order of their own: in that of the
    hashes the first part would give most, and those are its hardest edges.
    """
    pairs = _mix(pairs)
    width = int(triples.max()) + 1
    entities, relations = np.zeros(width, dtype=bool), np.zeros(width, dtype=bool)

    def cover(rows: np.ndarray[Any, Any]) -> None:
        entities[triples[rows][:, [0, 2]]] = True
        relations[triples[rows, 1]] = True

    def lacking(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        ends = entities[triples[rows][:, [0, 2]]].all(axis=1)
        covered: np.ndarray[Any, np.dtype[np.bool_]] = ends & relations[triples[rows, 1]]
        return ~covered

    cover(np.flatnonzero(part == TRAIN))
    held_out = np.flatnonzero(part != TRAIN)
    suspects = np.unique(pairs[held_out[lacking(held_out)]])  # sorted; what is covered now stays so
    order = held_out[np.argsort(pairs[held_out], kind="stable")]
    starts = np.searchsorted(pairs[order], suspects, side="left")
    ends = np.searchsorted(pairs[order], suspects, side="right")
    for start, end in zip(starts, ends, strict=True):
        rows = order[start:end]
        if lacking(rows).any():
            part[rows] = TRAIN
            cover(rows)


def _pair_hashes(triples: Triples, entity_ids: Sequence[str], seed: int) -> Hashes:
    """Return 64 uniform bits per triple, from the seed and the unordered pair of its entities' ids."""
    key = str(seed).encode()
    own = np.array(
        [
            int.from_bytes(hashlib.blake2b(entity.encode(), digest_size=8, key=key).digest(), "little")
            for entity in entity_ids
        ],
        dtype=np.uint64,
    )
    heads, tails = own[triples[:, 0]], own[triples[:, 2]]
    return _mix(_mix(np.minimum(heads, tails)) + np.maximum(heads, tails))


def _mix(values: Hashes) -> Hashes:
    """Scramble 64-bit integers (the finaliser of SplitMix64, Steele et al. 2014)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
