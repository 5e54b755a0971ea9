"""A neighbourhood, on the real server: what is shown, what is left out, and what other tools read of it."""

from __future__ import annotations

import io
import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import neo4j
import networkx
import pytest
from playwright.sync_api import sync_playwright
from predicted import LABELS, assert_edge, make_clean_world, predict, query

from kgsync.cli import main
from kgsync.config import LabelConfig
from kgsync.errors import ConfigError, NotFoundError
from kgsync.graph.connection import Connection
from kgsync.graph.server import LocalServer
from kgsync.view.export import export, to_networkx
from kgsync.view.neighbourhood import Neighbourhood, around
from kgsync.view.picture import draw

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def connection(graph_db: neo4j.Driver) -> Connection:
    make_clean_world(graph_db)
    return Connection.wrap(graph_db, "neo4j")


def look(connection: Connection, question: str = "country1", hops: int = 1, most: int = 120) -> Neighbourhood:
    return around(connection, LABELS, question, hops=hops, most=most)


def edges_of(found: Neighbourhood) -> set[tuple[str, str, str, str]]:
    return {(e.head.partition(":")[2], e.relation, e.tail.partition(":")[2], e.kind) for e in found.edges}


@pytest.mark.newest
def test_known_and_predicted_edges_are_told_apart(connection: Connection) -> None:
    assert edges_of(look(connection)) == {
        ("country1", "CAPITAL", "city1", "known"),
        ("country1", "BORDERS", "country0", "known"),
        ("country0", "BORDERS", "country1", "known"),
        ("country1", "BORDERS", "country2", "known"),
        ("country2", "BORDERS", "country1", "known"),
        ("country1", "SPEAKS", "language1", "known"),
        ("country1", "SPEAKS", "language2", "known"),
        ("country1", "AUDITS", "country1", "known"),
        ("country1", "BORDERS", "country3", "predicted"),
        ("country3", "BORDERS", "country1", "predicted"),
    }


def test_rejected_and_expired_proposals_are_not_shown(connection: Connection) -> None:
    found = look(connection, "country32")
    assert not found.predicted
    assert found.left_out == 2


def test_an_edge_that_came_of_a_proposal_is_marked(connection: Connection, graph_db: neo4j.Driver) -> None:
    query(graph_db, "MATCH (:Entity {key: 'country31'})-[e:CAPITAL]->() SET e.kgsyncPredictionId = 'x'")
    kinds = {edge.relation: edge.kind for edge in look(connection, "country31").edges}
    assert kinds["CAPITAL"] == "accepted"


@pytest.mark.parametrize("question", ["country7", "Entity:country7", "Country 7"])
def test_an_entity_is_found_by_label_and_key_by_key_and_by_name(connection: Connection, question: str) -> None:
    assert look(connection, question).centre.id == "Entity:country7"


def test_a_key_that_is_a_number_is_found(connection: Connection, graph_db: neo4j.Driver) -> None:
    query(graph_db, "CREATE (:Part {number: 12})-[:FITS]->(:Part {number: 13})")
    found = around(connection, {"Part": LabelConfig(key="number")}, "12")
    assert [node.id for node in found.nodes] == ["Part:12", "Part:13"]


def test_nothing_and_several_are_refused_with_the_next_step(connection: Connection, graph_db: neo4j.Driver) -> None:
    with pytest.raises(NotFoundError, match="no entity has the key or the name 'nowhere'"):
        look(connection, "nowhere")
    query(graph_db, "MATCH (n:Entity) WHERE n.key IN ['city1', 'city2'] SET n.name = 'Same'")
    with pytest.raises(NotFoundError, match="several entities: Entity:city1, Entity:city2"):
        look(connection, "Same")


def test_a_hub_shows_every_relation_and_counts_what_it_leaves_out(
    connection: Connection, graph_db: neo4j.Driver
) -> None:
    query(graph_db, "CREATE (h:Entity {key: 'hub'}) WITH h UNWIND range(1, 3000) AS i "
                    "CREATE (h)-[:MANY]->(:Entity {key: 'spoke' + i})")  # fmt: skip
    assert_edge(graph_db, "hub", "RARE", "city1")
    found = look(connection, "hub")
    assert {edge.relation for edge in found.edges} == {"MANY", "RARE"}
    assert len(found.nodes) == 41
    assert found.left_out == 3001 - 40


def test_no_more_entities_are_shown_than_asked_for(connection: Connection) -> None:
    found = look(connection, hops=3, most=10)
    assert len(found.nodes) == 10
    assert {end for edge in found.edges for end in (edge.head, edge.tail)} <= {node.id for node in found.nodes}
    assert found.left_out > 0


def test_nodes_without_a_configured_label_or_key_are_left_out(connection: Connection, graph_db: neo4j.Driver) -> None:
    query(graph_db, "MATCH (n:Entity {key: 'country7'}) CREATE (n)-[:HAS]->(:Note), (n)-[:HAS]->(:Entity)")
    found = look(connection, "country7")
    assert "HAS" not in {edge.relation for edge in found.edges}
    assert found.left_out == 2


def test_parallel_edges_are_all_there_and_drawn_once(connection: Connection, graph_db: neo4j.Driver) -> None:
    query(
        graph_db,
        "MATCH (a {key: 'person1'}), (b {key: 'city35'}) UNWIND [1990, 2001, null, null] AS year "
        "CREATE (a)-[:LIVED_IN {year: year}]->(b)",
    )
    for hops in (1, 2):
        found = look(connection, "person1", hops=hops)
        lived = [edge for edge in found.edges if edge.relation == "LIVED_IN"]
        assert sorted(str(edge.properties.get("year")) for edge in lived) == ["1990", "2001", "None", "None"]
        assert found.left_out == 0
        assert to_networkx(found).number_of_edges("Entity:person1", "Entity:city35") == 4
        assert [line.label for line in draw(found).lines].count("LIVED_IN") == 1


def test_every_entity_has_a_place_of_its_own(connection: Connection) -> None:
    found = look(connection, hops=2)
    picture = draw(found)
    places = {(place.x, place.y) for place in picture.places}
    assert len(places) == len(found.nodes)
    assert all(abs(x) < picture.size / 2 and abs(y) < picture.size / 2 for x, y in places)
    assert picture == draw(found)


def test_an_entity_without_edges_is_drawn(connection: Connection) -> None:
    found = look(connection, "city39")
    assert len(draw(found).places) == 1
    assert export(found, ".svg")


@pytest.mark.parametrize("suffix", [".graphml", ".gexf"])
def test_other_tools_read_where_an_edge_comes_from(connection: Connection, graph_db: neo4j.Driver, suffix: str) -> None:
    query(
        graph_db, "MATCH (r:__KgsyncRun)-[:USED_MODEL]->(m) SET r.startedAt = datetime(), m.snapshotHash = 'snapshot1'"
    )
    query(graph_db, "MATCH (:Entity {key: 'country1'})-[e:CAPITAL]->() SET e.knowledge_level = 'observation'")
    data = export(look(connection), suffix)
    read = networkx.read_graphml if suffix == ".graphml" else networkx.read_gexf
    graph = read(io.BytesIO(data))
    by_kind = {edge["predicate"]: edge for _, _, edge in graph.edges(data=True) if edge["kind"] == "known"}
    (predicted, *_) = [edge for _, _, edge in graph.edges(data=True) if edge["kind"] == "predicted"]
    assert predicted["knowledge_level"] == "prediction"
    assert predicted["agent_type"] == "computational_model"
    assert predicted["primary_knowledge_source"] == "infores:kgsync"
    assert predicted["wasGeneratedBy"] == "run1"
    assert predicted["wasAttributedTo"] == "model1"
    assert predicted["wasDerivedFrom"] == "snapshot1"
    assert predicted["generatedAtTime"].startswith("20")
    assert predicted["score"] == 0.9
    assert by_kind["CAPITAL"]["knowledge_level"] == "observation"
    assert by_kind["BORDERS"]["knowledge_level"] == "not_provided"
    assert "wasGeneratedBy" not in by_kind["BORDERS"]


NASTY = ["<script>alert(1)</script>", '"/><a href="javascript:alert(1)">', "null\x0cfeed", "\u202eback", "]]>", "&amp;"]


@pytest.fixture
def nasty(connection: Connection, graph_db: neo4j.Driver) -> Neighbourhood:
    """A neighbourhood full of names that would like to be more."""
    query(graph_db, "UNWIND $names AS n CREATE (:Entity {key: n, name: n})", names=NASTY)
    for name in NASTY:
        assert_edge(graph_db, "country7", "SEES", name)
        predict(graph_db, "country7", name, name)
    return look(connection, "country7")


def test_no_name_becomes_markup(nasty: Neighbourhood) -> None:
    picture = ElementTree.fromstring(export(nasty, ".svg"))  # noqa: S314 (made here)
    drawn = {"svg", "title", "desc", "style", "defs", "marker", "path", "g", "line", "text", "circle"}
    assert {element.tag.removeprefix(SVG) for element in picture.iter()} == drawn
    assert not [name for element in picture.iter() for name in element.attrib if name.startswith("on")]
    for suffix in (".graphml", ".gexf"):
        ElementTree.fromstring(export(nasty, suffix))  # noqa: S314 (made here)
    assert to_networkx(nasty).number_of_nodes() == len(nasty.nodes)


@pytest.mark.browser
def test_a_browser_draws_it_and_runs_nothing(nasty: Neighbourhood, tmp_path: Path) -> None:
    problems: list[str] = []
    for suffix in (".html", ".svg"):
        (tmp_path / f"view{suffix}").write_bytes(export(nasty, suffix))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for width, name in ((390, "view.html"), (1440, "view.html"), (1440, "view.svg")):
            tab = browser.new_page(viewport={"width": width, "height": 900})
            tab.on("console", lambda message: problems.append(message.text))
            tab.on("dialog", lambda dialog: problems.append(dialog.message))
            tab.on("request", lambda asked: problems.append(asked.url) if not asked.url.startswith("file:") else None)
            tab.goto((tmp_path / name).as_uri())
            dashed = tab.locator("line.predicted").first
            assert dashed.evaluate("line => getComputedStyle(line).strokeDasharray") != "none"
            assert tab.locator("line.known").first.evaluate("l => getComputedStyle(l).strokeDasharray") == "none"
            if name.endswith(".html"):
                assert tab.evaluate("document.documentElement.scrollWidth") <= width
                assert tab.get_by_role("heading", name="What is around Country 7").is_visible()
        browser.close()
    assert not problems


def test_the_command_writes_what_the_ending_says(
    connection: Connection, any_server: LocalServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NEO4J_URI", any_server.uri)
    monkeypatch.setenv("NEO4J_PASSWORD", any_server.password())
    Path("kgsync.toml").write_text('[graph.labels.Entity]\nkey = "key"\nname = "name"\n', encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        main(["view", "country1", "--out", "seen.svg"])
    assert ended.value.code == 0
    assert Path("seen.svg").read_bytes().startswith(b"<svg")
    assert "2 of them predicted" in capsys.readouterr().out


def test_an_unknown_ending_is_refused_before_anything_is_asked() -> None:
    with pytest.raises(SystemExit) as ended:
        main(["view", "country1", "--out", "seen.pdf", "--uri", "bolt://127.0.0.1:1"])
    assert ended.value.code == ConfigError.exit_code


def test_a_name_that_is_a_list_is_none(connection: Connection, graph_db: neo4j.Driver) -> None:
    query(graph_db, "MATCH (n {key: 'city1'}) SET n.name = ['a', 'b']")
    names = {node.key: node.name for node in look(connection).nodes}
    assert names["city1"] == ""
    assert look(connection, "city1").centre.key == "city1"
