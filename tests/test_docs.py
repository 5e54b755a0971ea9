"""The documentation is true: every command and option is in it, and the README's session runs as it is shown."""

from __future__ import annotations

import difflib
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from kgsync.cli import SECTIONS, group
from kgsync.graph import server as local

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
COMMANDS: dict[str, Any] = runpy.run_path(str(ROOT / "docs" / "commands.py"))


def every_command() -> Iterator[tuple[click.Command, click.Context]]:
    commands: Iterator[tuple[click.Command, click.Context]] = COMMANDS["walk"](group, None, "kgsync")
    return commands


def test_the_page_of_commands_says_what_the_commands_say_of_themselves() -> None:
    assert (ROOT / "docs" / "commands.md").read_text(encoding="utf-8") == COMMANDS["page"](), "run `make docs`"


def test_every_command_and_option_explains_itself_and_is_documented() -> None:
    page = COMMANDS["page"]()
    for command, context in every_command():
        path = context.command_path
        assert command.help, f"{path} has no help"
        assert path == "kgsync" or f"### {path}\n" in page
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{path} {parameter.name} has no help"
                assert path == "kgsync" or f"`{parameter.opts[0]}" in page or f"`{parameter.opts[-1]}" in page


def test_the_list_of_commands_begins_as_each_command_does() -> None:
    listed = {name: text for names in SECTIONS.values() for name, (_, text) in names.items()}
    for command, context in every_command():
        if context.parent and context.parent.command is group:
            assert (command.help or "").split()[:3] == listed[command.name or ""].split()[:3], context.command_path


def test_the_readme_has_the_two_commands() -> None:
    text = README.read_text(encoding="utf-8")
    assert "make demo" in text
    assert "make test" in text


def test_every_file_that_the_documentation_links_to_exists() -> None:
    for page in [README, *(ROOT / "docs").glob("*.md"), ROOT / "CONTRIBUTING.md", ROOT / "docker" / "README.md"]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


# --- the README's session ---------------------------------------------------------------------------------
#
# Blocks marked ```console are one session: each `$ …` line runs in bash, in one folder, with no server before.
# What follows it must come in its output, in that order; numbers and ids may differ, and a line `…` skips.


def session(text: str) -> list[tuple[str, list[str]]]:
    """Return the commands of a page's session, each with the lines that it should print."""
    steps: list[tuple[str, list[str]]] = []
    for block in re.findall(r"^```console\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                steps.append((line.removeprefix("$ "), []))
            elif line.strip() not in ("", "…", "..."):
                steps[-1][1].append(line)
    return steps


def first_difference(shown: list[str], printed: list[str]) -> str | None:
    """Return the first line that should have come and did not."""
    remaining = iter(printed)
    for line in shown:
        if not any(_alike(line, other) for other in remaining):
            return line
    return None


def _alike(shown: str, printed: str) -> bool:
    def shape(line: str) -> str:
        line = re.sub(r"\b(?=[0-9a-f]*[0-9])[0-9a-f]{4,}\b", "#", line)  # ids
        return re.sub(r"\s+", " ", re.sub(r"[0-9][0-9.,:%-]*", "#", line)).strip()

    return difflib.SequenceMatcher(None, shape(shown), shape(printed), autojunk=False).ratio() >= 0.7


def test_a_session_is_compared_by_its_words_and_not_by_its_numbers() -> None:
    text = "```console\n$ kgsync x\nRun 20260101-1234-ab12: 17 edges\n…\nscore  from\n$ kgsync y\n```\n"
    assert session(text) == [("kgsync x", ["Run 20260101-1234-ab12: 17 edges", "score  from"]), ("kgsync y", [])]
    shown = session(text)[0][1]
    assert first_difference(shown, ["hello", "Run 20270303-9999-cd34: 1,234 edges", "", "score from"]) is None
    assert first_difference(shown, ["Run 20270303-9999-cd34: 1,234 edges"]) == "score  from"
    assert first_difference(shown, ["score  from", "Run 1: 2 edges"]) == "score  from"


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_session_in_the_readme_runs_and_prints_what_is_shown(tmp_path: Path) -> None:
    steps = session(README.read_text(encoding="utf-8"))
    assert any(command.startswith("kgsync ") for command, _ in steps)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    try:
        for command, shown in steps:
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", command],
                env=os.environ | {"PATH": path, "COLUMNS": "120"},
                cwd=tmp_path / "cwd",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            assert done.returncode == 0, f"$ {command}\n{done.stdout}"
            missing = first_difference(shown, done.stdout.splitlines())
            assert missing is None, f"$ {command}\ndid not print: {missing}\n{done.stdout}"
    finally:
        for instance in local.status():
            local.down(instance.name)
