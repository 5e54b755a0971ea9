"""kgsync beside Neo4j Graph Data Science (GDS) on the same graph in the same run: what each finds, writes and undoes.

    python benchmarks/gds.py [--seeds 3] [--resume]

Starts a server with GDS 2.13.9 from Maven Central. For each seed a tenth of the sample graph's facts is hidden as
`kgsync demo` hides it, and each proposes what may be missing:

- kgsync: `kgsync sync` with its defaults, as in the demonstration; and once more with DistMult alone.
- GDS link prediction: a pipeline for each pair of labels and type, until they cover 80 % of the hidden facts (they are
  counted, in its favour), with FastRP over all other types as context, degrees, and auto-tuned logistic regressions and
  random forests; the better of two FastRP settings (`--settings`) by its own validation. Proposals of all pipelines are
  pooled by probability, ties by rank; and once more each type in turn, as the probabilities of pipelines need not mean
  the same. It knows undirected graphs only: between two labels the direction is theirs, within one label a proposal
  counts as found if either direction was hidden (in its favour).
- GDS kge.predict: with the vectors of that same DistMult, the ten best answers of every node and type, pooled by score;
  once as it stands and once with its filters set to the labels that the type is seen to join.

"admissible" rows leave out by kgsync's rules what cannot be a new edge (a second country of a city, say), which is how
much the filters make. A proposal is found if it was hidden; others may be true as well, only not in the sample. Shares
of the first 100 and 500 come with Wilson's interval over all seeds; "pairs" counts every method by pairs of entities
whichever way round, since kgsync may propose both directions of a symmetric relation. Saves results/gds.json after each
seed, with the commit that it ran on; `--resume` goes on with the seeds that are not there yet.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import neo4j
import torch
from gds_abilities import try_kgsync, try_pipeline, try_vectors
from gds_library import VERSION, Gds, Link, Target, Task, Tuning, server_with_gds
from gds_measures import FIRST, Case, Proposal, Rules, by_target, by_type, counts, differences, table
from results import FOLDER, commit, save

from kgsync import demo, export, files
from kgsync.config import VoicesConfig
from kgsync.export.gds import PROPERTY
from kgsync.graph import server
from kgsync.graph.connection import Connection
from kgsync.graph.graph import Graph
from kgsync.graph.load import load
from kgsync.kge.known import KnownAnswers
from kgsync.learn import train
from kgsync.model import Model
from kgsync.plan import Plan
from kgsync.snapshot import Snapshot
from kgsync.sync import sync

TOP_K = 10
MOST = 5_000  # of its answers for one type or pair of labels that are pooled


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=10, help="of auto-tuning, per pipeline; 10 is its default")
    parser.add_argument("--settings", type=int, default=2, choices=(1, 2), help="of FastRP that are tried per pipeline")
    parser.add_argument("--dimension", type=int, default=128, help="of FastRP")
    parser.add_argument("--negatives", type=float, default=5.0, help="per positive, at most; more go into the weight")
    parser.add_argument("--resume", action="store_true", help="keep the seeds in results/gds.json")
    arguments = parser.parse_args()
    tuning = Tuning(arguments.trials, arguments.settings, arguments.dimension, arguments.negatives, top=10_000)
    seeds, abilities = begun(tuning) if arguments.resume else ([], {})
    done = {each["seed"] for each in seeds}
    with server_with_gds("3G") as local, tempfile.TemporaryDirectory() as work:
        auth = (local.username, local.password())
        off = neo4j.NotificationMinimumSeverity.OFF
        with neo4j.GraphDatabase.driver(local.uri, auth=auth, notifications_min_severity=off) as driver:
            for seed in (s for s in range(1, arguments.seeds + 1) if s not in done):  # 0 is the split's own
                case = Case(Path(work) / f"seed-{seed}", seed)
                lists = compare(driver, case, tuning, abilities if seed == 1 else None)
                seeds.append(outcome(seed, case, lists))
                print(save("gds", report(seeds, abilities, tuning)), flush=True)


def begun(tuning: Tuning) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the seeds and abilities that were seen with the same versions and tuning."""
    results = files.read_json(FOLDER / "gds.json")["results"]
    if {name: results[name] for name in ("versions", "tuning")} != terms(tuning):
        raise SystemExit("results/gds.json is of other versions or tuning: run without --resume")
    return results["seeds"], results["abilities"]


def terms(tuning: Tuning) -> dict[str, Any]:
    """Return what must be the same for seeds that stand in one table."""
    return {"versions": {"gds": VERSION, "neo4j": server.LTS}, "tuning": asdict(tuning)}


def compare(driver: neo4j.Driver, case: Case, tuning: Tuning, abilities: dict[str, Any] | None) -> dict[str, Any]:
    """Let each propose, and with `abilities` also try what each can do; return how fast lists are made."""
    connection = Connection.wrap(driver, "neo4j")
    empty(driver)
    load(connection, case.facts, label_from_type=True)
    graph = Graph(connection, demo.config(case.facts), case.folder)
    result = case.timed("kgsync", lambda: sync(graph, commit=True, fresh=True))
    case.rows["kgsync"] = of_plan(result.plan)
    print(f"kgsync {case.seconds['kgsync']:.0f} s, {len(result.plan):,} proposals", flush=True)
    if abilities is not None:
        abilities["kgsync"] = try_kgsync(graph, result)
        print(abilities["kgsync"], flush=True)
    with driver.session() as session:
        gds = Gds(session)
        link_prediction(case, gds, tuning, abilities)
        lists = vectors(case, gds, result.snapshot, graph, abilities)
    targets = {each["target"] for each in case.pipelines}
    same = [p for p in case.rows["kgsync"] if str(case.target((p.head, p.relation, p.tail))) in targets]
    case.rows["kgsync, what GDS's pipelines are for"] = same
    rules = Rules(result.snapshot)
    for name, proposals in list(case.rows.items()):
        case.impossible[name] = rules.objections(proposals[: FIRST[-1]])
        if name.startswith("GDS"):
            case.rows[f"{name}, admissible"] = rules.admissible(proposals)
    for name, row in table([counts(case)]).items():
        print(
            f"{name:48}" + "".join(f"{row[str(n)]['share']:>8.2f}" for n in FIRST),
            case.impossible.get(name),
            flush=True,
        )
    return lists


def link_prediction(case: Case, gds: Gds, tuning: Tuning, abilities: dict[str, Any] | None) -> None:
    """Train a pipeline per target, and pool what they predict."""
    labels = sorted(set(case.label.values()))
    case.timed("GDS link prediction", lambda: gds.project_undirected("undirected", labels, case.types))
    ranked: list[tuple[float, int, Proposal]] = []
    for target in (targets := case.targets()):
        task = Task("undirected", target, labels, case.types, case.class_ratio(target), tuning)
        began = time.perf_counter()
        trained = gds.train_pipeline(task)
        links = gds.predict_pipeline("undirected", trained["model"], tuning.top)
        seconds = time.perf_counter() - began
        case.seconds["GDS link prediction"] = round(case.seconds["GDS link prediction"] + seconds, 1)
        proposals = [oriented(case, target, link) for link in links]
        ranked += [(-link.value, rank, p) for rank, (link, p) in enumerate(zip(links, proposals, strict=True))]
        about = {"target": str(target), "class_ratio": round(task.ratio, 1)}
        case.pipelines.append({**about, **trained, "seconds": round(seconds, 1)})
        print(case.pipelines[-1], flush=True)
        if abilities is not None and target == targets[-1]:
            abilities["GDS link prediction"] = try_pipeline(gds, task, trained, links)
            print(abilities["GDS link prediction"], flush=True)
        gds.drop_model(trained["model"])
    gds.drop("undirected")
    ranked.sort(key=lambda each: each[:2])
    case.rows["GDS link prediction"] = [proposal for _, _, proposal in ranked]
    ranked.sort(key=lambda each: each[1])
    case.rows["GDS link prediction, types in turn"] = [proposal for _, _, proposal in ranked]


def oriented(case: Case, target: Target, link: Link) -> Proposal:
    """Return a pair as a proposal; where the labels differ, they tell the direction."""
    if target.head == target.tail:
        return Proposal(link.source, target.relation, link.target, either=True)
    ends = (link.source, link.target)
    head, tail = ends if case.label[link.source] == target.head else reversed(ends)
    return Proposal(head, target.relation, tail)


def vectors(case: Case, gds: Gds, snapshot: Snapshot, graph: Graph, abilities: dict[str, Any] | None) -> dict[str, Any]:
    """Train DistMult, let GDS predict with its vectors; return how fast both make lists with them."""
    alone = VoicesConfig(embeddings=True, rules=False, text=False)
    config = replace(graph.config.train, model="distmult")
    model = case.timed("DistMult", lambda: train(snapshot, config=config, voices=alone, folder=graph.workspace.models))
    plan = case.timed("kgsync, DistMult alone", lambda: predict(graph, model))
    case.rows["kgsync, DistMult alone"] = of_plan(plan)
    folder = export.write(export.of_model(model), "gds", case.folder / "gds").path
    for part in (folder / "load.cypher").read_text(encoding="utf-8").split(";\n"):
        text = "\n".join(line for line in part.splitlines() if not line.startswith("//"))
        if text.strip():
            gds.run(text, **{"from": f"{folder.as_uri()}/"})
    case.timed("GDS kge.predict", lambda: gds.project_vectors("vectors", PROPERTY, case.types))
    relations = files.read_json(folder / "relations.json")

    def ask(relation: str, **filters: str) -> dict[str, Any]:
        about = {"nodeEmbeddingProperty": PROPERTY, "scoringFunction": "DistMult", "topK": TOP_K}
        return {**about, "relationshipTypes": [relation], "relationshipTypeEmbedding": relations[relation]["tails"]} | {
            f"{end}NodeFilter": label for end, label in filters.items()
        }

    seen = Counter(map(case.target, case.known))
    plain = [ask(relation) for relation in case.types]
    filtered = [ask(each.relation, source=each.head, target=each.tail) for each in seen]
    known = 0
    for name, calls in (("GDS kge.predict", plain), ("GDS kge.predict, label filters", filtered)):
        links: list[tuple[float, Proposal]] = []
        for asked in calls:
            best, joined = case.timed(name, partial(gds.predict_vectors, "vectors", asked, MOST))
            known += joined
            links += [(-link.value, Proposal(link.source, asked["relationshipTypes"][0], link.target)) for link in best]
        links.sort(key=lambda each: each[0])
        case.rows[name] = [proposal for _, proposal in links]
        print(f"{name} {case.seconds[name]:.0f} s", flush=True)
    if abilities is not None:
        abilities["GDS kge.predict"] = try_vectors(gds, "vectors", filtered[0]) | {"known_among_its_answers": known}
        print(abilities["GDS kge.predict"], flush=True)
    gds.drop("vectors")
    ours = time_lists(model, snapshot)
    theirs = case.seconds["GDS kge.predict"]
    amount = snapshot.entities.num_rows * len(snapshot.relations)
    return {"lists": amount, "kgsync": round(ours, 2), "GDS, with its projection and sorting": theirs}


def predict(graph: Graph, model: Model) -> Plan:
    """Return the plan of a model as `sync` makes it."""
    limits = graph.config.predict
    return model.predict(top_k=limits.top_k, min_score=limits.min_score, per_entity=limits.per_entity)


def of_plan(plan: Plan) -> list[Proposal]:
    """Return a plan's edges, best first."""
    return [Proposal(str(e.head.key), e.relation, str(e.tail.key)) for e in plan.best(len(plan))]


def time_lists(model: Model, snapshot: Snapshot) -> float:
    """Return the seconds in which the ten best new tails of every entity and relation are found with the embeddings."""
    kge = model.embeddings()
    began = time.perf_counter()
    known = KnownAnswers(snapshot.triples, kge.n_entities, kge.n_relations)
    with torch.no_grad():
        for relation in range(kge.n_relations):
            for start in range(0, kge.n_entities, 1_024):
                anchors = torch.arange(start, min(start + 1_024, kge.n_entities))
                asked = torch.full_like(anchors, relation)
                scores = kge.scores(anchors, asked)
                rows, entities = known.mask(anchors.numpy(), asked.numpy())
                scores[torch.from_numpy(rows), torch.from_numpy(entities)] = -torch.inf
                scores[torch.arange(len(anchors)), anchors] = -torch.inf
                scores.topk(TOP_K, dim=1)
    return time.perf_counter() - began


def outcome(seed: int, case: Case, lists: Mapping[str, Any]) -> dict[str, Any]:
    """Return what one seed came to."""
    return {
        "seed": seed,
        "commit": commit(),
        "hidden": len(case.hidden),
        "found": counts(case),
        "found_by_pairs": counts(case, pairs=True),
        "impossible_among_first_500": case.impossible,
        "first_100_by_type": by_type(case),
        "first_100_of_each_target": by_target(case),
        "seconds": case.seconds,
        "top_10_lists": lists,
        "pipelines": case.pipelines,
    }


def report(seeds: Sequence[Mapping[str, Any]], abilities: Mapping[str, Any], tuning: Tuning) -> dict[str, Any]:
    """Return what all seeds so far came to, and each of them."""
    rows = table([each["found"] for each in seeds])
    return {
        **terms(tuning),
        "found": rows,
        "found_by_pairs": table([each["found_by_pairs"] for each in seeds]),
        "kgsync_finds_more": differences(rows),
        "abilities": dict(abilities),
        "seeds": list(seeds),
    }


def empty(driver: neo4j.Driver) -> None:
    """Empty the database."""
    with driver.session() as session:
        for name in session.run("SHOW CONSTRAINTS YIELD name").value():
            session.run(f"DROP CONSTRAINT `{name}`").consume()
        session.run("MATCH (n) CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 10000 ROWS").consume()


if __name__ == "__main__":
    main()
