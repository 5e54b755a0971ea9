"""Words: a local language model phrases the summary, sentence by sentence, and is held to what it was given.

A sentence stays as the template made it, unless the other has the same numbers and names in the same order, the same
between two names, and no word that the facts do not have. So nothing that a model makes up, or that a name asks it to
say, is ever shown.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kgsync.explain.answer import Explanation, Sentence
from kgsync.progress import Progress, silent

if TYPE_CHECKING:
    from kgsync.lm.causal import Decoder

LONGEST = 80  # tokens of an answer
STEM = 5  # letters by which words count as the same

# Like the template's sentences, and about nothing that a graph might hold.
_PROMPT = """Say it in other words, in one short sentence. Keep all names and numbers.

Given: That Xam belongs to Yon is 12 % likely, 3.0 times as likely as candidates are in general.
Answer: Xam belongs to Yon with a likelihood of 12 %, which is 3.0 times that of candidates in general.

Given: It is the first of 40 possible answers; the best other answer is Zed, 2.0 % likely.
Answer: Out of 40 possible answers it is the first, before Zed, which is 2.0 % likely.

Given: {given}
Answer:"""
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+")
_WORD = re.compile(r"[^\W\d_]+")


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_TURNING = _set(  # words that turn a statement into another
    "no not never none nothing neither nor cannot without only unless except false wrong doubtful unlikely under over"
    " less more fewer least most behind ahead before after below above by"
)
_JOINING = _set(
    "a an and are as at be been both but for from given has have if in into is it its of on or out so than that the"
    " their them then there these they this those to was were which while who whose with would"
)


def phrased(it: Explanation, decoder: Decoder | None = None, progress: Progress = silent) -> tuple[Sentence, ...]:
    """Return the summary of an explanation as a language model phrases it, where that holds.

    Raises:
        NotFoundError: no decoder is here.
        ConfigError: the extra `lm` is not installed.
    """
    decoder, name = _decoder() if decoder is None else (decoder, "a language model")
    names = _names(it)
    found = []
    for number, sentence in enumerate(it.summary):
        progress("phrasing", number, len(it.summary))
        told = " ".join(it.facts[fact - 1].text for fact in sentence.facts)
        said = _say(decoder, _PROMPT.format(given=sentence.text))
        found.append(replace(sentence, text=said, by=name) if holds(said, sentence.text, told, names) else sentence)
    progress("phrasing", len(found), len(found))
    return tuple(found)


def holds(said: str, given: str, told: str = "", names: Collection[str] = ()) -> bool:
    """Say whether a sentence says what the `given` one does, and nothing that it or the facts `told` do not say.

    Words with a capital are taken for names, and so are `names` however they are written.
    """
    if not said.endswith((".", "!", "。")) or len(said) > 2 * len(given) + 40:
        return False
    named = _named(given)
    if [token for token in _tokens(said) if token in named] != named or set(_NUMBER.findall(said)) - set(named):
        return False  # the same names and numbers, in the same order: else they could change places
    if not _joined_alike(said, given, names):
        return False
    words, allowed = _words(said), _words(given)
    if words & _TURNING != allowed & _TURNING:
        return False
    stems = {word[:STEM] for word in allowed | _words(told)}
    return all(word in _JOINING or word[:STEM] in stems for word in words)


def _names(it: Explanation) -> set[str]:
    """Return how the sentences of an explanation may call entities."""
    rivals = [it.rival.thing] if it.rival else []
    found = {str(thing) for thing in (it.head, it.tail, *rivals)} | {one.rival or "" for one in it.opinions}
    for rule in it.rules:
        found.update(rule.path)
    for one in it.removals:
        found |= {one.fact[0], one.fact[2]}
    return found


def _joined_alike(said: str, given: str, names: Collection[str]) -> bool:
    """Say whether the same names come in the same order, and between two of them what is between them in `given`."""
    longest_first = sorted({name.casefold() for name in names} - {""}, key=lambda name: (-len(name), name))
    if not longest_first:
        return True
    name = re.compile(f"({'|'.join(map(re.escape, longest_first))})")
    mine, theirs = name.split(said.casefold()), name.split(given.casefold())  # text, name, text, name, text
    if mine[1::2] != theirs[1::2]:
        return False
    between = zip(mine[2:-1:2], theirs[2:-1:2], strict=True)
    return all(_stems(wanted) <= _stems(found) for found, wanted in between)


def _stems(text: str) -> set[str]:
    return {word[:STEM] for word in _words(text) - _JOINING}


def _words(text: str) -> set[str]:
    return {word.casefold() for word in _WORD.findall(text)}


def _tokens(text: str) -> list[str]:
    return [token.casefold() for token in _TOKEN.findall(text)]


def _named(text: str) -> list[str]:
    """Return the numbers, and the words with a capital that do not begin the sentence, as they come."""
    tokens = _TOKEN.findall(text)
    names = {token.casefold() for token in tokens[1:] if token[0].isupper() or _NUMBER.fullmatch(token)}
    return [token.casefold() for token in tokens if token.casefold() in names]


def _decoder() -> tuple[Decoder, str]:
    import importlib.util

    from kgsync.errors import ConfigError
    from kgsync.lm import models

    if importlib.util.find_spec("transformers") is None:
        raise ConfigError("phrasing needs a language model", fix="pip install 'kgsync[lm]', or leave out --words")
    folder: Path = models.find("decoder")
    from kgsync.lm import causal

    return causal.load(folder), models.DECODER


def _say(decoder: Decoder, prompt: str) -> str:
    """Return what the model writes on, up to the end of the line. What is in a name is no special token."""
    import torch

    ids = torch.tensor([[decoder.start, *decoder.tokens(prompt)]], device=decoder.device)
    with torch.inference_mode():
        made = decoder.model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=LONGEST,
            do_sample=False,
            pad_token_id=decoder.pad,
            stop_strings=["\n"],
            tokenizer=decoder.tokenizer,
        )
    text: str = decoder.tokenizer.decode(made[0, ids.shape[1] :], skip_special_tokens=True)
    return " ".join(text.split("\n")[0].split())
