"""One sentence why an answer fits, and the facts that it names.

Reads facts of the graph in words and a sentence that a language model made of them; promises that the sentence names
nothing that the facts do not name. One that does is dropped, and a template stands in. That the sentence is true of
its facts nobody promises: it is shown to people, and no score depends on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from kgsync.lm.templates import STOPS
from kgsync.verbalize import Verbalizer

Triple = tuple[int, int, int]

ABOUT_EACH = 4  # facts about anchor and answer, beside those that a rule joins
LONGEST = 300  # characters of a sentence
LONGEST_NAME = 6  # words of a name that is looked for in a sentence
TEMPLATE = "template"  # who wrote the sentence, where no model did
_WORDS = re.compile(r"\w+")
_END = re.compile(r"(?<=[.!?])(?=\s)|(?<=[。！？؟।])|[\r\n]")
# Words that name nothing, also where a sentence begins with one. A missing one costs a sentence, never the promise.
_PLAIN = frozenset(
    word
    for line in (
        "a an and are as at because both but by for from has have in is it its of on or since so that the their",
        "therefore these they this thus to was were which while who with",
    )
    for word in line.split()
)


@dataclass(frozen=True)
class Fact:
    """A known triple in words."""

    number: int  # from 1
    text: str
    triple: Triple
    of_rule: bool  # a rule that speaks for the answer rests on it


@dataclass(frozen=True)
class Rationale:
    """Why an answer fits."""

    sentence: str
    by: str  # the model that wrote it, or `TEMPLATE`
    facts: tuple[Fact, ...]  # that were given
    named: tuple[int, ...]  # the numbers of those that the sentence names
    dropped: str = ""  # why the sentence of the model is not shown


def facts(words: Verbalizer, grounds: Iterable[Triple], ends: Sequence[int]) -> tuple[Fact, ...]:
    """Return the facts `grounds` of rules, then some about each entity of `ends`; those without words are left out."""
    of_rules = list(dict.fromkeys(grounds))
    near = [triple for end in ends for triple in about(words, end)]
    found: list[Fact] = []
    for triple in dict.fromkeys([*of_rules, *near]):
        sentence = words.sentence(triple)
        if sentence is not None and not words.hides(triple[0], triple[2]):
            found.append(Fact(len(found) + 1, sentence.text, triple, triple in of_rules))
    return tuple(found)


def about(words: Verbalizer, entity: int, limit: int = ABOUT_EACH) -> list[Triple]:
    """Return up to `limit` known triples of an entity, of as many relations as there are."""
    rows = words.triples[(words.triples[:, 0] == entity) | (words.triples[:, 2] == entity)]
    directed = rows[:, 1] * 2 + (rows[:, 2] == entity)
    turn = np.zeros(len(rows), np.int64)
    for kind in np.unique(directed):
        turn[directed == kind] = np.arange((directed == kind).sum())
    chosen = np.lexsort([directed, turn])[:limit]
    return [(h, r, t) for h, r, t in rows[chosen].tolist()]


def accept(written: str, by: str, claim: str, given: Sequence[Fact], words: Verbalizer, names: Names) -> Rationale:
    """Return the rationale that a model has written, or that of the template where it names what it was not given."""
    sentence = " ".join(_END.split(written.strip(), maxsplit=1)[0].split())
    told = " ".join([claim, *(fact.text for fact in given)])
    named = tuple(fact.number for fact in given if _names(sentence.removeprefix(claim), fact, claim, words))
    dropped = ""
    if not sentence or len(sentence) > LONGEST or not sentence.isprintable():
        dropped = "it is no sentence"
    elif stranger := names.outside(sentence, told):
        dropped = f"it names {stranger!r}, which no fact does"
    elif not named:
        dropped = "it names no fact"
    if dropped:
        return template(claim, given, dropped)
    return Rationale(sentence if sentence.endswith(STOPS) else f"{sentence}.", by, tuple(given), named)


def template(claim: str, given: Sequence[Fact], dropped: str = "") -> Rationale:
    """Return the rationale that needs no model: the facts behind the surest rules, or that there are none."""
    chosen = [fact for fact in given if fact.of_rule] or list(given[:2])
    told = "; ".join(fact.text.rstrip("".join(STOPS)) for fact in chosen)
    if not chosen:
        sentence = f"{claim}: no fact about either end is known."
    elif chosen[0].of_rule:
        sentence = f"{claim}: the rules that say so rest on what is known, {told}."
    else:
        sentence = f"{claim}: no rule speaks for it; what is known is {told}."
    return Rationale(sentence, TEMPLATE, tuple(given), tuple(fact.number for fact in chosen), dropped)


class Names:
    """The names of a graph, to be looked for in sentences."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(tuple(_folded(name)) for name in names if name)

    def outside(self, sentence: str, told: str) -> str:
        """Return the first thing that a sentence names and `told` does not; empty where there is none.

        A name is what has a capital, a digit or letters that know no capitals, together with such words beside it,
        and what an entity is called.
        """
        known = f" {' '.join(_folded(told))} "
        for run in _runs(sentence):
            if f" {' '.join(_folded(run))} " not in known:
                return run
        folded = _folded(sentence)
        for place in range(len(folded)):
            for length in range(1, LONGEST_NAME + 1):
                part = tuple(folded[place : place + length])
                if part in self._names and not _PLAIN.issuperset(part) and f" {' '.join(part)} " not in known:
                    return " ".join(part)
        return ""


def _runs(sentence: str) -> Iterator[str]:
    """Yield what looks like names: words that are more than small letters, with blanks between them."""
    run: list[str] = []
    last = 0
    for found in _WORDS.finditer(sentence):
        word = found[0]
        looks = word.casefold() not in _PLAIN and not all(c.islower() for c in word)
        if run and (not looks or sentence[last : found.start()].strip()):
            yield " ".join(run)
            run = []
        if looks:
            run.append(word)
        last = found.end()
    if run:
        yield " ".join(run)


def _names(sentence: str, fact: Fact, claim: str, words: Verbalizer) -> bool:
    """Return whether a sentence names the ends of a fact; of those that the claim names it need not speak again."""
    said, claimed = (f" {' '.join(_folded(text))} " for text in (sentence, claim))
    ends = [f" {' '.join(_folded(words.names[end]))} " for end in (fact.triple[0], fact.triple[2])]
    fresh = [end for end in ends if end not in claimed]
    return all(end in said for end in fresh or ends)


def _folded(text: str) -> list[str]:
    return _WORDS.findall(text.casefold())
