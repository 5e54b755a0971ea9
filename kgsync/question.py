"""What a prediction is asked: names of relations and entities, found in the snapshot or refused with the closest."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kgsync.candidates.admissible import Rows
from kgsync.errors import NotFoundError
from kgsync.identity import Entity
from kgsync.snapshot import Snapshot


@dataclass(frozen=True)
class Question:
    """Which relations, from which heads, to which tails. None: from or to every entity."""

    relations: tuple[int, ...]
    heads: Rows | None  # ascending
    tails: Rows | None
    whole: bool = False  # everything is asked for

    @property
    def pairs(self) -> tuple[Rows, Rows] | None:
        """Return the (heads, tails) of certain edges where both ends are named: then nothing is searched."""
        if self.heads is None or self.tails is None:
            return None
        return np.repeat(self.heads, len(self.tails)), np.tile(self.tails, len(self.heads))


def ask(
    snapshot: Snapshot,
    relations: Sequence[str] | None,
    heads: Sequence[str | Entity] | None,
    tails: Sequence[str | Entity] | None,
) -> Question:
    """Return the question in numbers; nothing named means everything.

    Raises:
        NotFoundError: the snapshot has no such relation or entity, or a name fits several.
    """
    numbers = [_relation(snapshot, name) for name in relations or snapshot.relations]
    ends = _entities(snapshot, heads), _entities(snapshot, tails)
    return Question(tuple(sorted(set(numbers))), *ends, whole=not (relations or heads or tails))


def _relation(snapshot: Snapshot, name: str) -> int:
    if name in snapshot.relations:
        return snapshot.relations.index(name)
    in_words = [number for number, type_ in enumerate(snapshot.relations) if snapshot.relation_names.get(type_) == name]
    if len(in_words) == 1:
        return in_words[0]
    close = difflib.get_close_matches(name.upper(), snapshot.relations, n=3) or list(snapshot.relations[:8])
    raise NotFoundError(f"snapshot {snapshot.id} has no relation {name!r}", fix=f"it has {', '.join(close)}")


def _entities(snapshot: Snapshot, named: Sequence[str | Entity] | None) -> Rows | None:
    if not named:
        return None
    return np.array(sorted({_entity(snapshot, entity) for entity in named}), dtype=np.int64)


def _entity(snapshot: Snapshot, entity: str | Entity) -> int:
    if isinstance(entity, Entity):
        if entity in snapshot.rows:
            return snapshot.rows[entity]
        raise NotFoundError(f"snapshot {snapshot.id} has no entity {entity}", fix=_did_you_mean(snapshot, str(entity)))
    try:
        return snapshot.find(entity)
    except NotFoundError as error:
        raise NotFoundError(error.what, fix=_did_you_mean(snapshot, entity) or error.fix) from error


def _did_you_mean(snapshot: Snapshot, text: str) -> str:
    names = filter(None, snapshot.entities["name"].to_pylist())
    texts = {*names, *map(str, snapshot.identities), *(str(entity.key) for entity in snapshot.identities)}
    close = [] if text in texts else difflib.get_close_matches(text, sorted(texts), n=3, cutoff=0.7)
    return f"did you mean {' or '.join(close)}?" if close else ""
