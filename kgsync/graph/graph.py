"""`Graph`: the Python door to one database; every method is a verb of the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import neo4j

from kgsync import schema_file
from kgsync.config import Config, GraphConfig
from kgsync.graph import ledger, review
from kgsync.graph.connection import Connection, resolve
from kgsync.graph.embed import EmbedReport, embed
from kgsync.graph.embed_new import NewReport, embed_new
from kgsync.graph.ledger import RunInfo
from kgsync.graph.pull import Selection, pull
from kgsync.graph.review import Filter, Proposal, ReviewReport
from kgsync.graph.rollback import RollbackReport, rollback
from kgsync.graph.write import WriteReport, write
from kgsync.progress import Progress, silent
from kgsync.runs import Workspace
from kgsync.snapshot import Snapshot
from kgsync.validate import ValidationReport, validate

if TYPE_CHECKING:
    from kgsync.explain.answer import Explanation
    from kgsync.model import Model
    from kgsync.plan import Plan


def connect(
    uri: str | None = None,
    *,
    username: str | None = None,
    database: str | None = None,
    password_file: str | Path | None = None,
    driver: neo4j.Driver | None = None,
    config: Config | str | Path | None = None,
    workspace: str | Path = ".kgsync",
) -> Graph:
    """Connect to a database and return it as a `Graph`, which is a context manager.

    Settings come from the arguments, the environment (NEO4J_URI, NEO4J_USERNAME, NEO4J_PASSWORD,
    NEO4J_DATABASE), `.env`, `kgsync.toml`, or the local server of `kgsync up`, in that order.
    With your own `driver`, nothing else is needed, and closing it stays with you.

    Raises:
        ConfigError, UnavailableError, AccessError, NotFoundError: as they say.
    """
    if not isinstance(config, Config):
        config = Config.load(Path(config) if config is not None else None)
    if driver is not None:
        return Graph(Connection.wrap(driver, database or ""), config, workspace)
    settings = resolve(
        uri=uri, username=username, database=database, password_file=password_file, config=config.connection
    )
    return Graph(Connection.open(settings), config, workspace)


class Graph:
    """A connected graph. Make one with `connect`."""

    def __init__(self, connection: Connection, config: Config | None = None, workspace: str | Path = ".kgsync") -> None:
        self.connection = connection
        self.config = config or Config()
        self.workspace = Workspace(workspace)

    def __enter__(self) -> Graph:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection, unless it is made of your own driver."""
        self.connection.close()

    def scope(self) -> GraphConfig:
        """Return the labels and relations that kgsync works on: those of the configuration, or a proposal."""
        if self.config.graph.labels:
            return self.config.graph
        from kgsync.graph.init import propose

        return propose(self.connection).config

    def pull(
        self,
        *,
        labels: Sequence[str] = (),
        relations: Sequence[str] = (),
        cypher: str = "",
        seeds: Sequence[str] = (),
        hops: int = 1,
        progress: Progress = silent,
    ) -> Snapshot:
        """Copy a subgraph into a snapshot: by labels and relations, by a query that returns `r`, or around seeds.

        Read-only. See `kgsync.graph.pull.pull`.
        """
        selection = Selection(tuple(labels), tuple(relations), cypher, tuple(seeds), hops)
        return pull(
            self.connection,
            self.scope(),
            selection=selection,
            config=self.config.pull,
            folder=self.workspace.snapshots,
            progress=progress,
        )

    def write(self, plan: Plan, *, commit: bool = True, progress: Progress = silent) -> WriteReport:
        """Write a plan as PREDICTED relationships, as a run of its own; `commit=False` only looks.

        The same plan twice changes nothing. See `kgsync.graph.write.write`.
        """
        run = self.workspace.new_run(self.config)
        plan.save(run.plan_folder)
        return write(
            self.connection,
            plan,
            run_id=run.id,
            folder=run.folder,
            started_at=run.started_at,
            config=self.config.write,
            config_hash=self.config.hash(),
            commit=commit,
            progress=progress,
        )

    def embed(self, model: Model, *, commit: bool = True, progress: Progress = silent) -> EmbedReport:
        """Put a model's vectors into the graph, so that Cypher alone can ask it; `commit=False` only looks.

        The same model twice changes nothing. See `kgsync.graph.embed.embed`.
        """
        return embed(self.connection, model, commit=commit, config=self.config.write, progress=progress)

    def embed_new(self, model: Model, *, commit: bool = True, progress: Progress = silent) -> NewReport:
        """Give nodes that came after the training of the embedded model a vector; `commit=False` only counts them.

        Repeated, it changes nothing until nodes, texts or edges have come. See `kgsync.graph.embed_new.embed_new`.
        """
        return embed_new(
            self.connection,
            model,
            self.scope().labels,
            commit=commit,
            config=self.config,
            cache=self.workspace.root / "vectors",
            progress=progress,
        )

    def validate(self, *, quarantine: bool = True) -> ValidationReport:
        """Run the Cypher checks over the predicted edges; failing ones are quarantined with their reasons."""
        own = self.config.validate.folder
        return validate(
            self.connection,
            folder=Path(own) if own else None,
            quarantine=quarantine,
            labels=self.config.graph.labels or None,
            schema=schema_file.configured(self.config.validate),
        )

    def explain(self, id_: str) -> Explanation:
        """Return why a predicted edge is in the graph; the first characters of its id suffice. Read-only.

        With its model in the workspace the answer is fuller. See `kgsync.explain.by_graph.explain_id`.
        """
        from kgsync.explain.by_graph import explain_id

        return explain_id(self.connection, id_, workspace=self.workspace, labels=self.config.graph.labels)

    def proposals(self, which: Filter | None = None, *, limit: int | None = None) -> list[Proposal]:
        """Return the predicted edges that are to be reviewed, or those that fit a filter; best score first."""
        which = Filter(statuses=("proposed",)) if which is None else which
        return review.proposals(self.connection, which, limit=limit, labels=self.config.graph.labels)

    def accept(self, which: Sequence[str] | Filter, *, by: str, reason: str | None = None) -> ReviewReport:
        """Make predicted edges true, by id or by filter: the relationship itself appears in the graph."""
        return review.accept(self.connection, which, by=by, reason=reason)

    def reject(self, which: Sequence[str] | Filter, *, by: str, reason: str | None = None) -> ReviewReport:
        """Reject predicted edges, by id or by filter: they are never proposed again."""
        return review.reject(self.connection, which, by=by, reason=reason)

    def undo(self, which: Sequence[str] | Filter, *, by: str) -> ReviewReport:
        """Take back what `by` accepted or rejected."""
        return review.undo(self.connection, which, by=by)

    def runs(self) -> list[RunInfo]:
        """Return the runs that have written into the graph, the latest first."""
        return ledger.runs(self.connection)

    def rollback(self, run_id: str, *, commit: bool = True) -> RollbackReport:
        """Undo what a run wrote, except what a person reviewed since."""
        return rollback(self.connection, run_id, commit=commit, config=self.config.write)
