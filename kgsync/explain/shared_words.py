"""Shared words: what the names and texts of two entities have in common, in the words themselves."""

from __future__ import annotations

import re

import pyarrow.compute as pc

from kgsync.explain.answer import Words
from kgsync.snapshot import Snapshot

SHOWN = 5
COMMON_SHARE = 0.05  # of the entities whose texts hold a word, from which on it says nothing
COMMON = 20  # in a small graph
_WORD = re.compile(r"\w+")


def shared_words(snapshot: Snapshot, head: int, tail: int) -> Words:
    """Return the words that both ends use and few others do, and whether one's text holds the other's name."""
    of_head, of_tail = _words(snapshot, head), _words(snapshot, tail)
    limit = max(COMMON, COMMON_SHARE * snapshot.entities.num_rows)
    both = {word: _users(snapshot, word) for word in of_head & of_tail if len(word) > 1}
    rare = sorted((users, word) for word, users in both.items() if users <= limit)
    return Words(
        shared=tuple(word for _, word in rare[:SHOWN]),
        head_names_tail=_names(snapshot, head, tail),
        tail_names_head=_names(snapshot, tail, head),
    )


def _text(snapshot: Snapshot, row: int, column: str) -> str:
    return snapshot.entities[column][row].as_py() or ""


def _words(snapshot: Snapshot, row: int) -> set[str]:
    text = f"{_text(snapshot, row, 'name')} {_text(snapshot, row, 'text')}"
    return set(_WORD.findall(text.casefold()))


def _users(snapshot: Snapshot, word: str) -> int:
    """Return how many entities have the word in their name or text, be it within another."""
    found = [
        pc.fill_null(pc.match_substring(snapshot.entities[column], word, ignore_case=True), False)
        for column in ("name", "text")
    ]
    return int(pc.sum(pc.or_(*found)).as_py() or 0)


def _names(snapshot: Snapshot, one: int, other: int) -> bool:
    """Say whether the text of `one` holds the name of `other`, as whole words."""
    name = " ".join(_WORD.findall(_text(snapshot, other, "name").casefold()))
    text = " ".join(_WORD.findall(_text(snapshot, one, "text").casefold()))
    return bool(name) and f" {name} " in f" {text} "
