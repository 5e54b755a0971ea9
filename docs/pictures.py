"""Take the pictures of docs/images, of a demonstration that has run with `kgsync demo --browser`; needs Chromium.

    python docs/pictures.py .kgsync/demo

What is accepted on the way is taken back. Look at each picture before you keep it.
"""

from __future__ import annotations

import shutil
import sys
import threading
from argparse import ArgumentParser
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from kgsync import demo, files
from kgsync.browser import content, serve
from kgsync.browser.parameters import Parameters
from kgsync.browser.story import SLIDES, Query
from kgsync.graph import review, server
from kgsync.graph.connection import Connection, resolve
from kgsync.graph.server import LocalServer
from kgsync.report import kept
from kgsync.report.dossier import Dossier
from kgsync.report.page import page as report_page
from kgsync.review.desk import Desk
from kgsync.review.serve import HOST, listening
from kgsync.review.serve import server as review_server
from kgsync.runs import Run, Workspace
from kgsync.view.export import export
from kgsync.view.neighbourhood import around

IMAGES = Path(__file__).parent / "images"
WIDE, SMALL = ViewportSize(width=1500, height=950), ViewportSize(width=390, height=844)
LOOKS: tuple[tuple[str, ViewportSize, Literal["light", "dark"]], ...] = (
    ("review", WIDE, "light"),
    ("review-small-dark", SMALL, "dark"),
)
SHOWN = {"browse/best": "browser-guide", "browse/why": "browser-why", "review/accept": "browser-accept"}

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from test_browser import World, log_in, run  # type: ignore[import-not-found] # noqa: E402 (they know Neo4j Browser)


def main() -> None:
    """Take all pictures."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("workspace", type=Path)
    place = Workspace(parser.parse_args().workspace)
    local = server.find(demo.INSTANCE)
    if local is None or not local.browser:
        sys.exit("run `kgsync demo --browser` first")
    settings = resolve(uri=local.uri, username=local.username, password_file=local.password_file)
    with Connection.open(settings) as connection, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        labels = demo.config(place.root / "facts").graph.labels
        desk = Desk(connection, "ana", labels, place)
        _review(browser, desk)
        around_kosovo = around(connection, labels, "Kosovo", hops=1, most=60)
        _page(browser, place.root / "view.html", export(around_kosovo, ".html"), "view")
        wrote = [run.name for run in sorted(place.runs.iterdir()) if (kept.written(Run(run)) or {}).get("created")]
        dossier = Dossier.read(place, wrote[-1])
        _page(browser, place.root / "report.html", report_page(dossier).encode(), "report")
        _guide(browser.new_page(viewport=WIDE), local, {label: entry.name for label, entry in labels.items()})
        review.undo(connection, review.Filter(), by="your name")  # as the guide's parameters say
        browser.close()


def _review(browser: Browser, desk: Desk) -> None:
    with listening(0) as listener:
        running = review_server(desk, listener, "token")
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
        thread.start()
        address = f"http://{HOST}:{listener.getsockname()[1]}/?token=token"
        for name, size, scheme in LOOKS:
            page = browser.new_page(viewport=size, color_scheme=scheme)
            page.goto(address)
            expect(page.locator(".why li").first).to_be_visible(timeout=120_000)
            _take(page, name)
        running.should_exit = True
        thread.join()


def _page(browser: Browser, file: Path, text: bytes, name: str) -> None:
    files.write_bytes(file, text)
    page = browser.new_page(viewport=WIDE)
    page.goto(file.resolve().as_uri())
    _take(page, name)


def _guide(page: Page, local: LocalServer, names: dict[str, str]) -> None:
    with serve(content(names), port=0) as guides:
        threading.Thread(target=guides.serve_forever, daemon=True).start()
        log_in(page, World(local, None, guides), f"?cmd=guide&arg={guides.address}/guide.html")
        guide = page.get_by_test_id("guidesDrawer")
        guide.get_by_text("Switch kgsync's style on").click()
        for slide in SLIDES:
            steps = [step for step in slide.steps if isinstance(step, Query | Parameters)]
            for number, step in enumerate(steps):
                guide.locator("pre.runnable").nth(number).click()
                run(page)
                if isinstance(step, Query) and step.name in SHOWN:
                    page.wait_for_timeout(3_000)  # until the drawing has come to rest
                    _take(page, SHOWN[step.name])
            if slide is not SLIDES[-1]:
                guide.get_by_test_id("guideNextSlide").click()
        guides.shutdown()


def _take(page: Page, name: str) -> None:
    page.screenshot(path=IMAGES / f"{name}.png")
    print(IMAGES / f"{name}.png", flush=True)


if __name__ == "__main__":
    main()
