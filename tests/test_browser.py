"""Neo4j Browser of the local server, in Chromium: what an analyst clicks runs, is drawn, and does what it says."""

from __future__ import annotations

import base64
import http.client
import io
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import neo4j
import pytest
from example_graphs import made_up_model
from playwright.sync_api import Locator, Page, TimeoutError, expect, sync_playwright
from predicted import LABELS, edge_id, make_clean_world, predict, query

from kgsync.browser import content, parameters, serve
from kgsync.browser.favourites import favourites
from kgsync.browser.guide import asciidoc
from kgsync.browser.parameters import Parameters
from kgsync.browser.server import HOST, Server
from kgsync.browser.story import SLIDES, Query
from kgsync.browser.style import style
from kgsync.config import Config, GraphConfig
from kgsync.graph import server as local
from kgsync.graph import statements
from kgsync.graph.connection import Connection
from kgsync.graph.embed import embed
from kgsync.graph.graph import Graph
from kgsync.graph.server import LocalServer

PATIENCE = 60_000  # milliseconds; the machine may be busy
AGAIN = 5_000  # milliseconds after which a click that did nothing is made again
UNSEEN = "[data-testid=frame]:not([data-seen])"
ORANGE = "#FD7E14"
BEST = edge_id("country30", "CAPITAL", "city30")
DOUBTFUL = edge_id("person35", "PARENT", "person36")
FOLDERS = {"kgsync": "browse", "kgsync live predictions": "browse/live", "kgsync review": "review"}


@dataclass(frozen=True)
class World:
    """A Neo4j with Browser, what its database holds, and the server of the guide."""

    server: LocalServer
    driver: neo4j.Driver
    guides: Server


@pytest.fixture(scope="module", params=[local.LTS, local.NEWEST], ids=["lts", "newest"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, jar_cache: Path) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch, serve(content({"Entity": "name"}), port=0) as guides:
        threading.Thread(target=guides.serve_forever, daemon=True).start()
        patch.setenv("KGSYNC_HOME", str(tmp_path_factory.mktemp("browser")))
        patch.setenv("KGSYNC_JARS", str(jar_cache))
        patch.setenv("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")
        running = local.up("browser", version=request.param, browser=True, memory="768M")
        try:
            with neo4j.GraphDatabase.driver(running.uri, auth=(running.username, running.password())) as driver:
                _make_world(driver, tmp_path_factory.mktemp("workspace"))
                yield World(running, driver, guides)
        finally:
            local.down("browser")
            guides.shutdown()


def _make_world(driver: neo4j.Driver, workspace: Path) -> None:
    """Create edges of every status, a best and a doubtful one among the proposals, and vectors."""
    make_clean_world(driver)
    predict(driver, "country7", "BORDERS", "country7", status="quarantined", reasons=["self-loop"])
    set_score = "MATCH ()-[p:PREDICTED {id: $id}]->() SET p.score = $score"
    query(driver, set_score, id=BEST, score=0.95)
    query(driver, set_score, id=DOUBTFUL, score=0.1)
    query(driver, "MATCH (m:__KgsyncModel) SET m.kind = 'fused'")
    query(driver, "MATCH (r:__KgsyncRun) SET r.startedAt = datetime()")
    connection = Connection.wrap(driver, "neo4j")
    snapshot = Graph(connection, Config(graph=GraphConfig(labels=LABELS)), workspace).pull()
    embed(connection, made_up_model(snapshot), commit=True)


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(PATIENCE)
        yield page
        browser.close()


def log_in(page: Page, world: World, command: str = "") -> None:
    page.goto(f"{world.server.http_uri}/browser/{command}")
    page.get_by_test_id("username").fill(world.server.username)
    page.get_by_test_id("password").fill(world.server.password())
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("password")).to_have_count(0, timeout=PATIENCE)
    expect(page.get_by_test_id("frame").first).to_be_visible(timeout=PATIENCE)


def run(page: Page, text: str = "") -> Locator:
    """Run `text`, or what stands in the editor, and return the frame that answers, once it has."""
    send(page, text)
    return answer(page)


def send(page: Page, text: str = "") -> Locator:
    """Run `text`, or what stands in the editor, and return the frame that will answer."""
    page.get_by_test_id("frame").evaluate_all("frames => frames.forEach(frame => frame.dataset.seen = 'yes')")
    if text:
        page.locator(".monaco-editor").first.click()
        page.keyboard.insert_text(text)
    for _ in range(PATIENCE // AGAIN):  # a click before the text has come to the editor runs nothing
        page.get_by_test_id("editor-Run").click()
        with suppress(TimeoutError):
            page.locator(UNSEEN).first.wait_for(timeout=AGAIN)
            break
    return page.locator(UNSEEN).first


def answer(page: Page) -> Locator:
    frame = page.locator(UNSEEN).first
    done = "[data-testid=frame-loaded-contents], [data-testid=rawParamData], [data-testid=multi-statement-list-icon]"
    expect(frame.locator(done).first).to_be_visible(timeout=PATIENCE)
    assert frame.get_by_test_id("cypherFrameErrorMessage").all_inner_texts() == [], frame.inner_text()
    several = frame.get_by_test_id("multi-statement-list-icon")
    for number in range(several.count()):
        expect(several.nth(number)).to_have_attribute("title", "Status: success", timeout=PATIENCE)
    return frame


@pytest.mark.browser
@pytest.mark.slow
def test_the_guide_opens_beside_the_results_and_each_click_runs_what_it_shows(world: World, page: Page) -> None:
    log_in(page, world, f"?cmd=guide&arg={world.guides.address}/guide.html")
    guide = page.get_by_test_id("guidesDrawer")
    expect(guide.get_by_role("heading", name=SLIDES[0].title)).to_be_visible(timeout=PATIENCE)
    guide.get_by_text("Switch kgsync's style on").click()
    expect(page.get_by_test_id("frame").first).to_contain_text(ORANGE, timeout=PATIENCE)
    for slide in SLIDES:
        expect(guide.get_by_role("heading", name=slide.title)).to_be_visible()
        steps = [step for step in slide.steps if isinstance(step, Query | Parameters)]
        blocks = guide.locator("pre.runnable")
        expect(blocks).to_have_count(len(steps))
        for number, step in enumerate(steps):
            blocks.nth(number).click()
            check_drawing(run(page), step)
        if slide is not SLIDES[-1]:
            guide.get_by_test_id("guideNextSlide").click()
    guide.get_by_text("Give Browser its own style back").click()
    expect(page.get_by_test_id("frame").first).to_contain_text(":style reset", timeout=PATIENCE)

    made = query(
        world.driver, "MATCH ()-[e:CAPITAL {kgsyncPredictionId: $id}]->() RETURN e.kgsyncRunId AS run", id=BEST
    )
    assert made == [{"run": "run1"}]
    status = "MATCH ()-[p:PREDICTED {id: $id}]->() RETURN p.status AS status, p.reviewedBy AS by"
    assert query(world.driver, status, id=BEST) == [{"status": "accepted", "by": "your name"}]
    assert query(world.driver, status, id=DOUBTFUL) == [{"status": "proposed", "by": None}], "rejected, and undone"


def check_drawing(frame: Locator, step: Query | Parameters) -> None:
    """Assert that a query draws what it is about, with the style on, and that a table holds rows."""
    if isinstance(step, Parameters):
        return
    if step.name in ("browse/overview", "browse/traces"):
        expect(frame).to_contain_text("proposed")
    elif step.name.startswith("browse/live"):
        expect(frame.locator("svg g.node").first).to_be_visible(timeout=PATIENCE)
    elif step.name == "browse/runs":
        expect(frame.locator("svg g.relationship")).to_have_count(1, timeout=PATIENCE)
    else:
        expect(frame.locator(f"svg g.relationship path[fill='{ORANGE}']").first).to_be_visible(timeout=PATIENCE)
    if step.name == "browse/best":
        expect(frame.locator("svg g.relationship", has_text="CAPITAL 0.95")).to_have_count(1)
    if step.name == "review/accept":  # the predicted edge, and the asserted one that came of it
        expect(frame.locator(f"svg g.relationship path.b-outline:not([fill='{ORANGE}'])").first).to_be_visible()


@pytest.mark.browser
@pytest.mark.slow
def test_the_zip_dropped_onto_browser_becomes_favourites_that_run(world: World, page: Page) -> None:
    log_in(page, world)
    drop(page, "favourites.zip", "application/zip")
    page.get_by_test_id("navigationFavorites").click()
    for path, text in favourites().items():
        folder = page.get_by_test_id(f"savedScriptsFolder-{path.partition('/')[0]}")
        title = page.get_by_test_id(f"scriptTitle-{text.splitlines()[0].removeprefix('// ')}")
        if not title.count():
            folder.get_by_test_id(f"expandFolder-{path.partition('/')[0]}").click()
        expect(title).to_be_visible()
    search = "Live predictions: best tails, by SEARCH"
    if world.server.version == local.NEWEST:  # the one favourite that is not in the guide: Neo4j 2026 has its clause
        run(page, Parameters("", {**parameters.TAILS.values, "label": "'Entity'"}).text)
        page.get_by_test_id(f"scriptTitle-{search}").click()
        expect(run(page).locator("svg g.node").first).to_be_visible(timeout=PATIENCE)
    told = {step.name for slide in SLIDES for step in slide.steps if isinstance(step, Query)}
    named = {
        f"{FOLDERS[path.partition('/')[0]]}/{Path(path).stem}" for path in favourites() if "parameters" not in path
    }
    assert named - told == {"browse/live/best-tails-search"}, "every favourite is run by one of these tests"


def drop(page: Page, name: str, kind: str) -> None:
    """Drop one of the files that `kgsync browser` writes onto Browser, as a file manager would."""
    content_of = content({"Entity": "name"})[name]
    files = page.evaluate_handle(
        """([data, name, kind]) => {
            const files = new DataTransfer();
            const bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0));
            files.items.add(new File([bytes], name, {type: kind}));
            return files;
        }""",
        [base64.b64encode(content_of).decode(), name, kind],
    )
    for event in ("dragenter", "dragover", "drop"):
        page.locator(".monaco-editor").first.dispatch_event(event, {"dataTransfer": files})


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("way", ["by its address", "dropped"])
def test_the_style_comes_by_its_address_or_dropped_and_goes_by_reset(world: World, page: Page, way: str) -> None:
    log_in(page, world)
    draw, predicted = statements.load("browse/best").text, f"svg g.relationship path[fill='{ORANGE}']"
    expect(run(page, draw).locator("svg g.relationship").first).to_be_visible(timeout=PATIENCE)
    expect(page.locator(predicted)).to_have_count(0)
    if way == "dropped":
        drop(page, "kgsync.grass", "")
    else:
        expect(send(page, f":style {world.guides.address}/kgsync.grass")).to_contain_text(ORANGE, timeout=PATIENCE)
    expect(run(page, draw).locator(predicted).first).to_be_visible(timeout=PATIENCE)
    send(page, ":style reset")
    frame = run(page, draw)
    expect(frame.locator("svg g.relationship").first).to_be_visible(timeout=PATIENCE)
    expect(frame.locator(predicted)).to_have_count(0)


@pytest.mark.browser
@pytest.mark.slow
def test_the_guide_also_opens_as_a_result(world: World, page: Page) -> None:
    log_in(page, world)
    frame = send(page, f":play {world.guides.address}/guide.html")
    expect(frame.get_by_role("heading", name=SLIDES[0].title)).to_be_visible(timeout=PATIENCE)


@pytest.mark.browser
@pytest.mark.slow
def test_the_newer_browser_runs_the_queries_and_parameters_of_the_asciidoc_guide(world: World, page: Page) -> None:
    page.goto(f"{world.server.http_uri}/browser/preview/")  # the newer one as of 2024, which opens no guide yet
    page.locator("input[name=hostname]").fill(world.server.uri.partition("://")[2])
    page.locator("input[name=password]").fill(world.server.password())
    page.keyboard.press("Enter")
    expect(page.locator("input[name=password]")).to_have_count(0, timeout=PATIENCE)
    editor = page.get_by_test_id("main-editor").locator(".cm-content")
    for block in re.findall(r"^\[source,cypher\]\n----\n(.*?)\n----$", asciidoc(), re.DOTALL | re.MULTILINE):
        if re.search(r"^SET ", block, re.MULTILINE):
            continue  # what decides is tested in the other one
        for text in block.split(";\n"):  # it takes them together as well, but does not say when all are set
            frames = page.get_by_test_id("frame")
            frames.evaluate_all("frames => frames.forEach(frame => frame.dataset.seen = 'yes')")
            editor.focus()  # a click would hit its notice that it does not know such a new server
            page.keyboard.press("Control+a")
            page.keyboard.insert_text(text)
            page.keyboard.press("Control+Enter")
            frame = page.locator(UNSEEN).first
            done = re.compile("parameters? successfully|completed after|no records", re.IGNORECASE)
            expect(frame).to_contain_text(done, timeout=PATIENCE)
            if block == statements.load("browse/best").text:
                expect(frame.get_by_test_id("nvl-parent")).to_be_visible(timeout=PATIENCE)
                expect(frame.get_by_test_id("viz-inspector")).to_contain_text("PREDICTED")


# ---- the files


def test_the_asciidoc_guide_holds_each_query_as_it_is() -> None:
    blocks = re.findall(r"^\[source,cypher\]\n----\n(.*?)\n----$", asciidoc(), re.DOTALL | re.MULTILINE)
    steps = [step for slide in SLIDES for step in slide.steps if isinstance(step, Query | Parameters)]
    assert blocks == [statements.load(s.name).text if isinstance(s, Query) else s.text for s in steps]
    assert re.findall(r"^== (.*)$", asciidoc(), re.MULTILINE) == [slide.title for slide in SLIDES]


def test_the_zip_holds_only_what_is_for_people_and_is_the_same_each_time() -> None:
    data = content()["favourites.zip"]
    assert data == content()["favourites.zip"]
    with zipfile.ZipFile(io.BytesIO(data)) as zipped:
        texts = {name: zipped.read(name).decode() for name in zipped.namelist()}
    assert texts == favourites()
    assert "kgsync review/accept.cypher" in texts
    assert "kgsync review/list.cypher" not in texts, "that one is kgsync's own"
    titles = [text.splitlines()[0] for text in texts.values()]
    assert len(set(titles)) == len(titles)
    assert all(re.match(r"// [A-Z]", title) for title in titles)


def test_the_style_names_entities_as_the_configuration_does_and_leaves_out_what_it_cannot_say() -> None:
    text = style({"City": "label_en", "Odd'; Label": "name", "Town": "na}me"})
    assert "node.City {\n  caption: '{label_en}';\n}" in text
    assert "Odd" not in text
    assert "Town" not in text
    assert text.count("'") % 2 == 0


# ---- the server


@pytest.fixture
def guides() -> Iterator[Server]:
    with serve({"guide.html": b"<p>hello</p>"}, port=0, origins=["https://neo4j.example.com:7473/"]) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def ask(server: Server, method: str, path: str, **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(HOST, server.server_address[1], timeout=10)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    return connection.getresponse()


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://localhost:7474", True),
        ("http://127.0.0.1:18743", True),
        ("http://[::1]:7474", True),
        ("https://neo4j.example.com:7473", True),
        ("http://neo4j.example.com:7473", False),
        ("https://localhost.example.com", False),
        ("http://[", False),
        ("null", False),
        ("", False),
    ],
)
def test_only_pages_of_this_machine_and_of_named_origins_may_read(guides: Server, origin: str, allowed: bool) -> None:
    for method in ("GET", "OPTIONS"):
        answer = ask(guides, method, "/guide.html", Origin=origin, Access_Control_Request_Headers="pragma,sentry-trace")
        assert answer.status == (200 if method == "GET" else 204)
        assert answer.headers["Vary"] == "Origin"
        assert answer.headers["Access-Control-Allow-Origin"] == (origin if allowed else None)
        assert answer.headers["Access-Control-Allow-Headers"] == ("pragma,sentry-trace" if allowed else None)


@pytest.mark.parametrize("path", ["/", "/../pyproject.toml", "/guide.html/", "/favourites.zip", "/%"])
def test_nothing_but_the_files_is_handed_out(guides: Server, path: str) -> None:
    assert ask(guides, "GET", path).status == 404
    assert ask(guides, "HEAD", "/guide.html?x=1").headers["Content-Length"] == "12"
    assert ask(guides, "POST", "/guide.html").status == 501


@contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[None]:
    """Leave no process behind when the test fails."""
    try:
        yield
    finally:
        process.kill()


def test_the_command_serves_until_ctrl_c_and_says_when_the_port_is_taken(tmp_path: Path) -> None:
    heed = (  # tests that run in the background of a shell ignore Ctrl-C, and so would what they start
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from kgsync.cli import main; main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", heed, "browser", "--workspace", str(tmp_path), "--port"]
    with subprocess.Popen([*command, "0"], stdout=subprocess.PIPE, text=True) as process, ended(process):
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(6)]
        port = re.search(r":style http://localhost:(\d+)/kgsync.grass ", "".join(lines))
        assert port
        assert sorted(path.name for path in (tmp_path / "browser").iterdir()) == sorted(content())
        done = subprocess.run([*command, port[1]], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr.count("\n"), done.stdout) == (69, 1, "")
        assert f"cannot listen on port {port[1]} of 127.0.0.1" in done.stderr
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0
        assert process.stdout.read().endswith("Stopped.\n")
    with socket.socket() as free:
        assert free.connect_ex((HOST, int(port[1]))) != 0


def test_write_only_writes_and_leaves_other_files_alone(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    command = [sys.executable, "-m", "kgsync", "browser", "--write", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"mine.txt": b"mine", **content()}
    assert not (tmp_path / "cwd" / ".kgsync").exists()
