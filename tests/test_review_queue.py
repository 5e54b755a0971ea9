"""The order of a review: what comes up when, what the audit is drawn from, and the review on a terminal."""

from __future__ import annotations

import hashlib
import io
import os
import pty
import termios
import threading
import time
from collections.abc import Sequence

import neo4j
import pytest
from hypothesis import given
from hypothesis import strategies as st
from predicted import LABELS, edge_id, make_clean_world, make_schema, make_world, predict, query

from kgsync.cli import review_steps
from kgsync.cli.review_steps import one_by_one
from kgsync.errors import DataError, NotFoundError
from kgsync.graph import review
from kgsync.graph.connection import Connection
from kgsync.graph.review import SLICE, Filter
from kgsync.review import bulk, queue, worth
from kgsync.review.asked import asked
from kgsync.review.counts import Tally
from kgsync.review.desk import Desk
from kgsync.review.queue import WINDOW, Item, Queue, mixed
from kgsync.review.worth import Beliefs, Decided, learn
from kgsync.runs import Workspace

PROPOSED = Filter(statuses=("proposed",))
ALL = asked({})


@pytest.fixture
def connection(graph_db: neo4j.Driver) -> Connection:
    return Connection.wrap(graph_db, "neo4j")


def make_many(driver: neo4j.Driver, count: int) -> list[str]:
    """Create so many proposals with hashes as ids, as `predict` makes them, scores from 0 to 1; return their ids."""
    make_schema(driver)
    make_world(driver)
    rows = [
        {
            "id": hashlib.sha256(str(i).encode()).hexdigest(),
            "head": f"country{i % 40}",
            "tail": f"person{i // 40}",
            "relation": "KNOWS" if i % 3 else "LIKES",
            "score": i / count,
        }
        for i in range(count)
    ]
    query(
        driver,
        "UNWIND $rows AS row MATCH (h:Entity {key: row.head}), (t:Entity {key: row.tail}) "
        "CREATE (h)-[:PREDICTED {id: row.id, relation: row.relation, status: 'proposed', score: row.score, "
        "scoreLow: row.score / 2, runId: 'run1', modelId: 'model1'}]->(t)",
        rows=rows,
    )
    return [str(row["id"]) for row in rows]


# ---- what a look is worth


def test_without_decisions_the_scores_stand() -> None:
    beliefs = learn([])
    assert beliefs == Beliefs()
    assert beliefs.chance("KNOWS", 0.3) == pytest.approx(0.3)


def test_a_relation_that_proves_better_than_promised_moves_up_and_others_move_a_little() -> None:
    beliefs = learn([Decided("KNOWS", 0.3, reviewed=30, accepted=27), Decided("LIKES", 0.3, reviewed=30, accepted=9)])
    assert 0.8 < beliefs.chance("KNOWS", 0.3) < 0.9  # a shift towards 27 of 30, held back by the prior
    assert 0.3 < beliefs.chance("LIKES", 0.3) < 0.4
    assert beliefs.chance("LIKES", 0.3) < beliefs.chance("NEVER_SEEN", 0.3) < beliefs.chance("KNOWS", 0.3)


@given(st.lists(st.tuples(st.sampled_from("ABC"), st.floats(0, 1), st.integers(0, 50), st.floats(0, 1)), max_size=20))
def test_whatever_was_decided_a_chance_is_a_probability_and_keeps_the_order_of_the_scores(
    rows: list[tuple[str, float, int, float]],
) -> None:
    beliefs = learn([Decided(r, score, reviewed=n, accepted=round(n * share)) for r, score, n, share in rows])
    for relation in "ABCD":
        chances = [beliefs.chance(relation, score) for score in (0.0, 0.1, 0.5, 0.9, 1.0)]
        assert all(0 <= chance <= 1 for chance in chances)
        assert chances == sorted(chances)


@pytest.mark.newest
def test_what_is_counted_in_all_edges_is_not_counted_for_every_click(
    graph_db: neo4j.Driver, connection: Connection
) -> None:
    ids = make_many(graph_db, 30)
    review.accept(connection, ids[:3], by="ana")
    tally = Tally(connection)
    which = Filter(statuses=("proposed",))
    first, beliefs = tally.counts(which), tally.beliefs()
    assert (first.reviewed, beliefs) == (3, queue.learned(connection))
    review.reject(connection, ids[3:6], by="ana")
    assert (tally.counts(which).reviewed, tally.beliefs()) == (3, beliefs)
    assert Tally(connection).counts(which).reviewed == 6


def test_the_graph_sorts_by_the_same_worth_as_the_formula(graph_db: neo4j.Driver, connection: Connection) -> None:
    ids = make_many(graph_db, 90)
    review.accept(connection, ids[60:70], by="ana")
    review.reject(connection, ids[20:26], by="ana")
    beliefs = queue.learned(connection)
    assert beliefs.shifts["KNOWS"] != 0
    rows = query(
        graph_db,
        "MATCH (h)-[p:PREDICTED {status: 'proposed'}]->(t) WHERE p.id >= $first RETURN p.id AS id, p.score AS score, "
        "p.relation AS relation, COUNT { (h)-[:PREDICTED]-() } + COUNT { (t)-[:PREDICTED]-() } - 2 AS reach",
        first=SLICE,
    )
    expected = {row["id"]: beliefs.worth(row["relation"], row["score"], row["reach"]) for row in rows}
    found = [item.id for item in Queue(connection, PROPOSED).items() if not item.audit]
    assert set(found) == set(expected)
    assert [expected[id_] for id_ in found] == pytest.approx(sorted(expected.values(), reverse=True))


# ---- the queue


@given(st.integers(0, 200), st.integers(0, 30), st.integers(0, 100))
def test_every_twentieth_look_is_by_chance_and_nothing_is_lost(best: int, by_chance: int, looks: int) -> None:
    names, chosen = [f"b{i}" for i in range(best)], [f"c{i}" for i in range(by_chance)]
    items = mixed(names, chosen, looks)
    assert len(items) == min(WINDOW, best + by_chance)
    assert [item.id for item in items if not item.audit] == names[: sum(not item.audit for item in items)]
    assert [item.id for item in items if item.audit] == chosen[: sum(item.audit for item in items)]
    for place, item in enumerate(items):
        left_best = best - sum(not i.audit for i in items[:place])
        left_chosen = by_chance - sum(i.audit for i in items[:place])
        assert item.audit == (left_chosen > 0 and ((looks + place) % 20 == 19 or left_best == 0))


def test_the_queue_holds_a_window_and_leafs_through_all(graph_db: neo4j.Driver, connection: Connection) -> None:
    ids = make_many(graph_db, 350)
    waiting = Queue(connection, Filter(statuses=("proposed",), relation="KNOWS"))
    seen: list[str] = []
    while waiting.items():
        assert len(waiting.items()) <= WINDOW
        seen += [item.id for item in waiting.items()]
        waiting.leaf(1)
    assert len(seen) == len(set(seen)) == sum(1 for i in range(350) if i % 3)
    assert set(seen) < set(ids)
    waiting.leaf(-99)
    assert [item.id for item in waiting.items()] == seen[:WINDOW]


def test_edges_of_the_audit_come_in_the_order_of_their_ids_and_never_for_their_score(
    graph_db: neo4j.Driver, connection: Connection
) -> None:
    ids = make_many(graph_db, 350)
    slice_ = sorted(id_ for id_ in ids if id_ < SLICE)
    assert 5 < len(slice_) < 40
    desk = Desk(connection, "ana", LABELS, Workspace("none"))
    looks: list[Item] = []
    for _ in range(60):
        item = desk.with_queue(ALL, lambda q: q.items()[0])
        looks.append(item)
        desk.decide("accept" if len(looks) % 3 else "reject", item.id, None, ALL)
    assert [place for place, item in enumerate(looks) if item.audit] == [19, 39, 59]
    assert [item.id for item in looks if item.audit] == slice_[:3]
    marked = query(graph_db, "MATCH ()-[p:PREDICTED]->() WHERE p.reviewAudit RETURN p.id AS id ORDER BY id")
    assert [row["id"] for row in marked] == slice_[:3]
    found = queue.audit(connection)
    assert (found.decided, found.promised) == (3, pytest.approx(sum(ids.index(id_) / 350 for id_ in slice_[:3])))


def test_under_a_filter_nothing_is_of_the_audit_but_what_is_decided_there_counts_when_it_is_passed(
    graph_db: neo4j.Driver, connection: Connection
) -> None:
    ids = make_many(graph_db, 350)
    slice_ = sorted(id_ for id_ in ids if id_ < SLICE)
    desk, likes = Desk(connection, "ana", LABELS, Workspace("none")), asked({"relation": "LIKES"})
    early = next(id_ for id_ in slice_ if ids.index(id_) % 3 == 0)
    assert not any(item.audit for item in desk.with_queue(likes, lambda q: q.items()))
    desk.decide("accept", early, None, likes)
    assert queue.audit(connection).decided == 0  # chosen, not drawn
    while (item := desk.with_queue(ALL, lambda q: next(i for i in q.items() if i.audit))).id < early:
        desk.decide("reject", item.id, None, ALL)
    desk.decide("reject", item.id, None, ALL)
    assert queue.audit(connection).decided == slice_.index(item.id) + 1


def test_what_was_skipped_comes_again_at_the_next_start_and_is_noted(
    graph_db: neo4j.Driver, connection: Connection
) -> None:
    make_clean_world(graph_db)
    desk = Desk(connection, "ana", LABELS, Workspace("none"))
    first = desk.with_queue(ALL, lambda q: q.items()[0].id)
    desk.skip(first, "ask the registry", ALL)
    assert first not in [item.id for item in desk.with_queue(ALL, lambda q: q.items())]
    assert desk.look(first).status == "proposed"
    (note,) = desk.look(first).notes
    assert (note.action, note.by, note.reason) == ("skip", "ana", "ask the registry")
    again = Desk(connection, "ana", LABELS, Workspace("none"))
    assert again.with_queue(ALL, lambda q: q.items()[0].id) == first
    with pytest.raises(NotFoundError):
        desk.skip("nobody knows it", None, ALL)
    assert query(graph_db, "MATCH (n:__KgsyncReview) RETURN n.predictionId AS id") == [{"id": first}]


def test_the_audit_counts_up_to_the_first_edge_that_was_skipped_and_still_waits(
    graph_db: neo4j.Driver, connection: Connection
) -> None:
    slice_ = sorted(id_ for id_ in make_many(graph_db, 350) if id_ < SLICE)
    desk = Desk(connection, "ana", LABELS, Workspace("none"))
    for place, id_ in enumerate(slice_[:4]):
        if place == 1:
            desk.skip(id_, None, ALL)
        else:
            review.decide(connection, "accept", [id_], by="ana", audit=[id_])
    assert queue.audit(connection).decided == 1
    review.decide(connection, "reject", [slice_[1]], by="ben", audit=[slice_[1]])
    assert (queue.audit(connection).decided, queue.audit(connection).accepted) == (4, 3)


def test_what_could_not_be_taken_back_can_still_be(graph_db: neo4j.Driver, connection: Connection) -> None:
    make_clean_world(graph_db)
    desk = Desk(connection, "ana", LABELS, Workspace("none"))
    first = desk.with_queue(ALL, lambda q: q.items()[0].id)
    desk.decide("reject", first, None, ALL)
    query(graph_db, "CREATE CONSTRAINT one FOR (n:__KgsyncReview) REQUIRE n.predictionId IS UNIQUE")  # no second note
    with pytest.raises(DataError):
        desk.undo()
    assert (desk.last() is not None, desk.counts["reject"]) == (True, 1)
    query(graph_db, "DROP CONSTRAINT one")
    assert desk.undo().next == first
    assert (desk.last(), desk.counts["reject"], desk.look(first).status) == (None, 0, "proposed")


# ---- many at once


def test_a_filter_leaves_the_audit_alone_whoever_asks(graph_db: neo4j.Driver, connection: Connection) -> None:
    ids = make_many(graph_db, 350)
    fit = [id_ for i, id_ in enumerate(ids) if i >= 175]
    high, waiting = Filter(min_score=0.5), sum(id_ < SLICE for id_ in fit)
    found, left = review.fitting(connection, "accept", high, by="ana")
    assert ({edge.id for edge in found}, left) == ({id_ for id_ in fit if id_ >= SLICE}, waiting)
    report = review.accept(connection, high, by="ana")
    assert (report.done, report.left, waiting > 0) == (len(fit) - waiting, waiting, True)
    assert review.accept(connection, [id_ for id_ in fit if id_ < SLICE], by="ana").done == waiting  # by name
    report = review.undo(connection, high, by="ana")
    assert (report.done, report.left) == (len(fit), 0)


def test_a_decision_about_many_leaves_the_audit_alone_and_is_taken_back_as_one(
    graph_db: neo4j.Driver, connection: Connection
) -> None:
    ids = make_many(graph_db, 350)
    low = asked({"max": "0.5"})
    desk = Desk(connection, "ana", LABELS, Workspace("none"))
    expected = [id_ for i, id_ in enumerate(ids) if i <= 175 and id_ >= SLICE]
    preview = desk.preview("reject", low)
    assert (preview.edges, preview.left) == (len(expected), 176 - len(expected))
    assert (preview.low, preview.high) == (min(i for i in range(176) if ids[i] >= SLICE) / 350, 0.5)
    assert len(preview.sample) == bulk.SAMPLE
    assert desk.commit("reject", low, None, expected=preview.edges - 1) is None  # another number than was shown
    assert query(graph_db, "MATCH ()-[p:PREDICTED {status: 'rejected'}]->() RETURN count(p) AS n") == [{"n": 0}]
    said = desk.commit("reject", low, "too unlikely", expected=preview.edges)
    assert said is not None
    assert said.good
    rows = query(graph_db, "MATCH ()-[p:PREDICTED {status: 'rejected'}]->() RETURN p.id AS id, p.reviewReason AS why")
    assert {row["id"] for row in rows} == set(expected)
    assert {row["why"] for row in rows} == {"too unlikely"}
    assert desk.undo().good
    assert query(graph_db, "MATCH ()-[p:PREDICTED {status: 'proposed'}]->() RETURN count(p) AS n") == [{"n": 350}]


# ---- on a terminal


def typed(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))


def statuses(driver: neo4j.Driver, ids: Sequence[str]) -> list[str]:
    rows = query(driver, "UNWIND $ids AS id MATCH ()-[p:PREDICTED {id: id}]->() RETURN p.status AS s", ids=list(ids))
    return [row["s"] for row in rows]


@pytest.mark.newest
def test_on_a_terminal_each_edge_is_asked_about_and_undo_asks_again(
    graph_db: neo4j.Driver,
    connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_clean_world(graph_db)
    order = [item.id for item in Queue(connection, PROPOSED).items()]
    typed(monkeypatch, "y", "N", "wrong country", "?", "e", "u", "y", "s", "q")
    one_by_one(Desk(connection, "ana", LABELS, Workspace("none")), PROPOSED)
    out = capsys.readouterr().out
    assert statuses(graph_db, order[:4]) == ["accepted", "accepted", "proposed", "proposed"]
    assert "n - reject: it is never proposed again" in out
    assert out.count("Accept this edge [y,n,s,u,e,q,?]?") == 8
    assert out.endswith("\n2 accepted, 0 rejected, 1 skipped.\n")
    assert "Country 1  BORDERS  Country 3" in out
    assert " is 90 % likely" in out
    assert "score 0.900, at least 0.700" in out


def test_enter_after_a_key_means_nothing_and_of_a_paste_one_key_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    screen, keyboard = pty.openpty()

    def press(*keys: bytes) -> None:
        for each in keys:
            while termios.tcgetattr(keyboard)[3] & termios.ICANON:  # it is not asking for a key yet
                time.sleep(0.01)
            os.write(screen, each)
            time.sleep(0.2)

    with open(keyboard, closefd=False) as terminal:
        monkeypatch.setattr("sys.stdin", terminal)
        typist = threading.Thread(target=press, args=(b"y\r", b"\r", b"n", b"yyyy", b"\x1b[A", b"\x04"))
        typist.start()
        assert [review_steps._key() for _ in range(5)] == ["y", "n", "y", "\x1b", "q"]
        typist.join()
    os.close(screen)
    os.close(keyboard)


def test_the_terminal_review_ends_where_the_queue_or_the_input_does(
    graph_db: neo4j.Driver,
    connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_clean_world(graph_db)
    predict(graph_db, "country9", "SPEAKS", "language20", score=0.97)
    query(graph_db, "MATCH (n:Country {key: 'country9'}) SET n.name = 'Evil \u001b[31m\u202e'")
    typed(monkeypatch, "n")
    one_by_one(Desk(connection, "ana", LABELS, Workspace("none")), PROPOSED)
    out = capsys.readouterr().out
    assert "Evil \N{REPLACEMENT CHARACTER}[31m\N{REPLACEMENT CHARACTER}" in out
    assert statuses(graph_db, [edge_id("country9", "SPEAKS", "language20")]) == ["rejected"]
    typed(monkeypatch, *["y"] * 20)
    one_by_one(Desk(connection, "ana", LABELS, Workspace("none")), PROPOSED)
    assert "Nothing else waits. 6 accepted, 0 rejected, 0 skipped." in capsys.readouterr().out


def test_the_weights_of_a_look_are_small_beside_its_chance() -> None:
    sure, doubtful = Beliefs().worth("R", 0.9, 0), Beliefs().worth("R", 0.5, 18)
    assert sure > doubtful > Beliefs().worth("R", 0.2, 18)
    assert worth.DOUBT * 0.25 + worth.REACH * 3 < 0.1
