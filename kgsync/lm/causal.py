"""A decoder: a language model that writes on, with a low-rank adapter that learns (LoRA, Hu et al. 2021,
arXiv 2106.09685).

Reads a local Hugging Face folder; promises that nothing of a text is taken for a special token, that only the adapter
changes, and the log-probability of any name after any text.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from kgsync.errors import DataError
from kgsync.lm import folders
from kgsync.lm.corpus import Corpus, Item
from kgsync.lm.pretrain_config import PretrainConfig
from kgsync.verbalize import Cloze

IGNORED = -100  # label of a token that is not learned
LONGEST_PROMPT = 256  # tokens, the last of a longer one


class Decoder:
    """A language model in memory. Make one with `load`."""

    def __init__(self, model: Any, tokenizer: Any, digest: str) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.hash = digest
        self.pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id or 0

    @property
    def start(self) -> int:
        """Return the token that stands before a text."""
        begin, end = self.tokenizer.bos_token_id, self.tokenizer.eos_token_id
        return int(begin if begin is not None else end if end is not None else 0)

    def tokens(self, text: str) -> list[int]:
        """Return the tokens of a text, in which "<|im_end|>" is ten letters."""
        found = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)
        ids: list[int] = found["input_ids"]
        return ids

    @torch.inference_mode()
    def scores(self, clozes: Sequence[Cloze], names: Sequence[Sequence[str]]) -> list[list[float]]:
        """Return the log-probability of each name after `before`, per token of the name; `after` is not looked at.

        The texts before are read once, all names together.
        """
        from transformers import DynamicCache

        self.model.eval()
        prompts = [[self.start, *self.tokens(cloze.before)][-LONGEST_PROMPT:] for cloze in clozes]
        answers = [
            [self.tokens(cloze.filled(name)) for name in each] for cloze, each in zip(clozes, names, strict=True)
        ]
        ids, mask = self._padded(prompts, left=True)  # [B, L]
        of = torch.tensor([i for i, each in enumerate(answers) for _ in each], device=ids.device)
        memory = DynamicCache()
        with self._autocast():
            read = self._with(memory, input_ids=ids, attention_mask=mask, position_ids=_positions(mask), last=1)
            memory.batch_select_indices(of)
            flat = [answer or [self.pad] for each in answers for answer in each]
            told, told_mask = self._padded(flat)  # [A, n]
            both = torch.cat([mask[of], told_mask], 1)
            places = _positions(both)[:, mask.shape[1] :]
            written = self._with(memory, input_ids=told, attention_mask=both, position_ids=places)
        first = _logs(read.logits)[of, -1].gather(1, told[:, :1])  # [A, 1]
        rest = _logs(written.logits[:, :-1]).gather(2, told[:, 1:, None])[:, :, 0]  # [A, n - 1]
        logs = torch.cat([first, rest], 1)
        means = ((logs * told_mask).sum(1) / told_mask.sum(1)).tolist()
        found = iter(means)
        return [[next(found) for _ in each] for each in answers]

    def _with(self, memory: Any, last: int = 0, **inputs: Tensor) -> Any:
        """Return the output of the model, which goes on from `memory` and adds to it; logits of the `last` tokens."""
        plain = self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model
        known_as = "cache" if "cache" in inspect.signature(plain.forward).parameters else "past_key_values"
        return self.model(**inputs, **{known_as: memory}, use_cache=True, logits_to_keep=last)  # 0: of all

    def batch(self, items: Sequence[Item], longest: int) -> tuple[dict[str, Tensor], Tensor]:
        """Return inputs and labels [B, L], padded on the left so that what is learned stands at the end."""
        rows, labels = zip(*(self._learned(item, longest) for item in items), strict=True)
        ids, mask = self._padded(rows, left=True)
        wanted, _ = self._padded(labels, left=True, filler=IGNORED)
        return {"input_ids": ids, "attention_mask": mask, "position_ids": _positions(mask)}, wanted

    def loss(self, inputs: dict[str, Tensor], labels: Tensor) -> Tensor:
        """Return the mean cross-entropy of the labels that are not ignored; 0, from which nothing learns, of none."""
        used = (labels != IGNORED).any(0).nonzero()
        if not len(used):
            return torch.zeros(())
        keep = labels.shape[1] - max(int(used[0]), 1) + 1  # one more: a token predicts the next
        with self._autocast():
            logits = self.model(**inputs, logits_to_keep=keep, use_cache=False).logits  # [B, keep, V]
        wanted = labels[:, labels.shape[1] - logits.shape[1] :][:, 1:]
        return cross_entropy(logits[:, :-1].float().flatten(0, 1), wanted.flatten(), ignore_index=IGNORED)

    def _learned(self, item: Item, longest: int) -> tuple[list[int], list[int]]:
        """Return the tokens of an item and their labels: all of other text, of a fact those in its spans."""
        found = self.tokenizer(
            item.text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True
        )
        ids = [self.start, *found["input_ids"]][:longest]
        places = [(0, 0), *found["offset_mapping"]][:longest]
        if item.spans is None:
            return ids, [IGNORED, *ids[1:]]
        spans = item.spans
        return ids, [
            token if any(a < span.end and span.start < b for span in spans) else IGNORED
            for token, (a, b) in zip(ids, places, strict=True)
        ]

    def _padded(
        self, rows: Sequence[Sequence[int]], *, left: bool = False, filler: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return rows as a tensor [B, L], and where they are not filled up."""
        width = max(map(len, rows))
        ids = torch.full((len(rows), width), self.pad if filler is None else filler)
        mask = torch.zeros(len(rows), width, dtype=torch.long)
        for i, row in enumerate(rows):
            part = slice(width - len(row), width) if left else slice(0, len(row))
            ids[i, part], mask[i, part] = torch.tensor(row, dtype=torch.long), 1
        return ids.to(self.device), mask.to(self.device)

    @property
    def device(self) -> torch.device:
        """Return where the weights are."""
        device: torch.device = next(self.model.parameters()).device
        return device

    def _autocast(self) -> torch.autocast:
        return folders.half(self.device)


class CausalLearner:
    """A decoder that reads a corpus."""

    def __init__(self, decoder: Decoder, corpus: Corpus, config: PretrainConfig) -> None:
        from peft import LoraConfig, get_peft_model

        torch.manual_seed(config.seed)
        settings = LoraConfig(
            r=config.lora_rank, lora_alpha=2 * config.lora_rank, target_modules="all-linear", task_type="CAUSAL_LM"
        )
        with folders.quiet():
            self.adapted = get_peft_model(decoder.model, settings)
        self.decoder = Decoder(self.adapted, decoder.tokenizer, decoder.hash)
        self.corpus = corpus
        self.config = config
        self.learning_rate = config.learning_rate
        self.module: nn.Module = self.adapted

    @property
    def base_hash(self) -> str:
        """Return what identifies the model that is adapted."""
        return self.decoder.hash

    def item(self, number: int) -> Item:
        """Return the text `number` of the corpus."""
        return self.corpus.for_decoder(number)

    def size(self, item: Item) -> int:
        """Return about how many tokens an item has, without counting them."""
        return min(len(item.text) // 4 + 2, self.config.longest)

    def loss(self, items: Sequence[Item], seed: int) -> tuple[Tensor, int]:
        """Return the loss of some texts, and their tokens."""
        self.adapted.train()
        inputs, labels = self.decoder.batch(items, self.config.longest)
        return self.decoder.loss(inputs, labels), int(inputs["attention_mask"].sum())

    def scores(self, clozes: Sequence[Cloze], names: Sequence[Sequence[str]]) -> list[list[float]]:
        """Return the log-probability of names in gaps; see `Decoder.scores`."""
        return self.decoder.scores(clozes, names)

    @torch.inference_mode()
    def general_loss(self, texts: Sequence[str]) -> float:
        """Return the mean negative log-probability of a token of other text."""
        self.adapted.eval()
        total, count = 0.0, 0
        for part in _grouped([Item(text, None) for text in texts]):
            inputs, labels = self.decoder.batch(part, self.config.longest)
            learned = int((labels != IGNORED).sum())
            total += self.decoder.loss(inputs, labels).item() * learned
            count += learned
        return total / max(count, 1)

    def save(self, folder: Path) -> None:
        """Write the adapter to `folder`, as safetensors."""
        with folders.quiet():
            self.adapted.save_pretrained(str(folder), safe_serialization=True)
        (folder / "README.md").unlink(missing_ok=True)


def load(folder: Path) -> Decoder:
    """Return the decoder in a folder.

    Raises:
        DataError: the folder holds none, or is broken.
    """
    if folders.kind(folder) != "decoder":
        raise DataError(f"{folder} holds an encoder, which cannot write on", fix="give a decoder, such as `decoder`")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with folders.loading(folder, "a language model"):
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
        model, found = loaded
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        tokenizer.backend_tokenizer  # noqa: B018 - a slow tokenizer has none, and no places of tokens: refused here
    folders.check_complete(folder, found)
    return Decoder(model, tokenizer, folders.digest(folder))


def _logs(logits: Tensor) -> Tensor:
    return logits.float().log_softmax(-1)


def _positions(mask: Tensor) -> Tensor:
    return (mask.cumsum(1) - 1).clamp(min=0)


def _grouped(items: Sequence[Item], size: int = 16) -> Iterator[list[Item]]:
    ordered = sorted(items, key=lambda item: len(item.text))
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]
