"""The explanation of one edge: what is known about why it is predicted, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal

from kgsync.evidence import Opinion, Rule


@dataclass(frozen=True)
class Thing:
    """An entity as people read it."""

    name: str
    entity: str  # Label:key

    def __str__(self) -> str:
        return self.name or self.entity


@dataclass(frozen=True)
class Rival:
    """The best other tail of the same head."""

    thing: Thing
    score: float | None  # None: the model that could tell is not here
    score_low: float | None
    times: float | None  # how many times as likely the edge is


@dataclass(frozen=True)
class Alike:
    """An entity that is like an end of the edge and is known to have the relation."""

    thing: Thing
    likeness: float  # cosine of the vectors, at most 1
    answers: tuple[str, ...]  # what it is joined with; the other end of the edge first, if it is among them
    same: bool  # whether it is


@dataclass(frozen=True)
class Likeness:
    """The entities most like one end, out of those that are known to have the relation."""

    basis: Literal["embeddings", "texts"]
    end: Literal["head", "tail"]
    same: int  # how many of the `looked` nearest are joined with the other end of the edge
    looked: int
    nearest: tuple[Alike, ...]  # some of them, the nearest first


@dataclass(frozen=True)
class Known:
    """What the head is known to have already."""

    count: int
    names: tuple[str, ...]  # those most like the tail first


@dataclass(frozen=True)
class Words:
    """What the names and texts of head and tail have in common."""

    shared: tuple[str, ...]  # the rarest first
    head_names_tail: bool  # the text of the head holds the name of the tail
    tail_names_head: bool


@dataclass(frozen=True)
class Removal:
    """What would change if a known fact were not known."""

    fact: tuple[str, str, str]  # names and relation
    voice: Literal["rules", "embeddings"]
    before: float  # of the rules: their confidence; of the embeddings: the score less that of the rival
    after: float

    def __str__(self) -> str:
        return " ".join(self.fact)


@dataclass(frozen=True)
class Fact:
    """A numbered fact of the explanation; sentences refer to its number."""

    number: int
    about: str  # score, voice, rule, likeness, text, removal, model, run or gap
    text: str


@dataclass(frozen=True)
class Sentence:
    """A generated sentence and the numbers of the facts that it tells."""

    text: str
    facts: tuple[int, ...]
    by: str = "template"  # or the language model that phrased it

    def __str__(self) -> str:
        return f"{self.text} {''.join(f'[{number}]' for number in self.facts)}"


@dataclass(frozen=True)
class Explanation:
    """Why one edge is predicted. What could not be found out is None or empty, and `gaps` says why."""

    id: str
    head: Thing
    relation: str
    tail: Thing
    score: float | None = None
    score_low: float | None = None
    base_rate: float | None = None  # share of such candidates that are true
    base_rate_basis: str = ""  # "assumed", "estimated" or "reviewed"
    opinions: tuple[Opinion, ...] = ()  # that which decides first
    rules: tuple[Rule, ...] = ()
    rival: Rival | None = None
    known: Known | None = None
    likeness: tuple[Likeness, ...] = ()
    words: Words | None = None
    removals: tuple[Removal, ...] = ()  # of each voice what lowers it most first; at last what holds it back most
    in_words: str = ""  # the edge as a clause
    kept: tuple[str, ...] = ()  # the lines on the edge, where no more is left
    status: str | None = None  # in the graph
    reasons: tuple[str, ...] = ()  # why it is in quarantine
    model: Mapping[str, Any] = field(default_factory=dict)  # the model card
    run: Mapping[str, Any] = field(default_factory=dict)
    gaps: tuple[str, ...] = ()
    phrased: tuple[Sentence, ...] = ()  # the summary, if a language model has phrased it

    @cached_property
    def facts(self) -> tuple[Fact, ...]:
        """Return all that is known, numbered from 1."""
        from kgsync.explain.telling import tell

        return tell(self)[0]

    @cached_property
    def summary(self) -> tuple[Sentence, ...]:
        """Return a few generated sentences, each tied to facts."""
        from kgsync.explain.telling import tell

        return self.phrased or tell(self)[1]

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain values, for JSON."""
        value = asdict(self)
        del value["phrased"]
        value["opinions"] = [
            {**asdict(one), "title": one.title, "speaks": one.speaks, "times": one.times} for one in self.opinions
        ]
        value["facts"] = [asdict(fact) for fact in self.facts]
        value["summary"] = {"generated": True, "sentences": [asdict(sentence) for sentence in self.summary]}
        return value
