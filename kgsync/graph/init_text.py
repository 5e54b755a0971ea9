"""Writes a proposal down as `kgsync.toml`, with a comment for every line."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from kgsync.config import ConnectionConfig, PredictConfig, SplitConfig
from kgsync.graph.init import LabelProposal, Proposal

_LISTED = 12  # labels or types that a comment lists


def toml(proposal: Proposal, relations: Mapping[str, int], address: ConnectionConfig | None) -> str:
    """Return the text of a configuration file; `relations` are the types of the graph with their counts.

    Without an address, the file means the managed local server.
    """
    predict, split = PredictConfig(), SplitConfig()
    connection = ["# Without a uri the local server of `kgsync up` is meant.", '# uri = "neo4j://host:7687"']
    if address:
        connection = [f"{name} = {_text(getattr(address, name))}" for name in ("uri", "username", "database")]
    lines = [
        "# kgsync.toml: what kgsync works on in this graph. Written by `kgsync init`; edit it as you like.",
        "",
        "[connection]",
        "# Flags and the variables NEO4J_URI, NEO4J_USERNAME, NEO4J_PASSWORD and NEO4J_DATABASE win over this.",
        "# The password never stands here: use NEO4J_PASSWORD, or password_file with a file of mode 0600.",
        *connection,
        "",
        "[graph]",
        "# Relationship types to learn and predict; empty: all but PREDICTED. This graph has",
        *_listed([f"{name} ({count:,})" for name, count in relations.items()]),
        "relations = []",
        "",
        "# How entities are found. Where a node has several of these labels, the first one counts.",
    ]
    for label in proposal.labels:
        lines += ["", *_label(label)]
    for keyless in proposal.keyless:
        lines += [
            "",
            f"# Left out: {_one_line(keyless.label)} (nodes: {keyless.nodes:,}): {_one_line(keyless.why)}.",
        ]
    if proposal.unlabelled:
        lines += ["", f"# Left out, as they have no label at all: {proposal.unlabelled:,} nodes."]
    lines += [
        "",
        "# Everything below is what holds anyway; take the # away to change it.",
        "# [split]",
        f"# valid = {split.valid}  # share of edges hidden from training: for the best epoch and for calibration",
        f"# test = {split.test}  # share of edges hidden from training: for the reported metrics",
        "# [predict]",
        f"# top_k = {predict.top_k}  # proposals per relation",
        f"# min_score = {predict.min_score}  # proposals below this probability are left out",
        f"# per_entity = {predict.per_entity}  # proposals that touch one entity, over all relations",
    ]
    return "\n".join(lines) + "\n"


def _label(label: LabelProposal) -> list[str]:
    names = {"name": "what people read", "text": "text about the entity, for the language model"}
    backed = "a constraint keeps it unique" if label.key.constrained else "unique today, but no constraint keeps it so"
    lines = [f"[graph.labels.{_text(label.label)}]  # nodes: {label.nodes:,}"]
    if label.covers:
        lines += [
            "# Needs no entry of its own, because every such node has a label that has one:",
            *_listed(label.covers),
        ]
    lines.append(f"key = {_text(label.config.key)}  # identifies an entity; {backed}")
    lines.append(
        f"name = {_text(label.config.name)}  # {names['name'] if label.config.name else 'none found: the key'}"
    )
    texts = ", ".join(_text(text) for text in label.config.text)
    lines.append(f"text = [{texts}]  # {names['text'] if texts else 'properties with text about it: none found'}")
    return lines


def _listed(words: Sequence[str]) -> list[str]:
    """Return comment lines with the first of the words."""
    more = f" and {len(words) - _LISTED:,} more" if len(words) > _LISTED else ""
    return ["#   " + _one_line(", ".join(words[:_LISTED]) + more if words else "none yet")]


def _text(value: str) -> str:
    """Return a TOML string. JSON's escapes are TOML's, but for DEL, which TOML wants escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _one_line(text: str) -> str:
    """Return text that can stand in a comment, where TOML allows no control characters."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
