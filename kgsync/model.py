"""A model: what was learned from one snapshot, how good it is, and what its scores mean.

The id is a hash of all of that. On disk: a file per voice, their fusion, `model.json` and a manifest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import kgsync
from kgsync import files, voices
from kgsync.calibrate import CALIBRATION, Calibrator
from kgsync.config import SplitConfig, VoicesConfig
from kgsync.errors import ConfigError, DataError
from kgsync.fuse import Fusion
from kgsync.identity import Entity
from kgsync.kge import artefact
from kgsync.kge.config import TrainConfig
from kgsync.kge.models import KgeModel
from kgsync.logbook import Logbook
from kgsync.metrics import Metrics
from kgsync.plan import Plan
from kgsync.predict import predict
from kgsync.progress import Progress, silent
from kgsync.runs import Workspace
from kgsync.snapshot import Snapshot
from kgsync.split import Triples, split_snapshot
from kgsync.voice import Voice

if TYPE_CHECKING:
    from kgsync.explain.answer import Explanation

EMBEDDINGS = "model.safetensors"
TRAIN = "train.safetensors"
LATER = {"encoder": "", "device": "auto"}  # settings that models of before have not, and what they mean there


@dataclass(frozen=True)
class Model:
    """Trained embeddings, the voices beside them, and their calibration. Make one with `train` or `Model.load`."""

    snapshot: Snapshot
    kge: KgeModel | None  # None: other voices speak without embeddings
    config: TrainConfig
    split: SplitConfig
    parts: Mapping[str, int]  # triples in train, select, fuse, calibrate and test
    best_epoch: int
    steps: int  # of training; with `TrainConfig.steps` it repeats exactly what a time budget cut short
    metrics: Metrics
    calibrator: Calibrator | None  # None: too few hidden edges to give scores a meaning
    uncalibrated: str = ""  # why, where it is None
    fusion: Fusion | None = None  # of the embeddings and other voices; None: the embeddings speak alone
    voices: VoicesConfig = field(default_factory=VoicesConfig)  # that were asked for
    left_out: Mapping[str, str] = field(default_factory=dict)  # voices that were asked for, and why they are not there
    version: str = kgsync.__version__  # that trained it
    start: str = ""  # id of the model that it went on from
    read_by: str = ""  # hash of the encoder of texts; empty: the packaged one
    train: Triples | None = field(default=None, repr=False, compare=False)  # [n, 3]; None: what the split says
    logbook: Logbook | None = field(default=None, repr=False, compare=False)  # for reports; no part of the id

    @property
    def voice(self) -> Voice:
        """Return what ranks candidates."""
        return self.embeddings() if self.fusion is None else self.fusion

    @property
    def others(self) -> tuple[Voice, ...]:
        """Return the voices beside the embeddings."""
        return () if self.fusion is None else tuple(each for each in self.fusion.voices if each is not self.kge)

    @property
    def kind(self) -> str:
        """Return "kge", or "fused" where there are several voices."""
        return "kge" if self.fusion is None else "fused"

    def embeddings(self) -> KgeModel:
        """Return the embeddings.

        Raises:
            ConfigError: the model was trained without.
        """
        if self.kge is None:
            raise ConfigError("the model has no embeddings", fix="set voices.embeddings to true and train again")
        return self.kge

    @cached_property
    def id(self) -> str:
        """Return the kind and 12 hexadecimal digits of the hash of the content."""
        digest = hashlib.sha256(json.dumps(self._content(), sort_keys=True, ensure_ascii=False).encode())
        for name, tensor in sorted(self.voice.tensors().items()):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(tensor.numpy(), dtype="<f4").tobytes())
        return f"{self.kind}-{digest.hexdigest()[:12]}"

    @cached_property
    def recipe(self) -> str:
        """Return what identifies the training, before it is done: see `recipe`."""
        return recipe(
            self.snapshot, self.config, self.split, self.voices, self.start, self.version, read_by=self.read_by
        )

    def learned(self) -> Triples:
        """Return the triples [n, 3] of the snapshot that it has learned from."""
        return split_snapshot(self.snapshot, self.split).train if self.train is None else self.train

    def _content(self) -> dict[str, Any]:
        return {
            "snapshot": self.snapshot.id,
            "kgsyncVersion": self.version,
            "config": _plain(self.config),
            "split": asdict(self.split),
            "parts": dict(self.parts),
            "bestEpoch": self.best_epoch,
            "steps": self.steps,
            "metrics": self.metrics.to_dict(),
            "calibrator": self.calibrator.to_dict() if self.calibrator else None,
            "uncalibrated": self.uncalibrated,
            "voices": _plain(self.voices),
            "speaking": [voice.name for voice in self.others],
            "leftOut": dict(self.left_out),
            **({"start": self.start} if self.start else {}),
            **({"readBy": self.read_by} if self.read_by else {}),
        }

    def calibrated(self) -> Calibrator:
        """Return the calibrator.

        Raises:
            DataError: there is none, because too few edges could be hidden.
        """
        if self.calibrator is None:
            raise DataError(self.uncalibrated)
        return self.calibrator

    def card(self) -> dict[str, str | int | float]:
        """Return what the (:__KgsyncModel) node says about the model: plain values, the same for the same model."""
        metrics, calibrator = self.metrics, self.calibrator
        card: dict[str, str | int | float] = {
            "id": self.id,
            "kind": self.kind,
            "knowledgeLevel": "prediction",
            "agentType": "computational_model",
            "kgsyncVersion": self.version,
            "snapshotHash": self.snapshot.id,
            **({} if self.kge is None else {"scoring": self.kge.name, "rank": self.kge.rank}),
            "seed": self.config.seed,
            "epoch": self.best_epoch,
            **{f"{part}Triples": count for part, count in self.parts.items()},
            "mrr": round(metrics.mrr, 6),
            "hitsAt1": round(metrics.hits_at_1, 6),
            "hitsAt3": round(metrics.hits_at_3, 6),
            "hitsAt10": round(metrics.hits_at_10, 6),
            **{f"{voice}Mrr": round(mrr, 6) for voice, mrr in metrics.voices.items()},
            **({"startedFrom": self.start} if self.start else {}),
            **({"encoder": self.voices.encoder} if self.read_by else {}),
        }
        if calibrator is not None:
            card |= {
                "scoreBasis": "reviewed" if calibrator.audited else "hidden-edges",
                "baseRate": round(calibrator.base_rate, 9),
                "baseRateBasis": calibrator.basis,
                **({"auditedEdges": calibrator.audited} if calibrator.audited else {}),
                "missingShare": round(calibrator.missing_share, 6),
            }
        if metrics.reliability is not None:
            card |= {
                "calibrationError": round(metrics.reliability.ece, 6),
                "calibrationErrorByChance": round(metrics.reliability.ece_floor, 6),
            }
        return card

    def predict(
        self,
        *,
        relations: Sequence[str] | None = None,
        heads: Sequence[str | Entity] | None = None,
        tails: Sequence[str | Entity] | None = None,
        top_k: int = 100,
        min_score: float | None = None,
        per_entity: int = 10,
        progress: Progress = silent,
    ) -> Plan:
        """Return the plan of the most probable missing edges; see `kgsync.predict.predict`."""
        return predict(
            self,
            relations=relations,
            heads=heads,
            tails=tails,
            top_k=top_k,
            min_score=min_score,
            per_entity=per_entity,
            progress=progress,
        )

    def explain(self, head: str | Entity, relation: str, tail: str | Entity) -> Explanation:
        """Return why an edge has its score; see `kgsync.explain.by_model.explain`."""
        from kgsync.explain.by_model import explain

        return explain(self, head, relation, tail)

    def save(self, folder: Path) -> Path:
        """Write the model to `folder / id` (kept if it is there, and then the newest) and return that path."""
        path = folder / self.id
        if (path / "manifest.json").is_file():
            files.renew(path)
            return path
        with files.whole_folder(path) as new:
            if self.kge is not None:
                artefact.save(self.kge, new / EMBEDDINGS, {"id": self.id})
            if self.fusion is not None:
                voices.save(self.others, new)
                self.fusion.save(new / "fusion.safetensors")
            if self.train is not None:
                artefact.write(new / TRAIN, {"train": torch.from_numpy(self.train)}, {"kind": "train"})
            if self.logbook is not None:
                self.logbook.save(new)
            files.write_json(new / "model.json", {"id": self.id, **self._content()})
            files.write_manifest(
                new,
                "model",
                {"id": self.id, "modelKind": self.kind, "snapshot": self.snapshot.id, "recipe": self.recipe},
            )
        return path

    @classmethod
    def load(cls, path: Path, snapshot: Snapshot) -> Model:
        """Return the model in the folder `path`, which was trained on `snapshot`.

        Raises:
            NotFoundError: there is none.
            DataError: it is damaged, or was trained on another snapshot.
        """
        manifest = files.read_manifest(path, "model")
        if manifest["snapshot"] != snapshot.id:
            raise DataError(
                f"model {manifest['id']} was trained on snapshot {manifest['snapshot']}, not on {snapshot.id}",
                fix="load it with that snapshot, or run `kgsync train`",
            )
        content = files.read_json(path / "model.json")
        try:
            model = cls._read(path, content, snapshot)
        except (KeyError, TypeError) as error:  # a setting or a part that one version has and another has not
            raise DataError(
                f"{path} was written by another version of kgsync ({content.get('kgsyncVersion', 'unknown')})",
                fix="delete it and run `kgsync train` again",
            ) from error
        if model.id != manifest["id"]:
            raise DataError(f"{path} does not hold what its id says", fix="delete it and run `kgsync train` again")
        return model

    @classmethod
    def _read(cls, path: Path, content: Mapping[str, Any], snapshot: Snapshot) -> Model:
        kge = artefact.load(path / EMBEDDINGS)[0] if content["voices"]["embeddings"] else None
        speaking = content["speaking"]
        return cls(
            snapshot=snapshot,
            kge=kge,
            config=TrainConfig(**content["config"]),
            split=SplitConfig(**content["split"]),
            parts=content["parts"],
            best_epoch=content["bestEpoch"],
            steps=content["steps"],
            metrics=Metrics.from_dict(content["metrics"]),
            calibrator=Calibrator.from_dict(content["calibrator"]) if content["calibrator"] else None,
            uncalibrated=content["uncalibrated"],
            fusion=_fusion(path, kge, speaking, snapshot) if speaking else None,
            voices=VoicesConfig(**content["voices"]),
            left_out=content["leftOut"],
            version=content["kgsyncVersion"],
            start=content.get("start", ""),
            read_by=content.get("readBy", ""),
            train=artefact.read(path / TRAIN)[0]["train"].numpy() if (path / TRAIN).is_file() else None,
            logbook=Logbook.load(path),
        )

    @classmethod
    def find(cls, path: Path, workspace: Workspace) -> Model:
        """Return the model in the folder `path` together with its snapshot, from the workspace."""
        manifest = files.read_manifest(path, "model")
        return cls.load(path, Snapshot.load(workspace.snapshot(manifest["snapshot"])))


def _fusion(path: Path, kge: KgeModel | None, speaking: Sequence[str], snapshot: Snapshot) -> Fusion:
    """Return the fusion in the folder `path`, with its voices."""
    file = path / "fusion.safetensors"
    others = voices.load(speaking, path, snapshot, Fusion.learned_from(file))
    return Fusion.load(file, others if kge is None else {kge.name: kge, **others})


def _plain(settings: TrainConfig | VoicesConfig) -> dict[str, Any]:
    """Return the settings as plain values; one that models of before have not is there if somebody set it."""
    values = asdict(settings)
    return {name: value for name, value in values.items() if name not in LATER or value != LATER[name]}


def recipe(
    snapshot: Snapshot,
    config: TrainConfig,
    split: SplitConfig,
    voices: VoicesConfig,
    start: str = "",
    version: str = kgsync.__version__,
    *,
    read_by: str = "",
) -> str:
    """Return 16 hexadecimal digits that two trainings share if one need not be done after the other."""
    settings = _plain(config)
    for name in ("threads", "device"):  # changes the last digits of the embeddings at most
        settings.pop(name, None)
    audit = snapshot.origin.get("audit")  # what scores mean depends on it
    parts = [snapshot.id, settings, asdict(split), _plain(voices), version, CALIBRATION]
    parts += filter(None, [start, read_by, audit])
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
