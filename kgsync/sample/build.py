"""Rebuilds the sample graph from public data: `python -m kgsync.sample.build [FOLDER]`.

Needs the dependency group `sample`. The same packages give the same bytes.
"""

import sys
from pathlib import Path

from kgsync.sample import folder, tsv
from kgsync.sample.areas import (
    add_areas,
    add_coasts,
    add_currencies,
    add_independence,
    add_memberships,
    add_trade,
)
from kgsync.sample.cities import add_cities
from kgsync.sample.graph import Graph
from kgsync.sample.languages import add_languages
from kgsync.sample.readme import readme


def build() -> Graph:
    """The whole sample graph, checked."""
    graph = Graph(tsv.read("relations"))
    add_areas(graph)
    add_currencies(graph)
    add_independence(graph)
    add_memberships(graph)
    add_trade(graph)
    add_coasts(graph)
    add_languages(graph)
    add_cities(graph)
    graph.prune({"Product"}, at_least=3)
    graph.check()
    return graph


def main(target: Path) -> None:
    """Writes the graph and its README into `target`."""
    graph = build()
    graph.write(target)
    (target / "README.md").write_text(readme(graph), encoding="utf-8", newline="\n")
    print(f"{len(graph.entities):,} entities and {len(graph.triples):,} triples in {target}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else folder())
