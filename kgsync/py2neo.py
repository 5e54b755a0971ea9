"""A bridge for code that uses py2neo: its `Graph` in, its `Subgraph` out. Needs `pip install kgsync[py2neo]`.

py2neo itself has had no release since 2023; kgsync talks to the server through Neo4j's own driver.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kgsync.config import Config
from kgsync.errors import ConfigError
from kgsync.identity import Entity

if TYPE_CHECKING:
    import py2neo

    from kgsync.graph.graph import Graph
    from kgsync.plan import Plan
    from kgsync.snapshot import Snapshot


def graph_of(
    graph: py2neo.Graph, *, config: Config | str | Path | None = None, workspace: str | Path = ".kgsync"
) -> Graph:
    """Return the kgsync graph of the same database, connected with the same address, user and password.

    Raises:
        ConfigError: py2neo is not installed.
        UnavailableError, AccessError, NotFoundError: as `kgsync.connect`.
    """
    _py2neo()
    from kgsync.graph.connection import Connection, ConnectionSettings, Secret
    from kgsync.graph.graph import Graph

    profile = graph.service.profile
    folder = Path() if config is None or isinstance(config, Config) else Path(config).parent
    if not isinstance(config, Config):
        config = Config.load(Path(config) if config is not None else None)
    settings = ConnectionSettings(profile.uri, profile.user, Secret(profile.password), graph.name or "")
    return Graph(Connection.open(settings), config, workspace, folder)


def subgraph(source: Snapshot | Plan) -> py2neo.Subgraph:
    """Return the entities and edges of a snapshot or a plan, for py2neo's set operations and for looking at.

    A node has its labels and its key, and no other property: merging it into a graph finds the node that is
    there and changes nothing on it. Edges of a plan are `PREDICTED`; let `Graph.write` write them, which keeps
    each of them once, with its run and its model.
    """
    from kgsync.plan import Plan

    return _of_plan(source) if isinstance(source, Plan) else _of_snapshot(source)


def _of_snapshot(snapshot: Snapshot) -> py2neo.Subgraph:
    labels = snapshot.entities["labels"].to_pylist()
    nodes = [_node(entity, own) for entity, own in zip(snapshot.identities, labels, strict=True)]
    relationship = _py2neo().Relationship
    triples = snapshot.triples.tolist()
    edges = [relationship(nodes[head], snapshot.relations[relation], nodes[tail]) for head, relation, tail in triples]
    return _py2neo().Subgraph(nodes, edges)


def _of_plan(plan: Plan) -> py2neo.Subgraph:
    entities = {entity for edge in plan.edges for entity in (edge.head, edge.tail)}
    nodes = {entity: _node(entity, [entity.label]) for entity in entities}
    edges = []
    for edge in plan.edges:
        edges.append(_py2neo().Relationship(nodes[edge.head], "PREDICTED", nodes[edge.tail]))
        edges[-1].update(id=edge.id, **edge.properties())
    return _py2neo().Subgraph(nodes.values(), edges)


def _node(entity: Entity, labels: Iterable[str]) -> py2neo.Node:
    node = _py2neo().Node(*{entity.label, *labels})
    node[entity.key_property] = entity.key
    node.__primarylabel__, node.__primarykey__ = entity.label, entity.key_property
    return node


def _py2neo() -> Any:
    try:
        return importlib.import_module("py2neo")
    except ImportError as error:
        raise ConfigError("py2neo is not installed", fix="run `pip install kgsync[py2neo]`") from error
