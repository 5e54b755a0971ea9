"""Where the graph does not agree with what is said of it: which known edges, and how many. Reads only.

What is counted depends on the trait: heads with too many tails, tails with too many heads, entities with too few of
either or with labels that exclude each other, and edges for everything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from kgsync.graph import names, statements
from kgsync.graph.connection import Connection
from kgsync.graph.ends import End, end
from kgsync.schema import Difference, Least, Order, Schema, Trait, compare

_ALL = 2**53  # as a limit: more than any graph has
_DEGREES = {"max_tails": ("tails", "heads"), "max_heads": ("heads", "tails")}  # what is too many, of whom


def exceptions(
    connection: Connection, trait: Trait, common: Sequence[str] = (), limit: int = 5
) -> list[tuple[End | None, End | None]]:
    """Return head and tail of some known edges that do not agree with a trait (not for the usual numbers).

    Where edges are missing, the end that there is not is None; an entity with labels that exclude each other is a head.
    """
    asked = _statement(trait, common)
    if asked is None:
        return []
    text, given = asked
    rows = connection.read(text, limit=limit, **given)
    if trait.kind == "min_heads":
        return [(None, end(row["entity"])) for row in rows]
    if trait.kind in ("min_tails", "disjoint"):
        return [(end(row["entity"]), None) for row in rows]
    return [(end(row["head"]), end(row["tail"])) for row in rows]


def count(connection: Connection, trait: Trait, common: Sequence[str] = ()) -> tuple[int, str]:
    """Return how much of the graph does not agree with a trait, and of what: edges, heads, tails or entities."""
    if trait.kind in _DEGREES:
        which, whose = _DEGREES[trait.kind]
        text = statements.load(f"validate/machinery/learn_{which}").fill(types=names.type_filter([trait.relation]))
        most = trait.value if isinstance(trait.value, int) else 0
        return sum(row["nodes"] for row in connection.read(text) if row["degree"] > most), whose
    of = "entities" if trait.kind in ("min_tails", "min_heads", "disjoint") else "edges"
    asked = _statement(trait, common)
    if asked is None:
        return 0, of
    text, given = asked
    whole = statements.load("validate/machinery/exceptions_count").text.replace("{{exceptions}}", text)
    return connection.read(whole, limit=_ALL, **given)[0]["exceptions"], of


def compared(connection: Connection, mine: Schema, learned: Schema) -> list[Difference]:
    """Return where `mine` and what the graph shows differ, with how much of the graph is against what `mine` says.

    What a shape or a graph type declares, or a smallest number, differs only if something is against it: the graph may
    well show less. What both say is there too, as `same`, if `mine` did not learn it and something is against it.
    """
    common = mine.common or learned.common
    theirs = {trait.key: trait for trait in learned.traits}
    found: list[Difference] = []
    told: set[Trait] = set()
    for difference in compare(mine, learned):
        trait = difference.file
        if trait is None:
            found.append(difference)
            continue
        told.add(trait)
        against, of = count(connection, trait, common)
        if against or not (trait.declared or isinstance(trait.value, Least)):
            found.append(replace(difference, against=against, of=of))
    for trait in mine.traits:
        if trait not in told and not trait.learned:
            against, of = count(connection, trait, common)
            if against:
                found.append(Difference("same", *trait.key[:2], trait, theirs.get(trait.key), against, of))
    return found


def _statement(trait: Trait, common: Sequence[str]) -> tuple[str, dict[str, Any]] | None:
    """Return what finds the exceptions of a trait, and its parameters but the limit; None where there can be none."""
    value = trait.value
    if isinstance(value, Least):
        text = statements.load("validate/machinery/fewer").fill(relation=trait.relation, label=value.label)
        return text, {"heads": trait.kind == "min_heads", "number": value.number}
    if trait.kind == "disjoint" and isinstance(value, tuple):
        text = statements.load("validate/machinery/several_labels").fill(any_label=names.type_filter(value))
        return text, {"labels": list(value)}
    if value is (trait.kind == "loops"):  # it may have loops, or need not be symmetric: nothing can disagree
        return None
    return statements.load("validate/machinery/exceptions").fill(relation=trait.relation), {
        "kind": trait.kind,
        "common": list(common),
        "labels": list(value) if isinstance(value, tuple) else [],
        "number": value if isinstance(value, int) else 0,
        "name": value if isinstance(value, str) else "",
        "order": asdict(value) if isinstance(value, Order) else {"head": "", "before": True, "tail": ""},
    }
