"""A saved model comes back bit by bit, or the file is named in a clear error."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from kgsync.errors import DataError, NotFoundError, StorageError
from kgsync.kge import artefact
from kgsync.kge.models import MODELS, create

META = {"entities": ["Å", "b"], "steps": 3, "valid": {"mrr": 0.5}}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_comes_back_bit_by_bit_with_its_meta(tmp_path: Path, name: str) -> None:
    model = create(name, 7, 2, 5, seed=3)
    artefact.save(model, tmp_path / "new" / "model.safetensors", META)
    loaded, meta = artefact.load(tmp_path / "new" / "model.safetensors")
    assert type(loaded) is type(model)
    assert (loaded.n_entities, loaded.n_relations, loaded.rank) == (7, 2, 5)
    assert torch.equal(loaded.entities, model.entities)
    assert torch.equal(loaded.relations, model.relations)
    assert meta == META
    ids = torch.tensor([0, 3]), torch.tensor([1, 3])
    assert torch.equal(loaded.scores(*ids), model.scores(*ids))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["model.safetensors"]


def test_every_flipped_or_missing_byte_is_found_and_the_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    artefact.save(create("complex", 3, 1, 2, seed=0), path, META)
    whole = path.read_bytes()
    for position in range(0, len(whole), 7):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises(DataError, match=r"model\.safetensors"):
            artefact.load(path)
    for length in (0, 5, 8, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"model\.safetensors"):
            artefact.load(path)


def test_values_that_are_not_finite_and_wrong_shapes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    model = create("complex", 3, 1, 2, seed=0)
    with torch.no_grad():
        model.entities[1, 1] = float("nan")
    artefact.save(model, path, {})
    with pytest.raises(DataError, match=r"entities in .* not finite"):
        artefact.load(path)
    model = create("complex", 3, 1, 2, seed=0)
    model.n_entities = 4
    artefact.save(model, path, {})
    with pytest.raises(DataError, match=r"model\.safetensors holds .*expected"):
        artefact.load(path)


def test_a_missing_file_and_a_folder_that_cannot_be_written_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no .*absent\.safetensors"):
        artefact.load(tmp_path / "absent.safetensors")
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        artefact.save(create("complex", 3, 1, 2, seed=0), tmp_path / "file" / "model.safetensors", {})
