"""The `kgsync` command. Each section of its help is a module that is imported when one of its commands runs."""

from __future__ import annotations

import importlib
import os
import sys
import time

import click

from kgsync import __version__
from kgsync.errors import KgsyncError

# section -> command -> (module, one line of help); the help stands here so that `--help` imports nothing
SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "Start here": {
        "demo": ("demo", "Show the whole thing on a sample graph in a local Neo4j."),
        "up": ("server", "Start a local Neo4j that kgsync manages."),
        "down": ("server", "Stop the local Neo4j."),
        "status": ("server", "Show the local Neo4j servers."),
        "logs": ("server", "Show the log of the local Neo4j."),
    },
    "Connect": {
        "doctor": ("connect", "Check the connection and the graph, with a fix for each finding."),
        "init": ("connect", "Look at the graph and propose kgsync.toml."),
        "load": ("connect", "Load triples from files into the graph."),
        "plugin": ("plugin", "Put kgsync's procedures into a Neo4j server."),
    },
    "Sync": {
        "sync": ("sync", "Pull, train, predict, write and validate in one go."),
        "pull": ("sync", "Copy the subgraph into a snapshot."),
        "train": ("sync", "Train a model on a snapshot."),
        "predict": ("sync", "Predict missing edges, into a plan."),
        "complete": ("complete", "Show what each voice answers to one question, side by side."),
        "write": ("write", "Write a plan into the graph (dry run without --yes)."),
        "rollback": ("write", "Undo what a run wrote."),
        "runs": ("write", "List the runs that the graph knows."),
        "embed": ("embed", "Put a model's vectors into the graph, for predictions in Cypher alone."),
        "uninstall": ("write", "Take every trace of kgsync out of the graph (dry run without --yes)."),
    },
    "Learn": {
        "benchmark": ("learn", "Train and test on a benchmark folder, without a database."),
        "models": ("lm", "Show the language models at hand, or fetch the decoder."),
        "verbalize": ("verbalize", "Tell the graph in sentences, and let a language model propose their words."),
        "pretrain": ("lm", "Let a language model read the graph."),
        "export": ("export", "Write a trained model for other tools."),
        "tune": ("learn", "Search for the training settings that suit the graph."),
    },
    "Judge": {
        "schema": ("schema", "Show what the relations of the graph mean, and keep it in a file of your own."),
        "validate": ("validate", "Check the predicted edges with Cypher."),
        "explain": ("explain", "Say why an edge is predicted."),
        "review": ("review", "Review predicted edges: one by one, on a page, or by list."),
        "report": ("report", "Write the report of a run: one HTML file, to be read anywhere."),
        "view": ("view", "Draw what is around an entity, known and predicted."),
        "browser": ("browser", "Serve the guide, favourites and style for Neo4j Browser."),
    },
}
SPEAKING_TIME = 3.0  # seconds
_COMMANDS = {name: entry for section in SECTIONS.values() for name, entry in section.items()}


class _Sections(click.Group):
    """A group whose commands live in modules that are imported on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"kgsync.cli.{_COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for section, commands in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl([(name, text) for name, (_, text) in commands.items()])


@click.group(cls=_Sections, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "--version", prog_name="kgsync")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def group(debug: bool) -> None:
    """Keep a Neo4j graph and its models in step: find the relationships that are missing.

    Start with `kgsync demo`, or with `kgsync init` on your own graph.
    """
    if debug:
        os.environ["KGSYNC_DEBUG"] = "1"


def main(arguments: list[str] | None = None) -> None:
    """Run the command; every error is one line on standard error and a documented exit code."""
    if not is_first():
        sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (until the process ends)
    try:
        code = group.main(arguments, prog_name="kgsync", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted; nothing is half-written. Run the same command to go on.", err=True)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        if os.environ.get("KGSYNC_DEBUG"):
            raise
        if not is_first():
            time.sleep(SPEAKING_TIME)  # torchrun ends all when one ends: the first needs time to say why
        click.echo(f"Error: {one_line(error)}", err=True)
        sys.exit(error.exit_code if isinstance(error, KgsyncError) else KgsyncError.exit_code)


def is_first() -> bool:
    """Return whether this process speaks for all that `torchrun` started."""
    return os.environ.get("RANK", "0") == "0"


def one_line(error: Exception) -> str:
    """Return what an error says, in one line that is safe to print."""
    text = str(error) if isinstance(error, KgsyncError) else _internal(error)
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _internal(error: Exception) -> str:
    what = " ".join(str(error).split())[:300]
    return f"internal error, {type(error).__name__}: {what}; please report it with the output of `kgsync --debug …`"
