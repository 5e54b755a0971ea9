"""The connection to one Neo4j database: how statements are sent.

Reads go to a reader of the cluster and cannot write; every session names its database; every
transaction has a timeout and says who sent it. Only this module retries, through the driver's managed
transactions.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import neo4j

import kgsync
from kgsync.graph import statements
from kgsync.graph.settings import ConnectionSettings, Secret, resolve
from kgsync.graph.translate import translating

__all__ = ["Connection", "ConnectionSettings", "Secret", "resolve", "run"]

T = TypeVar("T")

USER_AGENT = f"kgsync/{kgsync.__version__}"
READ_TIMEOUT = 300.0  # seconds, for one read transaction
WRITE_TIMEOUT = 120.0  # seconds, for one write transaction
_RETRY_TIME = 30.0  # seconds that the driver goes on retrying a transient failure

logging.getLogger("neo4j").addHandler(logging.NullHandler())  # else what it logs lands on standard error


class Connection:
    """One database of one server. Close it, or use it as a context manager."""

    def __init__(self, driver: neo4j.Driver, database: str, uri: str, *, owned: bool = True) -> None:
        self.driver = driver
        self.database = database
        self.uri = uri
        self._owned = owned
        self._bookmarks = neo4j.GraphDatabase.bookmark_manager()

    @classmethod
    def open(cls, settings: ConnectionSettings) -> Connection:
        """Connect, and check that the server answers and lets us in.

        Raises:
            UnavailableError, AccessError, NotFoundError: it does not.
        """
        with translating(settings.uri):
            driver = neo4j.GraphDatabase.driver(
                settings.uri,
                auth=(settings.username, settings.password.reveal()),
                user_agent=USER_AGENT,
                connection_timeout=10.0,
                connection_acquisition_timeout=60.0,
                max_transaction_retry_time=_RETRY_TIME,
                max_connection_lifetime=3_000.0,
                liveness_check_timeout=300.0,
                keep_alive=True,
                notifications_min_severity=neo4j.NotificationMinimumSeverity.OFF,
                warn_notification_severity=neo4j.NotificationMinimumSeverity.OFF,
            )
        try:
            with translating(settings.uri):
                driver.verify_connectivity()  # fails at once, where a transaction would go on trying
            return cls.wrap(driver, settings.database, settings.uri, owned=True)
        except BaseException:
            driver.close()
            raise

    @classmethod
    def wrap(cls, driver: neo4j.Driver, database: str = "", uri: str = "", *, owned: bool = False) -> Connection:
        """Use the caller's own driver, which stays the caller's to close."""
        connection = cls(driver, database, uri or "the given driver", owned=owned)
        if not database:
            connection.database = connection.identity()["name"]
        else:
            connection.identity()
        return connection

    def close(self) -> None:
        """Close the driver, if this connection opened it."""
        if self._owned:
            self.driver.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def identity(self) -> dict[str, Any]:
        """Return id and name of the database. The id changes when the database is made anew."""
        return self.read(statements.load("schema/database").text)[0]

    def read(self, text: str, /, **parameters: Any) -> list[dict[str, Any]]:
        """Return all rows of a read statement. Read-only: the server itself refuses a write."""
        return self.read_with(lambda tx: [dict(record) for record in run(tx, text, parameters)])

    def read_with(
        self, work: Callable[[neo4j.ManagedTransaction], T], *, fetch_size: int = 1000, timeout: float = READ_TIMEOUT
    ) -> T:
        """Run `work` in one read transaction. It may be run again after a transient failure."""
        with translating(self.uri), self._session(neo4j.READ_ACCESS, fetch_size) as session:
            return session.execute_read(_described(work, timeout))

    def write_with(self, work: Callable[[neo4j.ManagedTransaction], T]) -> T:
        """Run `work` in one write transaction. It may be run again after a transient failure."""
        with translating(self.uri), self._session(neo4j.WRITE_ACCESS) as session:
            return session.execute_write(_described(work, WRITE_TIMEOUT))

    def write(self, text: str, /, **parameters: Any) -> list[dict[str, Any]]:
        """Run one write statement in a transaction of its own and return its rows."""
        return self.write_with(lambda tx: [dict(record) for record in run(tx, text, parameters)])

    def write_in_transactions(self, text: str, /, **parameters: Any) -> list[dict[str, Any]]:
        """Run a statement that commits in between (`CALL … IN TRANSACTIONS`), without a time limit.

        It is not retried: what was committed before a failure stays.
        """
        query = neo4j.Query(text, metadata={"app": USER_AGENT})
        with translating(self.uri), self._session(neo4j.WRITE_ACCESS) as session:
            return [dict(record) for record in session.run(query, parameters)]

    def bookmarks(self) -> list[str]:
        """Return the bookmarks of what this connection has seen."""
        return sorted(self._bookmarks.get_bookmarks())

    def see(self, bookmarks: list[str]) -> None:
        """Make later reads see at least what `bookmarks` stand for (of an earlier process, on a cluster)."""
        self._bookmarks.update_bookmarks([], bookmarks)

    def read_bookmark(self) -> str:
        """Return the bookmark of now: it changes when anything in the database does."""
        with (
            translating(self.uri),
            self.driver.session(database=self.database or None, default_access_mode=neo4j.READ_ACCESS) as session,
        ):
            session.execute_read(_described(lambda tx: tx.run("RETURN 1").consume(), READ_TIMEOUT))
            return ",".join(sorted(session.last_bookmarks().raw_values))

    def _session(self, access: str, fetch_size: int = 1000) -> neo4j.Session:
        return self.driver.session(
            database=self.database or None,
            default_access_mode=access,
            fetch_size=fetch_size,
            bookmark_manager=self._bookmarks,
            notifications_min_severity=neo4j.NotificationMinimumSeverity.OFF,
        )


def run(tx: neo4j.ManagedTransaction, text: str, parameters: Mapping[str, Any]) -> neo4j.Result:
    """Run a statement that came from `cypher/`, with its identifiers quoted."""
    return tx.run(text, dict(parameters))


def _described(
    work: Callable[[neo4j.ManagedTransaction], T], timeout: float
) -> Callable[[neo4j.ManagedTransaction], T]:
    return neo4j.unit_of_work(metadata={"app": USER_AGENT}, timeout=timeout)(work)
