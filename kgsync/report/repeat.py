"""How to make a run again: the commands, the settings, and the hashes that show whether it is the same. No secrets."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import tomlkit

from kgsync.report.dossier import Dossier

_LOGIN = re.compile(r"//[^/\s]*@")
_FLAGS = {"relations": "--relation", "labels": "--label", "seeds": "--seed", "heads": "--from", "tails": "--to"}


@dataclass(frozen=True)
class Hashed:
    """A file that the run used or made."""

    kind: str  # snapshot, model or plan
    name: str
    size: int  # bytes
    sha256: str


def commands(dossier: Dossier) -> list[str]:
    """Return the commands that do it again, with the settings in `kgsync.toml`."""
    steps, run_id = dossier.state["steps"], dossier.run.id
    if "pull" in steps:
        selection = dossier.state.get("selection")
        chosen = _flags(selection) if isinstance(selection, dict) else []
        if isinstance(selection, dict) and selection.get("cypher"):
            chosen += ["--cypher", selection["cypher"]]
        if isinstance(selection, dict) and selection.get("seeds"):
            chosen += ["--hops", str(selection["hops"])]
        return [shlex.join(["kgsync", "sync", "--fresh", *chosen, *(["--yes"] if "write" in steps else [])])]
    if dossier.plan is None:
        return []
    scope = dossier.plan.scope
    asked = _flags({"heads": [str(e) for e in scope.heads], "tails": [str(e) for e in scope.tails]})
    named = dossier.snapshot.relations if dossier.snapshot else ()
    relations = [] if set(scope.relations) == set(named) else _flags({"relations": scope.relations})
    predict = shlex.join(["kgsync", "predict", "--model", str(dossier.plan.model["id"]), *relations, *asked])
    return [predict, *([f"kgsync write {run_id} --yes"] if "write" in steps else [])]


def _flags(chosen: Mapping[str, Any]) -> list[str]:
    return [part for name, flag in _FLAGS.items() for value in chosen.get(name, ()) for part in (flag, str(value))]


def settings(dossier: Dossier) -> str:
    """Return the whole configuration as TOML, but for where the database is: that may hold a password."""
    resolved = {name: value for name, value in dossier.state["config"].items() if name != "connection"}
    return tomlkit.dumps(_open(resolved))


def _open(value: Any) -> Any:
    """Return a setting without the user and password in an address, and without None, which TOML does not have."""
    if isinstance(value, dict):
        return {key: _open(entry) for key, entry in value.items() if entry is not None}
    return _LOGIN.sub("//", value) if isinstance(value, str) else value


def seeds(dossier: Dossier) -> dict[str, int]:
    """Return what chance depended on."""
    content = dossier.learned.content if dossier.learned else dossier.state["config"]
    training = content["config"] if dossier.learned else content["train"]
    return {"split.seed": content["split"]["seed"], "train.seed": training["seed"]}


def versions(dossier: Dossier) -> dict[str, str]:
    """Return what it ran on."""
    environment, server = dossier.state.get("environment", {}), dossier.state.get("server", {})
    found = {"kgsync": dossier.state["kgsyncVersion"], "Python": environment.get("python", "")}
    libraries = environment.get("libraries", {})
    found |= {"Neo4j driver" if name == "neo4j" else name: version for name, version in libraries.items()}
    found["Neo4j"] = " ".join(filter(None, (server.get("version"), server.get("edition"))))
    found["platform"] = environment.get("platform", "")
    return {name: version for name, version in found.items() if version}


def ids(dossier: Dossier) -> dict[str, str]:
    """Return the ids, which are hashes of what they name."""
    found = {kind: manifest["id"] for kind, manifest in dossier.manifests.items()}
    return {**found, "configuration": dossier.state["configHash"]}


def hashes(dossier: Dossier) -> list[Hashed]:
    """Return every file with its SHA-256."""
    return [
        Hashed(kind, name, file["bytes"], file["sha256"])
        for kind, manifest in dossier.manifests.items()
        for name, file in manifest["files"].items()
    ]
