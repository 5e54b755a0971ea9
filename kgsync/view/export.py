"""A neighbourhood as a file: a page or a picture to look at, GraphML or GEXF (networkx) for other tools."""

from __future__ import annotations

import base64
import hashlib
import io
from pathlib import Path
from typing import Any

import jinja2
import networkx

from kgsync.errors import ConfigError
from kgsync.view.neighbourhood import KINDS, Neighbourhood
from kgsync.view.picture import draw
from kgsync.view.provenance import provenance

_FOLDER = Path(__file__).parent / "templates"
FORMATS = (".html", ".svg", ".graphml", ".gexf")
_CARRIED = ("score", "scoreLow", "status", "rank", "relation", "id")  # of a predicted edge


def check(suffix: str) -> None:
    """Refuse an ending that means no kind of file, before anything is asked.

    Raises:
        ConfigError: with those that do.
    """
    if suffix not in FORMATS:
        named = f"the ending {suffix}" if suffix else "a name without ending"
        raise ConfigError(f"{named} means no kind of file", fix=f"end it with {', '.join(FORMATS)}")


def export(neighbourhood: Neighbourhood, suffix: str) -> bytes:
    """Return the file that `suffix` means.

    Raises:
        ConfigError: it means none.
    """
    check(suffix)
    if suffix == ".html":
        return _rendered("view.html", neighbourhood)
    if suffix == ".svg":
        return _rendered("picture.svg", neighbourhood)
    stream = io.BytesIO()
    write = networkx.write_graphml if suffix == ".graphml" else networkx.write_gexf
    write(to_networkx(neighbourhood), stream)
    return stream.getvalue()


def to_networkx(neighbourhood: Neighbourhood) -> networkx.MultiDiGraph:
    """Return the neighbourhood as a directed multigraph, whose edges carry where they come from."""
    graph = networkx.MultiDiGraph()
    for node in neighbourhood.nodes:
        graph.add_node(_clean(node.id), label=_clean(str(node)), category=_clean(node.label), hops=node.hops)
    for number, edge in enumerate(neighbourhood.edges):
        carried: dict[str, str | int | float] = {"kind": edge.kind, "predicate": _clean(edge.relation)}
        if edge.kind == "predicted":
            names = {"id": "predictionId", "relation": "predicate"}
            own = {names.get(name, name): edge.properties.get(name) for name in _CARRIED}
            carried |= {name: _value(value) for name, value in own.items() if value is not None}
        stated = {name: _clean(value) for name, value in provenance(edge, neighbourhood.runs).items()}
        graph.add_edge(_clean(edge.head), _clean(edge.tail), key=str(number), **carried, **stated)
    return graph


def _rendered(template: str, neighbourhood: Neighbourhood) -> bytes:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=jinja2.select_autoescape(["html", "svg"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: _clean(value) if type(value) is str else value,
    )
    css = (_FOLDER / "view.css").read_text(encoding="utf-8")
    picture = draw(neighbourhood)
    page = environment.get_template(template).render(
        css=css,
        style_hash=base64.b64encode(hashlib.sha256(css.encode()).digest()).decode(),
        n=neighbourhood,
        names={node.id: str(node) for node in neighbourhood.nodes},
        picture=picture,
        counts={kind: sum(edge.kind == kind for edge in neighbourhood.edges) for kind in KINDS},
    )
    return page.encode("utf-8", "replace")


def _value(value: Any) -> str | int | float:
    """Return a property as a value that the formats know."""
    return value if isinstance(value, int | float) else _clean(str(value))


def _clean(text: str) -> str:
    """Return a text without what XML does not allow, or what turns the direction of writing."""
    return text if text.isprintable() else "".join("\N{REPLACEMENT CHARACTER}" if _bad(c) else c for c in text)


def _bad(character: str) -> bool:
    code = ord(character)
    control = code < 32 or 0x7F <= code <= 0x9F or 0xD800 <= code <= 0xDFFF or code & 0xFFFE == 0xFFFE
    return control or "\u202a" <= character <= "\u202e" or "\u2066" <= character <= "\u2069"
