"""Answers that are not in the graph: what a language model names by itself, held against what is there.

Reads names that a model wrote, the entities that could be the answer, and what surrounds the question. Promises for
each name the entity that it means, or that none is like it; an entity is found by its letters, by what it means, and
by being near. Nothing here is ever written: a person adds an entity, and `kgsync embed --new` lets it answer.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from kgsync.verbalize import LONGEST_NAME, Cloze

if TYPE_CHECKING:
    from kgsync.lm.assistant import Assistant
    from kgsync.lm.encoder import Encoder

NAMES = 10  # that a model is asked for
ALIKE = 0.75  # cosine of letter n-grams from which on two names are the same
MEANS = 0.85  # cosine of sentence vectors, likewise, if the entity is near as well
LIKELY = 20  # entities with the most similar letters whose meaning is looked at

By = Literal["name", "letters", "meaning", ""]
Floats = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True)
class Unlisted:
    """A name that a language model answers with."""

    name: str
    entity: int | None  # the row that it means; None: nothing in the graph is like it
    by: By  # by what it was found
    nearest: int | None  # the row of the most similar entity, whether or not it is the same
    letters: float  # cosine of letter n-grams with the nearest
    meaning: float | None  # cosine of sentence vectors with the nearest; None without an encoder
    near: bool  # whether the nearest is within two steps of the entity that was asked about

    @property
    def new(self) -> bool:
        """Return whether it is proposed as a new entity."""
        return self.entity is None


def unlisted(
    assistant: Assistant,
    cloze: Cloze,
    entities: Sequence[tuple[int, str]],
    surroundings: set[int],
    *,
    encoder: Encoder | None = None,
) -> tuple[Unlisted, ...]:
    """Return what `assistant` answers to `cloze` with no list to choose from, the likeliest first.

    `entities` are (row, name) of those that may be the answer, `surroundings` the rows within two steps of the entity
    that is asked about.

    Raises:
        KgsyncError: a served model gives no answer.
    """
    names = [clean for name in assistant.invent(cloze, NAMES) if (clean := " ".join(name.split())[:LONGEST_NAME])]
    return resolve(list(dict.fromkeys(names)), entities, surroundings, encoder=encoder)


def resolve(
    names: Sequence[str],
    entities: Sequence[tuple[int, str]],
    surroundings: set[int],
    *,
    encoder: Encoder | None = None,
) -> tuple[Unlisted, ...]:
    """Return for each name which of `entities` it means; see `unlisted`."""
    if not names:
        return ()
    known = [(row, name) for row, name in entities if name]
    exact: dict[str, int] = {}
    for row, name in known:
        exact.setdefault(folded(name), row)
    similar = _letters(names, [name for _, name in known])
    return tuple(_resolved(name, similar[i], known, exact, surroundings, encoder) for i, name in enumerate(names))


def folded(name: str) -> str:
    """Return a name without accents, case and punctuation: "São-Paulo" and "sao paulo" are the same."""
    plain = unicodedata.normalize("NFKD", name).casefold()
    kept = "".join(c if c.isalnum() else " " for c in plain if not unicodedata.combining(c))
    return " ".join(kept.split())


def _resolved(
    name: str,
    similar: Floats,
    known: Sequence[tuple[int, str]],
    exact: dict[str, int],
    surroundings: set[int],
    encoder: Encoder | None,
) -> Unlisted:
    if (row := exact.get(folded(name))) is not None:
        return Unlisted(name, row, "name", row, 1.0, None, row in surroundings)
    if not known:
        return Unlisted(name, None, "", None, 0.0, None, near=False)
    likely = np.argsort(-similar, kind="stable")[:LIKELY]
    meaning = None
    best = int(likely[0])
    if encoder is not None:
        vectors = encoder.encode([name, *(known[i][1] for i in likely)])
        cosines = (vectors[1:] @ vectors[0]).numpy()
        if similar[best] < ALIKE:
            best = int(likely[int(cosines.argmax())])
        meaning = float(cosines[likely.tolist().index(best)])
    row = known[best][0]
    letters, near = float(similar[best]), row in surroundings
    by: By = "letters" if letters >= ALIKE else "meaning" if near and meaning is not None and meaning >= MEANS else ""
    return Unlisted(name, row if by else None, by, row, letters, meaning, near)


def _letters(names: Sequence[str], known: Sequence[str]) -> Floats:
    """Return [names, known]: the cosine of the idf-weighted letter n-grams of folded names."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    if not known:
        return np.zeros((len(names), 0), np.float32)
    cut = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True, dtype=np.float32)
    try:
        rows = cut.fit_transform([*map(folded, known), *map(folded, names)])
    except ValueError:  # how scikit-learn says that no name has a letter
        return np.zeros((len(names), len(known)), np.float32)
    found: Floats = (rows[len(known) :] @ rows[: len(known)].T).toarray()
    return found
