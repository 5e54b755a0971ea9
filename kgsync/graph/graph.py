"""`Graph`: the Python door to one database; every method is a verb of the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import neo4j

from kgsync import schema_file
from kgsync.config import Config, GraphConfig
from kgsync.graph import doctor, ledger, review
from kgsync.graph.connection import Connection, resolve
from kgsync.graph.doctor import Diagnosis
from kgsync.graph.embed import EmbedReport, embed
from kgsync.graph.embed_new import NewReport, embed_new
from kgsync.graph.init import Proposal, propose
from kgsync.graph.ledger import Runs
from kgsync.graph.load import LoadReport, load
from kgsync.graph.pull import Selection, pull
from kgsync.graph.review import Filter, Proposals, ReviewReport
from kgsync.graph.rollback import RollbackReport, rollback
from kgsync.graph.uninstall import UninstallReport, uninstall
from kgsync.graph.write import WriteReport, write
from kgsync.progress import Progress, silent
from kgsync.runs import Run, Workspace
from kgsync.schema import Schema
from kgsync.snapshot import Snapshot
from kgsync.validate import ValidationReport, validate

if TYPE_CHECKING:
    from kgsync.explain.answer import Explanation
    from kgsync.model import Model
    from kgsync.plan import Plan
    from kgsync.sync import SyncResult


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
    folder = Path()
    if not isinstance(config, Config):
        folder = Path(config).parent if config is not None else folder
        config = Config.load(Path(config) if config is not None else None)
    if driver is not None:
        return Graph(Connection.wrap(driver, database or ""), config, workspace, folder)
    settings = resolve(
        uri=uri, username=username, database=database, password_file=password_file, config=config.connection
    )
    return Graph(Connection.open(settings), config, workspace, folder)


class Graph:
    """A connected graph. Make one with `connect`."""

    def __init__(
        self,
        connection: Connection,
        config: Config | None = None,
        workspace: str | Path = ".kgsync",
        folder: str | Path = ".",  # of the configuration: your schema and checks are found from there
    ) -> None:
        self.connection = connection
        self.config = config or Config()
        self.workspace = Workspace(workspace)
        self.folder = Path(folder)

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
        return propose(self.connection).config

    def propose(self) -> Proposal:
        """Return what kgsync would work on, labels with their keys, as `kgsync init` shows it. Read-only."""
        return propose(self.connection)

    def doctor(self) -> Diagnosis:
        """Look at the server, the database and the configuration, and say how to mend what is wrong.

        Changes nothing. See `kgsync.graph.doctor`.
        """
        return doctor.examine(self.connection, self.config)

    def load(
        self,
        source: str | Path,
        *,
        label: str = "Entity",
        key: str = "id",
        label_from_type: bool = False,
        splits: Sequence[str] | None = None,
        skip_bad_lines: bool = False,
        progress: Progress = silent,
    ) -> LoadReport:
        """Load a file of triples or a benchmark folder; what is there is not changed. See `kgsync.graph.load.load`."""
        return load(
            self.connection,
            Path(source),
            label=label,
            key=key,
            label_from_type=label_from_type,
            splits=splits,
            skip_bad_lines=skip_bad_lines,
            progress=progress,
        )

    def sync(
        self,
        *,
        labels: Sequence[str] = (),
        relations: Sequence[str] = (),
        cypher: str = "",
        seeds: Sequence[str] = (),
        hops: int = 1,
        commit: bool = True,
        fresh: bool = False,
        budget: float | None = None,
        max_false: float | None = None,
        each_relation: bool = False,
        progress: Progress = silent,
    ) -> SyncResult:
        """Pull, train, predict, write and validate, as one run; `commit=False` changes nothing in the database.

        `budget` bounds the seconds of all training together. With `max_false`, say 0.1, only edges of which at most
        that share is false (`Plan.promising`). Interrupted, the same call goes on. See `kgsync.sync.sync`.
        """
        from kgsync.sync import sync

        graph = self
        if budget is not None:
            config = replace(self.config, voices=replace(self.config.voices, budget=budget))
            graph = Graph(self.connection, config, self.workspace.root, self.folder)
        selection = Selection(tuple(labels), tuple(relations), cypher, tuple(seeds), hops)
        return sync(
            graph,
            selection=selection,
            commit=commit,
            fresh=fresh,
            max_false=max_false,
            each_relation=each_relation,
            progress=progress,
        )

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

        The same plan twice changes nothing; a write that was killed goes on as the same run. See
        `kgsync.graph.write.write`.
        """
        run = self._begun(plan) or self.workspace.new_run(self.config)
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

    def _begun(self, plan: Plan) -> Run | None:
        """Return the run of this workspace that began to write `plan` and did not finish."""
        begun = (run.id for run in ledger.runs(self.connection) if (run.status, run.plan) == ("running", plan.id))
        return next((run for id_ in begun if (run := self.workspace.kept(id_))), None)

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

    def validate(
        self,
        *,
        run_id: str | None = None,
        quarantine: bool = True,
        fix: bool = False,
        checks: Path | None = None,
        schema: Schema | None = None,
        progress: Progress = silent,
    ) -> ValidationReport:
        """Run the Cypher checks over the predicted edges; failing ones are quarantined with their reasons.

        `checks` is a folder with your own, and `schema` yours, else those that the configuration names. See
        `kgsync.validate.validate`.
        """
        own = self.config.validate.folder
        return validate(
            self.connection,
            run_id=run_id,
            folder=checks or (self.folder / own if own else None),
            quarantine=quarantine,
            fix=fix,
            labels=self.config.graph.labels,
            schema=schema or schema_file.configured(self.config.validate, self.folder),
            progress=progress,
        )

    def explain(self, id_: str) -> Explanation:
        """Return why a predicted edge is in the graph; the first characters of its id suffice. Read-only.

        With its model in the workspace the answer is fuller. See `kgsync.explain.by_graph.explain_id`.
        """
        from kgsync.explain.by_graph import explain_id

        return explain_id(self.connection, id_, workspace=self.workspace, labels=self.config.graph.labels)

    def proposals(self, which: Filter | None = None, *, limit: int | None = None) -> Proposals:
        """Return the predicted edges that are to be reviewed, or those that fit a filter; best score first."""
        which = Filter(statuses=("proposed",)) if which is None else which
        return review.proposals(self.connection, which, limit=limit, labels=self.config.graph.labels)

    def accept(
        self,
        which: Sequence[str] | Filter,
        *,
        by: str,
        reason: str | None = None,
        include_quarantined: bool = False,
    ) -> ReviewReport:
        """Make predicted edges true, by id or by filter: the relationship itself appears in the graph.

        A filter takes quarantined edges only with `include_quarantined`.
        """
        return review.accept(self.connection, which, by=by, reason=reason, include_quarantined=include_quarantined)

    def reject(
        self,
        which: Sequence[str] | Filter,
        *,
        by: str,
        reason: str | None = None,
        include_quarantined: bool = False,
    ) -> ReviewReport:
        """Reject predicted edges, by id or by filter: they are never proposed again.

        A filter takes quarantined edges only with `include_quarantined`.
        """
        return review.reject(self.connection, which, by=by, reason=reason, include_quarantined=include_quarantined)

    def undo(self, which: Sequence[str] | Filter, *, by: str) -> ReviewReport:
        """Take back what `by` accepted or rejected."""
        return review.undo(self.connection, which, by=by)

    def runs(self) -> Runs:
        """Return the runs that have written into the graph, the latest first."""
        return ledger.runs(self.connection)

    def rollback(self, run_id: str, *, commit: bool = True) -> RollbackReport:
        """Undo what a run wrote, except what a person reviewed since."""
        return rollback(self.connection, run_id, commit=commit, config=self.config.write)

    def uninstall(
        self, *, commit: bool = False, delete_accepted: bool = False, progress: Progress = silent
    ) -> UninstallReport:
        """Take every trace of kgsync out of the graph; without `commit` only say what there is.

        See `kgsync.graph.uninstall.uninstall`.
        """
        return uninstall(
            self.connection,
            commit=commit,
            delete_accepted=delete_accepted,
            config=self.config.write,
            progress=progress,
        )
