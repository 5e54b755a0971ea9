"""Words that two entities share: the cheap voice where text defines the relation.

Ways to share are: the anchor's explanation names the candidate, the candidate's names the anchor (by words, and by
their first letters), both explanations use the same words, both names are written alike. Each is a sparse product of
idf-weighted rows of length 1. Promises to work in every script; frequent words count for nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfVectorizer

from kgsync.lm.texts import EntityText

COMMON = 800  # entities whose texts hold a word, from which on it says nothing
COMMON_SHARE = 0.02  # likewise, of all entities, in a large graph
_WORD = r"(?u)\b\w+\b"
_STEM = re.compile(r"(?<=\w{5})\w+")  # what follows the first five letters, which relatives have in common

Integers = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float32]]


class Words:
    """The sparse rows of every entity, as anchor and as candidate, for each way to share words."""

    def __init__(self, texts: Sequence[EntityText]) -> None:
        self.hash = _hash("", texts)
        self._fitted = _kinds(texts)
        anchors, candidates = _rows(self._fitted, texts)
        self._used = [i for i in range(len(anchors)) if anchors[i].nnz and candidates[i].nnz]
        self._set([anchors[i] for i in self._used], [candidates[i] for i in self._used])

    def _set(self, anchors: list[Any], candidates: list[Any]) -> None:
        self.ways = len(anchors)
        self._anchors, self._candidates = anchors, candidates
        self._all_anchors: Any = sp.hstack(anchors, "csr") if anchors else None
        self._all_candidates: Any = sp.hstack(candidates, "csr").T.tocsr() if anchors else None
        self._way = np.repeat(np.arange(self.ways), [rows.shape[1] for rows in anchors])  # of each column

    def extended(self, texts: Sequence[EntityText]) -> Words:
        """Return these words with entities added at the end; how rare a word is stays as it was."""
        new = object.__new__(Words)
        new.hash, new._fitted, new._used = _hash(self.hash, texts), self._fitted, self._used
        anchors, candidates = _rows(self._fitted, texts)
        new._set(
            [sp.vstack([old, anchors[i]], "csr") for i, old in zip(self._used, self._anchors, strict=True)],
            [sp.vstack([old, candidates[i]], "csr") for i, old in zip(self._used, self._candidates, strict=True)],
        )
        return new

    def weighted(self, anchors: Integers, weights: Floats) -> Floats:
        """Return [B, n]: how much each anchor shares with every entity; `weights` [B, W] are of its ways."""
        rows = self._all_anchors[anchors]
        of_entry = np.repeat(np.arange(len(anchors)), np.diff(rows.indptr))
        rows.data = rows.data * weights[of_entry, self._way[rows.indices]]
        shared: Floats = (rows @ self._all_candidates).toarray()
        return shared

    def columns(self, candidates: Integers) -> list[Any]:
        """Return the rows of `candidates`, transposed for `shared`; worth keeping for several batches."""
        return [rows[candidates].T.tocsr() for rows in self._candidates]

    def shared(self, anchors: Integers, columns: list[Any]) -> tuple[Integers, Integers, Integers, Floats]:
        """Return (row, column, way, value) wherever an anchor shares words with a candidate."""
        found = [(self._anchors[way][anchors] @ columns[way]).tocoo() for way in range(self.ways)]
        if not found:
            nothing = np.zeros(0, np.int64)
            return nothing, nothing, nothing, np.zeros(0, np.float32)
        ways = np.repeat(np.arange(self.ways), [part.nnz for part in found])
        rows, cols = (np.concatenate([getattr(p, axis) for p in found]).astype(np.int64) for axis in ("row", "col"))
        return rows, cols, ways, np.concatenate([part.data for part in found])


class _Kind:
    """One way to cut texts into pieces, fitted."""

    def __init__(self, vectorizer: Any, cut: Callable[[str], str], compared: str) -> None:
        self.vectorizer = vectorizer
        self.cut = cut
        self.compared = compared  # "names", "across" names and explanations, or "all": explanations as well

    def rows(self, texts: Sequence[EntityText]) -> list[tuple[Any, Any]]:
        """Return the rows of (anchors, candidates) for each comparison."""
        names = self.vectorizer.transform([self.cut(text.name) for text in texts])
        if self.compared == "names":
            return [(names, names)]
        explanations = self.vectorizer.transform([self.cut(text.explanation()) for text in texts])
        across = [(explanations, names), (names, explanations)]
        return across if self.compared == "across" else [*across, (explanations, explanations)]


def _rows(kinds: Sequence[_Kind], texts: Sequence[EntityText]) -> tuple[list[Any], list[Any]]:
    pairs = [pair for kind in kinds for pair in kind.rows(texts)]
    return [anchors for anchors, _ in pairs], [candidates for _, candidates in pairs]


def _kinds(texts: Sequence[EntityText]) -> list[_Kind]:
    names = [text.name for text in texts]
    all_words = [f"{text.name} {text.explanation()}" for text in texts]
    found = [
        _fit(all_words, str, "all", token_pattern=_WORD),
        _fit(all_words, _stems, "across", token_pattern=_WORD),
        _fit(names, str, "names", analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True),
    ]
    return [kind for kind in found if kind]


def _hash(before: str, texts: Sequence[EntityText]) -> str:
    """Return what identifies texts that were added to those of the hash `before`."""
    parts = [before, *([text.name, *text.types, text.description] for text in texts)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _stems(text: str) -> str:
    return _STEM.sub("", text)


def _fit(texts: Sequence[str], cut: Callable[[str], str], compared: str, **options: Any) -> _Kind | None:
    """Return a fitted kind; None where the texts have no pieces that say anything."""
    common = min(1.0, max(COMMON_SHARE, COMMON / max(len(texts), 1)))
    try:
        vectorizer = TfidfVectorizer(dtype=np.float32, max_df=common, **options).fit(map(cut, texts))
    except ValueError:  # how scikit-learn says that nothing is left
        return None
    return _Kind(vectorizer, cut, compared)
