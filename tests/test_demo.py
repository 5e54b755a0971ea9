"""The demonstration: what it hides never reaches the graph, and what it says of it is so."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from kgsync import demo, sample
from kgsync.cli.demo import describe
from kgsync.graph.server import LocalServer
from kgsync.identity import Entity
from kgsync.plan import Plan, PlannedEdge, Scope

HIDDEN = frozenset({("c:a", "HAS", "d:b"), ("c:b", "HAS", "d:c"), ("c:a", "IS", "d:d")})


def lines(path: Path) -> list[tuple[str, ...]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [tuple(row) for row in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]


def test_a_tenth_is_hidden_and_nothing_of_it_is_loaded(tmp_path: Path) -> None:
    facts, hidden = demo.hide(tmp_path)
    known, whole = lines(facts / "triples.tsv"), lines(sample.folder() / "triples.tsv")
    assert not hidden & set(known)
    assert hidden | set(known) == set(whole)
    assert len(hidden) + len(known) == len(whole)
    assert 0.08 < len(hidden) / len(whole) < 0.12
    assert set(lines(tmp_path / "hidden.tsv")) == hidden
    pairs = {frozenset((head, tail)) for head, _, tail in hidden}
    assert not [row for row in known if frozenset((row[0], row[2])) in pairs], "an inverse would give it away"
    assert demo.hide(tmp_path)[1] == hidden
    assert demo.hide(tmp_path / "other", seed=2)[1] != hidden


def edge(head: str, relation: str, tail: str, score: float) -> PlannedEdge:
    ends = Entity("C", "id", head), Entity("D", "id", tail)
    return PlannedEdge(ends[0], relation, ends[1], score, score / 2, 1, head_name=head.upper(), tail_name=tail.upper())


def shown(edges: list[PlannedEdge], *, browser: bool, folder: Path) -> str:
    server = LocalServer("demo", "5", folder, "bolt://x:1", "http://x:2", "neo4j", folder / "pw", "neo4j", 1, browser)
    plan = Plan(tuple(edges), Scope(("HAS", "IS"), ("C", "D")), {"id": "m", "missingShare": 0.1}, "s")
    snapshot = SimpleNamespace(triples=range(30), entities=SimpleNamespace(num_rows=9))
    sync: Any = SimpleNamespace(plan=plan, snapshot=snapshot, run=SimpleNamespace(folder=folder))
    return describe(demo.DemoResult(server, 30, HIDDEN, sync))


def test_what_was_found_is_counted_as_it_is(tmp_path: Path) -> None:
    edges = [edge("c:a", "HAS", "d:b", 0.9), edge("c:a", "HAS", "d:z", 0.5), edge("c:a", "IS", "d:d", 0.2)]
    text = shown(edges, browser=False, folder=tmp_path)
    assert "The graph knows 30 facts about 9 entities; 3 more were hidden from it." in text
    assert "kgsync proposes 3 edges. Of these 2 are hidden facts (67%)" in text
    assert (
        "The scores promised 2: they assume that 10.0% as many edges are missing as are known; here it is 10.0%."
        in text
    )
    rows = [line.split() for line in text.splitlines()]
    assert ["HAS", "2", "2", "1", "0.700"] in rows
    assert ["IS", "1", "1", "1", "0.200"] in rows
    best, doubtful = text.split("The best proposals:")[1].split("The most doubtful:")
    assert [line.split() for line in best.splitlines() if "HAS" in line] == [
        ["0.900", "C:A", "HAS", "D:B", "was", "hidden"],
        ["0.500", "C:A", "HAS", "D:Z", "unknown"],
    ]
    assert doubtful.splitlines()[2].split() == ["0.200", "C:A", "IS", "D:D", "was", "hidden"]
    assert "`kgsync demo --browser` starts it" in text
    assert "http://x:2/browser/" in shown(edges, browser=True, folder=tmp_path)


def test_nothing_that_is_proposed_is_told_as_well(tmp_path: Path) -> None:
    text = shown([], browser=False, folder=tmp_path)
    assert "kgsync proposes 0 edges. Of these 0 are hidden facts (0%)" in text
