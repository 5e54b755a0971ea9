"""What a language model reads: facts in words, and other text so that it does not forget how people write.

Reads a verbaliser and a folder of the user's (or what Python and its packages ship with); promises that the same seed
and number give the same text, and that the other text which measures is not the one that teaches: part of the user's
is held back, and of what is shipped the one is from elsewhere than the other.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kgsync.errors import DataError, NotFoundError
from kgsync.lm.pretrain_config import PretrainConfig
from kgsync.verbalize import Cloze, Sentence, Span, Verbalizer

KINDS = {".txt", ".md", ".jsonl"}
MEASURES = 0.1  # share of the other text that is held back to measure
SHORTEST = 80  # characters of a paragraph that is worth reading
LONGEST_WORD = 30  # characters; what goes on longer is written without spaces
LONGEST = 20_000_000  # characters of a file
PYTHON = "the reference of the Python language"
PACKAGES = "what packages that kgsync needs say about themselves"
_PACKAGES = ("numpy", "torch", "click", "neo4j", "networkx", "scipy", "requests", "urllib3", "pyarrow")
_PROSE = 0.95  # share of letters, blanks and commas from which on a paragraph is no code and no table


@dataclass(frozen=True)
class Item:
    """A text to learn from, and which parts: a decoder learns to write them, an encoder guesses each as a whole."""

    text: str
    spans: tuple[Span, ...] | None  # None: other text, all of which counts

    @property
    def of_graph(self) -> bool:
        """Return whether the graph says it."""
        return self.spans is not None


@dataclass(frozen=True)
class OtherText:
    """Text that is not from the graph, in paragraphs."""

    origin: str  # of what teaches
    measured_on: str  # where the rest is from
    teaches: tuple[str, ...]
    measures: tuple[str, ...]


class Corpus:
    """Facts and other text, mixed."""

    def __init__(self, verbalizer: Verbalizer, other: OtherText, config: PretrainConfig) -> None:
        if len(verbalizer.triples) == 0:
            raise DataError(
                f"no triple can be put into words: {verbalizer.skipped.entities:,} entities have no name",
                fix="set `name` of the labels in kgsync.toml, and pull again",
            )
        self.verbalizer = verbalizer
        self.other = other
        self.config = config

    def for_decoder(self, number: int) -> Item:
        """Return the item `number` of an endless row: sentences, questions either way, paragraphs, other text."""
        rng = self._rng(number)
        if rng.random() >= self.config.ratio:
            return self._other(rng)
        choice = rng.random()
        triple = self._triple(rng)
        if choice < 0.25:
            return self._paragraph(int(triple[2 * int(rng.integers(2))]), rng, whole=False)
        if choice < 0.5:
            return _asked(self._sentence(triple).cloze(tail=True), stop=0)
        question = self.verbalizer.question(triple, tail=bool(rng.integers(2)))
        assert question is not None  # noqa: S101 - triples of a verbaliser have names
        return _asked(question, stop=len(question.after))

    def for_encoder(self, number: int) -> Item:
        """Return the item `number` of an endless row: sentences and paragraphs, every part of which may be masked."""
        rng = self._rng(number)
        if rng.random() >= self.config.ratio:
            return self._other(rng)
        triple = self._triple(rng)
        if rng.random() < 0.25:
            return self._paragraph(int(triple[2 * int(rng.integers(2))]), rng, whole=True)
        sentence = self._sentence(triple)
        return Item(sentence.text, _parts(sentence))

    def _rng(self, number: int) -> np.random.Generator:
        return np.random.default_rng([self.config.seed, number])

    def _triple(self, rng: np.random.Generator) -> list[int]:
        row: list[int] = self.verbalizer.triples[rng.integers(len(self.verbalizer.triples))].tolist()
        return row

    def _sentence(self, triple: Sequence[int]) -> Sentence:
        sentence = self.verbalizer.sentence(triple)
        assert sentence is not None  # noqa: S101 - triples of a verbaliser have names
        return sentence

    def _paragraph(self, entity: int, rng: np.random.Generator, *, whole: bool) -> Item:
        config = self.config
        told = self.verbalizer.paragraph(entity, rng, hops=config.hops, facts=config.facts)
        described = self.verbalizer.description(entity) if rng.random() < 0.5 else ""
        described = _shortened(described, 3 * config.longest // 2)  # the facts come behind it, within `longest` tokens
        shift = len(described) + 1 if described else 0
        spans = [
            span.moved(at + shift)
            for at, sentence in zip(told.starts, told.sentences, strict=True)
            for span in (_parts(sentence) if whole else (sentence.tail,))
        ]
        return Item(f"{described} {told.text}" if described else told.text, tuple(spans))

    def _other(self, rng: np.random.Generator) -> Item:
        return Item(self.other.teaches[rng.integers(len(self.other.teaches))], None)


def _shortened(text: str, size: int) -> str:
    """Return the beginning of a text, in so many bytes, of whole words where they are short.

    A token is about four letters of English, or one of Chinese, which has three bytes.
    """
    if len(data := text.encode()) <= size:
        return text
    cut = data[:size].decode(errors="ignore")
    words, _, rest = cut.rpartition(" ")
    return words if words and len(rest) < LONGEST_WORD else cut


def other_text(folder: Path | None = None) -> OtherText:
    """Return the text in the .txt, .md and .jsonl files below `folder`; without one, text that is there anyway.

    A line of .jsonl is a text, or an object whose "text" is one.

    Raises:
        NotFoundError: there is no such folder.
        DataError: a file cannot be read, or there is too little text.
    """
    ranked = _ranked(_of_python() if folder is None else _of_folder(folder))
    if folder is None:
        return OtherText(PYTHON, PACKAGES, ranked, _ranked(_of_packages(), prose=True))
    held = max(1, round(MEASURES * len(ranked)))
    if len(ranked) < 2:
        raise DataError(
            f"there is too little text in {folder}: two paragraphs of {SHORTEST} characters are the least",
            fix="add .txt, .md or .jsonl files, or leave --text out",
        )
    return OtherText(str(folder), f"part of {folder} that is held back", ranked[held:], ranked[:held])


def _ranked(texts: Iterable[str], *, prose: bool = False) -> tuple[str, ...]:
    """Return the distinct paragraphs that are long enough, in an order by chance that is always the same."""
    found: set[str] = set()
    for text in texts:
        for part in text.replace("\r\n", "\n").split("\n\n"):
            paragraph = " ".join(part.encode("utf-8", "replace").decode().split())
            plain = sum(c.isalpha() or c in " ,.'" for c in paragraph)
            if len(paragraph) >= SHORTEST and (not prose or plain > _PROSE * len(paragraph)):
                found.add(paragraph)
    return tuple(sorted(found, key=lambda text: hashlib.sha256(text.encode()).digest()))


def _of_python() -> Iterator[str]:
    from pydoc_data.topics import topics

    yield from topics.values()


def _of_packages() -> Iterator[str]:
    for package in _PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            yield importlib.metadata.metadata(package)["Description"] or ""


def _of_folder(folder: Path) -> Iterator[str]:
    if not folder.is_dir():
        raise NotFoundError(f"there is no folder {folder}", fix="give one with .txt, .md or .jsonl files")
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in KINDS or not path.is_file():
            continue
        try:
            with path.open(encoding="utf-8-sig") as file:
                text = file.read(LONGEST)
        except UnicodeDecodeError as error:
            raise DataError(f"{path} is not UTF-8 text", fix="save the file as UTF-8") from error
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror}", fix="check the file") from error
        yield from _of_jsonl(path, text) if path.suffix.lower() == ".jsonl" else [text]


def _of_jsonl(path: Path, text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            raise DataError(f"{path}, line {number}: not JSON", fix='write {"text": "…"} on each line') from error
        found = value.get("text") if isinstance(value, dict) else value
        if not isinstance(found, str):
            raise DataError(f"{path}, line {number}: no text", fix='write {"text": "…"} on each line')
        yield found


def _asked(cloze: Cloze, *, stop: int) -> Item:
    """Return a cloze of which the answer, and `stop` characters behind it, are learned."""
    start = len(cloze.before)
    return Item(cloze.text, (Span(start, start + len(cloze.answer) + stop),))


def _parts(sentence: Sentence) -> tuple[Span, ...]:
    return (sentence.head, sentence.tail, *sentence.relation, *sentence.types)
