"""Vectors of texts on disk, found by the hash of the text; one folder per encoder.

Promises: files appear whole or not at all, several processes may add at once, and a damaged file costs only the
time to compute its vectors again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from kgsync.errors import DataError, NotFoundError
from kgsync.kge import artefact

SHARDS = 16  # files from which on they are joined into one


class VectorCache:
    """Vectors of length `dimension` by text; in memory, and in `folder` where one is given."""

    def __init__(self, folder: Path | None, dimension: int) -> None:
        self.folder = folder
        self.dimension = dimension
        self._vectors: dict[bytes, Tensor] = {}
        shards = sorted(folder.glob("*.safetensors")) if folder else []
        for shard in shards:
            self._read(shard)
        if len(shards) >= SHARDS and self._vectors:
            joined = self._write(list(self._vectors), torch.stack(list(self._vectors.values())))
            for shard in shards:
                if shard != joined:
                    shard.unlink(missing_ok=True)

    def missing(self, texts: Sequence[str]) -> list[str]:
        """Return the distinct texts without a vector, shortest first; the empty text needs none."""
        distinct = {text for text in texts if text and _key(text) not in self._vectors}
        return sorted(distinct, key=lambda text: (len(text), text))

    def add(self, texts: Sequence[str], vectors: Tensor) -> None:
        """Remember the vectors [n, d] of `texts`."""
        keys = [_key(text) for text in texts]
        self._vectors.update(zip(keys, vectors, strict=True))
        self._write(keys, vectors)

    def rows(self, texts: Sequence[str]) -> Tensor:
        """Return the vectors [n, d] of `texts`, all of which are known; 0 for an empty one."""
        nothing = torch.zeros(self.dimension)
        if not texts:
            return torch.zeros(0, self.dimension)
        return torch.stack([self._vectors[_key(text)] if text else nothing for text in texts])

    def _write(self, keys: Sequence[bytes], vectors: Tensor) -> Path | None:
        if self.folder is None or not keys:
            return None
        table = torch.from_numpy(np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), -1).copy())
        name = hashlib.sha256(b"".join(keys)).hexdigest()[:16]
        path = self.folder / f"{name}.safetensors"
        artefact.write(path, {"keys": table, "vectors": vectors}, {"kind": "vectors"})
        return path

    def _read(self, shard: Path) -> None:
        try:
            tensors, _ = artefact.read(shard)
            keys, vectors = tensors["keys"], tensors["vectors"]
        except NotFoundError:  # another process has joined it to others just now
            return
        except (DataError, KeyError):
            shard.unlink(missing_ok=True)
            return
        if vectors.shape[1:] == (self.dimension,):
            self._vectors.update((row.tobytes(), v) for row, v in zip(keys.numpy(), vectors, strict=True))


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]
