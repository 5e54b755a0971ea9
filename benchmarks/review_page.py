"""How long a click on the review page takes when 100,000 proposals wait.

    python benchmarks/review_page.py [--proposals 100000] [--clicks 10] [--version 2026.09]

Starts a server of its own, fills it with 20,000 people in 2,000 towns, proposals about them and 2,000 decisions, and
runs `kgsync review --web` against it as a reviewer does. Measured from the request to the last byte of the page that
follows, as the median over the clicks: the first page, the next edge, a filter by relation, one by score, both more
than once with a new bound, so that each makes a queue of its own; the next window of a hundred; accept and reject with
the page that comes after them; the preview of a decision about all that fit, and that decision about up to 10,000
edges. Also the resident memory of the page's process before and after. Saves results/review_page.json.
"""

from __future__ import annotations

import argparse
import html
import http.client
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import neo4j
import psutil
from results import save

from kgsync.graph import server, statements
from kgsync.graph.server import LocalServer
from kgsync.identity import Entity, prediction_id

PEOPLE, TOWNS = 20_000, 2_000
DECIDED = 2_000
CONFIG = '[graph.labels.Person]\nkey = "id"\n\n[graph.labels.Town]\nkey = "id"\n'
_ID = re.compile(r'name="id" value="([^"]+)"')
_NEXT = re.compile(r'data-key="j" href="([^"]*)"')
_EXPECTED = re.compile(r'name="expected" value="(\d+)"')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--proposals", type=int, default=100_000)
    parser.add_argument("--clicks", type=int, default=10, help="of each kind")
    parser.add_argument("--version", help="of Neo4j; the long-term one without it")
    parser.add_argument("--no-save", action="store_true", help="only print")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["KGSYNC_HOME"] = home
        local = server.up("benchmark", version=arguments.version, memory="2G")
        try:
            with neo4j.GraphDatabase.driver(local.uri, auth=(local.username, local.password())) as driver:
                make(driver, arguments.proposals)
            with page(local, Path(home)) as (address, process):
                found = measure(Reviewer(address), process, arguments.clicks)
        finally:
            server.down("benchmark")
    if not arguments.no_save:
        print(save("review_page", {"proposals": arguments.proposals, "clicks": arguments.clicks} | found))


# ---- the graph


def make(driver: neo4j.Driver, proposals: int) -> None:
    """Fill the empty database."""
    start = time.perf_counter()
    with driver.session() as session:
        for text in statements.load_all("schema/install"):
            session.run(text).consume()
        for label, count in (("Person", PEOPLE), ("Town", TOWNS)):
            session.run(f"CREATE CONSTRAINT FOR (n:{label}) REQUIRE n.id IS UNIQUE").consume()
            session.run(
                f"UNWIND range(0, $last) AS i CREATE (:{label} {{id: i, name: $label + ' ' + i}})",
                last=count - 1,
                label=label,
            ).consume()
        session.run(
            "MATCH (h:Person) MATCH (t:Town {id: h.id % 97 * 20}) CREATE (h)-[:LIVES_IN]->(t) "
            "WITH h UNWIND range(1, 5) AS i MATCH (t:Person {id: (h.id * 7 + i * 131) % $people}) "
            "CREATE (h)-[:KNOWS]->(t)",
            people=PEOPLE,
        ).consume()
        session.run(
            "CREATE (:__KgsyncRun {id: 'run', startedAt: datetime()})-[:USED_MODEL]->"
            "(:__KgsyncModel {id: 'model', kind: 'kge', baseRate: 0.01})"
        ).consume()
        rows = edges(proposals + DECIDED)
        while batch := list(islice(rows, 10_000)):
            for label in ("Person", "Town"):
                session.run(
                    f"UNWIND $rows AS row MATCH (h:Person {{id: row[1]}}) MATCH (t:{label} {{id: row[3]}}) "
                    "CREATE (h)-[:PREDICTED {id: row[0], relation: row[2], score: row[4], scoreLow: row[4] / 2, "
                    "rank: 1, kgeScore: 1.0, status: row[5], modelId: 'model', runId: 'run', firstRunId: 'run', "
                    "createdAt: datetime(), updatedAt: datetime()}]->(t)",
                    rows=[row for row in batch if (row[2] == "LIVES_IN") == (label == "Town")],
                ).consume()
    print(f"made {proposals:,} proposals in {time.perf_counter() - start:.0f} s", flush=True)


def edges(count: int) -> Iterator[list[Any]]:
    """Yield id, head, relation, tail, score and status of different edges, the decided ones first."""
    chance = random.Random(0)
    seen: set[str] = set()
    while len(seen) < count:
        head, relation = chance.randrange(PEOPLE), chance.choice(("KNOWS", "LIKES", "LIVES_IN"))
        label, among = ("Town", TOWNS) if relation == "LIVES_IN" else ("Person", PEOPLE)
        tail = int(among * chance.random() ** 3)  # some are predicted far more often than others
        id_ = prediction_id(Entity("Person", "id", head), relation, Entity(label, "id", tail))
        if id_ in seen:
            continue
        seen.add(id_)
        score = round(chance.random(), 6)
        decided = "accepted" if chance.random() < score else "rejected"
        yield [id_, head, relation, tail, score, decided if len(seen) <= DECIDED else "proposed"]


# ---- the reviewer


@contextmanager
def page(local: LocalServer, folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Serve the review page in a process of its own; yield its address and the process."""
    config = folder / "kgsync.toml"
    config.write_text(CONFIG, encoding="utf-8")
    command = [sys.executable, "-m", "kgsync", "review", "--web", "--by", "benchmark", "--config", str(config),
               "--uri", local.uri, "--password-file", str(local.password_file)]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder) as process:
        assert process.stdout is not None
        address = [process.stdout.readline() for _ in range(3)][2].strip()
        try:
            yield address, psutil.Process(process.pid)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=60)


class Reviewer:
    """Clicks: sends a request and follows where it leads, as a browser does."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self._host = parts.netloc
        self._cookie = ""
        self.seconds = 0.0  # that the last click took
        self.text = ""
        status, answer = self._ask("GET", f"/?{parts.query}")
        assert status == 303
        self._cookie = (answer.headers["Set-Cookie"] or "").partition(";")[0]

    def get(self, path: str) -> str:
        """Open an address and return the page."""
        return self._timed("GET", path)

    def post(self, path: str, **form: str) -> str:
        """Send a form and return the page that it leads to."""
        return self._timed("POST", path, urlencode(form))

    @property
    def edge(self) -> str:
        """Return the id of the edge that is shown."""
        found = _ID.search(self.text)
        assert found is not None, self.text[:2_000]
        return found[1]

    def _timed(self, method: str, path: str, body: str = "") -> str:
        start = time.perf_counter()
        status, answer = self._ask(method, path, body)
        while status == 303:
            status, answer = self._ask("GET", answer.headers["Location"] or "/")
        self.seconds = time.perf_counter() - start
        assert status == 200, (status, path, self.text[:500])
        return self.text

    def _ask(self, method: str, path: str, body: str = "") -> tuple[int, http.client.HTTPResponse]:
        connection = http.client.HTTPConnection(self._host, timeout=600)
        headers = {"Cookie": self._cookie, "Origin": f"http://{self._host}"}
        connection.request(method, path, body or None, headers)
        answer = connection.getresponse()
        self.text = answer.read().decode()
        connection.close()
        return answer.status, answer


def measure(reviewer: Reviewer, process: psutil.Process, clicks: int) -> dict[str, Any]:
    """Click, and say how long each kind of click took."""
    seconds: dict[str, list[float]] = {}

    def click(name: str, work: Callable[[], Any]) -> None:
        work()
        seconds.setdefault(name, []).append(reviewer.seconds)

    def decide(action: str) -> None:
        reviewer.post("/decide", id=reviewer.edge, action=action)

    def preview(low: float) -> None:
        reviewer.get(f"/bulk?action=accept&min={low}")

    def commit(low: float) -> None:
        preview(low)
        expected = _EXPECTED.search(reviewer.text)
        assert expected is not None
        reviewer.post("/bulk", action="accept", min=str(low), expected=expected[1])

    before = _mib(process)
    click("first page", lambda: reviewer.get("/"))
    for _ in range(clicks):
        following = _NEXT.search(reviewer.text)
        assert following is not None
        click("next edge", partial(reviewer.get, html.unescape(following[1])))
    for i in range(clicks):
        time.sleep(0.5)
        click("filter by relation", partial(reviewer.get, f"/?relation=KNOWS&max={1 - i / 1_000}"))
        click("filter by score", partial(reviewer.get, f"/?min={0.9 + i / 1_000}"))
        click("most doubtful", partial(reviewer.get, f"/?order=doubt&max={1 - i / 1_000}"))
    reviewer.get("/")
    for _ in range(clicks):
        click("next hundred", lambda: reviewer.get("/leaf?to=next"))
    reviewer.get("/")
    for _ in range(3 * clicks):
        click("accept", lambda: decide("accept"))
        click("reject", lambda: decide("reject"))
    click("take back", lambda: reviewer.post("/undo"))
    for i in range(clicks):
        click("bulk preview", partial(preview, 0.8 + i / 1_000))
    click("bulk decision", lambda: commit(0.95))
    after = _mib(process)
    for name, each in seconds.items():
        print(f"{name:20} {statistics.median(each):8.3f} s   at most {max(each):8.3f} s", flush=True)
    print(f"memory {before:.0f} MiB before, {after:.0f} MiB after", flush=True)
    return {
        "seconds": {name: round(statistics.median(each), 3) for name, each in seconds.items()},
        "most": {name: round(max(each), 3) for name, each in seconds.items()},
        "mib": {"before": round(before), "after": round(after)},
    }


def _mib(process: psutil.Process) -> float:
    return float(process.memory_info().rss / 2**20)


if __name__ == "__main__":
    main()
