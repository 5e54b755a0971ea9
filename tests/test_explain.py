"""An explanation says what the model says, sentence by sentence, also when the model is gone; evidence is kept once."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import neo4j
import numpy as np
import pytest
import torch
from example_graphs import graph, made_up_model
from hypothesis import example, given
from hypothesis import strategies as st
from planned import counts, dump, knows, make_plan, make_world, predicted, query, write_plan

from kgsync.cli import main
from kgsync.config import Config, GraphConfig, LabelConfig, VoicesConfig, WriteConfig
from kgsync.errors import DataError, NotFoundError
from kgsync.evidence import LONGEST_NAME, Evidence, Opinion, Rule
from kgsync.explain import removal
from kgsync.explain.answer import Explanation, Sentence, Thing
from kgsync.explain.by_model import explain
from kgsync.explain.telling import percent
from kgsync.explain.words import holds
from kgsync.graph import statements
from kgsync.graph.connection import Connection
from kgsync.graph.graph import Graph, connect
from kgsync.graph.rollback import rollback
from kgsync.graph.server import LocalServer
from kgsync.graph.uninstall import uninstall
from kgsync.kge.config import TrainConfig
from kgsync.kge.models import MODELS, create
from kgsync.learn import train
from kgsync.model import Model
from kgsync.plan import Plan, PlannedEdge
from kgsync.rules.voice import RuleVoice
from kgsync.snapshot import Snapshot

# --- with a model ---------------------------------------------------------------------------------------------------


def land() -> Snapshot:
    """Return people of towns of lands, who know each other and speak languages; some of it is not known."""
    random = np.random.default_rng(0)
    triples = [(f"town{t}", "PART_OF", f"land{t % 4}") for t in range(12)]
    for p in range(96):
        town = p % 12
        triples += [(f"p{p}", "LIVES_IN", f"town{town}")] * (p % 7 > 0)
        triples += [(f"p{p}", "SPEAKS", f"tongue{town % 4}"), (f"p{p}", "SPEAKS", f"tongue{4 + p % 3}")]
        triples += [(f"p{p}", "KNOWS", f"p{(p + 12 * step) % 96}") for step in (1, 2, 3) if random.random() < 0.8]
    kinds = {"p": "Person", "town": "Town", "land": "Land", "tongue": "Tongue"}
    ends = {end for head, _, tail in triples for end in (head, tail)}
    return graph(sorted(set(triples)), {end: [kinds[end.rstrip("0123456789")]] for end in ends})


@pytest.fixture(scope="module")
def model() -> Model:
    return train(land(), config=TrainConfig(rank=8, epochs=9, threads=1), voices=VoicesConfig(text=False))


@pytest.fixture(scope="module")
def plan(model: Model) -> Plan:
    return model.predict(top_k=30, min_score=0.01)


def explained(model: Model, planned: PlannedEdge) -> Explanation:
    return explain(model, planned.head, planned.relation, planned.tail)


def test_the_explanation_has_the_numbers_of_the_plan(model: Model, plan: Plan) -> None:
    for planned in plan.edges[::4]:
        it = explained(model, planned)
        assert (it.id, it.score, it.score_low) == (planned.id, planned.score, planned.score_low)
        assert Evidence(it.opinions, it.rules).to_json() == planned.details
        assert it.opinions[0].rank == planned.rank
        values = {one.voice: one.score for one in it.opinions}
        assert values["rules"] == pytest.approx(planned.rule_score, abs=1e-5)
        assert values[model.kge.name] == pytest.approx(planned.kge_score, abs=1e-5)


def test_each_voice_is_ranked_among_all_that_the_head_could_have(model: Model, plan: Plan) -> None:
    planned = plan.best(1)[0]
    snapshot = model.snapshot
    head, tail = snapshot.rows[planned.head], snapshot.rows[planned.tail]
    relation = snapshot.relations.index(planned.relation)
    from kgsync.candidates.admissible import Admissible

    admissible = Admissible(snapshot, snapshot.triples, snapshot.rejected)
    heads = np.full(snapshot.entities.num_rows, head)
    able = np.flatnonzero(admissible.allowed(relation, heads, np.arange(len(heads))))
    opinion = next(one for one in explained(model, planned).opinions if one.voice == model.kge.name)
    scores = model.kge.exact().scores(torch.tensor([head]), torch.tensor([relation]))[0].numpy()
    others = np.setdiff1d(able, [tail])
    assert opinion.answers == len(able)
    assert opinion.rank == 1 + (scores[others] > scores[tail]).sum()
    assert opinion.rival_key == str(snapshot.identities[others[scores[others].argmax()]])
    assert opinion.ahead == pytest.approx(float(scores[tail] - scores[others].max()), abs=1e-4)


def test_the_rival_has_the_score_that_it_has_as_a_proposal(model: Model, plan: Plan) -> None:
    it = explained(model, plan.best(1)[0])
    assert it.rival is not None
    proposed = model.predict(relations=[it.relation], heads=[it.head.entity], tails=[it.rival.thing.entity])
    assert (it.rival.score, it.rival.score_low) == (proposed.edges[0].score, proposed.edges[0].score_low)


def test_every_sentence_is_tied_to_facts_that_hold_its_numbers(model: Model, plan: Plan) -> None:
    for planned in plan.edges[::4]:
        it = explained(model, planned)
        assert [fact.number for fact in it.facts] == list(range(1, len(it.facts) + 1))
        assert it.summary
        for sentence in it.summary:
            assert sentence.facts, sentence
            told = " ".join(it.facts[number - 1].text for number in sentence.facts)
            for number in re.findall(r"\d[\d,.]*\d|\d", re.sub(r"[\d.,]+ times|over [\d,]+ times", "", sentence.text)):
                assert number in told, (sentence, told)


def test_what_is_told_as_json_is_plain(model: Model, plan: Plan) -> None:
    value = explained(model, plan.edges[0]).to_dict()
    assert json.loads(json.dumps(value)) == json.loads(json.dumps(value, default=str))
    assert value["summary"]["generated"] is True
    assert {fact["about"] for fact in value["facts"]} >= {"score", "voice", "likeness", "model"}


def test_a_known_edge_is_explained_as_if_it_were_not_known(model: Model) -> None:
    assert model.fusion is not None
    learned = model.fusion.train.triples()
    head, relation, tail = learned[0].tolist()
    snapshot = model.snapshot
    it = explain(model, snapshot.identities[head], snapshot.relations[relation], snapshot.identities[tail])
    assert it.score is not None
    assert it.opinions[0].score > -50
    assert any("has learned from it" in gap for gap in it.gaps)
    held_out = next(t for t in snapshot.triples.tolist() if not (learned == t).all(axis=1).any())
    it = explain(
        model, snapshot.identities[held_out[0]], snapshot.relations[held_out[1]], snapshot.identities[held_out[2]]
    )
    assert any("has not learned from it" in gap for gap in it.gaps)


def test_an_edge_that_cannot_be_is_refused_with_the_reason() -> None:
    people = {"ann": ["Person"], "bob": ["Person"], "rome": ["City"], "oslo": ["City"]}
    model = made_up_model(graph([("ann", "LIVES_IN", "rome"), ("bob", "LIVES_IN", "oslo")], people))
    with pytest.raises(DataError, match=r"nothing to explain: .*rome"):
        explain(model, "rome", "LIVES_IN", "oslo")
    with pytest.raises(NotFoundError, match="no entity 'carl'"):
        explain(model, "carl", "LIVES_IN", "oslo")


def test_a_model_of_embeddings_alone_and_without_scores_is_explained_too() -> None:
    triples = [(f"p{i}", "LIKES", f"p{(i + step) % 8}") for i in range(8) for step in (1, 2)]
    model = replace(made_up_model(graph(triples)), calibrator=None, uncalibrated="too few edges could be hidden")
    it = explain(model, "p0", "LIKES", "p5")
    assert (it.score, it.rules, len(it.opinions)) == (None, (), 1)
    assert it.opinions[0].title == "embeddings"
    assert "too few edges could be hidden" in it.gaps
    assert it.summary


def test_a_model_of_rules_alone_predicts_and_is_explained() -> None:
    rules_alone = VoicesConfig(embeddings=False, text=False)
    only = train(land(), config=TrainConfig(rank=8, epochs=9, threads=1), voices=rules_alone)
    planned = only.predict(min_score=0.0).best(1)[0]
    assert "kgeScore" not in planned.properties()
    it = explained(only, planned)
    assert ([one.voice for one in it.opinions], it.score) == (["fused", "rules"], planned.score)
    assert {one.voice for one in it.removals} <= {"rules"}
    assert it.summary


def test_shared_words_are_found_and_common_ones_are_not() -> None:
    import pyarrow as pa

    snapshot = graph([(f"e{i}", "R", f"e{i + step}") for i in range(60) for step in (1, 2)])
    texts: list[str | None] = [f"a thing number {i}" for i in range(snapshot.entities.num_rows)]
    one, other = snapshot.find("e3"), snapshot.find("e9")
    texts[one], texts[other] = "a thing with a zither, beside e9", "a zither thing"
    at = snapshot.entities.schema.get_field_index("text")
    told = replace(snapshot, entities=snapshot.entities.set_column(at, "text", pa.array(texts, pa.string())))
    words = explain(made_up_model(told), "e3", "R", "e9").words
    assert words is not None
    assert words.shared == ("e9", "zither")
    assert (words.head_names_tail, words.tail_names_head) == (True, False)


# --- what carries an edge -------------------------------------------------------------------------------------------


def test_without_a_fact_the_rules_that_need_it_fall_away(model: Model, plan: Plan) -> None:
    voice = next(voice for voice in model.others if isinstance(voice, RuleVoice)).exact()
    checked = 0
    for planned in plan.edges[::2]:
        edge_ = (model.snapshot.rows[planned.head], model.snapshot.relations.index(planned.relation),
                 model.snapshot.rows[planned.tail])  # fmt: skip
        before, left = removal.by_rules(voice, edge_)
        score = voice.scores(torch.tensor([edge_[0]]), torch.tensor([edge_[1]]))[0, edge_[2]]
        assert before == pytest.approx(float(-torch.expm1(-score)), abs=2e-3)  # but for what parts ties
        for fact, after in left:
            checked += 1
            assert after <= before + 1e-9
            assert (np.array(fact) == voice.facts.triples).all(axis=1).any()
    assert checked


def test_what_the_embeddings_rest_on_are_facts_of_its_ends(model: Model, plan: Plan) -> None:
    assert model.fusion is not None
    learned = model.fusion.train.triples()
    planned = plan.best(1)[0]
    head, tail = model.snapshot.rows[planned.head], model.snapshot.rows[planned.tail]
    relation = model.snapshot.relations.index(planned.relation)
    rival = next(row for row in range(model.snapshot.entities.num_rows) if row not in (head, tail))
    lead, left = removal.by_embeddings(model.kge, learned, (head, relation, tail), rival)
    scores = model.kge.scores(torch.tensor([head]), torch.tensor([relation]))[0]
    assert lead == pytest.approx(float(scores[tail] - scores[rival]), abs=1e-4)
    assert [after for _, after in left] == sorted(after for _, after in left)
    own = {tuple(triple) for triple in learned.tolist() if {head, tail} & {triple[0], triple[2]}}
    assert {fact for fact, _ in left} == own


@pytest.mark.parametrize("kind", MODELS)
def test_the_slope_of_a_fact_is_that_of_its_loss(kind: str) -> None:
    kge = create(kind, 6, 2, 4, seed=3)
    for table in kge.parameters():
        table.data /= kge.init
    kge = kge.double()  # steps so small that no kink of a distance lies between
    triples = np.array([[0, 0, 1], [2, 1, 0], [0, 1, 3]])
    found = removal._gradients(kge, 0, triples).detach()

    def loss(row: torch.Tensor, triple: list[int]) -> torch.Tensor:
        head, relation, tail = triple
        own, other = (relation, tail) if head == 0 else (relation + 2, head)
        forward = kge.similarity(kge.entities, kge.compose(row[None], kge.relations[own][None]))[:, 0]
        table = kge.entities.detach().clone()
        table[0] = row
        back = kge.compose(kge.entities[other][None], kge.relations[(own + 2) % 4][None])
        return -(forward.log_softmax(0)[other] + kge.similarity(table, back)[:, 0].log_softmax(0)[0])

    step = 1e-6
    for slope, triple in zip(found, triples.tolist(), strict=True):
        for axis in range(len(slope)):
            ahead, behind = (kge.entities[0].detach().clone() for _ in range(2))
            ahead[axis] += step
            behind[axis] -= step
            numeric = (loss(ahead, triple) - loss(behind, triple)) / (2 * step)
            assert float(slope[axis]) == pytest.approx(float(numeric), abs=1e-4)


# --- words ----------------------------------------------------------------------------------------------------------

GIVEN = "That Kosovo shares a border with Croatia is 10 % likely, 6.0 times as likely as candidates are in general."


_LIKELY = "as likely as candidates in general."


@pytest.mark.parametrize(
    ("said", "holds_"),
    [
        (f"Kosovo shares a border with Croatia, which is 10 % likely, 6.0 times {_LIKELY}", True),
        (f"Croatia shares a border with Kosovo, which is 10 % likely, 6.0 times {_LIKELY}", False),
        (f"Kosovo shares a border with Croatia, which is 6.0 % likely, 10 times {_LIKELY}", False),
        (f"Kosovo shares no border with Croatia; that is 10 % likely, 6.0 times {_LIKELY}", False),
        (f"Kosovo, a republic, shares a border with Croatia, 10 % likely, 6.0 times {_LIKELY}", False),
        (f"Kosovo shares a border with Croatia, which is 12 % likely, 6.0 times {_LIKELY}", False),
        (f"Kosovo shares a border with Croatia and Serbia: 10 % likely, 6.0 times {_LIKELY}", False),
        ("10 % likely.", False),
        ("", False),
    ],
)
def test_a_phrased_sentence_holds_only_if_it_says_the_same(said: str, holds_: bool) -> None:
    assert holds(said, GIVEN) is holds_


SMALL = "That insulin treats diabetes is 10 % likely."
HAN = "胰岛素 治疗 糖尿病 10 %。"


@pytest.mark.parametrize(
    ("said", "given", "holds_"),
    [
        ("Insulin treats diabetes, which is 10 % likely.", SMALL, True),
        ("That diabetes treats insulin is 10 % likely.", SMALL, False),
        ("It is 10 % likely.", SMALL, False),
        ("That insulin treats is 10 % likely.", SMALL, False),
        ("That insulin, which diabetes treats, is 10 % likely.", SMALL, False),
        ("That insulin is treated by diabetes is 10 % likely.", SMALL, False),
        ("胰岛素 治疗 糖尿病: 10 %。", HAN, True),
        ("糖尿病 治疗 胰岛素 10 %。", HAN, False),
    ],
)
def test_names_without_a_capital_keep_their_places_too(said: str, given: str, holds_: bool) -> None:
    assert holds(said, given, names=("insulin", "diabetes", "胰岛素", "糖尿病", "")) is holds_


@given(st.integers(0, 18), st.from_regex(r"[A-Z][a-z]{5,9}|[1-9][0-9]{2}", fullmatch=True))
def test_no_sentence_with_a_name_or_number_more_holds(at: int, more: str) -> None:
    words = GIVEN.split()
    said = " ".join([*words[: min(at, len(words) - 1)], more, *words[min(at, len(words) - 1) :]])
    assert holds(GIVEN, GIVEN)
    assert not holds(said, GIVEN) or any(more.casefold()[:5] == word.casefold()[:5] for word in words)


def test_a_model_that_talks_nonsense_changes_no_sentence(model: Model, plan: Plan, tmp_path: Path) -> None:
    from test_lm_models import tiny_decoder

    from kgsync.explain.words import phrased
    from kgsync.lm import causal

    full = explained(model, plan.edges[0])
    it = Explanation(full.id, full.head, full.relation, full.tail, full.score, full.score_low)  # one sentence
    steps: list[int] = []
    found = phrased(it, causal.load(tiny_decoder(tmp_path)), progress=lambda _, done, __: steps.append(done))
    assert found == it.summary
    assert steps == list(range(len(found) + 1))
    assert replace(it, phrased=found).summary == found


def test_a_sentence_that_turns_the_edge_around_is_not_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from test_lm_models import tiny_decoder

    from kgsync.explain import words
    from kgsync.lm import causal

    it = Explanation(
        "id", Thing("insulin", ""), "TREATS", Thing("diabetes", ""), 0.1, in_words="insulin treats diabetes"
    )
    decoder = causal.load(tiny_decoder(tmp_path))
    for said, shown in (("Insulin treats diabetes, which is 10 % likely.", True),
                        ("That diabetes treats insulin is 10 % likely.", False)):  # fmt: skip
        monkeypatch.setattr(words, "_say", lambda *_, said=said: said)
        (sentence,) = words.phrased(it, decoder)
        assert (sentence.text == said, sentence.by == "template") == (shown, not shown)


# --- evidence as it is kept -----------------------------------------------------------------------------------------

names = st.text(min_size=1, max_size=8)
numbers = st.integers(1, 10**6)
opinions = st.builds(
    Opinion,
    voice=st.sampled_from(["fused", "rules", "text", "complex"]),
    score=st.floats(-100, 100),
    rank=numbers,
    answers=numbers,
    rival=st.none() | names,
    rival_key=st.none() | names,
    ahead=st.none() | st.floats(-1000, 1000),
)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    steps = draw(st.integers(1, 2))
    some = st.lists(st.sampled_from(["R", "^R"]), min_size=steps, max_size=steps).map(tuple)
    path = draw(st.lists(names, min_size=steps + 1, max_size=steps + 1).map(tuple))
    facts = draw(st.lists(st.tuples(names, names, names), max_size=2).map(tuple))
    return Rule("path", draw(some), path, facts, draw(numbers), draw(numbers), draw(st.floats(0, 1)), draw(numbers))


@given(st.lists(opinions, min_size=1, max_size=4).map(tuple), st.lists(rules(), max_size=3).map(tuple))
def test_evidence_comes_back_as_it_was_kept(said: tuple[Opinion, ...], found: tuple[Rule, ...]) -> None:
    evidence = Evidence(said, found)
    assert Evidence.from_json(evidence.to_json()) == evidence
    assert all(line for line in evidence.lines())


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 1, "opinions": [{}], "rules": []}', "null"])
def test_damaged_evidence_is_told(text: str) -> None:
    with pytest.raises(DataError, match="is damaged"):
        Evidence.from_json(text)
    with pytest.raises(DataError, match="later kgsync"):
        Evidence.from_json('{"version": 99}')


def test_long_and_odd_names_make_short_lines() -> None:
    odd = "x" * 5_000 + "\n\x1b[31m"
    model = made_up_model(graph([(odd, "R", "b"), ("b", "R", "c"), ("c", "R", odd), ("d", "R", "b")]))
    for planned in model.predict(min_score=0.0).edges:
        assert all(len(line) < 4 * LONGEST_NAME + 100 and "\n" not in line for line in planned.evidence)


@given(st.floats(0, 1))
@example(0.9995)
@example(0.0005)
@example(math.nextafter(0.9995, 0.0))
@example(1.0)
@example(0.0)
def test_a_probability_is_never_called_certain(share: float) -> None:
    assert not re.match(r"(0|0\.0|100|100\.0) %", percent(share))


# --- in the graph ---------------------------------------------------------------------------------------------------

CONFIG = Config(
    graph=GraphConfig(labels={"Person": LabelConfig("id"), "Town": LabelConfig("code", "name")}),
    write=WriteConfig(batch=7, lock_timeout=60.0),
)


@pytest.fixture
def connection(graph_db: neo4j.Driver) -> Connection:
    make_world(graph_db)
    return Connection.wrap(graph_db, "neo4j")


@pytest.fixture
def door(connection: Connection, graph_db: neo4j.Driver, tmp_path: Path) -> Graph:
    return connect(driver=graph_db, database="neo4j", config=CONFIG, workspace=tmp_path / "ws")


def told(edges: list[PlannedEdge], what: str) -> list[PlannedEdge]:
    """Return edges with evidence that says `what`."""
    opinion = Opinion("complex", 1.5, 1, 9, what, f"Person:{what}", 0.7)
    evidence = Evidence((opinion,), ())
    return [replace(one, evidence=evidence.lines(), details=evidence.to_json()) for one in edges]


def kept(driver: neo4j.Driver) -> dict[tuple[str, str], str]:
    """Return the rival that each piece of evidence names, by the edge's id and the run."""
    rows = query(driver, "MATCH (v:__KgsyncEvidence) RETURN v.predictionId AS id, v.runId AS run, v.content AS content")
    return {(row["id"], row["run"]): json.loads(row["content"])["opinions"][0]["rival"] for row in rows}


@pytest.mark.newest
def test_evidence_is_written_with_the_edge_once_and_goes_with_its_run(
    connection: Connection, graph_db: neo4j.Driver, tmp_path: Path
) -> None:
    empty = dump(graph_db)
    first = make_plan(connection, told(knows(12), "ann"))
    write_plan(connection, first, tmp_path)
    assert kept(graph_db) == {(one.id, "run-1"): "ann" for one in first.edges}
    assert predicted(graph_db)[first.edges[0].id]["evidence"] == ["rank 1 of 9, 2.0 times as likely as ann"]
    assert "kgsyncDetails" not in predicted(graph_db)[first.edges[0].id]
    before, evidence = dump(graph_db), kept(graph_db)

    again = write_plan(connection, first, tmp_path, run_id="run-2")
    assert counts(again) == {"unchanged": 12}
    assert (dump(graph_db), kept(graph_db)) == (before, evidence)

    second = make_plan(connection, told(knows(8), "bob"), model="model-2")
    assert counts(write_plan(connection, second, tmp_path, run_id="run-3")) == {"updated": 8, "expired": 4}
    assert kept(graph_db) == evidence | {(one.id, "run-3"): "bob" for one in second.edges}

    rollback(connection, "run-3", commit=True)
    assert (dump(graph_db), kept(graph_db)) == (before, evidence)
    rollback(connection, "run-1", commit=True)
    assert (dump(graph_db), kept(graph_db)) == (empty, {})


def test_the_evidence_of_a_reviewed_edge_stays_with_it_and_uninstall_leaves_none(
    connection: Connection, graph_db: neo4j.Driver, tmp_path: Path
) -> None:
    from kgsync.graph.review import accept

    plan = make_plan(connection, told(knows(4), "ann"))
    write_plan(connection, plan, tmp_path)
    accept(connection, [plan.edges[0].id], by="ada")
    rollback(connection, "run-1", commit=True)
    assert list(kept(graph_db)) == [(plan.edges[0].id, "run-1")]
    uninstall(connection, commit=True)
    assert kept(graph_db) == {}
    assert not query(graph_db, "SHOW CONSTRAINTS YIELD name WHERE name STARTS WITH 'kgsync_' RETURN name")


def test_a_property_of_the_users_own_on_an_edge_stays(
    connection: Connection, graph_db: neo4j.Driver, tmp_path: Path
) -> None:
    plan = make_plan(connection, knows(2))
    write_plan(connection, plan, tmp_path)
    query(graph_db, "MATCH ()-[e:PREDICTED]->() SET e.details = 'mine', e.content = 'mine'")
    write_plan(connection, make_plan(connection, told(knows(2, 0.8), "ann")), tmp_path, run_id="run-2")
    assert {(e["details"], e["content"]) for e in predicted(graph_db).values()} == {("mine", "mine")}


def ready(door: Graph) -> tuple[Model, Plan]:
    """Pull people who know each other, invent a model, predict and write."""
    link = "MATCH (a:Person), (b:Person) WHERE toInteger(substring(b.id, 1)) - toInteger(substring(a.id, 1)) IN [1, 2]"
    door.connection.write(f"{link} CREATE (a)-[:KNOWS]->(b)")
    snapshot = door.pull(labels=["Person", "Town"], relations=["KNOWS", "LIVES_IN"])
    model = made_up_model(snapshot)
    model.save(door.workspace.models)
    plan = model.predict(top_k=5, min_score=0.0)
    assert len(plan)
    door.write(plan)
    return model, plan


@pytest.mark.newest
def test_an_edge_of_the_graph_is_explained_by_its_model_and_without_it_by_what_was_kept(
    door: Graph, graph_db: neo4j.Driver
) -> None:
    import shutil

    model, plan = ready(door)
    planned = plan.best(1)[0]
    full = door.explain(planned.id[:10])
    assert (full.id, full.score, full.status, full.run["status"]) == (planned.id, planned.score, "proposed", "finished")
    assert full.likeness
    assert not full.gaps

    before = dump(graph_db)
    shutil.rmtree(door.workspace.models)
    spare = door.explain(planned.id)
    assert dump(graph_db) == before
    assert (spare.head, spare.tail) == (full.head, full.tail)
    assert (spare.opinions, spare.rules, spare.score) == (full.opinions, full.rules, full.score)
    assert (spare.base_rate, spare.model["id"]) == (full.base_rate, model.id)
    assert not spare.likeness
    assert "the model could not be asked" in spare.gaps[0]
    assert spare.summary


def test_an_edge_with_no_or_damaged_evidence_is_explained_from_itself(door: Graph, graph_db: neo4j.Driver) -> None:
    _, plan = ready(door)
    edges = [plan.edges[0].id, plan.edges[1].id]
    query(graph_db, "MATCH ()-[p:PREDICTED]->() SET p.modelId = 'gone'")
    bare = door.explain(edges[0])
    assert bare.kept == plan.edges[0].evidence
    assert any("no evidence was kept" in gap for gap in bare.gaps)
    query(graph_db, "MATCH (v:__KgsyncEvidence) SET v.modelId = 'gone', v.content = '{'")
    assert any("is damaged" in gap for gap in door.explain(edges[1]).gaps)
    with pytest.raises(NotFoundError, match="no predicted edge has the id 0123"):
        door.explain("0123456789")


@pytest.mark.newest
def test_the_cypher_form_shows_the_evidence_and_what_is_known_around(door: Graph, graph_db: neo4j.Driver) -> None:
    _, plan = ready(door)
    planned = plan.edges[0]
    [row] = query(graph_db, statements.load("browse/why").text, id=planned.id)
    assert row["because"] == list(planned.evidence)
    assert row["evidence"] == planned.details
    assert row["run"]["id"] == row["p"]["runId"]
    assert row["model"]["id"] == plan.model["id"]
    assert len(row["alike"]) > 1


def test_the_command_explains_an_id_and_a_triple_in_eighty_columns(
    door: Graph, server: LocalServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, plan = ready(door)
    planned = plan.best(1)[0]
    place = ["--workspace", str(tmp_path / "ws")]
    options = ["--uri", server.uri, "--password-file", str(server.password_file), "--database", "neo4j"]

    def call(*more: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main(["explain", *more, *place])
        return (stop.value.code, *capsys.readouterr())  # type: ignore[return-value]

    code, out, err = call(planned.id[:8], *options)
    assert (code, err) == (0, "")
    assert "proposed" in out
    assert "In short (generated by a template" in out
    assert max(map(len, out.splitlines())) <= 80
    code, out, _ = call(str(planned.head), planned.relation, str(planned.tail), "--json")
    value = json.loads(out)
    assert (code, value["id"], value["score"]) == (0, planned.id, planned.score)
    assert call("a", "b")[0] == 2
    code, _, err = call("ffff0000", *options)
    assert (code, err) == (66, "Error: no predicted edge has the id ffff0000; look with `kgsync review list`\n")


def test_names_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    from kgsync.cli.explain import _show

    thing = Thing("\x1b[2Jboo\u202e", "Thing:1")
    it = Explanation(id="0" * 64, head=thing, relation="R", tail=thing, score=0.5, score_low=0.4)
    _show(replace(it, phrased=(Sentence("said \x07", (1,), "a model"),)))
    assert not re.search(
        "[\x00-\x09\x0b-\x1f\u202e]", capsys.readouterr().out.replace("\x1b[1m", "").replace("\x1b[0m", "")
    )
