"""Scores are probabilities: they follow the evidence, and on edges that nothing has seen they come true."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from example_graphs import benchmark, made_up_model, trained
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kgsync.calibrate import FEWEST_AUDITED, MIDDLE, Audited, Calibrator, Labelled, features, fit, reviewed_share
from kgsync.candidates import hidden
from kgsync.candidates.admissible import Admissible
from kgsync.candidates.hidden import label_hidden
from kgsync.candidates.search import Scorer
from kgsync.errors import DataError
from kgsync.progress import silent
from kgsync.promise import Nulls
from kgsync.reliability import judge
from kgsync.split import Split, split_triples

TRUTH = np.array([-1.0, 0.8, 0.6, 0.3, 0.3, -0.2])
NONE = np.empty((0, 3), np.int64)


def simulated(
    seed: int, rows: int = 20_000, relations: int = 8, spread: float = 0.7, times: float = 1.0, slopes: float = 0.0
) -> tuple[Labelled, np.ndarray]:
    """Return labelled candidates that follow the calibrator's own model, with their true probabilities.

    With each labelled edge come so many `times` others that are missing, and count as false; 0: the graph is complete.
    The deviation of the relations' own slopes is `slopes`.
    """
    random = np.random.default_rng(seed)
    evidence = -random.exponential(2.5, (rows, 2))
    x = features(evidence[:, 0], evidence[:, 1], random.integers(0, 20, rows), random.integers(0, 20, rows))
    relation = random.integers(0, relations, rows)
    logit = x @ TRUTH + random.normal(0, spread, relations)[relation]
    if slopes:
        logit += random.normal(0, slopes, relations)[relation] * (evidence.sum(axis=1) - MIDDLE)
    probability = 1 / (1 + np.exp(-logit))
    true = random.random(rows) < (probability / (times + probability) if times else probability)
    hidden = np.bincount(relation[true], minlength=relations)
    return Labelled(x, relation, true, np.ones(rows), hidden=hidden, known=10 * hidden), probability


def split_of(name: str) -> Split:
    snapshot = benchmark(name)
    return split_triples(snapshot.triples, [str(e) for e in snapshot.identities], valid=0.1, test=0.05, seed=0)


def test_a_known_model_is_recovered() -> None:
    data, probability = simulated(0, rows=50_000)
    calibrator = fit(data, 8)
    score, _ = calibrator.scores(data.relations, data.features)
    assert np.abs(np.array(calibrator.weights) - TRUTH)[1:] == pytest.approx(0, abs=0.1)
    assert np.abs(score - probability).mean() < 0.01
    assert calibrator.base_rate == pytest.approx(data.true.mean())


def test_a_sure_answer_scores_much_more_than_a_likely_one() -> None:
    likely, sure, certain = features(np.log([0.8, 0.99, 1.0]), np.log([0.8, 0.99, 1.0]), [1, 1, 1], [1, 1, 1])
    assert sure[3] - likely[3] > 10 * (sure[1] + sure[2] - likely[1] - likely[2])
    assert np.isfinite(certain).all()
    assert certain[3] >= sure[3]


def test_several_folds_tell_more_of_true_edges_and_no_more_of_false_ones() -> None:
    data, _ = simulated(5)
    again = Labelled.together([data, data])
    assert (again.folds, again.base_rate, again.missing_share) == (2, data.base_rate, data.missing_share)
    once, twice = fit(data, 8), fit(again, 8)
    score, low = once.scores(data.relations, data.features)
    same, higher = twice.scores(data.relations, data.features)
    assert same == pytest.approx(score, abs=0.02)
    assert (higher - same).mean() > (low - score).mean()
    rows, grid = (np.tile(score, 2), np.tile(data.true, 2), np.tile(data.weights, 2)), np.linspace(0.05, 0.95, 20)
    alone = Nulls.of(score, data.true, data.weights).p_values(grid)
    assert Nulls.of(*rows, folds=2).p_values(grid) == pytest.approx(alone, rel=1e-3)
    assert (Nulls.of(*rows).p_values(grid) < 0.999 * alone).all(), "as if the false ones were others each time"


def audit_of(score: np.ndarray, share: float, truth: float, seed: int = 0) -> list[Audited]:
    """Decisions about edges whose scores assume one share of missing edges, where another one is true."""
    accepted = np.random.default_rng(seed).random(len(score)) < score * truth / share
    return [Audited(float(s), share, 1, int(a)) for s, a in zip(score, accepted, strict=True)]


@pytest.mark.parametrize("truth", [0.01, 0.1, 0.15])
def test_an_audit_shows_how_many_edges_are_missing_whatever_its_scores_assumed(truth: float) -> None:
    score = np.random.default_rng(3).beta(1, 1.5, 2_000).clip(0.02, 0.6)
    both = audit_of(score[:1_000], 0.1, truth) + audit_of(score[1_000:], 0.3, truth)  # by two models
    share, variance = reviewed_share(both, 0.1)
    assert np.log(share / truth) == pytest.approx(0, abs=0.25)
    _, doubt = reviewed_share(both[:20], 0.1)
    assert doubt > 10 * variance
    assert all(0 < reviewed_share([Audited(0.5, 0.1, 40, n)], 0.1)[0] < np.inf for n in (0, 40))


def test_scores_follow_the_audit_and_say_so() -> None:
    data, _ = simulated(0)
    assumed = fit(data, 8, missing_share=0.1)
    audit = audit_of(np.linspace(0.02, 0.15, FEWEST_AUDITED), 0.1, 1.0)
    assert fit(data, 8, missing_share=0.1, audit=audit[1:]) == assumed, "too few to tell"
    reviewed = fit(data, 8, missing_share=0.1, audit=audit)
    assert (assumed.audited, reviewed.audited) == (0, FEWEST_AUDITED)
    assert reviewed.missing_share == pytest.approx(reviewed_share(audit, 0.1)[0])
    moved = np.log(reviewed.missing_share / assumed.missing_share)
    assert moved > 1
    before, after = (np.array(each.scores(data.relations, data.features)) for each in (assumed, reviewed))
    assert after[0].mean() > 1.5 * before[0].mean()
    exact = np.array(replace(reviewed, doubt=0.0).scores(data.relations, data.features))
    assert (after[1] <= exact[1]).all()
    assert after[1].mean() < 0.95 * exact[1].mean(), "it is not known exactly"
    assert Calibrator.from_dict(json.loads(json.dumps(reviewed.to_dict()))) == reviewed


def test_a_complete_graph_whose_best_candidates_are_all_labelled_is_fitted() -> None:
    data, _ = simulated(7)
    best = np.argsort(-data.features[:, 1:3].sum(axis=1))[:400]
    true = np.isin(np.arange(len(data.true)), best)
    calibrator = fit(replace(data, true=true), 8)
    assert calibrator.basis == "estimated"
    assert 0 < calibrator.missing_share < 0.1 * data.missing_share
    assert calibrator.scores(data.relations, data.features)[0].max() < 1


def test_scores_that_follow_an_audit_come_true() -> None:
    """An audit of what is proposed, in a graph that lacks another share than was assumed."""
    for assumed, times in ((2.0, 1.0), (1.0, 2.0)):
        data, probability = simulated(8, rows=40_000, times=times)
        unlabelled = np.flatnonzero(~data.true)
        before, _ = fit(data, 8, missing_share=assumed * data.missing_share).scores(data.relations, data.features)
        random = np.random.default_rng(9)
        asked = random.choice(unlabelled[before[unlabelled] > 0.1], 300, replace=False)
        accepted = random.random(300) < probability[asked]  # of missing and false ones
        rows = zip(before[asked].tolist(), accepted.tolist(), strict=True)
        audit = [Audited(score, assumed * data.missing_share, 1, int(yes)) for score, yes in rows]
        reviewed = fit(data, 8, missing_share=assumed * data.missing_share, audit=audit)
        assert reviewed.missing_share / data.missing_share == pytest.approx(times, rel=0.35)
        score, _ = reviewed.scores(data.relations, data.features)
        sure = before > 0.1
        assert score[sure].mean() == pytest.approx(probability[sure].mean(), abs=0.08)
        assert abs(score[sure].mean() - probability[sure].mean()) < abs(before[sure].mean() - probability[sure].mean())


def test_what_a_reviewer_rejected_counts_as_false() -> None:
    """It would be a candidate like others if nobody had judged it; it goes on counting as what it is."""
    snapshot, parts = benchmark("umls"), split_of("umls")
    model = made_up_model(snapshot)
    known = np.concatenate([parts.train, parts.select, parts.fuse])
    rejected = (parts.test[:40], parts.calibrate[:3])

    def labelled(some: np.ndarray) -> Labelled:
        judged = replace(snapshot, rejected=some)
        return label_hidden(
            model.voice,
            judged,
            known=known,
            hidden=parts.calibrate,
            competing=parts.test[40:],
            step="",
            progress=silent,
        )

    without = labelled(snapshot.rejected)
    for some in rejected:
        found = labelled(some)
        assert found.true.sum() == without.true.sum() > 0, "what is true stays true"
        assert (found.features == without.features).all()


@pytest.mark.parametrize("slopes", [0.0, 0.2])
def test_the_lower_bound_holds_nineteen_times_in_twenty(slopes: float) -> None:
    held = []
    for seed in range(40):
        data, probability = simulated(seed, rows=1_500, slopes=slopes)
        _, low = fit(data, 8).scores(data.relations, data.features)
        held.append((low[:50] <= probability[:50]).mean())
    assert 0.90 <= np.mean(held) <= 0.99


def test_the_bound_rises_towards_the_score_with_more_hidden_edges() -> None:
    gaps = []
    for rows in (500, 5_000, 50_000):
        data, _ = simulated(1, rows=rows)
        score, low = fit(data, 8).scores(data.relations, data.features)
        gaps.append((score - low).mean())
    assert gaps[0] > gaps[1] > 2 * gaps[2]


def test_a_relation_with_few_hidden_edges_leans_on_the_others() -> None:
    data, _ = simulated(2, relations=10)
    rare = data.relations == 9
    few = np.flatnonzero(rare)[:5]
    kept = np.sort(np.concatenate([np.flatnonzero(~rare), few]))
    true = data.true.copy()
    true[few] = False
    rows = {name: getattr(data, name)[kept] for name in ("features", "relations", "weights")}
    calibrator = fit(replace(data, true=true[kept], **rows), 11)
    own, variance = np.array(calibrator.relations)[:, 0], np.array(calibrator.variance)[:, 0, 0]
    assert -2 * np.std(own[:9]) < own[9] < 0  # five misses are no proof
    assert calibrator.relations[10] == (0, 0)  # never seen: the average
    assert variance[10] > variance[9] > max(variance[:9])


def test_voices_that_know_more_about_a_relation_count_more_there() -> None:
    data, probability = simulated(2, rows=60_000, slopes=0.3)
    same, _ = simulated(2, rows=60_000)
    calibrator = fit(data, 8)
    score, _ = calibrator.scores(data.relations, data.features)
    for relation in range(8):
        own = data.relations == relation
        sure = own & (probability > np.quantile(probability[own], 0.95))
        assert score[sure].mean() == pytest.approx(probability[sure].mean(), abs=0.05)
    slopes = np.array(calibrator.relations)[:, 1]
    assert np.std(slopes) > 4 * np.std(np.array(fit(same, 8).relations)[:, 1])


def test_a_relation_of_which_few_edges_are_hidden_lacks_no_fewer_for_it() -> None:
    """Which edges a split hides is chance, and a relation whose entities have few edges is hidden less."""
    data, probability = simulated(3, rows=60_000, spread=0.0)
    rare = data.relations == 0
    hidden = data.hidden.copy()
    hidden[0] //= 5
    lost = data.true & rare & (np.cumsum(data.true & rare) > hidden[0])  # neither labelled nor a candidate
    rows = {name: getattr(data, name)[~lost] for name in ("features", "relations", "true", "weights")}
    fewer = replace(data, hidden=hidden, **rows)
    score, _ = fit(fewer, 8, missing_share=data.missing_share).scores(data.relations, data.features)
    sure = rare & (probability > 0.5)
    assert score[sure].mean() == pytest.approx(probability[sure].mean(), abs=0.05)
    assert fewer.missing(0.1)[fewer.relations == 0] == pytest.approx(5, rel=0.01)


@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
@settings(max_examples=25, deadline=None)
def test_more_evidence_never_lowers_a_score(seed: int, share: float) -> None:
    data, _ = simulated(seed, rows=300)
    random = np.random.default_rng(seed)
    upside_down = random.random(len(data.true)) < share
    data = replace(data, true=np.where(upside_down, random.permutation(~data.true), data.true))
    assume(data.true.sum() >= 10)  # with fewer, nothing is fitted
    calibrator = fit(data, 8)
    for feature in (1, 2):
        more = data.features.copy()
        more[:, feature] = np.minimum(more[:, feature] + 1.0, 0.0)
        before, _ = calibrator.scores(data.relations, data.features)
        after, _ = calibrator.scores(data.relations, more)
        assert (after >= before - 1e-12).all()


@given(st.integers(0, 2**32 - 1), st.lists(st.floats(-1e300, 0), min_size=1, max_size=20), st.integers(0, 10**9))
@settings(max_examples=50, deadline=None)
def test_any_evidence_gives_a_probability_and_a_bound_not_above_it(seed: int, values: list[float], known: int) -> None:
    data, _ = simulated(seed % 5, rows=300)
    evidence, counts = np.array([*values, -np.inf]), np.full(len(values) + 1, known)
    score, low = fit(data, 8).scores(seed % 8, features(evidence, evidence[::-1], counts, counts))
    assert ((low >= 0) & (low <= score) & (score <= 1)).all()


def test_fewer_than_ten_hidden_edges_are_refused_with_the_number_of_triples_needed() -> None:
    data, _ = simulated(3, rows=2_000)
    true = data.true & (np.cumsum(data.true) <= 9)
    with pytest.raises(DataError, match=r"only 9 hidden edges .* at least 3,\d00 triples"):
        fit(replace(data, true=true, hidden=np.array([9]), known=np.array([1_900])), 8)


def test_ten_hidden_edges_give_cautious_scores() -> None:
    data, _ = simulated(3, rows=2_000)
    true = data.true & (np.cumsum(data.true) <= 10)
    score, low = fit(replace(data, true=true), 8).scores(data.relations, data.features)
    assert score.mean() == pytest.approx(true.mean(), rel=0.1)
    assert np.median(low / score) < 0.5


def test_labels_without_any_pattern_give_the_base_rate() -> None:
    data, _ = simulated(4, rows=2_000)
    true = np.random.default_rng(4).random(2_000) < 0.1
    score, _ = fit(replace(data, true=true), 8).scores(data.relations, data.features)
    off = np.abs(score - 0.1 / 0.9)  # of ten that look alike one is labelled, and one missing
    assert np.quantile(off, 0.95) < 0.1
    assert score.mean() == pytest.approx(0.1 / 0.9, abs=0.02)


def test_a_calibrator_survives_json() -> None:
    data, _ = simulated(5, rows=500)
    calibrator = fit(data, 8)
    kept = json.loads(json.dumps(calibrator.to_dict()))
    assert Calibrator.from_dict(kept) == calibrator
    with pytest.raises(TypeError):  # as models of before had it, where relations had no slope
        Calibrator.from_dict({**kept, "relations": [b for b, _ in kept["relations"]]})


@pytest.mark.parametrize("times", [0.5, 3.5])
def test_what_is_missing_does_not_count_as_false(times: float) -> None:
    data, probability = simulated(6, rows=50_000, times=times)
    calibrator = fit(data, 8, missing_share=times * data.missing_share)
    assert calibrator.missing_share == pytest.approx(times * data.missing_share)
    score, _ = calibrator.scores(data.relations, data.features)
    assert np.abs(score - probability).mean() < 0.02
    assert score[probability > 0.5].mean() == pytest.approx(probability[probability > 0.5].mean(), abs=0.03)
    labelled = calibrator.chances(data)
    assert labelled == pytest.approx(score / (times + score))
    assert labelled.mean() == pytest.approx(data.true.mean(), rel=0.02)


def test_where_all_that_looks_like_a_hidden_edge_is_one_little_is_missing() -> None:
    data, probability = simulated(7, rows=50_000, times=0)
    calibrator = fit(data, 8, missing_share=2 * data.missing_share)
    assert calibrator.missing_share < 1.5 * data.missing_share
    assert (calibrator.basis, fit(data, 8, missing_share=0.1 * data.missing_share).basis) == ("estimated", "assumed")
    chances = calibrator.chances(data)
    assert np.abs(chances - probability).mean() < 0.02


def test_scores_that_are_kept_are_those_that_would_be_made_again() -> None:
    snapshot, parts = benchmark("umls"), split_of("umls")
    model = made_up_model(snapshot).kge
    admissible = Admissible(snapshot, parts.train, parts.test)
    kept, again = Scorer(model, admissible), Scorer(model, admissible, memory=4096)  # too little for a whole block
    for relation in range(len(snapshot.relations)):
        some = admissible.ends(relation)[0][::3]  # so that others are asked later, and joined to these
        for heads in (None, some):
            one, other = (scorer.candidates(relation, heads) for scorer in (kept, again))
            assert (one.heads.tolist(), one.tails.tolist()) == (other.heads.tolist(), other.tails.tolist())
            np.testing.assert_allclose(one.features, other.features, rtol=1e-4, atol=1e-5)


def test_the_test_fold_is_neither_true_nor_false() -> None:
    snapshot, parts = benchmark("umls"), split_of("umls")
    model = made_up_model(snapshot).kge
    known = np.concatenate([parts.train, parts.select])
    data = label_hidden(
        model, snapshot, known=known, hidden=parts.calibrate, competing=parts.test, step="", progress=silent
    )
    scorer = Scorer(model, Admissible(snapshot, known, known[:0]))
    forbidden, left_out = ({tuple(edge) for edge in some.tolist()} for some in (known, parts.test))
    hidden_edges = {tuple(edge) for edge in parts.calibrate.tolist()}
    rows = positives = 0
    for relation in range(len(snapshot.relations)):
        found = scorer.candidates(relation)
        edges = {(h, relation, t) for h, t in zip(found.heads.tolist(), found.tails.tolist(), strict=True)}
        assert len(edges) == len(found)
        assert not edges & forbidden
        rows, positives = rows + len(edges - left_out), positives + len(edges & hidden_edges)
    assert (len(data.true), int(data.true.sum())) == (rows, positives)
    assert positives > 30


def test_what_competes_is_neither_and_makes_voices_less_sure_of_the_others() -> None:
    snapshot, parts = benchmark("umls"), split_of("umls")
    model, weighed = made_up_model(snapshot).kge, np.concatenate([parts.select, parts.fuse])

    def evidence(known: np.ndarray, competing: np.ndarray) -> dict[tuple[int, ...], bool]:
        rows = {"known": known, "hidden": parts.calibrate, "competing": competing}
        data = label_hidden(model, snapshot, **rows, step="", progress=silent)
        sure.append(float(data.features[:, 1].mean()))
        return {(r, *x): true for r, x, true in zip(data.relations, data.features.tolist(), data.true, strict=True)}

    sure: list[float] = []
    alone = evidence(np.concatenate([parts.train, weighed]), NONE)
    among = evidence(parts.train, weighed)
    everything = evidence(parts.train, NONE)
    assert sum(alone.values()) > 0
    assert 0 < sum(among.values()) <= parts.calibrate.shape[0]
    assert sure[1] < sure[0]
    assert among.keys() < everything.keys(), "the same evidence, and fewer rows"
    assert all(everything[row] == true for row, true in among.items())
    assert not any(true for row, true in everything.items() if row not in among), "none of them was a hidden edge"


def test_a_sample_of_the_queries_stands_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot, parts = benchmark("umls"), split_of("umls")
    parts_of = {"known": parts.train, "hidden": parts.calibrate, "competing": parts.test}
    model = made_up_model(snapshot).kge
    everything = label_hidden(model, snapshot, **parts_of, step="", progress=silent)
    monkeypatch.setattr(hidden, "ROWS", 1)  # fifty queries per relation and direction
    sample = label_hidden(model, snapshot, **parts_of, step="", progress=silent)
    assert len(sample.true) < 0.8 * len(everything.true)
    assert sample.true.sum() == everything.true.sum()
    assert sample.weights[sample.true] == pytest.approx(1)
    assert sample.weights.sum() == pytest.approx(everything.weights.sum(), rel=0.01)
    mean = everything.features.mean(axis=0)
    assert sample.weights @ sample.features / sample.weights.sum() == pytest.approx(mean, rel=0.05)


def test_perfect_scores_are_judged_to_be_perfect_and_wrong_ones_are_not() -> None:
    data, _ = simulated(7, rows=50_000)
    calibrator = fit(data, 8)
    honest = judge(calibrator, data)
    boastful = judge(replace(calibrator, weights=(calibrator.weights[0] + 1.0, *calibrator.weights[1:])), data)
    assert honest is not None
    assert honest.ece < honest.ece_floor + 0.01
    assert honest.brier < honest.brier_constant
    assert boastful is not None
    assert boastful.ece > 2 * honest.ece


def test_scores_come_true_on_edges_that_nothing_has_seen() -> None:
    reliability = trained("codex-s").metrics.reliability
    assert reliability is not None
    assert reliability.judged >= 200
    assert reliability.ece < reliability.ece_floor + 0.04
    assert reliability.mean_score == pytest.approx(reliability.precision, abs=0.05)
    assert reliability.auc > 0.9
