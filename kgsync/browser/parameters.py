"""Parameters: the `:param` lines by which an analyst says which edges, who decides, and what is asked.

Each value is a Cypher expression that the server evaluates when the line is run, so a line fits any graph: "the best
proposal" is looked up at that moment. Running a line sets its parameters and keeps the others. A value cannot use a
parameter that was set before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_PROPOSED = "['proposed']"
_DECIDED = "['accepted', 'rejected']"
_BEST = "p.score DESC"


@dataclass(frozen=True)
class Parameters:
    """Lines that belong together: what they are for, and an expression for each name."""

    title: str
    values: Mapping[str, str]

    @property
    def text(self) -> str:
        """Return the lines as Browser takes them, all at once."""
        return ";\n".join(f":param {name} => {value}" for name, value in self.values.items())


def _first(value: str, status: str, order: str, more: str = "") -> str:
    """Return the expression for a list with `value` of the first edge that has a status; empty where none has."""
    return (
        f"COLLECT {{ MATCH (h)-[p:PREDICTED]->(t) WHERE p.status IN {status}{more} "
        f"RETURN {value} ORDER BY {order}, p.id LIMIT 1 }}"
    )


def _question(end: str) -> dict[str, str]:
    """Return what the live queries take: the embedded `end` of the best proposal, found by what it is called."""

    def of_best(value: str) -> str:
        return f"head({_first(value, _PROPOSED, _BEST, f' AND {end}.kgsyncModelId IS NOT NULL')})"

    property_ = (
        f"head([k IN ['name', 'title', 'id', 'key'] + keys({end}) "
        f"WHERE valueType({end}[k]) =~ '(STRING|INTEGER).*' AND NOT k STARTS WITH 'kgsync'])"
    )
    return {
        "label": of_best(f"labels({end})[0]"),
        "key": of_best(property_),
        "value": of_best(f"{end}[{property_}]"),
        "relation": of_best("p.relation"),
        "k": "10",
    }


BEST = Parameters("Parameters: the best proposal", {"id": f"head({_first('p.id', _PROPOSED, _BEST)})"})
REVIEWER = Parameters(
    "Parameters: who decides, and why",
    {"by": "'your name'", "reason": "'why'", "statuses": "['proposed', 'quarantined']"},
)
ACCEPT = Parameters("Parameters: decide on the best proposal", {"ids": _first("p.id", _PROPOSED, _BEST)})
REJECT = Parameters("Parameters: decide on the most doubtful proposal", {"ids": _first("p.id", _PROPOSED, "p.score")})
UNDO = Parameters(
    "Parameters: undo the latest decision",
    {"ids": _first("p.id", _DECIDED, "p.reviewedAt DESC", " AND p.reviewedAt IS NOT NULL")},
)
TAILS = Parameters("Parameters: ask for tails", _question("h"))
HEADS = Parameters("Parameters: ask for heads", _question("t"))

ALL = (BEST, REVIEWER, ACCEPT, REJECT, UNDO, TAILS, HEADS)
