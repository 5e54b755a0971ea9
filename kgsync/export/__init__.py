"""Exports: trained embeddings in the layouts of other tools, and the trained scorer as a graph of operations.

Reads an `Embeddings` (of a model, or of a benchmark run); promises a folder that is whole or absent, lists its files
with their hashes in `manifest.json`, and says there in plain words what it holds and where its scores differ from ours.
"""

from kgsync.export.formats import FORMATS, Export, check, write
from kgsync.export.source import Embeddings, of_benchmark, of_model

__all__ = ["FORMATS", "Embeddings", "Export", "check", "of_benchmark", "of_model", "write"]
