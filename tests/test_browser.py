"""Neo4j Browser of the local server, in Chromium: an analyst logs in, runs a query of ours, and sees the graph."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import neo4j
import pytest
from playwright.sync_api import Page, expect, sync_playwright
from predicted import make_clean_world

from kgsync.graph import server as local
from kgsync.graph import statements
from kgsync.graph.server import LocalServer

pytestmark = pytest.mark.browser

PATIENCE = 90_000  # milliseconds; the machine may be busy


@pytest.fixture(scope="module")
def server_with_browser(tmp_path_factory: pytest.TempPathFactory, jar_cache: Path) -> Iterator[LocalServer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KGSYNC_HOME", str(tmp_path_factory.mktemp("browser")))
        patch.setenv("KGSYNC_JARS", str(jar_cache))
        running = local.up("browser", browser=True, memory="768M")
        try:
            with neo4j.GraphDatabase.driver(running.uri, auth=(running.username, running.password())) as driver:
                make_clean_world(driver)
            yield running
        finally:
            local.down("browser")


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(PATIENCE)
        yield page
        browser.close()


def test_an_analyst_logs_in_and_sees_the_predicted_edges_drawn(
    server_with_browser: LocalServer, page: Page, tmp_path: Path
) -> None:
    page.goto(f"{server_with_browser.http_uri}/browser/")
    page.get_by_test_id("username").fill(server_with_browser.username)
    page.get_by_test_id("password").fill(server_with_browser.password())
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("password")).to_have_count(0, timeout=PATIENCE)
    page.locator(".monaco-editor").first.click()
    page.keyboard.insert_text(statements.load("browse/best").text)
    page.keyboard.press("Control+Enter")
    drawn = page.locator("svg g.relationship")
    expect(drawn.first).to_be_visible(timeout=PATIENCE)
    page.screenshot(path=tmp_path / "browser.png")
    assert "PREDICTED" in (drawn.first.text_content() or "")
    assert page.locator("svg g.node").count() >= 2
