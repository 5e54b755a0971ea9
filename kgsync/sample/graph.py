"""A graph in memory that refuses bad facts and writes itself as a benchmark folder, byte for byte the same."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kgsync.sample.tsv import Row

Triple = tuple[str, str, str]


@dataclass(frozen=True)
class Entity:
    """A thing with a name; its first label is the main one."""

    id: str
    labels: tuple[str, ...]
    name: str
    description: str


class Graph:
    """Entities by id, and the facts among them."""

    def __init__(self, relations: Iterable[Row]) -> None:
        self.relations = {row["id"]: row for row in relations}
        self.entities: dict[str, Entity] = {}
        self.triples: set[Triple] = set()

    def add(self, id: str, labels: str, name: str, description: str) -> str:
        """Adds an entity (labels separated by `|`) and returns its id."""
        if id in self.entities:
            raise ValueError(f"two entities with the id {id}")
        self.entities[id] = Entity(id, tuple(labels.split("|")), name, description)
        return id

    def link(self, head: str, relation: str, tail: str) -> None:
        """Adds a fact; a fact that is there already is no news."""
        if relation not in self.relations:
            raise ValueError(f"{relation} is not in relations.tsv")
        if head == tail:
            raise ValueError(f"{head} would be linked to itself by {relation}")
        self.triples.add((head, relation, tail))

    def prune(self, labels: set[str], at_least: int) -> None:
        """Drops the entities of these labels with fewer facts than `at_least`, and those facts with them."""
        facts: dict[str, int] = defaultdict(int)
        for head, _, tail in self.triples:
            facts[head] += 1
            facts[tail] += 1
        gone = {e.id for e in self.entities.values() if e.labels[0] in labels and facts[e.id] < at_least}
        self.entities = {id: e for id, e in self.entities.items() if id not in gone}
        self.triples = {t for t in self.triples if t[0] not in gone and t[2] not in gone}

    def check(self) -> None:
        """Raises when a fact names an entity that is not there, or an entity has no fact at all."""
        linked = {end for head, _, tail in self.triples for end in (head, tail)}
        if dangling := sorted(linked - self.entities.keys()):
            raise ValueError(f"facts about unknown entities: {', '.join(dangling[:5])}")
        if lonely := sorted(self.entities.keys() - linked):
            raise ValueError(f"entities without facts: {', '.join(lonely[:5])}")

    def write(self, folder: Path) -> None:
        """Writes the three files, sorted."""
        entities = [
            (e.id, "|".join(e.labels), e.name, e.description)
            for e in sorted(self.entities.values(), key=lambda e: e.id)
        ]
        relations = [(r["id"], r["name"], r["description"]) for r in self.relations.values()]
        _write(folder / "entities.tsv", [("id", "types", "name", "description"), *entities])
        _write(folder / "relations.tsv", [("id", "name", "description"), *relations])
        _write(folder / "triples.tsv", sorted(self.triples))


def _write(path: Path, rows: Iterable[tuple[str, ...]]) -> None:
    for row in (rows := list(rows)):
        if any("\t" in cell or "\n" in cell or cell != cell.strip() for cell in row):
            raise ValueError(f"{path.name}: a cell with a tab, a newline or outer blanks in {row}")
    path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8", newline="\n")
