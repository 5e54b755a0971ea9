"""An encoder that fills gaps: whole names, relations and types are masked, and guessed from the rest
(as in ERNIE, Sun et al. 2019, arXiv 1904.09223).

Reads a local Hugging Face folder; promises that nothing of a text is taken for a special token. A sentence encoder
comes without the layer that guesses words: it gets one that starts as the identity and learns on other text first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from kgsync.errors import DataError
from kgsync.kge import artefact
from kgsync.lm import folders
from kgsync.lm.corpus import Corpus, Item
from kgsync.lm.optimizer import Adams
from kgsync.lm.pretrain_config import PretrainConfig
from kgsync.verbalize import Cloze

FILE = "encoder.safetensors"
MASKED_PARTS = 0.3  # of a fact; at least one
LONGEST_SIDE = 60  # tokens before and after a gap
HEAD_STEPS = 120  # of a new layer that guesses words
HEAD_RATE = 2e-3

Places = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass
class Masked:
    """A masked language model in memory. Make one with `load`."""

    model: Any
    tokenizer: Any
    hash: str
    headless: bool  # the folder had no layer that guesses words


class MaskedLearner:
    """An encoder that reads a corpus; all of it learns."""

    def __init__(self, masked: Masked, corpus: Corpus, config: PretrainConfig) -> None:
        self.masked, self.corpus, self.config = masked, corpus, config
        self.tokenizer = masked.tokenizer
        self.module: nn.Module = masked.model
        self.learning_rate = config.encoder_learning_rate
        self.module.eval()  # without dropout: sentence vectors are compared with one another
        if masked.headless:
            self._learn_head()

    @property
    def base_hash(self) -> str:
        """Return what identifies the encoder before it learned."""
        return self.masked.hash

    def item(self, number: int) -> Item:
        """Return the text `number` of the corpus."""
        return self.corpus.for_encoder(number)

    def size(self, item: Item) -> int:
        """Return about how many tokens an item has, without counting them."""
        return min(len(item.text) // 4 + 2, self.config.longest)

    def loss(self, items: Sequence[Item], seed: int) -> tuple[Tensor, int]:
        """Return the loss of some texts with parts masked by chance, and their tokens."""
        inputs, labels = self._batch(items, seed)
        logits, wanted = self._guesses(inputs, labels)
        tokens = int(inputs["attention_mask"].sum())
        return (cross_entropy(logits, wanted) if len(wanted) else torch.zeros(())), tokens

    @torch.inference_mode()
    def general_loss(self, texts: Sequence[str]) -> float:
        """Return the mean negative log-probability of masked words of other text, always the same ones."""
        total, count = 0.0, 0
        for start in range(0, len(texts), 16):
            inputs, labels = self._batch([Item(text, None) for text in texts[start : start + 16]], start)
            logits, wanted = self._guesses(inputs, labels)
            total += float(cross_entropy(logits, wanted, reduction="sum"))
            count += len(wanted)
        return total / max(count, 1)

    @torch.inference_mode()
    def scores(self, clozes: Sequence[Cloze], names: Sequence[Sequence[str]]) -> list[list[float]]:
        """Return the log-probability of each name in its gap, per token: all its tokens are masked at once."""
        answers = [[self._ids(cloze.filled(name)) for name in each] for cloze, each in zip(clozes, names, strict=True)]
        gaps = sorted({(i, len(answer)) for i, each in enumerate(answers) for answer in each})  # one per length
        rows, labels = [], []
        for i, length in gaps:
            before = self._ids(clozes[i].before)[-LONGEST_SIDE:]
            after = self._ids(clozes[i].after)[:LONGEST_SIDE]
            rows.append([self._first, *before, *[self.tokenizer.mask_token_id] * length, *after, self._last])
            labels.append([False] * (1 + len(before)) + [True] * length + [False] * (1 + len(after)))
        inputs, places = self._padded(rows, labels)
        logits, _ = self._guesses(inputs, places)
        logs = logits.log_softmax(-1)  # [all masks, V], gap by gap
        starts = dict(zip(gaps, np.cumsum([0, *(length for _, length in gaps)]).tolist(), strict=False))
        return [[self._mean(logs, starts[i, len(answer)], answer) for answer in each] for i, each in enumerate(answers)]

    def save(self, folder: Path) -> None:
        """Write the encoder's weights to `folder`, without the layer that guesses words."""
        tensors = {name: tensor.cpu() for name, tensor in self.masked.model.base_model.state_dict().items()}
        artefact.write(folder / FILE, tensors, {"kind": "encoder"})

    @staticmethod
    def _mean(logs: Tensor, start: int, answer: Sequence[int]) -> float:
        if not answer:  # a name of which the tokenizer keeps nothing
            return -torch.inf
        rows = torch.arange(start, start + len(answer), device=logs.device)
        return float(logs[rows, torch.tensor(answer, device=logs.device)].mean())

    def _batch(self, items: Sequence[Item], seed: int) -> tuple[dict[str, Tensor], Tensor]:
        """Return inputs with masks, and labels [B, L] that are -1 wherever nothing is masked."""
        rows, labels = [], []
        for number, item in enumerate(items):
            rng = np.random.default_rng([self.config.seed, seed, number, 5])
            found = self.tokenizer(
                item.text,
                add_special_tokens=False,
                split_special_tokens=True,
                return_offsets_mapping=True,
                truncation=True,
                max_length=self.config.longest - 2,
            )
            ids = found["input_ids"]
            chosen = self._words(found.word_ids(), rng) if item.spans is None else _whole(item, found, rng)
            masked = [self.tokenizer.mask_token_id if hit else token for token, hit in zip(ids, chosen, strict=True)]
            rows.append([self._first, *masked, self._last])
            labels.append([-1, *(token if hit else -1 for token, hit in zip(ids, chosen, strict=True)), -1])
        return self._padded(rows, labels, filler=-1)

    def _words(self, words: Sequence[int | None], rng: np.random.Generator) -> list[bool]:
        """Return which tokens of other text are masked: whole words, at least one."""
        distinct = sorted({word for word in words if word is not None})
        if not distinct:
            return [False] * len(words)
        hit = {word for word in distinct if rng.random() < self.config.masked} or {int(rng.choice(distinct))}
        return [word in hit for word in words]

    def _guesses(self, inputs: dict[str, Tensor], labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits [M, V] at the masked places and their labels [M]."""
        places = labels if labels.dtype == torch.bool else labels >= 0
        model = self.masked.model
        heads = [part for name, part in model.named_children() if name != model.base_model_prefix]
        with folders.half(labels.device):
            if len(heads) == 1:  # the costly part, only where something is guessed
                logits = heads[0](model.base_model(**inputs).last_hidden_state[places])
            else:
                logits = model(**inputs).logits[places]
        return logits.float(), labels[places]

    def _padded(
        self, rows: Sequence[Sequence[int]], labels: Sequence[Sequence[int]], filler: int = 0
    ) -> tuple[dict[str, Tensor], Tensor]:
        width = max(map(len, rows))
        kind = torch.bool if isinstance(labels[0][0], bool) else torch.long
        pad = self.tokenizer.pad_token_id or 0
        ids, mask = torch.full((len(rows), width), pad), torch.zeros(len(rows), width, dtype=torch.long)
        wanted = torch.full((len(rows), width), filler, dtype=kind)
        for i, (row, label) in enumerate(zip(rows, labels, strict=True)):
            ids[i, : len(row)], mask[i, : len(row)] = torch.tensor(row), 1
            wanted[i, : len(row)] = torch.tensor(label, dtype=kind)
        return {"input_ids": ids, "attention_mask": mask}, wanted

    def _ids(self, text: str) -> list[int]:
        found: list[int] = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        return found

    @property
    def _first(self) -> int:
        token = self.tokenizer.cls_token_id
        return int(token if token is not None else self.tokenizer.bos_token_id or 0)

    @property
    def _last(self) -> int:
        token = self.tokenizer.sep_token_id
        return int(token if token is not None else self.tokenizer.eos_token_id or 0)

    def _learn_head(self) -> None:
        """Let a new layer that guesses words learn on other text, while the encoder stays as it is."""
        base = self.masked.model.base_model
        base.requires_grad_(False)
        optimizer = Adams([("head", self.module, HEAD_RATE)])
        texts = self.corpus.other.teaches
        for step in range(HEAD_STEPS):
            part = [Item(texts[(8 * step + i) % len(texts)], None) for i in range(8)]
            loss, _ = self.loss(part, step)
            optimizer.clear()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step(1 - step / HEAD_STEPS)
        base.requires_grad_(True)


def load(folder: Path) -> Masked:
    """Return the masked language model in a folder.

    Raises:
        DataError: the folder holds none, or is broken.
    """
    if folders.kind(folder) != "encoder":
        raise DataError(f"{folder} holds a decoder, which fills no gaps", fix="give an encoder, such as `encoder`")
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    with folders.loading(folder, "a masked language model"):
        loaded: Any = AutoModelForMaskedLM.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
        model, found = loaded
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        tokenizer.backend_tokenizer  # noqa: B018 - a slow tokenizer has none, and no places of tokens: refused here
    if tokenizer.mask_token_id is None:
        raise DataError(f"the tokenizer in {folder} has no mask token", fix="give the folder of a model like BERT")
    prefix = f"{model.base_model_prefix}."
    own = [name for name in found["missing_keys"] if name.startswith(prefix)]
    folders.check_complete(folder, {"missing_keys": own, "mismatched_keys": found["mismatched_keys"]})
    new = {name for name in found["missing_keys"] if not name.startswith(prefix)}
    for name, weight in model.named_parameters():
        if name in new:
            _start_plain(name, weight)
    return Masked(model, tokenizer, folders.digest(folder), bool(new))


@torch.no_grad()
def _start_plain(name: str, weight: Tensor) -> None:
    """Set a new layer so that at first it changes as little as it can."""
    if weight.dim() == 2 and weight.shape[0] == weight.shape[1]:
        nn.init.eye_(weight)
    elif weight.dim() == 1:
        weight.fill_(0.0 if name.endswith("bias") else 1.0)


def _whole(item: Item, found: Any, rng: np.random.Generator) -> list[bool]:
    """Return which tokens are masked: all of some names, relations and types, at least of one."""
    spans = list(item.spans or ())
    hit = [span for span in spans if rng.random() < MASKED_PARTS]
    places = found["offset_mapping"]

    def inside(chosen: Sequence[tuple[int, int]]) -> list[bool]:
        return [any(a < end and start < b for start, end in chosen) for a, b in places]

    chosen = inside(hit)
    for span in [] if any(chosen) else [spans[i] for i in rng.permutation(len(spans))]:  # what was chosen is cut off
        chosen = inside([span])
        if any(chosen):
            break
    return chosen
