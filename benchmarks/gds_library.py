"""The Graph Data Science library (GDS) from Maven Central in a server of its own, and its calls as its users make them.

What is called with which settings follows its documentation: link prediction pipelines (configuring, training,
predicting), auto-tuning, FastRP's section on pipelines, and `gds.ml.kge.predict` with a model that was trained outside.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import neo4j

from kgsync.graph import server
from kgsync.graph import server_config as configuration
from kgsync.graph import server_files as disk
from kgsync.graph.jars import jars
from kgsync.graph.names import quote
from kgsync.graph.server import LocalServer

VERSION = "2.13.9"
WRITTEN = "GDS_PREDICTED"  # the type of what it writes
_LINK = "gds.beta.pipeline.linkPrediction"
_TUNING = "gds.alpha.pipeline.linkPrediction.configureAutoTuning"
_SEED = 42  # of FastRP, the splits and the forests: asked for where training and prediction are to agree
_FASTRP = ({"normalizationStrength": 0.0}, {"normalizationStrength": -0.5})  # the best on validation is taken

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Target:
    """What one pipeline is trained for: a relationship type between nodes of two labels."""

    head: str
    relation: str
    tail: str

    def __str__(self) -> str:
        return f"{self.head} {self.relation} {self.tail}"


@dataclass(frozen=True)
class Link:
    """A pair of nodes, by their key, that GDS proposes; `value` is a probability or a score."""

    source: str
    target: str
    value: float


@dataclass(frozen=True)
class Tuning:
    """What is spent on one pipeline."""

    trials: int
    settings: int  # of FastRP that are tried, of `_FASTRP`
    dimension: int  # of FastRP
    negatives: float  # per positive, at most; the rest of the true class ratio goes into the weight, as it advises
    top: int  # pairs that are asked for


@dataclass(frozen=True)
class Task:
    """One pipeline to train, on a projection of all labels and types."""

    graph: str
    target: Target
    labels: Sequence[str]
    types: Sequence[str]
    ratio: float  # pairs that are not joined, per pair that is
    tuning: Tuning


@contextmanager
def server_with_gds(memory: str) -> Iterator[LocalServer]:
    """Yield a server that has GDS among its plugins; it is gone afterwards. Jars stay in the user's cache."""
    cache = disk.jar_cache()
    with tempfile.TemporaryDirectory() as home:
        os.environ.update(KGSYNC_HOME=home, KGSYNC_JARS=str(cache))
        plugins = disk.home("gds") / "plugins"
        plugins.mkdir(parents=True)
        for jar in _jars(cache):
            (plugins / jar.name).symlink_to(jar)
        (plugins.parent / configuration.OWN).write_text("dbms.security.procedures.unrestricted=gds.*\n")
        try:
            yield server.up("gds", memory=memory)
        finally:
            server.down("gds")


def _jars(cache: Path) -> list[Path]:
    """Return the jars of GDS that the server does not have, in whatever version."""
    parts = [f"org.neo4j.gds:{part}:{VERSION}" for part in ("proc", "opengds-extension")]
    theirs = jars(f"gds-{VERSION}", parts, cache)
    ours = jars(
        f"neo4j-{server.LTS}", [f"org.neo4j:neo4j:{server.LTS}", f"org.neo4j.app:neo4j-server:{server.LTS}"], cache
    )
    there = {jar.parents[1] for jar in ours}  # the folder of the artifact
    return [jar for jar in theirs if jar.parents[1] not in there]


class Gds:
    """One session with GDS."""

    def __init__(self, session: neo4j.Session) -> None:
        self.session = session

    def run(self, statement: str, **parameters: Any) -> Rows:
        """Return what a statement gives."""
        return self.session.run(statement, parameters).data()

    def call(self, procedure: str, *arguments: Any, give: str = "") -> Rows:
        """Return what a procedure gives; `give` is what follows the call."""
        names = [f"p{number}" for number, _ in enumerate(arguments)]
        call = f"CALL {procedure}({', '.join('$' + name for name in names)}) {give}"
        return self.run(call, **dict(zip(names, arguments, strict=True)))

    def drop(self, graph: str) -> None:
        """Forget a projection; there need be none."""
        self.call("gds.graph.drop", graph, False)

    # Link prediction pipelines

    def project_undirected(self, graph: str, labels: Sequence[str], types: Iterable[str]) -> None:
        """Project the graph as link prediction requires it; a relationship that is stored both ways is one."""
        self.drop(graph)
        undirected = {kind: {"type": kind, "orientation": "UNDIRECTED", "aggregation": "SINGLE"} for kind in types}
        self.call("gds.graph.project", graph, list(labels), undirected)

    def train_pipeline(self, task: Task) -> dict[str, Any]:
        """Train a pipeline for each setting of FastRP, keep the model that is best on validation, and describe it."""
        trained = [self.train(task, number, f"model-{number}") for number in range(task.tuning.settings)]
        best = max(trained, key=lambda each: each["validation"])
        for each in trained:
            if each is not best:
                self.drop_model(each["model"])
        return best

    def train(self, task: Task, number: int, model: str) -> dict[str, Any]:
        """Train a pipeline with one setting of FastRP, and describe it."""
        pipe, target, tuning = "pipe", task.target, task.tuning
        others = sorted({*task.types} - {target.relation})
        context = {"contextNodeLabels": list(task.labels), "contextRelationshipTypes": others}
        fast = {"mutateProperty": "embedding", "embeddingDimension": tuning.dimension, "randomSeed": _SEED}
        fast |= {"iterationWeights": [1.0, 1.0, 1.0], **_FASTRP[number]}
        scaled = {"nodeProperties": ["degree"], "mutateProperty": "scaledDegree", "scaler": "MinMax"}
        self.drop_model(model)
        self.call("gds.pipeline.drop", pipe, False)
        self.call(f"{_LINK}.create", pipe)
        self.call(f"{_LINK}.addNodeProperty", pipe, "fastRP", {**fast, **context})
        self.call(f"{_LINK}.addNodeProperty", pipe, "degree", {"mutateProperty": "degree"})
        self.call(f"{_LINK}.addNodeProperty", pipe, "scaleProperties", scaled)
        self.call(f"{_LINK}.addFeature", pipe, "HADAMARD", {"nodeProperties": ["embedding", "scaledDegree"]})
        self.call(f"{_LINK}.addFeature", pipe, "L2", {"nodeProperties": ["embedding", "scaledDegree"]})
        self.call(f"{_LINK}.addFeature", pipe, "COSINE", {"nodeProperties": ["embedding"]})
        negatives = min(task.ratio, tuning.negatives)
        split = {"testFraction": 0.1, "trainFraction": 0.5, "validationFolds": 3, "negativeSamplingRatio": negatives}
        self.call(f"{_LINK}.configureSplit", pipe, split)
        ranges = {"penalty": {"range": [1e-4, 1e2]}, "learningRate": {"range": [1e-3, 1e-1]}}
        self.call(f"{_LINK}.addLogisticRegression", pipe, {"maxEpochs": 500, "patience": 3, **ranges})
        forest = {"numberOfDecisionTrees": 100, "maxDepth": {"range": [5, 20]}}
        self.call(f"{_LINK}.addRandomForest", pipe, forest)
        self.call(_TUNING, pipe, {"maxTrials": tuning.trials})
        asked = {
            "pipeline": pipe,
            "modelName": model,
            "targetRelationshipType": target.relation,
            "sourceNodeLabel": target.head,
            "targetNodeLabel": target.tail,
            "metrics": ["AUCPR"],
            "negativeClassWeight": task.ratio / negatives,
            "randomSeed": _SEED,
            "concurrency": 1,  # with more, each epoch waits a tenth of a second, for the same model
        }
        (row,) = self.call(
            f"{_LINK}.train",
            task.graph,
            asked,
            give="YIELD modelInfo RETURN modelInfo.bestParameters AS parameters, modelInfo.metrics.AUCPR AS metric",
        )
        return {
            "model": model,
            "number": number,
            "fastRP": _FASTRP[number],
            "classifier": row["parameters"],
            "validation": round(row["metric"]["validation"]["avg"], 4),
            "test": round(row["metric"]["test"], 4),
        }

    def predict_pipeline(self, graph: str, model: str, top: int) -> list[Link]:
        """Return the most probable pairs that are not joined yet, each once, of all that there are."""
        rows = self.call(
            f"{_LINK}.predict.stream",
            graph,
            {"modelName": model, "topN": top},
            give="YIELD node1, node2, probability "
            "RETURN gds.util.asNode(node1).id AS source, gds.util.asNode(node2).id AS target, probability AS value "
            "ORDER BY value DESC",
        )
        return [Link(**row) for row in rows]

    def write_pipeline(self, graph: str, model: str, top: int) -> None:
        """Write the most probable pairs into the database, by way of the projection."""
        into = {"modelName": model, "topN": top, "mutateRelationshipType": WRITTEN, "mutateProperty": "probability"}
        self.call(f"{_LINK}.predict.mutate", graph, into)
        self.call("gds.graph.relationship.write", graph, WRITTEN, "probability")

    def drop_model(self, model: str) -> None:
        """Forget a trained pipeline."""
        self.call("gds.model.drop", model, False)

    # Knowledge graph embeddings

    def project_vectors(self, graph: str, vector: str, types: Iterable[str]) -> None:
        """Project nodes with their labels and vectors, and the relationships of these types with their direction."""
        self.drop(graph)
        kinds = "|".join(quote(kind) for kind in types)
        self.run(
            f"MATCH (source) WHERE source.{vector} IS NOT NULL "
            f"OPTIONAL MATCH (source)-[r:{kinds}]->(target) WHERE target.{vector} IS NOT NULL "
            "RETURN gds.graph.project($graph, source, target, { "
            "sourceNodeLabels: labels(source), targetNodeLabels: labels(target), "
            f"sourceNodeProperties: source {{.{vector}}}, targetNodeProperties: target {{.{vector}}}, "
            "relationshipType: type(r) }) AS projected",
            graph=graph,
        )

    def predict_vectors(self, graph: str, asked: Mapping[str, Any], limit: int) -> tuple[list[Link], int]:
        """Return the best of all answers, and how many of these the graph knows already."""
        best = "score" if asked["scoringFunction"] == "TransE" else "score DESC"
        rows = self.run(
            "CALL gds.ml.kge.predict.stream($graph, $asked) YIELD sourceNodeId, targetNodeId, score "
            f"WITH * ORDER BY {best} LIMIT $limit "
            "WITH gds.util.asNode(sourceNodeId) AS h, gds.util.asNode(targetNodeId) AS t, score "
            "RETURN h.id AS source, t.id AS target, score AS value, "
            "EXISTS { (h)-[r]->(t) WHERE type(r) = $asked.relationshipTypes[0] } AS known",
            graph=graph,
            asked=dict(asked),
            limit=limit,
        )
        sign = -1 if asked["scoringFunction"] == "TransE" else 1
        new = [Link(row["source"], row["target"], sign * row["value"]) for row in rows if not row["known"]]
        return new, len(rows) - len(new)

    def write_vectors(self, graph: str, asked: Mapping[str, Any]) -> None:
        """Write the best answers of every node into the database."""
        into = {"writeRelationshipType": WRITTEN, "writeProperty": "score"}
        self.call("gds.ml.kge.predict.write", graph, {**asked, **into})

    # What it has written

    def written(self) -> dict[str, Any]:
        """Return how many relationships it has written, between how many pairs, and with which properties."""
        (row,) = self.run(
            f"MATCH (a)-[r:{WRITTEN}]->(b) "
            "WITH count(r) AS relationships, collect(DISTINCT CASE WHEN a.id < b.id THEN [a.id, b.id] "
            "ELSE [b.id, a.id] END) AS pairs, collect(keys(r)) AS keys "
            "RETURN relationships, size(pairs) AS pairs, reduce(all = [], k IN keys | all + k) AS properties"
        )
        return {**row, "properties": sorted(set(row["properties"]))}

    def delete_written(self) -> int:
        """Delete what it has written, by its type, since nothing else tells it; return how many."""
        (row,) = self.run(f"MATCH ()-[r:{WRITTEN}]->() DELETE r RETURN count(r) AS deleted")
        return int(row["deleted"])
