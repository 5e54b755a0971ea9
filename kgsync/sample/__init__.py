"""The sample graph: knowledge about the world, as a folder that `kgsync load` reads."""

from importlib.resources import files
from pathlib import Path


def folder() -> Path:
    """The folder with `entities.tsv`, `relations.tsv` and `triples.tsv` of the sample graph."""
    return Path(str(files(__package__) / "world"))
