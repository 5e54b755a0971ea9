"""How the end of an edge is called when people read it: by its configured label, key and name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kgsync.config import LabelConfig


@dataclass(frozen=True)
class End:
    """A head or a tail. Without a configured label, the key is missing and the name is a guess."""

    label: str
    key: str | int | None
    name: str

    def __str__(self) -> str:
        return self.name or f"{self.label}:{'?' if self.key is None else self.key}"

    def columns(self, side: str) -> dict[str, str | None]:
        """Return it as columns of a table, all of them text; `side` is `head` or `tail`."""
        key = None if self.key is None else str(self.key)
        return {f"{side}_label": self.label, f"{side}_key": key, f"{side}_name": self.name}


COLUMNS = {side: dict.fromkeys(End("", None, "").columns(side), "string") for side in ("head", "tail")}


def parameter(labels: Mapping[str, LabelConfig]) -> list[dict[str, str]]:
    """Return what the statements take as `$names`: the configured labels, the first that fits counts."""
    return [{"label": label, "key": it.key, "name": it.name or it.key} for label, it in labels.items()]


def end(row: Mapping[str, Any]) -> End:
    """Return the end that a statement returned as a map of label, key and name."""
    name = row.get("name")
    return End(row.get("label") or "", row.get("key"), "" if name is None else str(name))
