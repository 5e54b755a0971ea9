"""The trained scorer as an ONNX graph: anchors [B] and relations [B] in, scores [B, E] of all entities out.

Ids are int64, relation ids run to 2R: (h, r) asks for tails, (t, r + R) for heads. The graph is put together from
standard operators (opset 17), one for one with `kgsync.kge.models`; it holds the embeddings and needs no kgsync.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from kgsync import files
from kgsync.errors import DataError
from kgsync.export.folder import folder, library
from kgsync.export.source import Embeddings
from kgsync.kge.models import TINY

OPSET, IR_VERSION = 17, 8  # of 2022: old enough for every runtime in use
INLINE = 1 << 30  # bytes of embeddings that go into the file itself; more lie in `scorer.data` beside it
NOTES = (
    "scorer.onnx: inputs `anchors` and `relations`, int64 [B]; output `scores`, float32 [B, E], higher is better.",
    "(h, r) asks for tails, (t, r + R) for heads; entities.json and relations.json name the numbers.",
    "Its scores are ours, up to rounding.",
)


def write_onnx(embeddings: Embeddings, path: Path) -> None:
    """Write `scorer.onnx` and the names of entities and relations.

    Raises:
        ConfigError: the package onnx is not installed.
        DataError: the model is of a kind that has no graph.
    """
    onnx = library("onnx", "onnx", "ONNX")
    model = scorer(embeddings)
    large = embeddings.entity_rows.nbytes + embeddings.relation_rows.nbytes > INLINE
    with folder(path, embeddings, "onnx", NOTES) as new:
        target = str(new / "scorer.onnx")
        if large:
            onnx.save_model(model, target, save_as_external_data=True, location="scorer.data")
        else:
            onnx.save_model(model, target)
        onnx.checker.check_model(target)
        write_names(embeddings, new)


def write_names(embeddings: Embeddings, new: Path) -> None:
    """Write the names by number, as JSON: entities, and relations once."""
    files.write_json(new / "entities.json", list(embeddings.ids))
    files.write_json(new / "relations.json", list(embeddings.relations))


def scorer(embeddings: Embeddings) -> Any:
    """Return the `onnx.ModelProto` of the scorer."""
    helper = library("onnx.helper", "onnx", "ONNX")
    kge, number = embeddings.kge, library("onnx", "onnx", "ONNX").TensorProto
    if kge.name not in _SCORES:
        raise DataError(f"a model of kind {kge.name} has no ONNX graph", fix="export parquet, npy or safetensors")
    graph = _Graph(helper)
    graph.constant("entities", embeddings.entity_rows)  # [E, d]
    graph.constant("relation_rows", embeddings.relation_rows)  # [2R, w]
    heads = graph.node("Gather", "entities", "anchors")
    rows = graph.node("Gather", "relation_rows", "relations")
    _SCORES[kge.name](graph, heads, rows, kge.rank)
    made = helper.make_graph(
        graph.nodes,
        f"kgsync {kge.name}",
        [helper.make_tensor_value_info(name, number.INT64, ["B"]) for name in ("anchors", "relations")],
        [helper.make_tensor_value_info("scores", number.FLOAT, ["B", kge.n_entities])],
        initializer=graph.constants,
    )
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(made, producer_name="kgsync", opset_imports=opsets, ir_version=IR_VERSION)


class _Graph:
    """Nodes and constants of a graph in the making; results have names of their own."""

    def __init__(self, helper: Any, prefix: str = "") -> None:
        self.helper = helper
        self.prefix = prefix  # keeps the names of an inner graph apart
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, name: str, value: np.ndarray[Any, Any]) -> str:
        """Add an array and return its name."""
        kind = self.helper.np_dtype_to_tensor_dtype(value.dtype)
        self.constants.append(self.helper.make_tensor(name, kind, value.shape, value.tobytes(), raw=True))
        return name

    def node(self, operator: str, *inputs: str, into: str = "", **attributes: Any) -> str:
        """Add a node with one output and return that."""
        name = into or f"{self.prefix}{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(self.helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def halves(self, rows: str, axis: int) -> tuple[str, str]:
        """Return the real and the imaginary half of complex rows."""
        names = [f"{self.prefix}half_{len(self.nodes)}_{part}" for part in ("real", "imaginary")]
        self.nodes.append(self.helper.make_node("Split", [rows], names, axis=axis))
        return names[0], names[1]


def _product(graph: _Graph, queries: str) -> None:
    """scores = <q, t>."""
    graph.node("Gemm", queries, "entities", transB=1, into="scores")


def _distmult(graph: _Graph, heads: str, rows: str, rank: int) -> None:
    _product(graph, graph.node("Mul", heads, rows))


def _complex(graph: _Graph, heads: str, rows: str, rank: int) -> None:
    _product(graph, _rotated(graph, heads, *graph.halves(rows, 1)))


def _rescal(graph: _Graph, heads: str, rows: str, rank: int) -> None:
    """q = hᵀ R, with each query's own matrix in memory."""
    as_rows = graph.constant("as_rows", np.array([-1, 1, rank], dtype=np.int64))
    as_matrices = graph.constant("as_matrices", np.array([-1, rank, rank], dtype=np.int64))
    as_queries = graph.constant("as_queries", np.array([-1, rank], dtype=np.int64))
    matrices = graph.node("Reshape", rows, as_matrices)
    products = graph.node("MatMul", graph.node("Reshape", heads, as_rows), matrices)
    _product(graph, graph.node("Reshape", products, as_queries))


def _transe_l2(graph: _Graph, heads: str, rows: str, rank: int) -> None:
    """scores = -sqrt(||q||² + ||t||² - 2<q, t>)."""
    queries = graph.node("Add", heads, rows)
    of_queries = graph.node("ReduceSumSquare", queries, axes=[1], keepdims=1)  # [B, 1]
    of_entities = graph.node("ReduceSumSquare", "entities", axes=[1], keepdims=0)  # [E]
    rest = graph.node("Gemm", queries, "entities", of_entities, transB=1, alpha=-2.0)
    zero = graph.constant("zero", np.array(0, dtype=np.float32))
    squares = graph.node("Max", graph.node("Add", rest, of_queries), zero)
    graph.node("Neg", graph.node("Sqrt", squares), into="scores")


def _transe_l1(graph: _Graph, heads: str, rows: str, rank: int) -> None:
    """scores = -sum |q - t|, one query at a time: E * d numbers are in memory, not B * E * d."""
    graph.constant("coordinates", np.array([1], dtype=np.int64))

    def distances(inner: _Graph, query: str) -> str:
        difference = inner.node("Sub", "entities", query)  # [E, d]
        return inner.node("ReduceSum", inner.node("Abs", difference), "coordinates", keepdims=0)

    _query_by_query(graph, graph.node("Add", heads, rows), [rank], distances)


def _rotate(graph: _Graph, heads: str, rows: str, rank: int) -> None:
    """scores = -sum |q - t| over complex numbers, one query at a time."""
    graph.constant("coordinates", np.array([1], dtype=np.int64))
    graph.constant("tiny", np.array(TINY, dtype=np.float32))
    real, imaginary = graph.halves("entities", 1)

    def distances(inner: _Graph, query: str) -> str:
        parts = zip((real, imaginary), inner.halves(query, 0), strict=True)
        differences = [inner.node("Sub", half, part) for half, part in parts]  # [E, k] each
        squares = inner.node("Add", *(inner.node("Mul", each, each) for each in differences))
        moduli = inner.node("Sqrt", inner.node("Max", squares, "tiny"))
        return inner.node("ReduceSum", moduli, "coordinates", keepdims=0)

    queries = _rotated(graph, heads, graph.node("Cos", rows), graph.node("Sin", rows))
    _query_by_query(graph, queries, [2 * rank], distances)


def _rotated(graph: _Graph, heads: str, real: str, imaginary: str) -> str:
    """Return the complex product of rows [real | imaginary] with other complex numbers."""
    a, b = graph.halves(heads, 1)
    first = graph.node("Sub", graph.node("Mul", a, real), graph.node("Mul", b, imaginary))
    second = graph.node("Add", graph.node("Mul", a, imaginary), graph.node("Mul", b, real))
    return graph.node("Concat", first, second, axis=1)


def _query_by_query(graph: _Graph, queries: str, shape: list[int], distances: Callable[[_Graph, str], str]) -> None:
    """scores = -distances(q) for each query, as a loop in the graph."""
    float32 = graph.helper.np_dtype_to_tensor_dtype(np.dtype(np.float32))
    inner = _Graph(graph.helper, prefix="one_")
    inner.node("Neg", distances(inner, "one_query"), into="one_scores")
    body = graph.helper.make_graph(
        inner.nodes,
        "one query",
        [graph.helper.make_tensor_value_info("one_query", float32, shape)],
        [graph.helper.make_tensor_value_info("one_scores", float32, ["E"])],
    )
    graph.node("Scan", queries, into="scores", body=body, num_scan_inputs=1)


_SCORES: dict[str, Callable[[_Graph, str, str, int], None]] = {
    "distmult": _distmult,
    "complex": _complex,
    "rescal": _rescal,
    "transe-l1": _transe_l1,
    "transe-l2": _transe_l2,
    "rotate": _rotate,
}
