"""Triples as sentences: "Lyon (City) is located in France (Country)."

Reads the words about entities, the train triples and, where a person wrote some, a template per relation. Promises:
an entity without a name is skipped and counted, never called by its identifier; a hidden edge is in no text of its
own ends; whatever a name says is data, also where it looks like a template, a special token or an instruction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np

from kgsync.errors import ConfigError
from kgsync.lm import phrases, texts
from kgsync.lm.templates import STOPS, Template
from kgsync.lm.texts import EntityText
from kgsync.snapshot import Snapshot

LONGEST_NAME = 200  # characters that are put into a sentence
BLANK = "___"
_PER_NEIGHBOUR = 4  # facts of a neighbour that a paragraph may choose from: hubs have thousands

Triples = np.ndarray[Any, np.dtype[np.int64]]


class Span(NamedTuple):
    """Where something stands in a text, in characters."""

    start: int
    end: int

    def moved(self, by: int) -> Span:
        """Return the span in a text with `by` characters more in front."""
        return Span(self.start + by, self.end + by)


@dataclass(frozen=True)
class Cloze:
    """A text with something to guess: `before`, the answer, `after`. Blanks in between belong to the answer."""

    before: str
    answer: str
    after: str
    asked: int  # the entity that is the answer

    @property
    def text(self) -> str:
        """Return the whole text, answered."""
        return self.before + self.answer + self.after

    def filled(self, name: str) -> str:
        """Return `name` as it would stand in the answer's place."""
        return self.answer[: len(self.answer) - len(self.answer.lstrip())] + name


@dataclass(frozen=True)
class Sentence:
    """A fact in words, and where its parts stand."""

    text: str
    triple: tuple[int, int, int]
    head: Span  # the name alone
    tail: Span
    relation: tuple[Span, ...]  # what the template adds
    types: tuple[Span, ...]

    def cloze(self, *, tail: bool) -> Cloze:
        """Return the sentence with its tail (or head) to guess."""
        span = self.tail if tail else self.head
        before = self.text[: span.start].rstrip()
        return Cloze(before, self.text[len(before) : span.end], self.text[span.end :], self.triple[2 if tail else 0])


@dataclass(frozen=True)
class Paragraph:
    """Sentences about an entity and what is near it, in one text."""

    sentences: tuple[Sentence, ...]

    @cached_property
    def text(self) -> str:
        """Return the sentences, with blanks in between."""
        return " ".join(sentence.text for sentence in self.sentences)

    @property
    def starts(self) -> list[int]:
        """Return where each sentence begins in the text."""
        lengths = [len(sentence.text) + 1 for sentence in self.sentences]
        return [sum(lengths[:i]) for i in range(len(lengths))]


class Skipped(NamedTuple):
    """What has no words."""

    entities: int  # without a name
    triples: int  # with an end that has no name


class Verbalizer:
    """Everything that is known in words: entities, relations, and the triples that may be told."""

    def __init__(
        self,
        words: Sequence[EntityText],
        relations: Sequence[str],
        triples: np.ndarray[Any, Any],
        *,
        names: Mapping[str, str] | None = None,
        templates: Mapping[str, str] | None = None,
        without: np.ndarray[Any, Any] | None = None,
    ) -> None:
        """`triples` [n, 3] may be told; of `without` [m, 3] neither they nor others between the same two entities.

        `names` are relations in words, `templates` those of a person; both by relation type.

        Raises:
            ConfigError: a template is for no relation, or has not {head} and {tail} once each.
        """
        names, templates = names or {}, templates or {}
        if unknown := [relation for relation in templates if relation not in relations]:
            raise ConfigError(
                f"there is a template for {unknown[0]}, which is no relation of this graph",
                fix=f"it has {', '.join(list(relations)[:8])}",
            )
        self.names = tuple(EntityText(text.name[:LONGEST_NAME]).sentence() for text in words)
        self.types = tuple(tuple(filter(None, map(phrases.kind, text.types))) for text in words)
        self._descriptions = tuple(text.description for text in words)
        self.templates = tuple(
            Template(templates[r], r) if r in templates else Template.derived(r, names.get(r, "")) for r in relations
        )
        self._hidden = _pairs(without)
        told: Triples = np.asarray(triples, dtype=np.int64).reshape(-1, 3)
        named = np.array([bool(name) for name in self.names], dtype=bool)
        fits = named[told[:, 0]] & named[told[:, 2]]
        self.skipped = Skipped(int((~named).sum()), int((~fits).sum()))
        free = [not self.hides(head, tail) for head, _, tail in told.tolist()]
        self.triples: Triples = np.unique(told[fits & np.array(free, dtype=bool)], axis=0)

    @classmethod
    def of_snapshot(
        cls,
        snapshot: Snapshot,
        triples: np.ndarray[Any, Any],
        *,
        templates: Mapping[str, str] | None = None,
        without: np.ndarray[Any, Any] | None = None,
    ) -> Self:
        """Return the words of a snapshot; `triples` are its train part."""
        words = texts.of_snapshot(snapshot)
        return cls(
            words, snapshot.relations, triples, names=snapshot.relation_names, templates=templates, without=without
        )

    def hides(self, one: int, other: int) -> bool:
        """Return whether an edge between these two entities is hidden."""
        return (min(one, other), max(one, other)) in self._hidden

    def sentence(self, triple: Sequence[int]) -> Sentence | None:
        """Return a triple in words, also a hidden one: whoever asks for it means it. None if an end has no name."""
        head, relation, tail = map(int, triple)
        if not self.names[head] or not self.names[tail]:
            return None
        template = self.templates[relation]
        text, at_head, at_tail = template.filled(self._mention(head), self._mention(tail))
        ends = [
            (at, at + len(self.names[e]), at + len(self._mention(e))) for at, e in ((at_head, head), (at_tail, tail))
        ]
        types = [Span(name_end + 2, end - 1) for _, name_end, end in ends if end > name_end]
        return Sentence(
            text=text,
            triple=(head, relation, tail),
            head=Span(*ends[0][:2]),
            tail=Span(*ends[1][:2]),
            relation=tuple(_gaps(text, [(at, end) for at, _, end in sorted(ends)])),
            types=tuple(types),
        )

    def question(self, triple: Sequence[int], *, tail: bool) -> Cloze | None:
        """Return "Lyon (City) is located in which Country?" with its answer; of the head: "Which City is …?"."""
        head, relation, end = map(int, triple)
        asked, given = (end, head) if tail else (head, end)
        if not self.names[asked] or not self.names[given]:
            return None
        template = self.templates[relation]
        kinds = ", ".join(self.types[asked])
        hole = (f"which {kinds}" if kinds else "what") if template.latin else f"{BLANK} ({kinds})" if kinds else BLANK
        ends = (self._mention(given), hole) if tail else (hole, self._mention(given))
        asks, at_head, at_tail = template.filled(*ends)
        if (at_tail if tail else at_head) == 0:
            asks = asks[0].upper() + asks[1:]
        asks = asks.rstrip("".join(STOPS)) + ("?" if template.spaced else "？")
        return Cloze(asks, f" {self.names[asked]}", "." if template.spaced else "。", asked)

    def paragraph(
        self,
        entity: int,
        rng: np.random.Generator,
        *,
        hops: int = 1,
        facts: int = 8,
        without: Iterable[tuple[int, int]] = (),
    ) -> Paragraph:
        """Return at most `facts` sentences about an entity and those up to `hops` edges away, the nearest first.

        Edges between the pairs of entities in `without` are not told, besides those that are always hidden.
        """
        banned = {(min(pair), max(pair)) for pair in without}
        chosen: list[int] = []
        seen, front = {entity}, [entity]
        for hop in range(hops):
            if len(chosen) >= facts:
                break
            limit = facts if hop == 0 else _PER_NEIGHBOUR
            found = [row for near in front for row in self._rows(near, rng, limit + len(banned))]
            fresh = [row for row in dict.fromkeys(found) if row not in chosen and self._pair(row) not in banned]
            nearest = facts if hops == 1 or hop else -(-2 * facts // 3)  # leave some room for the next hop
            chosen += fresh[: min(nearest, facts - len(chosen))]
            ends = {end for row in fresh for end in self._pair(row)}
            front = sorted(ends - seen)
            seen |= ends
        told = (self.sentence(self.triples[row].tolist()) for row in chosen)
        return Paragraph(tuple(sentence for sentence in told if sentence))

    def description(self, entity: int) -> str:
        """Return what is said about an entity, behind its name; empty also if it names a hidden edge's end."""
        text = self._descriptions[entity]
        if not self.names[entity] or not text:
            return ""
        folded = text.casefold()
        if any(self.names[end] and self.names[end].casefold() in folded for end in self._hidden_ends.get(entity, ())):
            return ""
        return EntityText(self.names[entity], self.types[entity], text).sentence()

    def _mention(self, entity: int) -> str:
        return EntityText(self.names[entity], self.types[entity]).sentence()

    def _pair(self, row: int) -> tuple[int, int]:
        head, _, tail = self.triples[row].tolist()
        return min(head, tail), max(head, tail)

    def _rows(self, entity: int, rng: np.random.Generator, limit: int) -> list[int]:
        """Return up to `limit` rows of triples that touch an entity, by chance."""
        order, offsets = self._touching
        rows = order[offsets[entity] : offsets[entity + 1]]
        return [int(row) for row in rng.permutation(rows)[:limit]]

    @cached_property
    def _touching(self) -> tuple[Triples, Triples]:
        """Return the rows of triples sorted by the entity that they touch, and where each entity's begin."""
        n = len(self.names)
        ends = self.triples[:, [0, 2]]
        rows = np.repeat(np.arange(len(ends)), 2)[_first_of_loops(ends)]
        entities = ends.reshape(-1)[_first_of_loops(ends)]
        order = np.argsort(entities, kind="stable")
        return rows[order], np.searchsorted(entities[order], np.arange(n + 1))

    @cached_property
    def _hidden_ends(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for one, other in sorted(self._hidden):
            found.setdefault(one, []).append(other)
            found.setdefault(other, []).append(one)
        return found


def _pairs(triples: np.ndarray[Any, Any] | None) -> frozenset[tuple[int, int]]:
    if triples is None:
        return frozenset()
    rows = np.asarray(triples, dtype=np.int64).reshape(-1, 3).tolist()
    return frozenset((min(head, tail), max(head, tail)) for head, _, tail in rows)


def _first_of_loops(ends: Triples) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return which of the flattened ends count: of a loop only the first."""
    counts = np.ones(ends.shape, dtype=bool)
    counts[:, 1] = ends[:, 0] != ends[:, 1]
    return counts.reshape(-1)


def _gaps(text: str, taken: Sequence[tuple[int, int]]) -> Iterable[Span]:
    """Yield what the template adds between and around the mentions, without blanks and the full stop."""
    starts, ends = [0, *(end for _, end in taken)], [*(start for start, _ in taken), len(text)]
    for start, end in zip(starts, ends, strict=True):
        part = text[start:end]
        words = part.strip().rstrip("".join(STOPS)) if end == len(text) else part.strip()
        if words:
            begin = start + part.index(words)
            yield Span(begin, begin + len(words))
