"""Exports hold the embeddings as other tools read them, score as kgsync does, and say what they hold."""

from __future__ import annotations

import csv
import importlib
import json
import math
import sys
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pyarrow.parquet as pq
import pytest
import torch
from example_graphs import folder_of, graph, made_up_model
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from kgsync import dataset, files
from kgsync.benchmark import run
from kgsync.cli import main
from kgsync.cli.export import FORMATS as LISTED
from kgsync.dataset import Dataset
from kgsync.errors import ConfigError, DataError, NotFoundError
from kgsync.export import FORMATS, Embeddings, of_benchmark, of_model, onnx_scorer, write
from kgsync.identity import Entity
from kgsync.kge.config import TrainConfig
from kgsync.kge.models import MODELS, KgeModel, create
from kgsync.snapshot import Snapshot

N_ENTITIES, N_RELATIONS, RANK = 11, 3, 4
PLAIN = ("npy", "parquet", "safetensors", "openke", "dglke")


def random_model(scoring: str, seed: int = 0) -> KgeModel:
    """Return a model with embeddings as large as after a training."""
    model = create(scoring, N_ENTITIES, N_RELATIONS, RANK, seed)
    for table in model.parameters():
        table.data /= model.init
    return model


def toy(names: tuple[str, ...] = (), seed: int = 0) -> Dataset:
    """Return a graph in which every entity and relation occurs, so that a reader finds all of them."""
    rng = np.random.default_rng(seed)
    rows = [(i, i % N_RELATIONS, (i + 1) % N_ENTITIES) for i in range(N_ENTITIES)]
    some = np.stack([rng.integers(0, n, 20) for n in (N_ENTITIES, N_RELATIONS, N_ENTITIES)], axis=1)
    entities = names or tuple(f"e {i}" for i in range(N_ENTITIES))
    relations = tuple(f"r{i}" for i in range(N_RELATIONS))
    return Dataset("toy", entities, relations, np.array(rows), some[:10], some[10:])


def exported(scoring: str, seed: int = 0) -> Embeddings:
    return of_benchmark(toy(), random_model(scoring, seed))


def every_query() -> tuple[torch.Tensor, torch.Tensor]:
    """Return all (anchor, relation), both directions."""
    anchors = torch.arange(N_ENTITIES).repeat_interleave(2 * N_RELATIONS)
    return anchors, torch.arange(2 * N_RELATIONS).repeat(N_ENTITIES)


def tail_scores(model: KgeModel) -> np.ndarray[Any, Any]:
    """Return our scores [h, r, t] of all triples."""
    anchors = torch.arange(N_ENTITIES).repeat_interleave(N_RELATIONS)
    scores = model.scores(anchors, torch.arange(N_RELATIONS).repeat(N_ENTITIES))
    return scores.numpy().reshape(N_ENTITIES, N_RELATIONS, N_ENTITIES)


def command(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(list(arguments))
    return int(end.value.code or 0)


def read_tsv(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]


# --- arrays with names beside them ------------------------------------------------------------------------


@pytest.mark.parametrize("scoring", MODELS)
def test_plain_arrays_hold_every_row_bit_by_bit(tmp_path: Path, scoring: str) -> None:
    source = exported(scoring)
    folders = {form: write(source, form, tmp_path / form).path for form in ("npy", "parquet", "safetensors")}
    tensors = load_file(folders["safetensors"] / "embeddings.safetensors")
    for name, rows in (("entities", source.entity_rows), ("relations", source.relation_rows)):
        np.testing.assert_array_equal(np.load(folders["npy"] / f"{name}.npy", allow_pickle=False), rows)
        np.testing.assert_array_equal(tensors[name], rows)
        column = pq.read_table(folders["parquet"] / f"{name}.parquet")["vector"].combine_chunks()
        np.testing.assert_array_equal(column.flatten().to_numpy().reshape(rows.shape), rows)
    for form in ("npy", "safetensors"):
        assert read_tsv(folders[form] / "entities.tsv") == [["id"], *([name] for name in source.ids)]
        asked = read_tsv(folders[form] / "relations.tsv")
        assert asked[0] == ["id", "asks"]
        assert asked[1:] == [[f"r{i}", side] for side in ("tails", "heads") for i in range(N_RELATIONS)]


def test_a_model_of_a_snapshot_brings_what_is_known_of_its_entities(tmp_path: Path) -> None:
    snapshot = graph([("a", "R", "b"), ("b", "R", "c")], {"a": ["Person"]})
    source = of_model(made_up_model(snapshot))
    table = pq.read_table(write(source, "parquet", tmp_path / "parquet").path / "entities.parquet")
    assert table.column_names == ["id", "label", "key", "key_type", "name", "labels", "vector"]
    rows = {row["key"]: row for row in table.to_pylist()}
    assert rows["a"]["id"] == "Thing:a"
    assert rows["a"]["labels"] == ["Person", "Thing"]
    relations = pq.read_table(tmp_path / "parquet" / "relations.parquet").to_pylist()
    assert [(row["id"], row["asks"]) for row in relations] == [("R", "tails"), ("R", "heads")]
    names = read_tsv(write(source, "npy", tmp_path / "npy").path / "entities.tsv")
    assert names == [["id", "name"], *([f"Thing:{name}", name] for name in "abc")]


def test_entities_that_look_alike_keep_ids_of_their_own() -> None:
    number, text = Entity("Thing", "id", 1), Entity("Thing", "id", "1")
    snapshot = Snapshot.from_names([(number, "R", text), (text, "R", Entity("Thing", "id", "2"))])
    assert sorted(of_model(made_up_model(snapshot)).ids) == ["Thing:2", '["Thing", "1"]', '["Thing", 1]']


# --- the layouts of OpenKE and DGL-KE -----------------------------------------------------------------------
#
# Their scores are computed here from the files alone, by the formulas of these projects.


def complex_parts(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    real, imaginary = np.split(rows.astype(np.float64), 2, axis=1)
    return real + 1j * imaginary


def grid(model: str, entities: np.ndarray[Any, Any], relations: np.ndarray[Any, Any], unit: float) -> Any:
    """Return scores [h, r, t]; distances have a minus. `unit` is a phase of π in the numbers of RotatE."""
    e, r = entities.astype(np.float64), relations.astype(np.float64)
    if model == "distmult":
        return np.einsum("hi,ri,ti->hrt", e, r, e)
    if model == "complex":
        z = complex_parts(e)
        return np.einsum("hi,ri,ti->hrt", z, complex_parts(r), z.conj()).real
    if model == "rescal":
        return np.einsum("hi,rij,tj->hrt", e, r.reshape(len(r), e.shape[1], e.shape[1]), e)
    if model == "rotate":
        z = complex_parts(e)
        return -np.abs((z[:, None] * np.exp(1j * r / unit * math.pi))[:, :, None] - z).sum(axis=-1)
    norm = {"transe-l1": 1, "transe-l2": 2}[model]
    return -np.linalg.norm((e[:, None] + r)[:, :, None] - e, ord=norm, axis=-1)


@pytest.mark.parametrize("scoring", MODELS)
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000))
def test_scores_from_openkes_parameters_are_ours(
    tmp_path_factory: pytest.TempPathFactory, scoring: str, seed: int
) -> None:
    source = exported(scoring, seed)
    folder = write(source, "openke", tmp_path_factory.mktemp("openke") / "export").path
    saved = {name: np.array(v) for name, v in json.loads((folder / "embedding.vec.json").read_text()).items()}
    if scoring == "complex":
        entities, relations = (
            np.concatenate([saved[f"{kind}_{part}_embeddings.weight"] for part in ("re", "im")], axis=1)
            for kind in ("ent", "rel")
        )
    else:
        entities = saved["ent_embeddings.weight"]
        relations = saved["rel_matrices.weight" if scoring == "rescal" else "rel_embeddings.weight"]
    unit = float(saved["rel_embedding_range"][0]) if scoring == "rotate" else 0.0
    np.testing.assert_allclose(grid(scoring, entities, relations, unit), tail_scores(source.kge), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("scoring", MODELS)
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000))
def test_scores_from_dglkes_files_are_ours(tmp_path_factory: pytest.TempPathFactory, scoring: str, seed: int) -> None:
    source = exported(scoring, seed)
    folder = write(source, "dglke", tmp_path_factory.mktemp("dglke") / "export").path
    config = json.loads((folder / "config.json").read_text())
    prefix = f"{config['dataset']}_{config['model_name']}"
    entities, relations = (np.load(folder / f"{prefix}_{kind}.npy") for kind in ("entity", "relation"))
    width = config["hidden_dim"]
    assert entities.shape == (N_ENTITIES, 2 * width if config["double_ent"] else width)
    assert relations.shape == (N_RELATIONS, width * width if scoring == "rescal" else width)
    unit = (config["gamma"] + 2.0) / width
    np.testing.assert_allclose(
        grid(scoring, entities, relations, unit) + config["gamma"], tail_scores(source.kge), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("form", ["openke", "dglke"])
def test_a_benchmark_comes_back_from_the_export_as_it_was(tmp_path: Path, form: str) -> None:
    source = toy()
    back = dataset.read(write(of_benchmark(source, random_model("complex")), form, tmp_path / "toy").path)
    for part in ("train", "valid", "test"):
        there, here = getattr(back, part).tolist(), getattr(source, part).tolist()
        names = [(source.entities[h], source.relations[r], source.entities[t]) for h, r, t in here]
        assert [(back.entities[h], back.relations[r], back.entities[t]) for h, r, t in there] == names


def test_dglkes_maps_hold_names_with_tabs_and_quotes_as_its_reader_takes_them(tmp_path: Path) -> None:
    names = ('"', "a\tb", "c\nd", "Ünï", *(f"e{i}" for i in range(N_ENTITIES - 4)))
    folder = write(of_benchmark(toy(names), random_model("distmult")), "dglke", tmp_path / "export").path
    with (folder / "entities.tsv").open(encoding="utf-8", newline="") as file:
        assert [(int(number), name) for number, name in csv.reader(file, delimiter="\t")] == list(enumerate(names))
    assert set(dataset.read(folder).entities) == set(names)


@pytest.mark.parametrize("form", ["npy", "safetensors", "openke"])
def test_a_name_that_a_line_cannot_hold_is_refused_and_nothing_is_left(tmp_path: Path, form: str) -> None:
    names = ("a\tb", *(f"e{i}" for i in range(N_ENTITIES - 1)))
    with pytest.raises(DataError, match=r"'a\\tb' holds a tab .* export parquet"):
        write(of_benchmark(toy(names), random_model("complex")), form, tmp_path / "out" / "export")
    assert list((tmp_path / "out").iterdir()) == []


# --- scorers ------------------------------------------------------------------------------------------------


def onnx_scores(path: Path, anchors: torch.Tensor, relations: torch.Tensor) -> np.ndarray[Any, Any]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    shapes = {each.name: (each.type, each.shape) for each in session.get_inputs()}
    assert shapes == {name: ("tensor(int64)", ["B"]) for name in ("anchors", "relations")}
    (output,) = session.get_outputs()
    assert (output.name, output.type, output.shape) == ("scores", "tensor(float)", ["B", N_ENTITIES])
    scores: np.ndarray[Any, Any] = session.run(None, {"anchors": anchors.numpy(), "relations": relations.numpy()})[0]
    return scores


@pytest.mark.parametrize("scoring", MODELS)
def test_the_onnx_graph_scores_as_the_model_does(tmp_path: Path, scoring: str) -> None:
    source = exported(scoring)
    folder = write(source, "onnx", tmp_path / "export").path
    anchors, relations = every_query()
    ours = source.kge.scores(anchors, relations).numpy()
    np.testing.assert_allclose(onnx_scores(folder / "scorer.onnx", anchors, relations), ours, rtol=1e-5, atol=1e-5)
    one = onnx_scores(folder / "scorer.onnx", anchors[:1], relations[:1])
    np.testing.assert_allclose(one, ours[:1], rtol=1e-5, atol=1e-5)
    assert json.loads((folder / "entities.json").read_text()) == list(source.ids)


def test_embeddings_that_are_too_large_for_one_file_lie_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_scorer, "INLINE", 100)
    snapshot = graph([(f"e{i}", "R", f"e{(i + 1) % 300}") for i in range(300)])  # onnx keeps tensors under 1 kB inside
    source = of_model(made_up_model(snapshot))
    done = write(source, "onnx", tmp_path / "export")
    assert {"scorer.onnx", "scorer.data"} <= set(done.files)
    session = onnxruntime.InferenceSession(done.path / "scorer.onnx", providers=["CPUExecutionProvider"])
    ids = torch.arange(5), torch.zeros(5, dtype=torch.int64)
    scores = session.run(None, {"anchors": ids[0].numpy(), "relations": ids[1].numpy()})[0]
    np.testing.assert_allclose(scores, source.kge.scores(*ids).numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.slow  # importing TensorFlow takes as long as everything else here
def test_the_tensorflow_model_scores_as_the_model_does(tmp_path: Path) -> None:
    if find_spec("tensorflow") is None:
        pytest.skip("it needs kgsync[tensorflow]")
    anchors, relations = every_query()
    for scoring in MODELS:
        source = exported(scoring)
        folder = write(source, "tensorflow", tmp_path / scoring).path
        tf = importlib.import_module("tensorflow")  # not before kgsync, which knows what must be loaded first
        serve = tf.saved_model.load(str(folder / "saved_model")).signatures["serving_default"]
        scores = serve(anchors=tf.constant(anchors.numpy()), relations=tf.constant(relations.numpy()))["scores"]
        ours = source.kge.scores(anchors, relations).numpy()
        np.testing.assert_allclose(scores.numpy(), ours, rtol=1e-5, atol=1e-5, err_msg=scoring)
        assert "saved_model/variables/variables.index" in files.read_manifest(folder, "export")["files"]
    importlib.import_module("torch._dynamo")  # torch does so late; it ends the process if TensorFlow's LLVM came first


@pytest.mark.parametrize(
    ("form", "module", "words"),
    [
        ("tensorflow", "tensorflow", r"TensorFlow is not installed; .*pip install 'kgsync\[tensorflow\]'"),
        ("onnx", "onnx", r"ONNX is not installed; .*pip install 'kgsync\[onnx\]'"),
    ],
)
def test_a_library_that_is_missing_is_told_in_one_line_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, module: str, words: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # as Python marks a module that is not to be had
    with pytest.raises(ConfigError, match=words) as caught:
        write(exported("complex"), form, tmp_path / "out" / "export")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


# --- every format -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [*PLAIN, "onnx", "gds"])
def test_the_manifest_says_what_there_is_and_an_export_can_be_repeated(tmp_path: Path, form: str) -> None:
    source = exported("distmult")
    first, second = (write(source, form, tmp_path / "out" / "export") for _ in range(2))
    assert first == second
    manifest = files.read_manifest(first.path, "export")
    assert (manifest["format"], manifest["scoring"], manifest["relations"]) == (form, "distmult", N_RELATIONS)
    listed = {path.relative_to(first.path).as_posix() for path in first.path.rglob("*") if path.is_file()}
    assert set(first.files) == listed - {"manifest.json"}
    assert any("(?, r, t)" in note for note in first.notes) or form == "onnx"
    assert [path.name for path in first.path.parent.iterdir()] == ["export"]


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_but_an_export_is_ever_replaced(tmp_path: Path, form: str) -> None:
    thesis = tmp_path / "out" / "mine" / "thesis.txt"
    thesis.parent.mkdir(parents=True)
    thesis.write_text("years of work", encoding="utf-8")
    (tmp_path / "out" / "file").write_text("", encoding="utf-8")
    for name in ("mine", "file"):
        with pytest.raises(ConfigError, match="is there already, and is no export"):
            write(exported("distmult"), form, tmp_path / "out" / name)
    assert thesis.read_text(encoding="utf-8") == "years of work"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["file", "mine"]


@pytest.mark.parametrize("scoring", ["complex", "transe-l1", "rotate", "rescal"])
def test_what_gds_cannot_score_is_refused(tmp_path: Path, scoring: str) -> None:
    with pytest.raises(DataError, match=f"GDS cannot score as {scoring} does.*train one of transe-l2, distmult"):
        write(exported(scoring), "gds", tmp_path / "export")


def test_a_model_of_another_graph_is_refused() -> None:
    with pytest.raises(DataError, match="names 10 entities and 3 relations, its model has 11 and 3"):
        of_benchmark(replace(toy(), entities=tuple("abcdefghij")), random_model("complex"))


@cache
def umls() -> tuple[Dataset, KgeModel]:
    source = dataset.read(folder_of("umls"))
    return source, run(source, TrainConfig(rank=4, epochs=1, threads=1)).trained.model


@pytest.mark.parametrize("form", PLAIN)
def test_a_benchmark_run_is_exported_with_the_names_of_its_folder(tmp_path: Path, form: str) -> None:
    done = write(of_benchmark(*umls()), form, tmp_path / "export")
    assert (done.of, done.entities, done.relations) == ("umls", 135, 46)
    if form in ("openke", "dglke"):
        back = dataset.read(done.path)
        np.testing.assert_array_equal(back.test, umls()[0].test)
        assert (back.entities, back.relations) == (umls()[0].entities, umls()[0].relations)


def test_the_command_exports_the_newest_model_and_says_what_it_wrote(capsys: pytest.CaptureFixture[str]) -> None:
    assert tuple(FORMATS) == LISTED
    snapshot = graph([("a", "R", "b"), ("b", "R", "c")])
    model = made_up_model(snapshot)
    snapshot.save(Path(".kgsync/snapshots"))
    model.save(Path(".kgsync/models"))
    assert command("export", "npy") == 0
    shown = capsys.readouterr().out
    assert f"3 entities and 1 relations in {model.id}-npy" in shown
    assert "the other R answer (?, r, t)" in shown
    assert command("export", "parquet", model.id, "--to", "there", "--json") == 0
    assert json.loads(capsys.readouterr().out)["path"] == "there"
    assert command("export", "gds") == DataError.exit_code
    assert command("export", "excel") == 2
    assert command("export", "npy", "kge-none") == NotFoundError.exit_code


# --- reading DGL-KE's folders --------------------------------------------------------------------------------


def dglke_folder(folder: Path, train: str, entities: str, relations: str, names: tuple[str, str]) -> Path:
    folder.mkdir()
    for part in ("train", "valid", "test"):
        (folder / f"{part}.txt").write_text(train, encoding="utf-8")
    for name, text in zip(names, (entities, relations), strict=True):
        (folder / name).write_text(text, encoding="utf-8")
    return folder


DICTS, SINGULAR, TABLES = (
    (f"{entity}.{suffix}", f"{relation}.{suffix}")
    for entity, relation, suffix in (
        ("entities", "relations", "dict"),
        ("entity", "relation", "dict"),
        ("entities", "relations", "tsv"),
    )
)


@pytest.mark.parametrize(
    ("train", "entities", "relations", "names"),
    [
        ("0\t0\t1\n2\t1\t0\n", "0\tBei jing\n1\tChina\n2\t00\n", "0\tcapital\n1\tin\n", DICTS),
        ("0\t0\t1\n2\t1\t0\n", "Bei jing\t0\n00\t2\nChina\t1\n", "capital\t0\nin\t1\n", SINGULAR),
        ("0|0|1\n2|1|0\n", "0|Bei jing\n1|China\n2|00\n", "0|capital\n1|in\n", DICTS),
        ("0,0,1\n2,1,0\n", '0,"Bei jing"\n1,China\n2,"00"\n', '0,"capital"\n1,"in"\n', DICTS),
        (
            "Bei jing\tcapital\tChina\n00\tin\tBei jing\n",
            "0\tBei jing\n1\tChina\n2\t00\n",
            "0\tcapital\n1\tin\n",
            DICTS,
        ),
        ("0\t0\t1\n2\t1\t0\n", "0\tBei jing\n1\tChina\n2\t00\n", "0\tcapital\n1\tin\n", TABLES),
        (
            "Bei jing\tcapital\tChina\n00\tin\tBei jing\n",
            "0\tBei jing\n1\tChina\n2\t00\n",
            "0\tcapital\n1\tin\n",
            TABLES,
        ),
        ("Bei jing\tcapital\tChina\n00\tin\tBei jing\n", "id\tname\nChina\t\n", "id\tname\nin\t\n", TABLES),
    ],
    ids=["numbers", "name first", "bars", "quoted commas", "names", "tables", "names and tables", "kgsync's tables"],
)
def test_every_form_of_dglkes_folders_gives_the_same_graph(
    tmp_path: Path, train: str, entities: str, relations: str, names: tuple[str, str]
) -> None:
    found = dataset.read(dglke_folder(tmp_path / "graph", train, entities, relations, names))
    assert found.entities == ("Bei jing", "China", "00")
    assert found.relations == ("capital", "in")
    assert found.train.tolist() == found.test.tolist() == [[0, 0, 1], [2, 1, 0]]


@pytest.mark.parametrize(
    ("train", "entities", "words"),
    [
        ("0\t0\t9\n", "0\ta\n1\tb\n", "line 1: something that entities.dict"),
        ("a\tr\tb\n0\t0\t1\n", "0\ta\n1\tb\n", "line 1: something that"),
        ("0\t0\n", "0\ta\n1\tb\n", "line 1: 2 columns instead of 3"),
        ("0\t0\t1\t0.5\n", "0\ta\n1\tb\n", "line 1: 4 columns instead of 3"),
        ("0\t0\t1\n", "0\ta\n2\tb\n", "does not number its 2 lines from 0"),
        ("0\t0\t1\n", "0\ta\n0\tb\n", "does not number its 2 lines from 0"),
        ("0\t0\t1\n", "0\ta\n1\ta\n", "gives one name to several numbers"),
        ("0\t0\t1\n", "0\ta\n1\tb\tc\n", "line 2: 3 columns instead of 2"),
        ("0\t0\t1\n", "a b\n", "line 1: no number and name"),
        ("0\t0\t1\n", "", "line 1: no number and name"),
        ("0\t0\t1\n", '0\t"a\n1\tb\n', "unexpected end of data"),
    ],
)
def test_a_folder_of_dglke_that_cannot_be_used_is_refused_with_the_place(
    tmp_path: Path, train: str, entities: str, words: str
) -> None:
    with pytest.raises(DataError, match=words):
        dataset.read(dglke_folder(tmp_path / "graph", train, entities, "0\tr\n", DICTS))


def test_one_map_without_the_other_is_told(tmp_path: Path) -> None:
    folder = dglke_folder(tmp_path / "graph", "0\t0\t1\n", "0\ta\n1\tb\n", "0\tr\n", DICTS)
    (folder / "relations.dict").unlink()
    with pytest.raises(NotFoundError, match=r"has no relations\.dict"):
        dataset.read(folder)


def test_openkes_names_keep_their_spaces_and_must_differ(tmp_path: Path) -> None:
    folder = tmp_path / "openke"
    folder.mkdir()
    for part in ("train", "valid", "test"):
        (folder / f"{part}2id.txt").write_text("1\n0 1 0\n", encoding="utf-8")
    (folder / "relation2id.txt").write_text("1\nr\t0\n", encoding="utf-8")
    (folder / "entity2id.txt").write_text("2\na  b\t0\na b\t1\n", encoding="utf-8")
    assert dataset.read(folder).entities == ("a  b", "a b")
    (folder / "entity2id.txt").write_text("2\na b\t0\na b\t1\n", encoding="utf-8")
    with pytest.raises(DataError, match="gives one name to several numbers"):
        dataset.read(folder)
