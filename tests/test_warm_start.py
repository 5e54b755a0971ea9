"""A changed graph is learned from where the model before left off: who is still there keeps what was learned."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from example_graphs import folder_of, graph
from hypothesis import given
from hypothesis import strategies as st

from kgsync import dataset, learn
from kgsync.cli import main
from kgsync.config import SplitConfig, VoicesConfig
from kgsync.continued import go_on
from kgsync.errors import ConfigError, DataError
from kgsync.identity import Entity
from kgsync.kge.config import TrainConfig
from kgsync.kge.models import MODELS, KgeModel, create
from kgsync.kge.train import Trained, train
from kgsync.kge.warm import carry_over, fitting, positions
from kgsync.model import Model
from kgsync.runs import Workspace
from kgsync.snapshot import Snapshot
from kgsync.split import split_snapshot

ENTITIES, RELATIONS = 12, 3
CONFIG = TrainConfig(rank=50, epochs=9, eval_every=1, threads=1)
SMALL = TrainConfig(rank=8, epochs=2, threads=1)
ALONE = VoicesConfig(rules=False, text=False)


def previous(name: str = "complex") -> KgeModel:
    model = create(name, ENTITIES, RELATIONS, 4, seed=3)
    with torch.no_grad():
        for table in (model.entities, model.relations):
            table *= 0.7 / table.std()
    return model


def some_triples(n_entities: int, n_relations: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.stack([rng.integers(0, high, 60) for high in (n_entities, n_relations, n_entities)], axis=1)


def test_entities_are_matched_by_identity_and_not_by_key_alone() -> None:
    before = [Entity("Person", "id", 1), Entity("City", "id", 1), Entity("Person", "id", "1")]
    now = [Entity("Person", "id", "1"), Entity("Person", "id", 2), Entity("Person", "id", 1)]
    assert positions(now, before).tolist() == [2, -1, 0]
    assert positions(["KNOWS", "LIKES"], ["LIKES"]).tolist() == [-1, 0]


@given(st.permutations(range(10)), st.integers(0, 10))
def test_positions_say_where_everything_was(order: list[int], gone: int) -> None:
    before = list(range(gone, 10))
    found = positions(order, before)
    assert [None if place < 0 else before[place] for place in found] == [x if x >= gone else None for x in order]


@pytest.mark.parametrize("name", sorted(MODELS))
def test_who_is_still_there_keeps_the_row_under_another_number(name: str) -> None:
    before = previous(name)
    entities = np.array([-1, 4, 7, 0, -1, 11])
    relations = np.array([2, -1, 0])
    model = carry_over(before, entities, relations, some_triples(6, 3), seed=1)
    assert (model.n_entities, model.n_relations, model.rank, model.name) == (6, 3, 4, name)
    assert torch.equal(model.entities[[1, 2, 3, 5]], before.entities[[4, 7, 0, 11]])
    assert torch.equal(model.relations[[0, 2, 3, 5]], before.relations[[2, 0, 5, 3]])
    assert torch.equal(model.relations[[1, 4]], create(name, 6, 3, 4, seed=1).relations[[1, 4]])
    assert torch.isfinite(model.entities).all()


def test_only_relations_that_the_model_before_knew_say_something_about_new_entities() -> None:
    before, entities = previous(), np.append(np.arange(ENTITIES), -1)
    relations = np.array([0, 1, 2, -1])
    mean = before.entities.detach().mean(dim=0)
    by_new = carry_over(before, entities, relations, np.array([[ENTITIES, 3, 2], [0, 0, 1]]), seed=0)
    by_old = carry_over(before, entities, relations, np.array([[ENTITIES, 2, 2], [0, 0, 1]]), seed=0)
    torch.testing.assert_close(by_new.entities[-1], mean)
    assert not torch.allclose(by_old.entities[-1], mean, atol=1e-2)


def test_the_same_change_gives_the_same_bits() -> None:
    entities, relations = np.array([5, -1, 3, -1]), np.array([1, -1])
    first, second = (carry_over(previous(), entities, relations, some_triples(4, 2), seed=9) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


@pytest.mark.parametrize(
    ("entities", "relations", "message"),
    [
        ([0, 12], [0], "entity places run from 0 to 12, outside 0 to 11"),
        ([0, -2], [0], "entity places run from -2"),
        ([3, 3], [0], "two of the changed graph are the same entity"),
        ([0, 1], [-1], "knows no relation of the changed graph"),
        ([-1, -1], [0], "knows no entity of the changed graph"),
    ],
)
def test_places_that_cannot_be_are_refused(entities: list[int], relations: list[int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        carry_over(previous(), np.array(entities), np.array(relations), np.array([[0, 0, 1]]), seed=0)


def test_a_training_takes_the_rank_of_its_start_and_refuses_another_kind() -> None:
    model = previous()
    assert fitting(TrainConfig(), model, ENTITIES, RELATIONS).rank == 4
    assert fitting(TrainConfig(rank=4), model, ENTITIES, RELATIONS).rank == 4
    with pytest.raises(ConfigError, match=r"train\.rank is 8, the start has 4"):
        fitting(TrainConfig(rank=8), model, ENTITIES, RELATIONS)
    with pytest.raises(ConfigError, match=r"train\.model is rotate, the start has complex"):
        fitting(TrainConfig(model="rotate"), model, ENTITIES, RELATIONS)
    with pytest.raises(DataError, match="12 entities and 3 relations, the graph 13 and 3"):
        fitting(TrainConfig(), model, ENTITIES + 1, RELATIONS)


@cache
def grown_umls() -> tuple[np.ndarray, np.ndarray, Trained]:
    """Return train and valid of UMLS, and a model of it without the last tenth of its entities."""
    graph = dataset.read(folder_of("umls"))
    old = len(graph.entities) * 9 // 10
    parts = [part[(part[:, [0, 2]] < old).all(axis=1)] for part in (graph.train, graph.valid)]
    return graph.train, graph.valid, train(*parts, old, len(graph.relations), CONFIG)


def start() -> KgeModel:
    triples, _, before = grown_umls()
    n_entities, n_relations = sizes()
    entities = positions(range(n_entities), range(before.model.n_entities))
    return carry_over(before.model, entities, np.arange(n_relations), triples, CONFIG.seed)


def sizes() -> tuple[int, int]:
    triples = grown_umls()[0]
    return int(triples[:, [0, 2]].max()) + 1, int(triples[:, 1].max()) + 1


def trained_from(model: KgeModel, folder: Path) -> Trained:
    """Return the training of the grown graph that goes on from `model`."""
    triples, valid, _ = grown_umls()
    return train(triples, valid, *sizes(), CONFIG, start=model, checkpoint=folder)


def test_a_warm_start_is_as_good_as_a_cold_one_in_a_third_of_the_epochs(tmp_path: Path) -> None:
    triples, valid, _ = grown_umls()
    cold = train(triples, valid, *sizes(), replace(CONFIG, patience=CONFIG.epochs))
    warm = trained_from(start(), tmp_path)
    third = CONFIG.epochs // 3
    cold_mrr, warm_mrr = ([epoch.valid_mrr or 0.0 for epoch in result.history] for result in (cold, warm))
    assert max(warm_mrr[:third]) >= max(cold_mrr) - 0.01
    assert max(warm_mrr[:third]) > max(cold_mrr[:third])


def test_a_warm_start_repeats_to_the_bit(tmp_path: Path) -> None:
    first, second = (trained_from(start(), tmp_path / name) for name in ("first", "second"))
    assert [epoch.loss for epoch in first.history] == [epoch.loss for epoch in second.history]
    assert all(torch.equal(a, b) for a, b in zip(first.model.parameters(), second.model.parameters(), strict=True))


GROWN = [("new", "WITH", f"t{i}") for i in range(3)]


def grown() -> tuple[Snapshot, Snapshot]:
    """Return a graph, and the same with a new entity and some edges less."""
    rng = np.random.default_rng(3)
    triples = [(f"t{h}", f"R{r}", f"t{(3 * h + r) % 40}") for h in range(40) for r in range(4)]
    triples += [(f"t{h}", "WITH", f"t{t}") for h, t in rng.integers(40, size=(80, 2)).tolist()]
    return graph(triples), graph([*triples[5:], *GROWN])


def test_what_the_model_before_has_learned_is_hidden_from_none() -> None:
    old, new = grown()
    before = learn.train(old, config=SMALL, voices=ALONE)
    parts = split_snapshot(new, SplitConfig(seed=5))  # not its own split: most of what it hides was learned before
    start = go_on(before, new, before.split, parts, SMALL)

    def pairs(snapshot: Snapshot, triples: np.ndarray) -> set[frozenset[Any]]:
        keys = [entity.key for entity in snapshot.identities]
        return {frozenset([keys[head], keys[tail]]) for head, _, tail in triples.tolist()}

    learned = pairs(old, before.learned())
    assert learned & pairs(new, parts.test)
    for name in ("select", "fuse", "calibrate", "test"):
        assert not learned & pairs(new, getattr(start.parts, name))
    everything = np.concatenate([getattr(start.parts, part) for part in learn.PARTS])
    assert sorted(everything.tolist()) == sorted(new.triples.tolist())
    row = {entity.key: place for place, entity in enumerate(new.identities)}
    was = {entity.key: place for place, entity in enumerate(old.identities)}
    assert torch.equal(start.model.entities[row["t7"]], before.embeddings().entities[was["t7"]])


def test_the_command_goes_on_from_the_newest_model_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = grown()
    place = Workspace(tmp_path / "work")
    config = tmp_path / "kgsync.toml"
    config.write_text("[train]\nrank = 8\nepochs = 2\n[voices]\nrules = false\ntext = false\n")

    def trained(*options: str) -> dict[str, Any]:
        with pytest.raises(SystemExit) as ended:
            main(["train", "--config", str(config), "--workspace", str(place.root), "--json", *options])
        out, err = capsys.readouterr()
        assert ended.value.code == 0, err
        card: dict[str, Any] = json.loads(out)
        return card

    old.save(place.snapshots)
    first = trained()
    path = new.save(place.snapshots)
    second = trained("--snapshot", new.id, "--from-model")
    assert (second["startedFrom"], "startedFrom" in first) == (first["id"], False)
    assert trained("--snapshot", new.id, "--from-model", first["id"])["id"] == second["id"]  # not trained again
    model = Model.load(place.models / second["id"], Snapshot.load(path))
    assert (model.id, model.start) == (second["id"], first["id"])
    third = learn.train(new, config=SMALL, voices=ALONE, previous=model)  # what both have learned stays in train
    learned = {tuple(triple) for triple in third.learned().tolist()}
    assert {tuple(triple) for triple in model.learned().tolist()} <= learned


@pytest.mark.parametrize(("change", "said"), [({"members": 2}, "members is 2"), ({"rank": 16}, "train.rank is 16")])
def test_settings_that_do_not_fit_the_model_before_are_refused(change: dict[str, int], said: str) -> None:
    old, new = grown()
    before = learn.train(old, config=SMALL, voices=ALONE)
    with pytest.raises(ConfigError, match=said):
        learn.train(new, config=replace(SMALL, **change), voices=ALONE, previous=before)


def test_what_tested_or_stopped_the_model_before_does_not_change_sides() -> None:
    old, new = grown()
    before = learn.train(old, config=SMALL, voices=ALONE)
    for split, said in ((SplitConfig(seed=5), "split.seed is 5"), (SplitConfig(test=0.2), "split.test is 0.2")):
        with pytest.raises(ConfigError, match=said):
            learn.train(new, config=SMALL, voices=ALONE, split=split, previous=before)
