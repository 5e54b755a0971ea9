"""A decoder writes: names of entities and nothing else (GENRE, De Cao et al. 2021, arXiv 2010.00904), or on and on.

Reads the names of a graph; promises that every name that is written belongs to an entity.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from kgsync.lm.causal import LONGEST_PROMPT, Decoder
from kgsync.verbalize import Cloze

LONGEST = 32  # tokens of a name that can be written; longer ones cannot
BEAMS = 8
_ENDS = re.compile(r"[\n.;:!?(\"]|, ")  # what ends a name that is written without a list

_Node = dict[int, Any]  # token -> what can follow


class Names:
    """The token ids of names, as a tree."""

    def __init__(self, decoder: Decoder, names: Iterable[tuple[int, str]], cloze: Cloze) -> None:
        """`names` are (entity, name), written as they would stand in the place that `cloze` leaves."""
        end = decoder.tokenizer.eos_token_id
        self.end = int(end if end is not None else decoder.pad)  # what follows a whole name
        self._tree: _Node = {}
        self._entities: dict[tuple[int, ...], list[int]] = {}
        for entity, name in names:
            tokens = tuple(decoder.tokens(cloze.filled(name)))
            if name and len(tokens) <= LONGEST:
                self._entities.setdefault(tokens, []).append(entity)
                self._add(tokens)

    def __len__(self) -> int:
        return len(self._entities)

    def _add(self, tokens: Iterable[int]) -> None:
        node = self._tree
        for token in tokens:
            node = node.setdefault(token, {})
        node[self.end] = {}

    def next(self, written: Iterable[int]) -> list[int]:
        """Return the tokens that may follow; the end alone where no name begins so."""
        node: Mapping[int, Any] = self._tree
        for token in written:
            node = node.get(token, {})
        return list(node) or [self.end]

    def entities(self, written: Iterable[int]) -> list[int]:
        """Return the entities whose name was written, up to the first end."""
        tokens: list[int] = []
        for token in written:
            if token == self.end:
                break
            tokens.append(token)
        return self._entities.get(tuple(tokens), [])


@torch.inference_mode()
def written(decoder: Decoder, cloze: Cloze, names: Names, count: int = BEAMS) -> list[int]:
    """Return entities by whose names the decoder goes on after `cloze.before`, the likeliest first, by beam search."""
    if not len(names):
        return []
    prompt = [decoder.start, *decoder.tokens(cloze.before)][-LONGEST_PROMPT:]
    ids = torch.tensor([prompt], device=decoder.device)
    beams = max(1, min(count, len(names)))

    def allowed(_: int, so_far: Tensor) -> list[int]:
        return names.next(so_far[len(prompt) :].tolist())

    found = decoder.model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=LONGEST + 1,
        num_beams=beams,
        num_return_sequences=beams,
        do_sample=False,
        prefix_allowed_tokens_fn=allowed,
        eos_token_id=names.end,
        pad_token_id=names.end,
    )
    rows = (row[len(prompt) :].tolist() for row in found)
    return list(dict.fromkeys(entity for row in rows for entity in names.entities(row)))


@torch.inference_mode()
def invented(decoder: Decoder, cloze: Cloze, count: int) -> list[str]:
    """Return up to `count` different names with which the decoder goes on after `cloze.before`, by beam search."""
    prompt = [decoder.start, *decoder.tokens(cloze.before)][-LONGEST_PROMPT:]
    ids = torch.tensor([prompt], device=decoder.device)
    found = decoder.model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=LONGEST,
        num_beams=2 * count,  # several go on differently after the same name
        num_return_sequences=2 * count,
        do_sample=False,
        pad_token_id=decoder.pad,
    )
    texts = decoder.tokenizer.batch_decode(found[:, len(prompt) :], skip_special_tokens=True)
    names = (_ENDS.split(text.strip(), maxsplit=1)[0].strip() for text in texts)
    return list(dict.fromkeys(name for name in names if any(map(str.isalnum, name))))[:count]


@torch.inference_mode()
def continued(decoder: Decoder, text: str, longest: int) -> str:
    """Return how the decoder goes on after a text, at most `longest` tokens, the likeliest at every step."""
    ids = torch.tensor([[decoder.start, *decoder.tokens(text)][-2 * LONGEST_PROMPT :]], device=decoder.device)
    found = decoder.model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=longest,
        do_sample=False,
        pad_token_id=decoder.pad,
    )
    return str(decoder.tokenizer.decode(found[0, ids.shape[1] :], skip_special_tokens=True))
