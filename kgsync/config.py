"""`kgsync.toml`: what it may say, what it means, and what holds where it says nothing.

A frozen tree of dataclasses with a comment per field. Unknown keys are errors. The password is never
in it: see `kgsync.graph.connection` for where that comes from.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import tomllib
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from kgsync.errors import ConfigError
from kgsync.kge.config import TrainConfig
from kgsync.lm.access import EndpointConfig
from kgsync.lm.pretrain_config import PretrainConfig, VerbalizeConfig

FILE_NAME = "kgsync.toml"


@dataclass(frozen=True)
class ConnectionConfig:
    """Where the database is. Flags, environment variables and `.env` win over it."""

    uri: str = ""  # neo4j+s://…, neo4j://…, bolt://…; empty: the local server that kgsync manages
    username: str = ""  # empty: neo4j
    database: str = ""  # empty: the user's home database
    password_file: str = ""  # a file of mode 0600 that holds the password


@dataclass(frozen=True)
class LabelConfig:
    """How entities of one label are found and read."""

    key: str  # the property that identifies an entity, unique within the label
    name: str = ""  # the property that people read
    text: tuple[str, ...] = ()  # properties with text about the entity


@dataclass(frozen=True)
class GraphConfig:
    """Which part of the graph kgsync works on."""

    labels: Mapping[str, LabelConfig] = field(default_factory=dict)  # in order: the first that fits a node counts
    relations: tuple[str, ...] = ()  # relationship types; empty: all but PREDICTED


@dataclass(frozen=True)
class PullConfig:
    """How the subgraph is read."""

    chunk: int = 2_000  # heads per request
    text_limit: int = 2_000  # characters of text kept per entity


@dataclass(frozen=True)
class SplitConfig:
    """Which triples are hidden from training. Both directions of a pair are always hidden together."""

    valid: float = 0.1  # share for choosing the best epoch and for calibration
    test: float = 0.05  # share for the reported metrics, which nothing learns from
    seed: int = 0


@dataclass(frozen=True)
class VoicesConfig:
    """What speaks about the graph. All together rank better than each alone."""

    embeddings: bool = True  # what [train] describes
    rules: bool = True  # rules that the graph itself follows, with support and confidence
    text: bool = True  # names and descriptions, where the graph has them and kgsync[lm] is installed
    encoder: str = ""  # of texts: a folder (of `kgsync pretrain`, too) or a hub name; empty: the packaged one
    tune_encoder: bool = False  # of texts: it learns, too; slow, and best where texts define the relations
    rounds: int = 0  # of co-training, at most: voices learn again what the others believe; kept where it helps
    lessons: Literal["agree", "mean"] = "agree"  # what is taught: that all others agree on, or what they mean together
    budget: float = 0.0  # seconds for all of them together; 0: no limit


@dataclass(frozen=True)
class PredictConfig:
    """What goes into a plan."""

    top_k: int = 100  # proposals per relation
    min_score: float = 0.1  # proposals below this probability are left out
    per_entity: int = 10  # proposals that touch one entity, over all relations


@dataclass(frozen=True)
class WriteConfig:
    """How edges are written."""

    batch: int = 2_000  # edges per transaction
    lock_timeout: float = 60.0  # seconds without a heartbeat after which another may take over; more than a batch takes


@dataclass(frozen=True)
class ValidateConfig:
    """Which checks run after the ones that come with kgsync. Paths begin where the configuration is."""

    folder: str = ""  # a folder with your own .cypher checks
    schema: str = ""  # what relations mean (`kgsync schema save`); empty: the schema.yml of this folder, if it has one


@dataclass(frozen=True)
class Config:
    """The whole of `kgsync.toml`."""

    connection: ConnectionConfig = field(default_factory=ConnectionConfig)
    graph: GraphConfig = field(default_factory=GraphConfig)
    pull: PullConfig = field(default_factory=PullConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    voices: VoicesConfig = field(default_factory=VoicesConfig)
    verbalize: VerbalizeConfig = field(default_factory=VerbalizeConfig)
    pretrain: PretrainConfig = field(default_factory=PretrainConfig)
    endpoint: EndpointConfig = field(default_factory=EndpointConfig)
    predict: PredictConfig = field(default_factory=PredictConfig)
    write: WriteConfig = field(default_factory=WriteConfig)
    validate: ValidateConfig = field(default_factory=ValidateConfig)

    @classmethod
    def load(cls, path: Path | None = None) -> Config:
        """Return the configuration in `path`; without a path, the one in this folder, or the defaults.

        Raises:
            ConfigError: the file is missing (when named), is no TOML, or holds an unknown key or a wrong type.
        """
        if path is None:
            path = Path(FILE_NAME)
            if not path.exists():
                return cls()
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"cannot read {path}: {error.strerror}", fix="run `kgsync init` to make one") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} is not valid TOML: {error}", fix="correct that line") from error
        config: Config = _build(cls, table, str(path), "")
        config._check(str(path))
        return config

    def _check(self, source: str) -> None:
        rules = [
            ("pull.chunk", self.pull.chunk >= 1, "at least 1"),
            ("split.valid", 0 < self.split.valid < 0.5, "between 0 and 0.5"),
            ("split.test", 0 < self.split.test < 0.5, "between 0 and 0.5"),
            ("endpoint.timeout", self.endpoint.timeout > 0, "more than 0"),
            ("endpoint.attempts", self.endpoint.attempts >= 1, "at least 1"),
            ("voices.rounds", self.voices.rounds >= 0, "at least 0"),
            ("voices.budget", self.voices.budget >= 0, "seconds, or 0 for no limit"),
            ("predict.top_k", self.predict.top_k >= 1, "at least 1"),
            ("predict.min_score", 0 <= self.predict.min_score <= 1, "between 0 and 1"),
            ("predict.per_entity", self.predict.per_entity >= 1, "at least 1"),
            ("write.batch", 1 <= self.write.batch <= 50_000, "between 1 and 50,000"),
            ("write.lock_timeout", self.write.lock_timeout > 0, "more than 0"),
        ]
        for key, holds, expected in rules:
            if not holds:
                raise ConfigError(f"{key} in {source} is out of range", fix=f"make it {expected}")

    def resolved(self) -> dict[str, Any]:
        """Return every setting as plain values, as it is saved with a run."""
        return dataclasses.asdict(self)

    def hash(self) -> str:
        """Return 16 hexadecimal digits that change when any setting changes."""
        return hashlib.sha256(json.dumps(self.resolved(), sort_keys=True).encode()).hexdigest()[:16]


def _build(kind: Any, value: Any, source: str, where: str) -> Any:
    """Return `value` as an instance of `kind`: a dataclass, a mapping, a tuple or a plain type."""
    origin = typing.get_origin(kind)
    if dataclasses.is_dataclass(kind):
        _expect(isinstance(value, dict), source, where, "a table")
        hints = typing.get_type_hints(kind)
        for key in value:
            if key not in hints:
                close = difflib.get_close_matches(key, hints, n=1)
                fix = f"did you mean {close[0]}?" if close else f"known keys: {', '.join(hints)}"
                raise ConfigError(f"unknown key {_join(where, key)} in {source}", fix=fix)
        for name, definition in kind.__dataclass_fields__.items():
            required = definition.default is dataclasses.MISSING and definition.default_factory is dataclasses.MISSING
            if required and name not in value:
                raise ConfigError(f"{_join(where, name)} is missing in {source}", fix="add it")
        built = {key: _build(hints[key], entry, source, _join(where, key)) for key, entry in value.items()}
        return kind(**built)  # type: ignore[operator]
    if origin is typing.Literal:
        options = typing.get_args(kind)
        _expect(value in options, source, where, "one of " + ", ".join(map(str, options)))
        return value
    if origin is not None and issubclass(typing.cast(type, origin), Mapping):
        _expect(isinstance(value, dict), source, where, "a table")
        return {k: _build(typing.get_args(kind)[1], v, source, _join(where, k)) for k, v in value.items()}
    if origin is tuple:
        _expect(isinstance(value, list), source, where, "a list")
        return tuple(_build(typing.get_args(kind)[0], v, source, where) for v in value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    words = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
    _expect(isinstance(value, kind) and (kind is bool or not isinstance(value, bool)), source, where, words[kind])
    return value


def _expect(holds: bool, source: str, where: str, what: str) -> None:
    if not holds:
        raise ConfigError(f"{where} in {source} must be {what}", fix="correct it")


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key
