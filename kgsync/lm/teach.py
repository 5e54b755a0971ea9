"""A snapshot teaches a language model: from the triples that may be told to a model that is measured on hidden ones.

Reads a snapshot and a model folder; promises that only the train part is put into words, and that what is written says
which model it belongs to, by hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kgsync import files
from kgsync.config import SplitConfig
from kgsync.errors import DataError
from kgsync.kge import artefact
from kgsync.lm import causal, encoder, folders, masked, models, pretrain, quiz
from kgsync.lm.causal import CausalLearner, Decoder
from kgsync.lm.corpus import Corpus, OtherText, other_text
from kgsync.lm.encoder import Encoder
from kgsync.lm.folders import Kind
from kgsync.lm.masked import MaskedLearner
from kgsync.lm.pretrain import Learner, Moment, Pretrained
from kgsync.lm.pretrain_config import PretrainConfig, VerbalizeConfig, check
from kgsync.progress import Progress, silent
from kgsync.snapshot import Snapshot
from kgsync.split import Split, pair_hashes, split_snapshot
from kgsync.verbalize import Skipped, Verbalizer

MANIFEST = "lm"  # the kind of folder
TOLD = "told.safetensors"  # hashes of the pairs of entities that it has read about, and of those that chose it


@dataclass(frozen=True)
class Taught:
    """A language model that read a graph, and how that went."""

    id: str
    kind: Kind
    source: str  # of the model that learned: its whole path, or its name
    base_hash: str
    path: Path | None  # where it is; None if it was not asked to be written
    learner: Learner
    pretrained: Pretrained
    questions: int  # about hidden edges
    skipped: Skipped
    other_text: OtherText

    def to_dict(self, relations: tuple[str, ...]) -> dict[str, Any]:
        """Return the whole as plain values."""
        run = asdict(self.pretrained)
        for name in ("before", "after"):
            counts = run[name].pop("per_relation")
            run[name]["per_relation"] = {
                relations[number]: {"questions": count, "accuracy": round(accuracy, 4)}
                for number, (count, accuracy) in counts.items()
            }
        return {
            "id": self.id,
            "architecture": self.kind,
            "base": {"source": self.source, "hash": self.base_hash},
            "questions": self.questions,
            "skipped": self.skipped._asdict(),
            "otherText": {"read": self.other_text.origin, "measured": self.other_text.measured_on},
            **run,
        }


def teach(
    snapshot: Snapshot,
    source: str | Path = "decoder",
    *,
    config: PretrainConfig | None = None,
    split: SplitConfig | None = None,
    verbalize: VerbalizeConfig | None = None,
    text: Path | None = None,
    folder: Path | None = None,
    progress: Progress = silent,
    seen: Callable[[Moment], None] = lambda moment: None,
) -> Taught:
    """Return the model `source` (see `models.find`) after it read `snapshot` and the other text in the folder `text`.

    With `folder`, the result is written there under its id, and an interrupted training goes on.

    Raises:
        ConfigError: a setting is out of range, or a template is no template.
        DataError: too few triples can be put into words or hidden, or the model or a text cannot be used.
        NotFoundError: the model or the folder of text is not there.
    """
    config, split, verbalize = config or PretrainConfig(), split or SplitConfig(), verbalize or VerbalizeConfig()
    check(config)
    parts = split_snapshot(snapshot, split)
    hidden = np.concatenate([parts.select, parts.fuse, parts.calibrate, parts.test])
    words = Verbalizer.of_snapshot(snapshot, parts.train, templates=verbalize.templates, without=hidden)
    other = other_text(text)
    path = models.find(source)
    kind = folders.kind(path)
    learner = _learner(kind, path, Corpus(words, other, config), config)
    asked = partial(quiz.make, words, known=snapshot.triples, ways=config.ways, sentences=kind == "encoder")
    choosing = asked(parts.select, limit=max(config.questions // 3, 1), seed=config.seed)
    measuring = asked(parts.test, limit=config.questions, seed=config.seed)
    if not choosing or not measuring:
        raise DataError(
            "no question can be asked about the hidden edges: too few entities of their types have a name",
            fix="pull a larger subgraph, or raise split.valid and split.test",
        )
    checkpoint = folder / f".{_recipe(snapshot, config, split, learner, other)}.reading" if folder else None
    done = pretrain.pretrain(
        learner, choosing, measuring, other.measures, config, checkpoint=checkpoint, progress=progress, seen=seen
    )
    taught = Taught(
        id="",
        kind=kind,
        source=str(path.resolve() if Path(source).expanduser().is_dir() else source),
        base_hash=learner.base_hash,
        path=None,
        learner=learner,
        pretrained=done,
        questions=len(measuring),
        skipped=words.skipped,
        other_text=other,
    )
    if folder is None:
        return taught
    written = _write(taught, snapshot, config, parts, folder)
    if checkpoint is not None and checkpoint.is_dir():
        checkpoint.rmdir()
    return written


def decoder(folder: Path) -> Decoder:
    """Return a decoder from a model folder, or from one that `teach` wrote.

    Raises:
        DataError: it is broken, of another kind, or the model that it changes is not the one that learned.
    """
    if not (folder / "adapter_config.json").is_file():
        return causal.load(folder)
    from peft import PeftModel

    manifest, path = _base(folder)
    base = causal.load(path)
    with folders.loading(folder, "an adapter"):
        adapted = PeftModel.from_pretrained(base.model, str(folder)).merge_and_unload()
    return Decoder(adapted, base.tokenizer, manifest["id"])


def sentence_encoder(folder: Path) -> Encoder:
    """Return the sentence encoder that `teach` wrote to a folder.

    Raises:
        DataError: it is broken, or the model that it comes from is not the one that learned.
    """
    manifest, path = _base(folder)
    found = encoder.load(path)
    tensors, _ = artefact.read(folder / masked.FILE)
    own = found.module.state_dict()
    for name, tensor in tensors.items():
        for full in own:
            if full.endswith(f".{name}"):
                own[full].copy_(tensor)
    found.tuned(manifest["id"])
    return found


def _base(folder: Path) -> tuple[dict[str, Any], Path]:
    """Return the manifest of what `teach` wrote, and the folder of the model that learned."""
    manifest = files.read_manifest(folder, MANIFEST)
    path = models.find(manifest["base"]["source"])
    if folders.digest(path) != manifest["base"]["hash"]:
        raise DataError(
            f"{folder} was learned by another model than {manifest['base']['source']} is now",
            fix="run `kgsync pretrain` again",
        )
    return manifest, path


def _learner(kind: Kind, path: Path, corpus: Corpus, config: PretrainConfig) -> Learner:
    if kind == "decoder":
        return CausalLearner(causal.load(path), corpus, config)
    return MaskedLearner(masked.load(path), corpus, config)


def _recipe(snapshot: Snapshot, config: PretrainConfig, split: SplitConfig, learner: Learner, other: OtherText) -> str:
    endless = replace(config, time_budget=0.0, tokens=0)
    said = json.dumps([snapshot.id, asdict(endless), asdict(split), learner.base_hash, other.origin])
    return hashlib.sha256(said.encode()).hexdigest()[:12]


def _write(taught: Taught, snapshot: Snapshot, config: PretrainConfig, parts: Split, folder: Path) -> Taught:
    """Write what was learned to a folder whose name is a hash of it."""
    digest = hashlib.sha256(f"{taught.base_hash} {snapshot.id}".encode())
    for name, weight in sorted(taught.learner.module.named_parameters()):
        if weight.requires_grad:
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(weight.detach().float().cpu().numpy(), dtype="<f4").tobytes())
    named = replace(taught, id=f"lm-{digest.hexdigest()[:12]}")
    path = folder / named.id
    with files.whole_folder(path) as new:
        taught.learner.save(new)
        told = {
            name: torch.from_numpy(np.unique(pair_hashes(snapshot, part)).view(np.int64))
            for name, part in (("told", parts.train), ("select", parts.select))
        }
        artefact.write(new / TOLD, told, {"kind": "told"})
        facts = {"snapshot": snapshot.id, "config": asdict(config)}
        files.write_manifest(new, MANIFEST, named.to_dict(snapshot.relations) | facts)
    return replace(named, path=path)
