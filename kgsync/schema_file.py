"""`schema.yml`: reads and writes a schema as a file that a person edits.

Every mistake is told with its line. Values are read as they stand: a label `NO` is a label, not `false`.
Writing never replaces a file unasked.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, cast

import yaml

from kgsync import files
from kgsync.config import ValidateConfig
from kgsync.errors import DataError, NotFoundError, StorageError
from kgsync.schema import DECLARED, KINDS, SEVERAL, Kind, Least, Order, Schema, Trait, Value

FILE_NAME = "schema.yml"
_LABELS = ("domain", "range", "disjoint")
_NUMBERS = ("max_tails", "max_heads", "usual_tails", "usual_heads")
_FLAGS = ("symmetric", "asymmetric", "loops")
_SOURCES = ("learned", *DECLARED, "person")
_LEASTS = ("min_tails", "min_heads")
_ORDER = re.compile(r"head\.(?P<head>.+?) (?P<sign><=|>=) tail\.(?P<tail>.+)")
_LEAST = re.compile(r"(?P<label>.+) >= (?P<number>[1-9][0-9]*)")
_TOP = ("common", "changed", "disjoint", "relations")
_HEADER = """\
# What the relations of this graph mean. `kgsync schema save` learned it; it is yours now: edit it. kgsync reads it for
# its checks (`kgsync validate`), and never changes it unless you say --force. `kgsync schema compare` shows where the
# graph says something else.
#
# A learned line says what holds (is), for how many edges, heads or tails (support), and for which share of them
# (confidence). A line whose source is a shape or a graph type was declared, and goes before what was learned. Write the
# value alone where you know better: `domain: [Country]`. What you delete is not checked.
#
#   domain, range             labels of the heads, of the tails; (none) is an entity with common labels only
#   max_tails, max_heads      so many tails has a head at most, so many heads a tail
#   usual_tails, usual_heads  99 of 100 have no more; proposals beyond it are flooding
#   min_tails, min_heads      each entity with a label has so many: Country >= 1. A proposal cannot break it; `compare`
#                             counts the entities that have fewer
#   symmetric, asymmetric     it holds both ways, one way only
#   loops                     whether it may join an entity with itself
#   inverse                   the relation that says the same from the tail to the head
#   order                     dates of its ends: head.born <= tail.born
#   disjoint                  labels of which an entity has one at most
#   common                    labels that nearly every entity has, and that tell nothing
#   changed                   properties that say when something was changed: what rests on it is stale then
"""


def load(path: Path) -> Schema:
    """Return the schema in the file at `path`.

    Raises:
        NotFoundError: there is no such file.
        DataError: it is not a schema; the message names the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no {path}", fix="make one with `kgsync schema save`") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {error}", fix="save it as UTF-8 text") from error
    return _Reader(path).schema(text)


def find(folder: Path) -> Schema | None:
    """Return the schema that is kept in `folder` as `schema.yml`, or None."""
    path = folder / FILE_NAME
    return load(path) if path.is_file() else None


def configured(config: ValidateConfig, folder: Path) -> Schema | None:
    """Return the schema that the configuration in `folder` names, else the `schema.yml` beside it, else None.

    Raises:
        NotFoundError, DataError: as `load` does.
    """
    return load(folder / config.schema) if config.schema else find(folder)


def save(schema: Schema, path: Path, *, force: bool = False) -> None:
    """Write `schema` to the file at `path`.

    Raises:
        StorageError: the file is there, and `force` is not given.
    """
    if path.exists() and not force:
        raise StorageError(
            f"{path} is there, and it is yours", fix="compare with `kgsync schema compare`, or say --force"
        )
    files.write_bytes(path, text(schema).encode())


def text(schema: Schema) -> str:
    """Return `schema` as the text of a file."""
    lines = [_HEADER]
    lines += [f"{name}: {_flow(list(getattr(schema, name)))}" for name in ("common", "changed")]
    disjoint = schema.of("")
    lines += ["disjoint:" + ("" if disjoint else " []"), *(f"  - {_leaf(trait)}" for trait in disjoint)]
    lines += ["relations:" + ("" if schema.relations else " {}")]
    for relation in schema.relations:
        traits = schema.of(relation)
        lines.append(f"  {_flow(relation)}:" + ("" if traits else " {}"))
        lines += [f"    {trait.kind}: {_leaf(trait)}" for trait in traits if trait.kind not in SEVERAL]
        for kind in SEVERAL:
            items = [f"      - {_leaf(trait)}" for trait in traits if trait.kind == kind]
            lines += [f"    {kind}:", *items] if items else []
    return "\n".join(lines) + "\n"


def _leaf(trait: Trait) -> str:
    value = list(trait.value) if isinstance(trait.value, tuple) else trait.value
    value = str(value) if isinstance(value, Order | Least) else value
    if trait.source == "person":
        return _flow(value)
    if not trait.learned:
        return _flow({"is": value, "source": trait.source})
    seen = {"support": trait.support, "confidence": round(trait.confidence or 0.0, 4)}
    return _flow({"is": value, "source": trait.source} | seen)


def _flow(value: Any) -> str:
    dumped = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, sort_keys=False, width=2**30)
    return dumped.removesuffix("\n").removesuffix("\n...").rstrip("\n")


@dataclass(frozen=True)
class _Reader:
    path: Path

    def schema(self, text: str) -> Schema:
        try:
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            where = f", line {mark.line + 1}" if mark else ""
            what = getattr(error, "problem", None) or str(error)
            raise DataError(f"{self.path}{where} is not YAML: {what}", fix="correct that line") from error
        if root is None:
            return Schema()
        found: dict[str, yaml.Node] = {}
        for key, node in self._pairs(root, _TOP):
            found[key] = node
        relations = list(self._pairs(found["relations"])) if "relations" in found else []
        disjoint = [self._trait("", "disjoint", node) for node in self._items(found.get("disjoint"), nested=True)]
        return Schema(
            traits=(*(trait for name, node in relations for trait in self._traits(name, node)), *disjoint),
            common=tuple(self._scalar(node) for node in self._items(found.get("common"))),
            changed=tuple(self._scalar(node) for node in self._items(found.get("changed"))),
            relations=tuple(name for name, _ in relations),
        )

    def _traits(self, relation: str, node: yaml.Node) -> Iterator[Trait]:
        for kind, value in self._pairs(node, [kind for kind in KINDS if kind != "disjoint"]):
            several = kind in SEVERAL and isinstance(value, yaml.SequenceNode)
            for one in value.value if several else [value]:
                yield self._trait(relation, cast(Kind, kind), one)

    def _trait(self, relation: str, kind: Kind, node: yaml.Node) -> Trait:
        if not isinstance(node, yaml.MappingNode):
            return Trait(relation, kind, self._value(kind, node))
        parts = dict(self._pairs(node, ("is", "source", "support", "confidence")))
        if "is" not in parts:
            self._refuse(node, f"{kind} does not say what holds", "write `is:`, or the value alone")
        support = self._whole(parts["support"]) if "support" in parts else None
        confidence = self._share(parts["confidence"]) if "confidence" in parts else None
        value = self._value(kind, parts["is"])
        source = self._scalar(parts["source"]) if "source" in parts else "person" if support is None else "learned"
        if source == "learned":
            if support is None:
                self._refuse(node, f"{kind} is said to be learned, but not from how much", "write the value alone")
            return Trait(relation, kind, value, support, confidence)
        if source not in _SOURCES:
            self._refuse(parts["source"], f"the source {source!r} is unknown", f"it may be {', '.join(_SOURCES)}")
        return Trait(relation, kind, value, declared=source if source in DECLARED else None)

    def _value(self, kind: Kind, node: yaml.Node) -> Value:
        if kind in _LABELS:
            labels = tuple(self._scalar(item) for item in self._items(node))
            if len(labels) < (2 if kind == "disjoint" else 1):
                self._refuse(node, f"{kind} names too few labels", "write a list such as [City, Country]")
            return labels
        if kind in _NUMBERS:
            number = self._whole(node)
            if number < 1:
                self._refuse(node, f"{kind} is {number}", "make it 1 or more")
            return number
        word = self._scalar(node)
        if kind in _FLAGS:
            if word not in ("true", "false"):
                self._refuse(node, f"{kind} is {word!r}", "write true or false")
            return word == "true"
        if kind == "order":
            if not (match := _ORDER.fullmatch(word)):
                self._refuse(node, f"order is {word!r}", "write it as head.PROPERTY <= tail.PROPERTY (or >=)")
            return Order(match["head"], match["sign"] == "<=", match["tail"])
        if kind in _LEASTS:
            if not (match := _LEAST.fullmatch(word)):
                self._refuse(node, f"{kind} is {word!r}", "write it as LABEL >= NUMBER, such as Country >= 1")
            return Least(match["label"], int(match["number"]))
        return word

    def _pairs(self, node: yaml.Node, known: Sequence[str] = ()) -> Iterator[tuple[str, yaml.Node]]:
        """Yield key and value; a key twice, or one that is not `known`, is refused. Nothing stands for no pairs."""
        if isinstance(node, yaml.ScalarNode) and node.value in ("", "~", "null"):
            return
        if not isinstance(node, yaml.MappingNode):
            self._refuse(node, "there should be lines `name: value`", "correct it")
        seen: set[str] = set()
        for key, value in node.value:
            name = self._scalar(key)
            if known and name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                fix = f"did you mean {close[0]}?" if close else f"it may be {', '.join(known)}"
                self._refuse(key, f"{name!r} is unknown", fix)
            if name in seen:
                self._refuse(key, f"{name!r} is there twice", "keep one of them")
            seen.add(name)
            yield name, value

    def _items(self, node: yaml.Node | None, *, nested: bool = False) -> list[yaml.Node]:
        """Return the nodes of a list; one name alone, unless the items are `nested`, is a list of one."""
        if node is None or (isinstance(node, yaml.ScalarNode) and node.value in ("", "~", "null")):
            return []
        if isinstance(node, yaml.SequenceNode):
            items: list[yaml.Node] = node.value
            return items
        if nested or not isinstance(node, yaml.ScalarNode):
            self._refuse(node, "there should be a list", "write it in brackets, such as [City, Country]")
        return [node]

    def _scalar(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            self._refuse(node, "there should be a single value", "correct it")
        value: str = node.value
        return value

    def _whole(self, node: yaml.Node) -> int:
        word = self._scalar(node)
        if not word.isdecimal():
            self._refuse(node, f"{word!r} is no whole number", "correct it")
        return int(word)

    def _share(self, node: yaml.Node) -> float:
        word = self._scalar(node)
        try:
            return float(word)
        except ValueError:
            self._refuse(node, f"{word!r} is no number", "correct it")

    def _refuse(self, node: yaml.Node, what: str, fix: str) -> NoReturn:
        raise DataError(f"{self.path}, line {node.start_mark.line + 1}: {what}", fix=fix)
