"""Writes `docs/commands.md` from what the commands say about themselves: `make docs`."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import click

from kgsync import errors
from kgsync.cli import SECTIONS, group
from kgsync.cli.options import connection_options

PAGE = Path(__file__).with_suffix(".md")
_CONNECTION = [p for p in click.command()(connection_options(lambda: None)).params if isinstance(p, click.Option)]

_TOP = """# The commands

Written by `make docs`; do not edit. Every command has `-h` and `--help`, and `kgsync --debug COMMAND` shows the
traceback of an error.

Commands that need a database have the *connection options*. Where one is not given, the environment counts, then
`.env`, then `kgsync.toml`, then the local server of `kgsync up`:

"""

_CODES = """## Exit codes

| code | name | when |
| ---: | --- | --- |
| 0 | | Done. |
| 2 | UsageError | The command line itself is wrong. |
"""


def page() -> str:
    """Return the whole page."""
    root = click.Context(group, info_name="kgsync")
    parts = [_TOP + _table(_CONNECTION, root)]
    for section, names in SECTIONS.items():
        parts.append(f"## {section}\n")
        for name in names:
            command = cast(click.Command, group.get_command(root, name))
            parts += [_describe(each, context) for each, context in walk(command, root, name)]
    return "\n".join([*parts, _CODES + "\n".join(_exit_codes()) + "\n"])


def walk(command: click.Command, parent: click.Context, name: str) -> Iterator[tuple[click.Command, click.Context]]:
    """Yield a command and, of a group, every command in it, each with its context."""
    context = click.Context(command, info_name=name, parent=parent)
    yield command, context
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            found = command.get_command(context, inner)
            if found is not None:
                yield from walk(found, context, inner)


def _describe(command: click.Command, context: click.Context) -> str:
    usage = " ".join(command.collect_usage_pieces(context))
    text = inspect.cleandoc((command.help or "").replace("\b", ""))
    lines = [f"### {context.command_path}\n", f"    {context.command_path} {usage}\n", text, ""]
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    own = [option for option in options if option.name not in {c.name for c in _CONNECTION}]
    if own:
        lines.append(_table(own, context))
    if len(own) < len(options):
        lines.append("And the connection options.\n")
    return "\n".join(lines)


def _table(options: list[click.Option], context: click.Context) -> str:
    records = [record for option in options if (record := option.get_help_record(context))]
    rows = [f"| `{_cell(option)}` | {_cell(meaning)} |\n" for option, meaning in records]
    return "".join(["| option | meaning |\n| --- | --- |\n", *rows])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _exit_codes() -> list[str]:
    rows = [(kind.exit_code, kind.__name__, inspect.getdoc(kind) or "") for kind in errors.KgsyncError.__subclasses__()]
    rows.append((errors.KgsyncError.exit_code, "", "A mistake in kgsync itself; please report it."))
    rows.append((130, "", "Interrupted. Nothing is half-written; the same command goes on."))
    return [f"| {code} | {name} | {_cell(text)} |" for code, name, text in sorted(rows)]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
