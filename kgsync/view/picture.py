"""The picture of a neighbourhood: names and lines in rings around the centre, which a template turns into SVG.

A breadth-first tree gives every entity a sector as wide as what hangs on it, so that no two names overlap and lines
cross only where the graph has circles; layouts by forces promise neither. The same neighbourhood, the same picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import networkx

from kgsync.view.neighbourhood import Edge, Neighbourhood, Node

_NAME = 19.0  # along a ring, for a name
_RING = 240.0  # between two rings at least: room for a relation on the line
_CHARACTER = 7.5  # width of one, at most on average
_LONGEST = 24  # characters of a name
_LONGEST_RELATION = 18
_ALONG = 0.62  # where on its line a relation stands: nearer to the outside, where lines are apart


@dataclass(frozen=True)
class Place:
    """Where an entity stands. `turn` is the angle of its name in degrees, `end` says that the name ends there."""

    node: Node
    x: float
    y: float
    turn: float
    end: bool

    @property
    def name(self) -> str:
        """Return its name, as long as fits."""
        return short(str(self.node))


@dataclass(frozen=True)
class Drawn:
    """An edge as a line from its head to its tail, with the relation along it where there is room."""

    edge: Edge
    x1: float
    y1: float
    x2: float
    y2: float
    says: str
    across: bool  # between branches of the tree: many of these hide the others
    label: str
    x: float  # of the label
    y: float
    turn: float
    below: bool  # the line, where another relation stands above it


@dataclass(frozen=True)
class Picture:
    """All of it, in a square of `size` around (0, 0)."""

    size: float
    places: tuple[Place, ...]
    lines: tuple[Drawn, ...]


def draw(neighbourhood: Neighbourhood) -> Picture:
    """Return the picture of a neighbourhood."""
    tree = _tree(neighbourhood)
    places = {place.node.id: place for place in _places(neighbourhood, tree)}
    names = {node.id: str(node) for node in neighbourhood.nodes}
    lines: list[Drawn] = []
    labels: dict[frozenset[str], list[str]] = {}  # between two entities
    drawn = set[tuple[str, str, str, str]]()
    for edge in sorted(neighbourhood.edges, key=lambda edge: edge.kind != "predicted"):
        what = (edge.head, edge.relation, edge.tail, edge.kind)
        if edge.head == edge.tail or what in drawn:  # parallel ones would lie one upon the other
            continue
        drawn.add(what)
        before = labels.setdefault(frozenset((edge.head, edge.tail)), [])
        line = _line(edge, places, names, tree, before)
        lines.append(line)
        before.append(line.label)
    outer = max(math.hypot(place.x, place.y) + 20 + _CHARACTER * len(place.name) for place in places.values())
    return Picture(round(2 * outer), tuple(places.values()), tuple(reversed(lines)))  # predicted ones on top


def _tree(neighbourhood: Neighbourhood) -> networkx.DiGraph:
    """Return the edges over which each entity is reached first, siblings by kind and relation."""
    graph = networkx.Graph()
    graph.add_node(neighbourhood.centre.id)
    order = {node.id: number for number, node in enumerate(neighbourhood.nodes)}
    edges = neighbourhood.edges
    for edge in sorted(edges, key=lambda e: (e.kind != "predicted", e.relation, order[e.head], order[e.tail])):
        graph.add_edge(edge.head, edge.tail)
    return networkx.bfs_tree(graph, neighbourhood.centre.id)


def _places(neighbourhood: Neighbourhood, tree: networkx.DiGraph) -> Iterable[Place]:
    """Yield the place of every entity of the tree: its ring says how far away it is."""
    root = neighbourhood.centre.id
    nodes = {node.id: node for node in neighbourhood.nodes}
    depths = networkx.shortest_path_length(tree, root)
    leaves = dict.fromkeys(tree, 1)
    for id_ in reversed(list(networkx.topological_sort(tree))):
        leaves[id_] = sum(leaves[child] for child in tree[id_]) or 1
    first = max(_RING, leaves[root] * _NAME / (2 * math.pi))
    spans = {root: (-math.pi / 2, 1.5 * math.pi)}
    for id_ in networkx.topological_sort(tree):
        low, high = spans[id_]
        start = low
        for child in tree[id_]:
            end = start + (high - low) * leaves[child] / max(1, sum(leaves[other] for other in tree[id_]))
            spans[child] = start, end
            start = end
        angle = (low + high) / 2
        radius = 0.0 if id_ == root else first + (depths[id_] - 1) * _RING
        turn = math.degrees(angle) % 360
        flipped = 90 < turn < 270
        yield Place(
            node=nodes[id_],
            x=round(radius * math.cos(angle), 1),
            y=round(radius * math.sin(angle), 1),
            turn=round(turn - 180 if flipped else turn, 1),
            end=flipped,
        )


def _line(
    edge: Edge, places: dict[str, Place], names: dict[str, str], tree: networkx.DiGraph, before: list[str]
) -> Drawn:
    """Return an edge as a line; `before` stand already between the same entities, and there is room for two."""
    head, tail = places[edge.head], places[edge.tail]
    label, says = short(edge.relation, _LONGEST_RELATION), f"{names[edge.head]} {edge.relation} {names[edge.tail]}"
    if edge.score is not None:
        label, says = f"{label} {edge.score:.2f}", f"{says} (predicted, {edge.score:.2f})"
    across = not (tree.has_edge(edge.head, edge.tail) or tree.has_edge(edge.tail, edge.head))
    angle = math.degrees(math.atan2(tail.y - head.y, tail.x - head.x))
    upright = angle - 180 if angle > 90 else angle + 180 if angle < -90 else angle
    gap = 9 / (math.hypot(tail.x - head.x, tail.y - head.y) or 1.0)  # the line ends before the dot: its arrow is seen
    inner, outer = (head, tail) if math.hypot(head.x, head.y) < math.hypot(tail.x, tail.y) else (tail, head)
    return Drawn(
        edge=edge,
        x1=head.x,
        y1=head.y,
        x2=round(tail.x - gap * (tail.x - head.x), 1),
        y2=round(tail.y - gap * (tail.y - head.y), 1),
        says=says,
        across=across,
        label="" if across or len(before) > 1 or label in before else label,
        x=round(inner.x + _ALONG * (outer.x - inner.x), 1),
        y=round(inner.y + _ALONG * (outer.y - inner.y), 1),
        turn=round(upright, 1),
        below=len(before) == 1,
    )


def short(text: str, longest: int = _LONGEST) -> str:
    """Return a text that is no longer than fits."""
    return text if len(text) <= longest else text[: longest - 1] + "…"
