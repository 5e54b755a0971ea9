"""From the name of a relation to words that join two names: LOCATED_IN is "is located in".

Reads one relation type or its name; promises some phrase for every one, English where the name is English, and the
name itself in scripts whose grammar it does not know. What it gets wrong a person corrects in the configuration.
"""

from __future__ import annotations

import re

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_BREAK = re.compile(r"[\s_:#|]+")
_CASED = re.compile(r"[A-Za-z]")
_UNSPACED = re.compile(r"[぀-ヿ㐀-䶿一-鿿豈-﫿฀-๿]")  # kana, Han, Thai: no blanks between words

NO_NAME = "is related to"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ARTICLES = _words("a an the")
_HAS = _words("has have had")
_AUXILIARY = _words("is are was were be can could may must does do did will became becomes")
_PREPOSITIONS = _words(
    "about above across after against along among around as at before behind below beneath beside between beyond by"
    " down during for from in inside into near next of off on onto opposite out over per since through to toward"
    " towards under until up upon via with within without"
)
_ROLES = _words(  # "member of party" says what the head is; "place of birth" says what it has
    "capital child citizen component descendant example instance kind member part portion subclass subset superclass"
    " synonym territory type variant"
)
_NO_ARTICLE = frozenset(["part"])
_THE = frozenset(["capital"])  # of which there is one
_PASSIVE = _words(  # participles without -ed
    "begun born bound brought built chosen done drawn driven found given grown held hidden kept known led lent made"
    " meant met paid read run seen sent set shown sold spoken sung taken taught thrown told won worn written"
)
_PAST = _words("began built chose drew drove gave grew held led made met ran saw sold spoke taught won wrote")
_INTRANSITIVE = _words(  # whose past with a preposition is active: "acted in", not "is acted in"
    "acted appeared argued arrived attended belonged changed competed cooperated corresponded departed descended died"
    " emigrated evolved existed graduated happened immigrated interacted lived majored merged moved occurred originated"
    " participated performed played resided resulted retired served starred started stayed studied talked trained"
    " travelled traveled turned voted worked"
)
_VERBS = _words(  # whose base form, too, is read as a verb
    "act activate affect analyze appear assess associate attend belong bind border buy cause cite co-occur complicate"
    " compose concern connect consist contain contract contradict control correspond cover create cross define depend"
    " describe diagnose direct disrupt employ enable enter evaluate exclude exhibit exist export express extend feature"
    " finance flow follow found fund generate govern grow happen hate help host imply import include increase indicate"
    " induce influence inhibit inherit interact interconnect invest involve join know lack lead like link live"
    " love maintain make manage measure mention monitor need occur offer own participate perform play practice precede"
    " predict prefer prevent process produce promote protect provide publish raise reach read recommend reduce refer"
    " regulate replace report represent require resemble reside result reverse rule run sell serve share ship speak"
    " sponsor start stimulate store study succeed supervise supply support surround target teach train transcribe"
    " transform translate transport treat use visit work write"
)


def phrase(name: str) -> str:
    """Return the words between head and tail for a relation of this type or name; never empty."""
    words = split(name)
    if not words:
        return NO_NAME
    if not any(_CASED.search(word) for word in words):
        return " ".join(words)
    first, rest, last = words[0], words[1:], words[-1]
    if first == "isa" and not rest:
        return "is a"
    if first in _AUXILIARY:
        return " ".join(words)
    if first in _HAS:
        return " ".join([first, *(_noun(rest) if rest else [])])
    if first in _PREPOSITIONS:
        return " ".join(["is", first, *(["the", *rest] if rest and rest[0] not in _PREPOSITIONS else rest)])
    if (verb := _verb(words)) is not None:
        return verb
    if first in _ROLES and rest[:1] == ["of"] and len(words) > 2:
        return " ".join(["is", *_article(first), "of", "the", *words[2:]])
    if last == "of":
        return " ".join(["is", *_article(words[0]), *rest])
    if last in _PREPOSITIONS and rest:
        return " ".join(["was" if first == "born" else "is", *words])
    return " ".join(["has", "the", *words])


def split(name: str) -> list[str]:
    """Return the words of a name that was written for machines; of a path, the last word of each part.

    HAS_CAPITAL, hasCapital, `_has_capital` and `/place/has_capital` are the same.
    """
    parts = [part.rpartition("/")[2] for part in name.split("./")] if name.startswith("/") else [name]
    words = [word for part in parts for word in _BREAK.split(part) if word]
    if name.isupper() or "_" in name or " " in name.strip():
        return [word.lower() for word in words]
    return [piece.lower() for word in words for piece in _CAMEL.split(word)]


def kind(name: str) -> str:
    """Return the name of a type in words: LanguageFamily is "Language Family"."""
    words = [piece for word in _BREAK.split(name) if word for piece in _CAMEL.split(word)]
    return " ".join(words)


def unspaced(text: str) -> bool:
    """Return whether a text is of a script that puts no blanks between words."""
    return bool(_UNSPACED.search(text))


def _verb(words: list[str]) -> str | None:
    """Return the phrase of a name that begins with a verb; None if it does not seem to."""
    first, rest = words[0], words[1:]
    if first in _VERBS and (not rest or rest[0] in _PREPOSITIONS - {"of"}):  # "result of" is a noun
        return " ".join([_third_person(first), *rest])
    if _base(first) in _VERBS or (_singular_s(first) and (not rest or rest[0] in _PREPOSITIONS)):
        return " ".join([first, *_object(rest)])
    past = first.endswith("ed") and len(first) > 3
    if first in _INTRANSITIVE or ((past or first in _PAST) and (not rest or rest[-1] not in _PREPOSITIONS)):
        return " ".join([first, *_object(rest)])
    if (past or first in _PASSIVE) and rest and rest[0] in _PREPOSITIONS:
        return " ".join(["was" if first == "born" else "is", first, rest[0], *_object(rest[1:])])
    return None


def _object(words: list[str]) -> list[str]:
    """Return what follows a verb: with an article where it ends in a noun that the tail is an example of."""
    if not words or words[0] in _PREPOSITIONS | _ARTICLES or words[-1] in _PREPOSITIONS:
        return words
    return ["the", *words]


def _noun(words: list[str]) -> list[str]:
    if words[0] in _ARTICLES | _PREPOSITIONS | _PASSIVE or words[0].endswith("ed"):
        return words
    return [*_article(words[0]), *words[1:]] if words[-1] in _PREPOSITIONS else ["the", *words]


def _article(word: str) -> list[str]:
    if word in _NO_ARTICLE:
        return [word]
    return ["the" if word in _THE else "an" if word[0] in "aeiou" else "a", word]


def _singular_s(word: str) -> bool:
    return len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is", "ics"))


def _base(word: str) -> str:
    """Return the base form of a verb in the third person, else nothing."""
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes", "zzes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else ""


def _third_person(verb: str) -> str:
    if verb.endswith(("s", "sh", "ch", "x", "z")):
        return verb + "es"
    return verb[:-1] + "ies" if verb.endswith("y") and verb[-2] not in "aeiou" else verb + "s"
