"""Names relationship types after the relations of a data set: UPPER_SNAKE, unique, mapped back by id.

The rule: the type is made from the relation's id, or from its name where the id is a mere code (`P101`).
Two relations never share a type: the later one gets a number. A mapping that exists is never changed. A person may
name a relation by its type, by its id, or by its name in words.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from kgsync.errors import NotFoundError

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


@dataclass(frozen=True)
class Noted:
    """What relationship types stand for, by type, where that is noted."""

    ids: Mapping[str, str] = field(default_factory=dict)  # of the relations in the files that were loaded
    names: Mapping[str, str] = field(default_factory=dict)  # in words

    def meant(self, asked: str, types: Collection[str]) -> str | None:
        """Return which of `types` a person means by a type, an id or a name; None: none, or several by their name."""
        if asked in types:
            return asked
        for said in (self.ids, self.names):
            found = [type_ for type_ in types if said.get(type_) == asked]
            if len(found) == 1:
                return found[0]
        return None

    def find(self, asked: str, types: Collection[str], where: str) -> str:
        """Return which of `types` is `meant`, or refuse in the name of `where` they are from.

        Raises:
            NotFoundError: it means none of them, or several; with those that resemble it.
        """
        if (type_ := self.meant(asked, types)) is None:
            raise NotFoundError(f"{where} has no relation {asked!r}", fix=self._closest(asked, types))
        return type_

    def _closest(self, asked: str, types: Collection[str]) -> str:
        """Return those of `types` that resemble `asked`, or the first of them, with their ids."""
        folded = {type_.casefold(): type_ for type_ in types}
        near = [folded[each] for each in difflib.get_close_matches(type_name(asked).casefold(), folded, n=3)]
        shown = near or sorted(types)[:8]
        more = " …" if not near and len(types) > len(shown) else ""
        said = [f"{type_} ({self.ids[type_]})" if self.ids.get(type_, type_) != type_ else type_ for type_ in shown]
        return f"{'did you mean' if near else 'it has'} {', '.join(said)}{more}{'?' if near else ''}"
