"""Vectors of TransE (L2) and DistMult in the layout that Neo4j Graph Data Science predicts links from.

`gds.ml.kge.predict.stream` (and `.mutate`, `.write`) takes a node property with each entity's vector, and one
relation's vector as a parameter: for TransE its score is ||h + r - t||_2, lower is better (ours, negated), for DistMult
sum_i h_i r_i t_i (ours). `load.cypher` sets the property from CSV, `predict.cypher` shows the calls.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

from kgsync import files
from kgsync.errors import DataError
from kgsync.export.folder import folder
from kgsync.export.source import Embeddings
from kgsync.graph import statements
from kgsync.graph.names import constant

Groups = dict[tuple[str, type], list[int]]  # label and type of key -> entities, which one statement finds

SCORING = {"transe-l2": "TransE", "distmult": "DistMult"}
PROPERTY = "kgsyncGdsVector"
NOTES = (
    "relations.json has two vectors per relation: `tails` with h as source gives (h, r, ?); `heads`, the reciprocal,"
    " with t as source gives (?, r, t).",
    "GDS ranks as kgsync does among the entities that it considers: not the source itself, and none that a"
    " relationship of the projection joins to it.",
    "DistMult's score is ours. TransE's is a distance, ours without the minus: lower is better.",
)


def write_gds(embeddings: Embeddings, path: Path) -> None:
    """Write the entities' vectors as CSV, the relations' as JSON, and the Cypher that uses them.

    Raises:
        DataError: GDS has no such scoring function.
    """
    name = embeddings.kge.name
    if name not in SCORING:
        why = ": its TransE measures the Euclidean distance" if name == "transe-l1" else ""
        raise DataError(f"GDS cannot score as {name} does{why}", fix=f"train one of {', '.join(SCORING)}")
    groups: Groups = defaultdict(list)
    for row, entity in enumerate(embeddings.identities):
        groups[entity.label, type(entity.key)].append(row)
    with folder(path, embeddings, "gds", NOTES, scoringFunction=SCORING[name], property=PROPERTY) as new:
        for number, rows in enumerate(groups.values()):
            _write_entities(embeddings, rows, new / f"entities-{number}.csv")
        files.write_json(new / "relations.json", relation_vectors(embeddings))
        (new / "load.cypher").write_text(_load(embeddings, groups), encoding="utf-8")
        (new / "predict.cypher").write_text(_predict(SCORING[name]), encoding="utf-8")


def relation_vectors(embeddings: Embeddings) -> dict[str, dict[str, list[float]]]:
    """Return for each relation the vector that asks for tails, and the one that asks for heads."""
    rows, amount = embeddings.relation_rows.tolist(), len(embeddings.relations)
    return {
        relation: {"tails": rows[number], "heads": rows[number + amount]}
        for number, relation in enumerate(embeddings.relations)
    }


def _write_entities(embeddings: Embeddings, rows: list[int], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["key", "vector"])
        table = embeddings.entity_rows
        for row in rows:
            numbers = " ".join(f"{number:.9g}" for number in table[row].tolist())
            writer.writerow([_as_neo4j_reads(str(embeddings.identities[row].key)), numbers])


def _as_neo4j_reads(key: str) -> str:
    """Return a key with backslashes doubled where it will be quoted: there, and only there, LOAD CSV takes one away."""
    return key.replace("\\", "\\\\") if any(mark in key for mark in ',"\n\r') else key


def _load(embeddings: Embeddings, groups: Groups) -> str:
    load = statements.load("export/gds_load")
    note = "// In Neo4j Browser, write :auto before each statement.\n"
    parts = [
        load.fill(
            file=constant(f"entities-{number}.csv"),
            label=label,
            key=embeddings.identities[rows[0]].key_property,
            integers=constant(kind is int),
        )
        for number, ((label, kind), rows) in enumerate(groups.items())
    ]
    return _explained(load) + note + ";\n\n".join(parts) + ";\n"


def _predict(scoring: str) -> str:
    predict = statements.load("export/gds_predict")
    return _explained(predict) + predict.fill(scoring=constant(scoring)) + ";\n"


def _explained(statement: statements.Statement) -> str:
    return "".join(f"// {field}: {text}\n" for field, text in statement.header.items())
