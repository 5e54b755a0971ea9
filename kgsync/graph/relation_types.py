"""Names relationship types after the relations of a data set: UPPER_SNAKE, unique, mapped back by id.

The rule: the type is made from the relation's id, or from its name where the id is a mere code (`P101`).
Two relations never share a type: the later one gets a number. A mapping that exists is never changed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

OWN = frozenset({"PREDICTED", "USED_MODEL"})  # types that mean something to kgsync itself

_CODE = re.compile(r"(?:.*[:/#])?[^\W\d_]{0,3}[_-]?\d+")  # P101, wdt:P31, R-17, 42
_URI = re.compile(r"[a-z][a-z0-9+.-]*://.*[/#](?P<last>[^/#]+)[/#]?", re.IGNORECASE)
_CAMEL = re.compile(r"(?<=[^\W_A-Z])(?=[A-Z][^\W_A-Z])")  # bornIn -> born|In


def type_name(relation: str, name: str = "") -> str:
    """Return a relationship type for a relation id: `/location/country` -> `LOCATION_COUNTRY`.

    Of a URI only the last part counts. An id that is already UPPER_SNAKE stays as it is.
    """
    if uri := _URI.fullmatch(relation):
        relation = uri.group("last")
    if name and _CODE.fullmatch(relation):
        relation = name
    words = _CAMEL.sub("_", unicodedata.normalize("NFC", relation))
    kept = "".join(c if unicodedata.category(c)[0] in "LNM" else "_" for c in words.upper())
    snake = re.sub("_+", "_", kept).strip("_")
    if not any(c.isalnum() for c in snake):
        return "RELATION"
    return snake if snake[0].isalpha() else f"R_{snake}"


def assign(relations: Mapping[str, str], known: Mapping[str, str]) -> dict[str, str]:
    """Return a type for each relation id: the `known` one, or a new one that no other relation has.

    `relations` maps ids to names (which may be empty). Ids that are types already come first, then the
    order given decides.
    """
    taken = {*OWN, *known.values()}
    assigned = {relation: known[relation] for relation in relations if relation in known}
    wanted = {relation: type_name(relation, name) for relation, name in relations.items() if relation not in known}
    for relation in sorted(wanted, key=lambda relation: wanted[relation] != relation):
        candidate, number = wanted[relation], 2
        while candidate in taken:
            candidate, number = f"{wanted[relation]}_{number}", number + 1
        assigned[relation] = candidate
        taken.add(candidate)
    return assigned
