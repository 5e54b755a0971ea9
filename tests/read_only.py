"""A real server that refuses every write, as nobody but an administrator's Enterprise can make a reader.

Community has no roles, but its databases can be read-only: by the configuration file, and only once the store
exists. So the server starts, is filled, and starts again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import neo4j
import pytest

from kgsync.graph import server as local
from kgsync.graph import server_config
from kgsync.graph.server import LocalServer


@contextmanager
def read_only_server(home: Path, jars: Path, cypher: str) -> Iterator[LocalServer]:
    """Run a server whose database holds what `cypher` creates, and is read-only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KGSYNC_HOME", str(home))
        patch.setenv("KGSYNC_JARS", str(jars))
        running = local.up("readonly", memory="768M")
        try:
            with neo4j.GraphDatabase.driver(running.uri, auth=(running.username, running.password())) as driver:
                driver.execute_query(cypher, database_="neo4j")  # type: ignore[arg-type]
            local.down("readonly")
            (running.home / server_config.OWN).write_text("server.databases.read_only=neo4j\n")
            yield local.up("readonly", memory="768M")
        finally:
            local.down("readonly")
