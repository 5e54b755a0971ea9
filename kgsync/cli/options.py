"""What commands share: options, the connection, tables, progress on a terminal."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
import time
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from kgsync.config import FILE_NAME, Config
from kgsync.progress import Progress

if TYPE_CHECKING:
    from kgsync.graph.connection import Connection

F = TypeVar("F", bound=Callable[..., Any])

_CONFIG_PATH = "kgsync.config_path"  # in the context of a command


def connection_options(command: F) -> F:
    """Add the options that say which database is meant; the command receives them as keyword arguments.

    Pass them on to `open_connection`.
    """
    for option in (
        click.option("--prompt", is_flag=True, help="Ask for the password."),
        click.option("--password-file", type=click.Path(path_type=Path), help="File of mode 0600 with the password."),
        click.option("--database", metavar="NAME", help="Database [NEO4J_DATABASE]."),
        click.option("--username", metavar="NAME", help="User [NEO4J_USERNAME]."),
        click.option("--uri", metavar="URI", help="Address of the Neo4j server [NEO4J_URI]."),
    ):
        command = option(command)
    return command


def config_option(command: F) -> F:
    """Add `--config`; the command receives a loaded `Config` as `config`."""

    def load(context: click.Context, _: click.Parameter, path: Path | None) -> Config:
        context.meta[_CONFIG_PATH] = path or Path(FILE_NAME)
        return Config.load(path)

    return click.option(
        "--config",
        type=click.Path(path_type=Path),
        callback=load,
        metavar="FILE",
        help="Configuration file [default: kgsync.toml, if there is one].",
    )(command)


def config_path() -> Path:
    """Return the file that `--config` means, also if it is not there yet."""
    path: Path = click.get_current_context().meta[_CONFIG_PATH]
    return path


def workspace_option(command: F) -> F:
    """Add `--workspace`, the folder of snapshots, models and runs."""
    return click.option(
        "--workspace",
        type=click.Path(path_type=Path),
        default=Path(".kgsync"),
        show_default=True,
        help="Folder of snapshots, models and runs.",
    )(command)


def json_option(command: F) -> F:
    """Add `--json` as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")(command)


def yes_option(command: F) -> F:
    """Add `--yes`."""
    return click.option("--yes", is_flag=True, help="Do it; without this nothing is changed.")(command)


def open_connection(config: Config, **options: Any) -> Connection:
    """Return the connection that the options of `connection_options` mean."""
    from kgsync.graph.connection import Connection, resolve

    return Connection.open(resolve(config=config.connection, **options))


def print_json(value: Any) -> None:
    """Print a value (dataclasses too) as JSON, in which a number that is not finite is null."""
    click.echo(json.dumps(_plain(value), indent=2, ensure_ascii=False, default=str, allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def safe(text: str, width: int = 0) -> str:
    """Return text from the graph without characters that could steer a terminal, cut to `width` columns."""
    clean = "".join(
        c if unicodedata.category(c) not in ("Cc", "Cf", "Cs") else "\N{REPLACEMENT CHARACTER}" for c in text
    )
    if width and _columns(clean) > width:
        while _columns(clean) > width - 1:
            clean = clean[:-1]
        clean += "…"
    return clean


def table(header: Sequence[str], rows: Sequence[Sequence[object]], *, widest: int = 44) -> str:
    """Return rows as aligned columns; numbers to the right."""
    cells = [[safe(_format(value), widest) for value in row] for row in rows]
    widths = [max(_columns(line[i]) for line in [list(header), *cells]) for i in range(len(header))]
    right = [all(isinstance(row[i], int | float) for row in rows) and bool(rows) for i in range(len(header))]

    def line(values: Sequence[str]) -> str:
        padded = [
            " " * (w - _columns(v)) + v if r else v + " " * (w - _columns(v))
            for v, w, r in zip(values, widths, right, strict=True)
        ]
        return "  ".join(padded).rstrip()

    return "\n".join([click.style(line(list(header)), bold=True), *(line(row) for row in cells)])


def _format(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _columns(text: str) -> int:
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) != 0 for c in text)


def terminal_progress() -> Progress:
    """Return a progress that redraws one line on a terminal, and is silent elsewhere."""
    from kgsync.progress import silent

    if not sys.stderr.isatty():
        return silent
    last_time, last_step = 0.0, ""

    def show(step: str, done: int, total: int | None) -> None:
        nonlocal last_time, last_step
        now = time.monotonic()
        finished = total is not None and done >= total
        if now - last_time < 0.1 and not finished and step == last_step:
            return
        last_time, last_step = now, step
        amount = f"{done:,} of {total:,}" if total else f"{done:,}"
        click.echo(f"\r\x1b[K{step}: {amount}" + ("\r\x1b[K" if finished else ""), nl=False, err=True)

    return show


_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds_of(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
    """Return the seconds that a number with s, m or h means."""
    if value is None:
        return None
    number = value.rstrip("smh")
    try:
        seconds = float(number) * _UNITS[value[len(number) :]]
    except (KeyError, ValueError):
        seconds = 0.0
    if not 0 < seconds < 1e9:
        raise click.BadParameter(f"{value!r} is no time: write 90s, 20m or 1h")
    return seconds


def share_of(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
    """Return the share that a number between 0 and 1, or of percent, means."""
    if value is None:
        return None
    try:
        share = float(value.removesuffix("%")) / (100 if value.endswith("%") else 1)
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise click.BadParameter(f"{value!r} is no share: write 10% or 0.1")
    return share


def promise_options(command: F) -> F:
    """Add --max-false and --each-relation."""
    each = click.option("--each-relation", is_flag=True, help="Keep that promise in every relation by itself.")
    share = click.option(
        "--max-false",
        callback=share_of,
        metavar="SHARE",
        help="Only edges of which at most this share is false, say 10%.",
    )
    return share(each(command))


def check_promise(max_false: float | None, each_relation: bool) -> None:
    """Refuse --each-relation where nothing is promised."""
    if each_relation and max_false is None:
        raise click.UsageError("--each-relation is about the promise of --max-false: give both.")


def save_settings(path: Path, section: Sequence[str], values: Mapping[str, str | float]) -> None:
    """Set `values` in a table of a TOML file, such as ("verbalize", "templates"); leave all else in it as it stands.

    Raises:
        ConfigError: the file is not TOML.
    """
    import tomlkit

    from kgsync import files
    from kgsync.errors import ConfigError

    try:
        document = tomlkit.parse(path.read_text(encoding="utf-8")) if path.is_file() else tomlkit.document()
    except tomlkit.exceptions.TOMLKitError as error:
        raise ConfigError(f"{path}: {error}", fix="correct the file") from error
    table: Any = document
    for depth, name in enumerate(section, 1):
        table = table.setdefault(name, tomlkit.table(is_super_table=depth < len(section)))
    for name, value in values.items():
        table[name] = value
    files.write_bytes(path, tomlkit.dumps(document).encode("utf-8"))
