"""The review page in Chromium, as a person uses it: by keys, beside others, among hostile names."""

from __future__ import annotations

import http.client
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import neo4j
import pytest
from playwright.sync_api import Page, expect, sync_playwright
from predicted import LABELS, assert_edge, edge_id, make_clean_world, make_schema, make_world, predict, query

from kgsync.graph.connection import Connection
from kgsync.graph.review import accept
from kgsync.graph.server import LocalServer
from kgsync.review.desk import Desk
from kgsync.review.serve import HOST, listening, server
from kgsync.runs import Workspace

PATIENCE = 60_000  # milliseconds; the machine may be busy
expect.set_options(timeout=PATIENCE)
HOSTILE = [
    "<script>window.hacked = 1</script>",
    "\"><img src=x onerror='window.hacked = 1'>",
    "javascript:window.hacked = 1",
    "' onmouseover='window.hacked = 1",
    "</title></svg></select><svg onload=window.hacked=1>",
    "{{ 7 * 7 }} {% raw %}",
    "\u202eevil\u2066",
]


@pytest.fixture
def connection(graph_db: neo4j.Driver) -> Connection:
    return Connection.wrap(graph_db, "neo4j")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1300, "height": 850})
        page.set_default_timeout(PATIENCE)
        yield page
        browser.close()


@contextmanager
def serving(connection: Connection, by: str = "ana") -> Iterator[str]:
    """Serve the page and yield its address with the token."""
    token = secrets.token_urlsafe(24)
    with listening(0) as listener:
        running = server(Desk(connection, by, LABELS, Workspace("none")), listener, token)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://{HOST}:{listener.getsockname()[1]}/?token={token}"
        finally:
            running.should_exit = True
            thread.join(timeout=30)


def edge(driver: neo4j.Driver, id_: str) -> dict[str, object]:
    (row,) = query(driver, "MATCH ()-[p:PREDICTED {id: $id}]->() RETURN properties(p) AS p", id=id_)
    return dict(row["p"])


def shown(page: Page) -> str:
    """Return the id of the edge that the page shows."""
    return page.locator("p.id code").first.inner_text()


def press(page: Page, key: str) -> None:
    """Press a key once the page is there."""
    page.wait_for_load_state()
    page.keyboard.press(key)


def choose(page: Page, label: str, option: str) -> None:
    """Choose what a filter asks for; the page follows."""
    page.wait_for_load_state()
    with page.expect_navigation():
        page.get_by_label(label).select_option(option)


# ---- a reviewer


@pytest.mark.browser
def test_a_reviewer_works_by_keys_alone(graph_db: neo4j.Driver, connection: Connection, chromium: Page) -> None:
    make_schema(graph_db)
    make_clean_world(graph_db)
    with serving(connection) as address:
        chromium.goto(address)
        assert "token" not in chromium.url
        expect(chromium.locator(".progress")).to_contain_text("4 of 10 reviewed")
        first = shown(chromium)
        press(chromium, "j")
        expect(chromium.locator("p.id code").first).not_to_have_text(first)
        second = shown(chromium)
        press(chromium, "k")
        expect(chromium.locator("p.id code").first).to_have_text(first)

        press(chromium, "a")
        expect(chromium.locator(".said")).to_contain_text("Accepted: ")
        assert edge(graph_db, first)["status"] == "accepted"
        assert shown(chromium) == second

        press(chromium, "w")
        chromium.keyboard.type("are you sure? a, r and s are letters here")
        press(chromium, "Enter")
        press(chromium, "r")
        expect(chromium.locator(".said")).to_contain_text("Rejected: ")
        rejected = edge(graph_db, second)
        assert (rejected["status"], rejected["reviewedBy"]) == ("rejected", "ana")
        assert rejected["reviewReason"] == "are you sure? a, r and s are letters here"

        third = shown(chromium)
        press(chromium, "s")
        expect(chromium.locator(".said")).to_contain_text("Skipped: ")
        assert edge(graph_db, third)["status"] == "proposed"
        assert shown(chromium) != third

        press(chromium, "u")
        expect(chromium.locator(".said")).to_contain_text("Taken back: rejected ")
        assert (edge(graph_db, second)["status"], shown(chromium)) == ("proposed", second)
        expect(chromium.locator(".notes li")).to_have_count(2)
        expect(chromium.locator(".notes")).to_contain_text("ana took back")

        press(chromium, "?")
        expect(chromium.locator("dialog")).to_be_visible()
        press(chromium, "a")  # nothing happens behind the help
        press(chromium, "Escape")
        assert edge(graph_db, second)["status"] == "proposed"
        for name in ("Country", "City"):
            chromium.locator(".drawing svg text", has_text=name).first.wait_for()


@pytest.mark.browser
def test_filters_narrow_the_queue_and_the_end_of_it_is_told(
    graph_db: neo4j.Driver, connection: Connection, chromium: Page
) -> None:
    make_schema(graph_db)
    make_clean_world(graph_db)
    predict(graph_db, "country8", "BORDERS", "country12", score=0.3, scoreLow=0.1)
    with serving(connection) as address:
        chromium.goto(address)
        choose(chromium, "Relation", "BORDERS")
        expect(chromium.locator(".list li")).to_have_count(3)
        chromium.get_by_label("to", exact=True).fill("0.5")
        chromium.get_by_role("button", name="Show").click()
        expect(chromium.locator(".list li")).to_have_count(1)
        chromium.get_by_role("button", name="Reject").click()
        expect(chromium.get_by_role("heading", name="Nothing waits that fits.")).to_be_visible()
        choose(chromium, "Status", "rejected")
        expect(chromium.locator(".claim")).to_contain_text("rejected by ana on ")
        press(chromium, "u")
        expect(chromium.locator(".said")).to_contain_text("Taken back: ")
        assert edge(graph_db, edge_id("country8", "BORDERS", "country12"))["status"] == "proposed"
        chromium.goto(address.split("?")[0] + "?min=much")
        expect(chromium.get_by_role("heading", name="'much' is no score")).to_be_visible()


@pytest.mark.browser
def test_a_decision_about_many_is_shown_before_it_is_made(
    graph_db: neo4j.Driver, connection: Connection, chromium: Page
) -> None:
    make_schema(graph_db)
    make_clean_world(graph_db)
    with serving(connection) as address:
        chromium.goto(address)
        choose(chromium, "Relation", "BORDERS")
        chromium.get_by_role("link", name="all that fit").click()
        expect(chromium.get_by_role("heading", name="Accept 2 edges at once?")).to_be_visible()
        expect(chromium.locator("tbody tr")).to_have_count(2)
        chromium.get_by_role("button", name="reject", exact=True).click()
        added = predict(graph_db, "country8", "BORDERS", "country12")  # meanwhile
        chromium.get_by_role("button", name="Reject 2 edges").click()
        expect(chromium.locator(".said")).to_contain_text("Nothing was changed; look again.")
        assert edge(graph_db, added)["status"] == "proposed"
        chromium.get_by_label("Reason").fill("seen on the map")
        chromium.get_by_role("button", name="Reject 3 edges").click()
        expect(chromium.locator(".said")).to_contain_text("Rejected: 3 edges.")
        assert edge(graph_db, added)["reviewReason"] == "seen on the map"
        press(chromium, "u")
        expect(chromium.locator(".said")).to_contain_text("Taken back: rejected 3 edges at once.")
        assert edge(graph_db, added)["status"] == "proposed"


# ---- beside others


@pytest.mark.browser
@pytest.mark.newest
def test_a_second_reviewer_is_told_who_decided_and_when(
    graph_db: neo4j.Driver, connection: Connection, chromium: Page
) -> None:
    make_schema(graph_db)
    make_clean_world(graph_db)
    with serving(connection, by="bob") as address:
        chromium.goto(address)
        mine = shown(chromium)
        accept(connection, [mine], by="ana")
        press(chromium, "r")
        expect(chromium.locator(".said.bad")).to_contain_text(
            re.compile(r"was accepted by ana on \S+ at \d\d:\d\d UTC")
        )
        assert (edge(graph_db, mine)["status"], edge(graph_db, mine)["reviewedBy"]) == ("accepted", "ana")
        expect(chromium.get_by_role("button", name="Accept")).to_have_count(0)
        press(chromium, "j")
        expect(chromium.locator("p.id code").first).not_to_have_text(mine)
        following = shown(chromium)
        accept(connection, [following], by="ana")
        press(chromium, "a")
        expect(chromium.locator(".said")).to_contain_text("was accepted by ana before")
        expect(chromium.locator("form.undo")).to_have_count(0)  # it was not bob's decision


# ---- hostile names


@pytest.mark.browser
def test_no_name_reason_or_relation_becomes_part_of_the_page(
    graph_db: neo4j.Driver, connection: Connection, chromium: Page
) -> None:
    make_schema(graph_db)
    make_world(graph_db)
    query(
        graph_db,
        "UNWIND range(0, size($names) - 1) AS i "
        "MATCH (h:Country {key: 'country' + i}), (t:City {key: 'city' + i}) SET h.name = $names[i], t.name = $names[i]",
        names=HOSTILE,
    )
    for place, name in enumerate(HOSTILE):
        end = f"country{place}", f"city{place}"
        predict(graph_db, end[0], name, end[1], id=f"ff{place}'\"><b>", reasons=[name], runId=name, modelId=name)
        assert_edge(graph_db, end[0], "`" + name + "`", end[1])
    errors: list[str] = []
    chromium.on("pageerror", lambda error: errors.append(str(error)))
    chromium.on("dialog", lambda dialog: errors.append(dialog.message))
    with serving(connection, by=HOSTILE[0]) as address:
        chromium.goto(address)
        for _ in HOSTILE:
            place = int(shown(chromium)[2])
            assert HOSTILE[place] in chromium.locator("h1").inner_text()
            assert chromium.locator(".drawing img, .drawing script, h1 img, li script, main b b").count() == 0
            chromium.locator("h1").hover()
            expect(chromium.locator(".why li").first).to_contain_text("likely")
            chromium.get_by_label("Reason").fill(HOSTILE[place])
            chromium.get_by_role("button", name="Reject").click()
            expect(chromium.locator(".said")).to_contain_text("Rejected: ")
            assert edge(graph_db, f"ff{place}'\"><b>")["reviewReason"] == HOSTILE[place]
        choose(chromium, "Status", "rejected")
        choose(chromium, "Relation", HOSTILE[1])
        expect(chromium.locator(".list li")).to_have_count(1)
        assert HOSTILE[1] in chromium.locator(".notes").inner_text()
        chromium.get_by_role("link", name="all that fit").click()
        chromium.get_by_role("button", name="undo", exact=True).click()
        expect(chromium.get_by_role("heading", name="Take back 1 edge at once?")).to_be_visible()
        assert HOSTILE[1][:39] in chromium.locator("tbody").inner_text()
        assert chromium.evaluate("window.hacked") is None
        links = chromium.eval_on_selector_all("a", "all => all.map(a => a.protocol)")
        assert set(links) == {"http:"}
    assert errors == []


# ---- who may come in


def ask(
    address: str, method: str = "GET", path: str = "/", body: str = "", **headers: str
) -> tuple[int, dict[str, str]]:
    where = urlsplit(address)
    client = http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)
    try:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        client.request(method, path, body=body or None, headers=sent)
        answer = client.getresponse()
        answer.read()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}
    finally:
        client.close()


def test_only_the_browser_with_the_token_and_no_other_site_gets_in(
    graph_db: neo4j.Driver, connection: Connection
) -> None:
    make_schema(graph_db)
    make_clean_world(graph_db)
    id_ = edge_id("country30", "CAPITAL", "city30")
    with serving(connection) as address:
        host = urlsplit(address).netloc
        token = urlsplit(address).query
        assert ask(address)[0] == 403
        assert ask(address, path="/static/review.js")[0] == 403
        assert ask(address, path="/?token=" + "x" * 32)[0] == 403
        assert ask(address, path=f"/?{token}", Host="evil.example")[0] == 400
        assert ask(address, path=f"/?{token}", Host=f"evil.example:{urlsplit(address).port}")[0] == 400
        status, headers = ask(address, path=f"/?{token}&relation=CAPITAL")
        assert (status, headers["location"]) == (303, "/?relation=CAPITAL")
        for word in ("HttpOnly", "SameSite=strict"):
            assert word in headers["set-cookie"]
        cookie = headers["set-cookie"].split(";")[0]
        status, headers = ask(address, Cookie=cookie)
        assert status == 200
        assert "default-src 'none'; script-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "no-store")

        form = urlencode({"id": id_, "action": "accept"})
        post = {"method": "POST", "path": "/decide", "body": form}
        ours = f"http://{host}"
        for refused in (
            {"Origin": ours},  # without the cookie
            {"Cookie": cookie},  # without an origin
            {"Cookie": cookie, "Origin": "http://evil.example"},
            {"Cookie": cookie, "Origin": "http://127.0.0.1:1"},  # another server of this machine
            {"Cookie": cookie, "Origin": "null"},
            {"Cookie": cookie, "Origin": ours, "Sec-Fetch-Site": "same-site"},
            {"Cookie": cookie + "x", "Origin": ours},
        ):
            assert ask(address, **post, **refused)[0] == 403, refused  # type: ignore[arg-type]
        assert ask(address, "POST", f"/decide?{token}", form, Origin=ours)[0] == 403  # a token is for opening
        assert ask(address, "POST", "/decide", "x" * 70_000, Cookie=cookie, Origin=ours)[0] == 413
        assert edge(graph_db, id_)["status"] == "proposed"
        assert ask(address, **post, Cookie=cookie, Origin=ours)[0] == 303  # type: ignore[arg-type]
        assert edge(graph_db, id_)["status"] == "accepted"
        for path, code in (("/?id=gone", 404), ("/nowhere", 404), ("/?status=odd", 400), ("/static/../web.py", 404)):
            assert ask(address, path=path, Cookie=cookie)[0] == code


# ---- the command


def test_the_command_serves_until_ctrl_c_and_says_when_a_port_is_taken(
    graph_db: neo4j.Driver, any_server: LocalServer, tmp_path: Path
) -> None:
    make_clean_world(graph_db)
    password = tmp_path / "password"
    password.touch(mode=0o600)
    password.write_text(any_server.password())
    command = [sys.executable, "-m", "kgsync", "review", "--web", "--uri", any_server.uri, "--password-file", password]
    with subprocess.Popen([*command, "--by", "ana"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        address = lines[2].strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=\S{32}", address)
        status, _ = ask(address, path="/?" + urlsplit(address).query)
        assert status == 303
        port = str(urlsplit(address).port)
        done = subprocess.run([*command, "--port", port], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr.count("\n")) == (69, 1)
        assert f"port {port} of this machine cannot be used" in done.stderr
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0
        assert process.stdout.read().endswith("Stopped.\n")
    with socket.socket() as free:
        assert free.connect_ex((HOST, int(port))) != 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--web", "--relation", "X"], "The page has filters of its own"),
        (["--relation", "X", "list"], "Options stand behind the command: review list --relation"),
    ],
)
def test_what_the_command_cannot_mean_is_a_usage_error(arguments: list[str], says: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kgsync", "review", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert says in done.stderr
