"""The trained scorer as a TensorFlow SavedModel: anchors [B] and relations [B] in, scores [B, E] of all entities out.

The signature `serving_default` takes int64 ids as the ONNX graph does: (h, r) asks for tails, (t, r + R) for heads.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from kgsync.errors import DataError
from kgsync.export.folder import folder, library
from kgsync.export.onnx_scorer import write_names
from kgsync.export.source import Embeddings
from kgsync.kge.models import TINY

NOTES = (
    "saved_model: the signature `serving_default` takes `anchors` and `relations`, int64 [B], and gives `scores`,"
    " float32 [B, E], higher is better.",
    "(h, r) asks for tails, (t, r + R) for heads; entities.json and relations.json name the numbers.",
    "Its scores are ours, up to rounding.",
)


def write_tensorflow(embeddings: Embeddings, path: Path) -> None:
    """Write `saved_model/` and the names of entities and relations.

    Raises:
        ConfigError: TensorFlow is not installed.
        DataError: the model is of a kind that has no such scorer.
    """
    tf = _tensorflow()
    module = scorer(embeddings)
    with folder(path, embeddings, "tensorflow", NOTES) as new:
        tf.saved_model.save(module, str(new / "saved_model"), signatures={"serving_default": module.scores})
        write_names(embeddings, new)


def scorer(embeddings: Embeddings) -> Any:
    """Return a `tf.Module` with the embeddings and the function `scores`."""
    tf = _tensorflow()
    kge = embeddings.kge
    if kge.name not in _SCORES:
        raise DataError(f"a model of kind {kge.name} has no SavedModel", fix="export parquet, npy or safetensors")
    score = _SCORES[kge.name]
    module = tf.Module(name="scorer")
    module.entities = tf.Variable(embeddings.entity_rows, trainable=False, name="entities")  # [E, d]
    module.relations = tf.Variable(embeddings.relation_rows, trainable=False, name="relations")  # [2R, w]

    def scores(anchors: Any, relations: Any) -> dict[str, Any]:
        heads, rows = tf.gather(module.entities, anchors), tf.gather(module.relations, relations)
        return {"scores": score(tf, heads, rows, tf.convert_to_tensor(module.entities))}

    ids = [tf.TensorSpec([None], tf.int64, name=name) for name in ("anchors", "relations")]
    module.scores = tf.function(scores, input_signature=ids)
    return module


def _tensorflow() -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # it greets every start with lines about the processor
    # TensorFlow and triton, which torch loads when it first needs it, have an LLVM each: loaded second, triton's
    # finds its options taken and aborts the whole process.
    with suppress(ImportError):
        importlib.import_module("triton")
    tf = library("tensorflow", "tensorflow", "TensorFlow")
    tf.get_logger().setLevel("ERROR")
    return tf


def _distmult(tf: Any, heads: Any, rows: Any, entities: Any) -> Any:
    return tf.matmul(heads * rows, entities, transpose_b=True)


def _complex(tf: Any, heads: Any, rows: Any, entities: Any) -> Any:
    return tf.matmul(_rotated(tf, heads, *tf.split(rows, 2, axis=1)), entities, transpose_b=True)


def _rescal(tf: Any, heads: Any, rows: Any, entities: Any) -> Any:
    """q = hᵀ R, with each query's own matrix in memory."""
    rank = entities.shape[1]
    queries = tf.matmul(heads[:, None], tf.reshape(rows, [-1, rank, rank]))[:, 0]
    return tf.matmul(queries, entities, transpose_b=True)


def _transe_l2(tf: Any, heads: Any, rows: Any, entities: Any) -> Any:
    """-sqrt(||q||² + ||t||² - 2<q, t>)."""
    queries = heads + rows
    squares = tf.reduce_sum(tf.square(queries), axis=1, keepdims=True) + tf.reduce_sum(tf.square(entities), axis=1)
    return -tf.sqrt(tf.maximum(squares - 2 * tf.matmul(queries, entities, transpose_b=True), 0.0))


def _transe_l1(tf: Any, heads: Any, rows: Any, entities: Any) -> Any:
    """-sum |q - t|, one query at a time: E * d numbers are in memory, not B * E * d."""

    def one(query: Any) -> Any:
        return -tf.reduce_sum(tf.abs(entities - query), axis=1)

    return tf.map_fn(one, heads + rows)


def _rotate(tf: Any, heads: Any, rows: Any, entities: Any) -> Any:
    """-sum |q - t| over complex numbers, one query at a time."""
    real, imaginary = tf.split(entities, 2, axis=1)

    def one(query: Any) -> Any:
        c, d = tf.split(query, 2)
        squares = tf.square(real - c) + tf.square(imaginary - d)
        return -tf.reduce_sum(tf.sqrt(tf.maximum(squares, TINY)), axis=1)

    return tf.map_fn(one, _rotated(tf, heads, tf.cos(rows), tf.sin(rows)))


def _rotated(tf: Any, heads: Any, real: Any, imaginary: Any) -> Any:
    """Return the complex products of rows [real | imaginary] with other complex numbers."""
    a, b = tf.split(heads, 2, axis=1)
    return tf.concat([a * real - b * imaginary, a * imaginary + b * real], axis=1)


_SCORES: dict[str, Callable[[Any, Any, Any, Any], Any]] = {
    "distmult": _distmult,
    "complex": _complex,
    "rescal": _rescal,
    "transe-l1": _transe_l1,
    "transe-l2": _transe_l2,
    "rotate": _rotate,
}
