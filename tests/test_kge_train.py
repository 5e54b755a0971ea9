"""Training learns, stops at the best, repeats to the bit, and continues after a kill as if nothing had been."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from example_graphs import folder_of

from kgsync import dataset
from kgsync.errors import ConfigError, DataError
from kgsync.kge import train as train_module
from kgsync.kge.checkpoint import FILE
from kgsync.kge.defaults import Size, resolve
from kgsync.kge.evaluate import evaluate
from kgsync.kge.known import KnownAnswers
from kgsync.kge.models import MODELS, create
from kgsync.kge.train import TrainConfig, Trained, train

ENTITIES, RELATIONS = 40, 3
SMALL = TrainConfig(rank=16, epochs=12, eval_every=2, batch=30, threads=1)
NONE = np.empty((0, 3), dtype=np.int64)


def line() -> tuple[np.ndarray, np.ndarray]:
    """Return train and valid triples of a graph with a rule: relation r leads r + 1 places further."""
    triples = np.array([(e, r, e + r + 1) for r in range(RELATIONS) for e in range(ENTITIES - r - 1)])
    order = np.random.default_rng(0).permutation(len(triples))
    return triples[order[20:]], triples[order[:20]]


def trained(config: TrainConfig, **more: object) -> Trained:
    return train(*line(), ENTITIES, RELATIONS, config, **more)  # type: ignore[arg-type]


def same_weights(first: Trained, second: Trained) -> bool:
    tables = zip(first.model.parameters(), second.model.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in tables)


class KilledAt:
    """Interrupts training when it reports the given step, as Ctrl-C would."""

    def __init__(self, step: int) -> None:
        self.step = step

    def __call__(self, name: str, done: int, total: int | None) -> None:
        if done == self.step:
            raise KeyboardInterrupt


@pytest.mark.parametrize("name", MODELS)
def test_every_model_learns_a_graph_with_a_rule(name: str) -> None:
    learns(replace(SMALL, model=name, epochs=60, n3=0.0, eval_every=10))


@pytest.mark.parametrize(
    "change",
    [
        {"loss": "bce", "label_smoothing": 0.1},
        {"loss": "margin", "model": "rotate", "negatives": 8},
        {"loss": "margin", "adversarial_temperature": 0.0, "typed_negatives": True},
        {"optimizer": "adam", "learning_rate": 0.01, "dropout": 0.2},
        {"optimizer": "adam", "learning_rate": 0.01, "negatives": 8, "typed_negatives": True},
        {"averaging": 0},
    ],
    ids=str,
)
def test_every_loss_and_optimiser_learns_a_graph_with_a_rule(change: dict[str, Any]) -> None:
    learns(replace(SMALL, epochs=60, n3=0.0, eval_every=10, **change))


def learns(config: TrainConfig) -> None:
    result = trained(config)
    random_mrr = sum(1 / rank for rank in range(1, ENTITIES + 1)) / ENTITIES
    assert result.history[-1].loss < result.history[0].loss
    assert max(epoch.valid_mrr or 0 for epoch in result.history) > 2 * random_mrr


def test_shared_negatives_learn_nearly_as_well_as_all_entities() -> None:
    config = replace(SMALL, epochs=40, eval_every=10)
    full, sampled = (max(e.valid_mrr or 0 for e in trained(c).history) for c in (config, replace(config, negatives=8)))
    assert full > 0.5
    assert sampled > full - 0.15


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    first, again, other = trained(SMALL), trained(SMALL), trained(replace(SMALL, seed=1))
    assert same_weights(first, again)
    assert not same_weights(first, other)
    assert [epoch.loss for epoch in first.history] == [epoch.loss for epoch in again.history]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"negatives": 8},
        {"optimizer": "adam", "averaging": 0, "dropout": 0.3},
        {"optimizer": "adam", "negatives": 8, "loss": "margin", "typed_negatives": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("step", [1, 9, 25, 37])
def test_training_killed_at_any_step_continues_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, change: dict[str, Any]
) -> None:
    monkeypatch.setattr(train_module, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(train_module, "REPORT_SECONDS", 0.0)
    config = replace(SMALL, **change)
    whole = trained(config)
    assert whole.steps > 37
    folder = tmp_path / "checkpoint"
    with pytest.raises(KeyboardInterrupt):
        trained(config, checkpoint=folder, progress=KilledAt(step))
    resumed_from = []
    result = trained(config, checkpoint=folder, progress=lambda _, done, total: resumed_from.append(done))
    assert resumed_from[0] > 1 or step < 5, "it began again instead of continuing"
    assert same_weights(result, whole)
    assert (result.best_epoch, result.steps, result.stopped) == (whole.best_epoch, whole.steps, whole.stopped)
    measured = [(e.epoch, e.loss, e.valid_mrr) for e in result.history]
    assert measured == [(e.epoch, e.loss, e.valid_mrr) for e in whole.history]
    assert not folder.exists(), "the checkpoint outlived the training"


def test_a_checkpoint_of_another_configuration_or_graph_or_a_damaged_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_module, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(train_module, "REPORT_SECONDS", 0.0)
    with pytest.raises(KeyboardInterrupt):
        trained(SMALL, checkpoint=tmp_path, progress=KilledAt(25))
    with pytest.raises(DataError, match=r"another graph or configuration.*delete"):
        trained(replace(SMALL, n3=0.5), checkpoint=tmp_path)
    with pytest.raises(DataError, match="another graph or configuration"):
        train(line()[0][:-1], line()[1], ENTITIES, RELATIONS, SMALL, checkpoint=tmp_path)
    damaged = bytearray((tmp_path / FILE).read_bytes())
    damaged[-100] ^= 1
    (tmp_path / FILE).write_bytes(damaged)
    with pytest.raises(DataError, match=FILE):
        trained(SMALL, checkpoint=tmp_path)


@pytest.mark.parametrize("negatives", [0, 8])
def test_averaged_embeddings_are_the_mean_over_the_steps(negatives: int) -> None:
    config = replace(SMALL, negatives=negatives, averaging=0)
    alone = [train(line()[0], NONE, ENTITIES, RELATIONS, replace(config, steps=n + 1)).model for n in range(5)]
    averaged = train(line()[0], NONE, ENTITIES, RELATIONS, replace(config, steps=5, averaging=1)).model
    weights = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]) / 15
    for name, table in averaged.state_dict().items():
        after = torch.stack([model.state_dict()[name] for model in alone])  # [5, n, d]
        torch.testing.assert_close(table, (weights[:, None, None] * after).sum(dim=0))


def test_averaged_embeddings_are_what_is_evaluated_and_kept() -> None:
    result = trained(SMALL)
    known = KnownAnswers(np.concatenate(line()), ENTITIES, RELATIONS)
    assert evaluate(result.model, line()[1], known).mrr == max(epoch.valid_mrr or 0 for epoch in result.history)
    assert not same_weights(result, trained(replace(SMALL, averaging=0)))


def test_early_stopping_restores_the_best_epoch() -> None:
    result = trained(replace(SMALL, model="distmult", epochs=400, eval_every=2, patience=2, n3=0.0))
    assert result.stopped == "no better valid MRR in 2 evaluations"
    assert 2 < result.best_epoch == len(result.history) - 4
    known = KnownAnswers(np.concatenate(line()), ENTITIES, RELATIONS)
    best = max(epoch.valid_mrr or 0 for epoch in result.history)
    assert evaluate(result.model, line()[1], known).mrr == best > (result.history[-1].valid_mrr or 1)


def test_without_validation_triples_it_trains_a_few_epochs_and_says_so() -> None:
    result = train(line()[0], NONE, ENTITIES, RELATIONS, replace(SMALL, epochs=500))
    assert len(result.history) == result.best_epoch == train_module.BLIND_EPOCHS
    assert "without validation triples" in result.stopped
    assert all(epoch.valid_mrr is None for epoch in result.history)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    "triples", [[(0, 0, 1)], [(0, 0, 1), (1, 0, 0)], [(0, 0, 0), (1, 0, 1)], [(0, 0, 1), (0, 0, 1)]]
)
def test_the_smallest_graphs_train_without_a_crash(name: str, triples: list[tuple[int, int, int]]) -> None:
    result = train(np.array(triples), NONE, 2, 1, replace(SMALL, model=name, epochs=2))
    assert torch.isfinite(result.model.entities).all()


def test_nothing_to_train_on_and_impossible_settings_are_one_clear_line() -> None:
    with pytest.raises(DataError, match="no triples to train on"):
        train(NONE, NONE, 5, 1, SMALL)
    with pytest.raises(ConfigError, match=r"train.learning_rate is -1.*more than 0"):
        trained(replace(SMALL, learning_rate=-1.0))
    with pytest.raises(ConfigError, match=r"train.label_smoothing is 0.1.*set train.loss to bce"):
        trained(replace(SMALL, label_smoothing=0.1))
    with pytest.raises(DataError, match="triple 0 has tail 9"):
        train(np.array([(0, 0, 1)]), np.array([(0, 0, 9)]), 5, 1, SMALL)


def test_a_loss_that_is_not_finite_names_epoch_and_learning_rate() -> None:
    with pytest.raises(DataError, match=r"not finite in epoch \d+ with learning rate 1e\+20.*lower"):
        trained(replace(SMALL, learning_rate=1e20))


def test_the_steps_of_a_time_budget_repeat_its_result_exactly() -> None:
    budget = trained(replace(SMALL, epochs=10_000, patience=10_000, time_budget=0.5))
    assert "time budget of 0.5 s" in budget.stopped
    assert budget.history[-1].valid_mrr is not None, "the last state was not evaluated"
    again = trained(replace(SMALL, epochs=10_000, patience=10_000, steps=budget.steps))
    assert same_weights(budget, again)
    assert again.stopped == f"the {budget.steps} steps asked for are done"


def test_bf16_products_reach_about_the_mrr_of_f32() -> None:
    def best(precision: str) -> float:
        result = trained(replace(SMALL, epochs=40, eval_every=10, precision=precision))  # type: ignore[arg-type]
        return max(epoch.valid_mrr or 0 for epoch in result.history)

    assert abs(best("bf16") - best("f32")) < 0.05


def test_other_hidden_triples_do_not_compete_with_the_valid_ones_and_are_not_learned() -> None:
    star = np.array([(0, 0, tail) for tail in range(1, ENTITIES)])  # one query with many answers
    seen, hidden, valid = star[:20], star[20:30], star[30:]
    config = replace(SMALL, epochs=4, eval_every=1)
    alone = train(seen, valid, ENTITIES, RELATIONS, config).history
    aside = train(seen, valid, ENTITIES, RELATIONS, config, also_true=hidden).history
    assert [epoch.loss for epoch in alone] == [epoch.loss for epoch in aside]
    pairs = [(a.valid_mrr or 0, b.valid_mrr or 0) for a, b in zip(alone, aside, strict=True)]
    assert all(competing <= filtered for competing, filtered in pairs)
    assert any(competing < filtered for competing, filtered in pairs)


def test_automatic_settings_follow_the_graph_and_stay_once_filled_in() -> None:
    tiny, small, large = (resolve(TrainConfig(), Size(n, 30, 6 * n, 8 * n)) for n in (100, 2_000, 100_000))
    assert (tiny.rank, small.rank, large.rank) == (400, 200, 100)
    assert (tiny.batch, small.batch, large.batch) == (50, 500, 500)
    assert (tiny.negatives, small.negatives, large.negatives) == (0, 0, 2_048)
    size = Size(100, 30, 600, 800)
    assert all(resolve(config, size) == config for config in (tiny, small, large))
    assert resolve(TrainConfig(model="transe-l1"), Size(3_000, 30, 9_000, 9_000)).negatives == 2_048
    assert resolve(TrainConfig(model="rescal"), size).rank == 100
    sparse, dense = (
        resolve(TrainConfig(), Size(1_000, relations, t, 10)) for relations, t in ((3, 900), (900, 90_000))
    )
    assert (sparse.n3, dense.n3) == (0.1, 0.005)
    assert small.n3 == pytest.approx(0.4 / 12)
    assert (sparse.relation_weight, small.relation_weight, dense.relation_weight) == (0.05, 0.1, 1.0)
    assert resolve(TrainConfig(n3=0.0, relation_weight=0.0), size).n3 == 0.0
    assert resolve(TrainConfig(), size).learning_rate == 0.1
    assert resolve(TrainConfig(optimizer="adam"), size).learning_rate == 0.001
    assert resolve(TrainConfig(model="rotate", loss="margin"), size).margin == 9.0
    assert resolve(TrainConfig(model="transe-l2", loss="bce"), size).margin == 3.0
    assert resolve(TrainConfig(model="rotate"), size).margin == 0.0
    assert resolve(TrainConfig(loss="margin"), size).margin == 0.0
    assert resolve(TrainConfig(model="transe-l2", precision="bf16"), size).precision == "f32"
    known = KnownAnswers(line()[0], ENTITIES, RELATIONS)
    assert trained(SMALL).config == resolve(SMALL, Size.of(known))


def test_the_number_of_threads_is_set_back() -> None:
    before = torch.get_num_threads()
    trained(replace(SMALL, epochs=1, threads=1 if before > 1 else 2))
    assert torch.get_num_threads() == before


@pytest.fixture(scope="module")
def umls() -> tuple[list[np.ndarray], int, int]:
    """Return train, valid and test triples, and the numbers of entities and relations."""
    graph = dataset.read(folder_of("umls"))
    return [graph.train, graph.valid, graph.test], len(graph.entities), len(graph.relations)


def test_umls_reaches_a_test_mrr_of_nine_tenths_in_a_short_time(umls: tuple[list[np.ndarray], int, int]) -> None:
    parts, entities, relations = umls
    result = train(parts[0], parts[1], entities, relations, TrainConfig(rank=200))
    known = KnownAnswers(np.concatenate(parts), entities, relations)
    metrics = evaluate(result.model, parts[2], known)
    assert metrics.mrr > 0.9
    untrained = create("complex", entities, relations, 8, 0)
    assert evaluate(untrained, parts[2], known).mrr < 0.2


@pytest.mark.parametrize(
    ("change", "floor"),
    [
        ({"model": "complex", "loss": "bce", "relation_weight": 0.25}, 0.85),
        ({"model": "complex", "optimizer": "adam", "learning_rate": 0.01}, 0.75),
        ({"model": "rotate"}, 0.75),
        ({"model": "rotate", "loss": "margin"}, 0.75),
        ({"model": "rescal"}, 0.75),
        ({"model": "transe-l1", "loss": "margin"}, 0.6),
        ({"model": "transe-l2"}, 0.6),
    ],
    ids=str,
)
def test_every_model_learns_umls_in_a_few_epochs(
    umls: tuple[list[np.ndarray], int, int], change: dict[str, Any], floor: float
) -> None:
    parts, entities, relations = umls
    config = replace(TrainConfig(rank=40, epochs=15, eval_every=5, relation_weight=0.0, threads=1), **change)
    result = train(parts[0], parts[1], entities, relations, config)
    mrr = evaluate(result.model, parts[2], KnownAnswers(np.concatenate(parts), entities, relations)).mrr
    assert mrr > floor


def test_every_epoch_looks_at_every_query_once_the_last_one_too() -> None:
    known = KnownAnswers(line()[0], ENTITIES, RELATIONS)
    done = trained(replace(SMALL, epochs=3, patience=100))
    assert done.steps == 3 * -(-len(known) // SMALL.batch)
