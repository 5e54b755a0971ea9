"""Reads the hand-kept tables beside this file: names, glosses and corrections that no package has."""

import csv
import re
import unicodedata
from importlib.resources import files

Row = dict[str, str]


def read(name: str) -> list[Row]:
    """The rows of `tables/<name>.tsv`; an empty cell is an empty string."""
    text = (files(__package__) / "tables" / f"{name}.tsv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE))


def slug(name: str) -> str:
    """`Côte d’Azur` → `cote-dazur`: the readable part of an id."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower().replace("'", "")).strip("-")


def aliases(rows: list[Row]) -> dict[str, str]:
    """Every name and alias (separated by `;`) → the name of its row."""
    return {alias: row["name"] for row in rows for alias in (row["name"], *row["aliases"].split(";")) if alias}
