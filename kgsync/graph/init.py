"""Init: proposes a configuration for a graph that kgsync sees for the first time. Reads only, but for `add_key`.

The proposal names as few labels as reach every node that has a key, the key of each (checked on all of its
nodes), and which properties people read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kgsync.config import GraphConfig, LabelConfig
from kgsync.errors import NotFoundError
from kgsync.graph import inspect, keys, names, statements
from kgsync.graph.connection import Connection
from kgsync.graph.inspect import PropertyLook
from kgsync.graph.keys import KeyCheck

OWN_KEY = "kgsyncId"  # the property that `add_key` adds

_IDENTIFIERS = ("uuid", "guid", "key", "identifier", "curie", "iri", "uri", "code")
_NAMES = ("name", "title", "label", "displayname", "fullname", "preflabel", "preferredlabel", "caption", "headline")
_TEXTS = ("description", "definition", "summary", "abstract", "text", "comment", "biography", "plot", "content")
_NO_TEXTS = ("url", "uri", "iri", "link", "href", "path", "image", "photo", "hash", "embedding")
_MOST_CHECKS = 4  # candidates for a key that are counted on all nodes
_OTHER = 5  # rank of a property whose name says nothing
_LONG = 60  # mean characters of a property that is text, whatever its name


@dataclass(frozen=True)
class LabelProposal:
    """A label by which entities are found, and how."""

    label: str
    nodes: int
    key: KeyCheck
    config: LabelConfig
    covers: tuple[str, ...]  # labels all of whose nodes have a proposed label too, this one among them


@dataclass(frozen=True)
class KeylessLabel:
    """A label that would reach further nodes, if it had a key."""

    label: str
    nodes: int  # that no proposed label reaches
    why: str


@dataclass(frozen=True)
class Proposal:
    """What kgsync would work on, and what it cannot."""

    config: GraphConfig
    labels: tuple[LabelProposal, ...]
    keyless: tuple[KeylessLabel, ...]
    unlabelled: int  # nodes without any label; they cannot be found


def propose(connection: Connection) -> Proposal:
    """Return a proposal for the graph; empty where no node has a label with a key. Reads only."""
    sets = inspect.label_sets(connection)
    unlabelled = sets.pop(frozenset(), 0)
    constrained = keys.constrained(connection)
    found: dict[str, tuple[KeyCheck, LabelConfig]] = {}
    refused: dict[str, str] = {}
    left = dict(sets)
    while label := _furthest(left, constrained, skip=refused):
        seen = _examine(connection, label, constrained.get(label, []))
        if isinstance(seen, str):
            refused[label] = seen
        else:
            found[label] = seen
            left = {labels: nodes for labels, nodes in left.items() if label not in labels}
    counts = inspect.label_counts(sets)
    proposed = _needed(found, sets)
    return Proposal(
        config=GraphConfig(labels={label: found[label][1] for label in proposed}),
        labels=tuple(
            LabelProposal(label, counts[label], *found[label], _covered(label, proposed, sets)) for label in proposed
        ),
        keyless=_keyless(left, refused),
        unlabelled=unlabelled,
    )


def _furthest(sets: Mapping[frozenset[str], int], constrained: Iterable[str], skip: Iterable[str]) -> str | None:
    """Return the label that reaches the most nodes; among equals one with a constraint."""
    reach = inspect.label_counts(sets)
    labels = set(reach).difference(skip)
    backed = set(constrained)
    return min(
        labels, key=lambda label: (-reach[label], label not in backed, label.startswith("_"), label), default=None
    )


def _needed(found: Iterable[str], sets: Mapping[frozenset[str], int]) -> list[str]:
    """Return the labels without those all of whose nodes the others reach."""
    needed = list(found)
    for label in list(needed):
        others = set(needed) - {label}
        if all(labels & others for labels in sets if label in labels):
            needed.remove(label)
    return needed


def _covered(label: str, proposed: list[str], sets: Mapping[frozenset[str], int]) -> tuple[str, ...]:
    """Return the other labels that need no entry of their own because their nodes all have a proposed label."""
    beside = {other for labels in sets if label in labels for other in labels} - set(proposed)
    return tuple(sorted(o for o in beside if all(labels & set(proposed) for labels in sets if o in labels)))


def _keyless(left: Mapping[frozenset[str], int], refused: Mapping[str, str]) -> tuple[KeylessLabel, ...]:
    """Return the fewest labels that would reach the nodes that are left, each with the reason why it does not."""
    found = []
    while label := _furthest(left, (), skip=()):
        nodes = sum(count for labels, count in left.items() if label in labels)
        found.append(KeylessLabel(label, nodes, refused[label]))
        left = {labels: count for labels, count in left.items() if label not in labels}
    return tuple(found)


def _examine(connection: Connection, label: str, constrained: list[str]) -> tuple[KeyCheck, LabelConfig] | str:
    """Return the key of a label and how to read it, or why it has no key."""
    if why := names.refusal(label):
        return f"its name cannot be used in Cypher: {why}"
    looks = [look for look in inspect.properties(connection, label) if names.refusal(look.name) is None]
    problems = []
    for candidate in _candidates(label, looks, constrained)[:_MOST_CHECKS]:
        check = keys.check(connection, label, candidate, constrained=candidate in constrained)
        if check.problem is None:
            return check, LabelConfig(candidate, _name(looks), _texts(looks, candidate))
        problems.append(check.problem)
    return problems[0] if problems else "it has no property that is on every node and different on each"


def _candidates(label: str, looks: list[PropertyLook], constrained: list[str]) -> list[str]:
    """Return the properties that may be the key of a label, the likeliest first.

    Those that fail in the sample already come last: what is wrong with them is the reason to give.
    """
    order = {}
    for look in looks:
        rank, backed = _rank(label, look), look.name in constrained
        fits = look.present == look.sampled == look.strings + look.integers == look.distinct
        if backed or (rank is not None and (fits or rank < _OTHER)):
            order[look.name] = (not backed, not fits, rank or 0, look.name)
    return sorted(order, key=lambda name: order[name])


def _rank(label: str, look: PropertyLook) -> int | None:
    """Return how likely the name of a property makes it a key, 0 the most; None if it is unique by chance."""
    plain = _plain(look.name)
    if plain == "id":
        return 0
    if plain == _plain(label) + "id" or look.name == OWN_KEY:
        return 1
    if plain in _IDENTIFIERS:
        return 2
    if look.name.endswith(("Id", "ID", "_id")):
        return 3
    if look.integers or look.length > _LONG:  # years, populations, descriptions
        return None
    return 4 if plain in _NAMES else _OTHER


def _name(looks: list[PropertyLook]) -> str:
    """Return the property that people read: known names first, then any that ends in `name`."""
    often = [look.name for look in looks if look.strings * 2 >= look.sampled]
    known = sorted((n for n in often if _plain(n) in _NAMES), key=lambda n: _NAMES.index(_plain(n)))
    return (known + [name for name in often if _plain(name).endswith("name")] + [""])[0]


def _texts(looks: list[PropertyLook], key: str) -> tuple[str, ...]:
    """Return up to three properties with text, those with known names first, then the longest."""
    taken = {key, _name(looks)}
    texts = [
        look
        for look in looks
        if look.strings * 10 >= look.sampled
        and look.name not in taken
        and (_plain(look.name) in _TEXTS or (look.length >= _LONG and not _plain(look.name).endswith(_NO_TEXTS)))
    ]
    order = {name: position for position, name in enumerate(_TEXTS)}
    texts.sort(key=lambda look: (order.get(_plain(look.name), len(order)), -look.length))
    return tuple(look.name for look in texts[:3])


def _plain(name: str) -> str:
    return name.casefold().replace("_", "").replace(" ", "").replace("-", "")


def add_key(connection: Connection, label: str) -> int:
    """Give every node of a label a random `kgsyncId`, kept unique by a constraint; return how many got one.

    Nodes that have one keep it, so an interrupted call goes on when it is repeated.

    Raises:
        NotFoundError: no node has the label.
    """
    if not connection.read(statements.load("inspect/nodes").fill(label=label))[0]["count"]:
        raise NotFoundError(f"no node is labelled {label}", fix="check the label")
    keys.constrain(connection, label, OWN_KEY)
    rows = connection.write_in_transactions(statements.load("inspect/add_key").fill(label=label))
    added: int = rows[0]["added"]
    return added
