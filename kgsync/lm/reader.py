"""The encoder that reads texts for a model: the packaged one, one by name, or one that has read the graph before.

Promises that an edge about whose ends an encoder has read a sentence tests nothing that the encoder is part of.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kgsync.errors import DataError
from kgsync.split import Split, pair_hashes, unhidden

if TYPE_CHECKING:
    from kgsync.lm.encoder import Encoder
    from kgsync.snapshot import Snapshot


def load(source: str) -> Encoder:
    """Return the encoder `source`: a folder, a name on the hub, or empty for the packaged one.

    Raises:
        NotFoundError: there is no such folder, or the packaged encoder is not installed.
        UnavailableError: the hub cannot be reached, or does not have it.
        DataError: what is there encodes no sentences.
    """
    from kgsync.lm import encoder, teach

    path = _folder(source)
    if (path / "adapter_config.json").is_file():
        raise DataError(
            f"{path} holds a decoder, which encodes no sentences", fix="run `kgsync pretrain --model encoder`"
        )
    return teach.sentence_encoder(path) if _taught(path) else encoder.load(path)


def digest(source: str) -> str:
    """Return a hash of all that decides the vectors of `source`; nothing for the packaged encoder."""
    from kgsync.lm import folders

    return folders.digest(_folder(source)) if source else ""


def unread(parts: Split, snapshot: Snapshot, source: str) -> Split:
    """Return the split of `snapshot` in which nothing that `source` has read is hidden, but in train.

    Raises:
        NotFoundError, UnavailableError: as `load`.
        DataError: a file is missing, or damaged.
    """
    if not source or not _taught(path := _folder(source)):
        return parts
    from kgsync.kge import artefact
    from kgsync.lm.teach import TOLD

    if not (path / TOLD).is_file():
        raise DataError(f"{path} does not say what it has read", fix="run `kgsync pretrain --model encoder` again")
    read = {name: pairs.numpy().view(np.uint64) for name, pairs in artefact.read(path / TOLD)[0].items()}
    judges = np.concatenate([parts.fuse, parts.calibrate, parts.test])  # no edge that chose the encoder is among them
    known = [
        triples[np.isin(pair_hashes(snapshot, triples), pairs)]
        for triples, pairs in ((snapshot.triples, read["told"]), (judges, read["select"]))
    ]
    return unhidden(parts, np.concatenate(known)[:, [0, 2]].astype(np.int64))


def _folder(source: str) -> Path:
    from kgsync.lm import models

    return models.find(source or "encoder")


def _taught(folder: Path) -> bool:
    """Return whether `kgsync.lm.teach` wrote a folder."""
    from kgsync.lm import masked

    return (folder / masked.FILE).is_file()
