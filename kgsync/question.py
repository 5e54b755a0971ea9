"""What a prediction is asked: names of relations and entities, found in the snapshot or refused with the closest."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kgsync.candidates.admissible import Rows
from kgsync.errors import NotFoundError
from kgsync.graph.relation_types import Noted
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
    numbers = [relation(snapshot, name) for name in relations or snapshot.relations]
    ends = _entities(snapshot, heads), _entities(snapshot, tails)
    return Question(tuple(sorted(set(numbers))), *ends, whole=not (relations or heads or tails))


def relation(snapshot: Snapshot, name: str) -> int:
    """Return the number of the relation that is meant by its type, by the id that it had in loaded files, or its name.

    Raises:
        NotFoundError: the snapshot has none, or several of that name.
    """
    noted = Noted(snapshot.relation_ids, snapshot.relation_names)
    return snapshot.relations.index(noted.find(name, snapshot.relations, f"snapshot {snapshot.id}"))


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
