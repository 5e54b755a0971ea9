"""How well names answer a question, as a decoder sees it.

Reads a decoder and a text with a gap at its end; promises a score for every name, higher is better, that is not
the higher for a name that is frequent, short or long.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import replace

from kgsync.lm.quiz import Reader
from kgsync.verbalize import Cloze

AT_ONCE = 16  # names; each carries a copy of what was read before it
LETTERS = string.ascii_uppercase[:10]  # of the names that can be chosen among


def likelihood(reader: Reader, cloze: Cloze, names: Sequence[str]) -> list[float]:
    """Return (log p(name | before) - log p(name)) / tokens of the name.

    The second term takes away how likely a name is anywhere (Holtzman et al. 2021, arXiv 2104.08315).
    """
    nowhere = replace(cloze, before="", after="")
    with_question, without = (_scores(reader, each, names) for each in (cloze, nowhere))
    return [one - other for one, other in zip(with_question, without, strict=True)]


def choice(reader: Reader, cloze: Cloze, names: Sequence[str]) -> list[float]:
    """Return how likely each of up to ten names is chosen from a list, less how likely its letter is anyway.

    The second term asks the same with nothing in the question (Zhao et al. 2021, arXiv 2102.09690).
    """
    letters = LETTERS[: len(names)]
    listed = "\n".join(f"{letter}. {name}" for letter, name in zip(letters, names, strict=True))
    told, empty = (
        Cloze(f"{question}\n{listed}\nAnswer:", f" {letters[0]}", "", cloze.asked)
        for question in (f"{cloze.before} ...", "...")
    )
    with_question, without = (_scores(reader, each, letters) for each in (told, empty))
    return [one - other for one, other in zip(with_question, without, strict=True)]


def _scores(reader: Reader, cloze: Cloze, names: Sequence[str]) -> list[float]:
    parts = [names[start : start + AT_ONCE] for start in range(0, len(names), AT_ONCE)]
    return [score for part in parts for score in reader.scores([cloze], [part])[0]]
