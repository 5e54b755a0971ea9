"""The review on a terminal, one edge after the other, as `git add -p` asks about changes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from kgsync.cli.options import safe

if TYPE_CHECKING:
    from kgsync.graph.review import Filter
    from kgsync.review.asked import Asked
    from kgsync.review.desk import Desk, Said
    from kgsync.review.look import Fact, Look

_KEYS = "y,n,s,u,e,q,?"
_HELP = """y - accept: it becomes a relationship of its own type
n - reject: it is never proposed again
Y, N - the same, and say why
s - skip: leave it for later or for somebody else
u - take back what you decided last
e - explain why it is predicted
q - quit
? - this help"""
_ACTIONS = {"y": "accept", "n": "reject"}


def one_by_one(desk: Desk, which: Filter) -> None:
    """Ask about each edge that fits until none is left or the reviewer quits."""
    from kgsync.review.asked import Asked

    asked = Asked(which, "worth", {})
    shown: str | None = None  # an edge to show again, such as one that was taken back
    while (id_ := shown or desk.first(asked)) is not None:
        click.echo("\n" + _describe(desk, asked, id_, desk.look(id_)))
        while True:
            key = _key()
            said = _step(desk, asked, id_, key)
            if said is not None or key == "q":
                break
            click.echo(_explanation(desk, id_) if key == "e" else click.style(_HELP, fg="red"))
        if said is None:
            break
        click.echo(click.style(safe(said.text), fg="green" if said.good else "yellow"))
        shown = said.next if key == "u" else None
    _summary(desk, nothing_left=id_ is None)


def _step(desk: Desk, asked: Asked, id_: str, key: str) -> Said | None:
    """Do what a key means; None if it means nothing here."""
    if key == "u":
        return desk.undo()
    if key == "s":
        return desk.skip(id_, None, asked)
    if key == "y" or key == "Y":
        return desk.decide("accept", id_, _why(key), asked)
    if key == "n" or key == "N":
        return desk.decide("reject", id_, _why(key), asked)
    return None


def _explanation(desk: Desk, id_: str) -> str:
    explanation = desk.why(id_)
    return "\n".join(f"  {safe(sentence.text)}" for sentence in explanation.summary) if explanation else ""


def _why(key: str) -> str | None:
    if key.islower():
        return None
    text: str = click.prompt("Why", default="", show_default=False)
    return text.strip() or None


def _key() -> str:
    """Return the key that was pressed; where nobody sits at a terminal, the first of the next line, `q` at the end."""
    prompt = click.style(f"Accept this edge [{_KEYS}]? ", bold=True)
    click.echo(prompt, nl=False)
    if not sys.stdin.isatty():
        line = sys.stdin.readline()
        click.echo(line.strip())
        return line.strip()[:1] if line else "q"
    key = "\n"
    while key in "\r\n":  # some press Enter after a key, as `git add -p` wants it
        try:
            key = click.getchar()[:1] or "q"  # what is pasted decides no edges that nobody has seen
        except EOFError:  # Ctrl-D
            key = "q"
    click.echo(safe(key) if key.isprintable() else "")
    return key


def _describe(desk: Desk, asked: Asked, id_: str, look: Look) -> str:
    audit = desk.with_queue(asked, lambda queue: queue.is_audit(id_))
    bold = click.style(f"{safe(str(look.head), 60)}  {safe(look.relation, 60)}  {safe(str(look.tail), 60)}", bold=True)
    return "\n".join(line for line in (bold, _scores(look, audit), *_around(look)) if line)


def _scores(look: Look, audit: bool) -> str:
    parts = [f"score {look.score:.3f}, at least {look.score_low:.3f}"]
    if "baseRate" in look.model:
        parts.append(f"{look.model.get('baseRateBasis', 'assumed')} base rate {look.model['baseRate']:.3f}")
    parts += [f"{name} {value:.2f}" for name, value in look.voices.items()]
    parts += ["audit: came up by chance"] if audit else []
    parts += [look.status] if look.status != "proposed" else []
    return click.style("  " + safe(" · ".join(parts)), fg="cyan")


def _around(look: Look) -> Sequence[str]:
    """Return what is known around the edge, in two lines: what connects the ends first."""
    if look.links:
        link = look.links[0]
        return (
            f"  {safe(_fact(str(look.head), link.of_head), 100)}",
            f"  {safe(_fact(str(look.tail), link.of_tail), 100)}",
        )
    return _of(look.head, look.head_facts, look.heads), _of(look.tail, look.tail_facts, look.tails)


def _of(end: object, count: int, facts: Sequence[Fact]) -> str:
    if not facts:
        return f"  nothing else is known of {safe(str(end), 60)}"
    few = "; ".join(_fact("…", fact) for fact in facts[:3])
    return f"  {safe(f'{end} ({count:,} facts): {few}', 110)}"


def _fact(end: str, fact: Fact) -> str:
    return f"{end} {fact.relation} {fact.other}" if fact.out else f"{fact.other} {fact.relation} {end}"


def _summary(desk: Desk, *, nothing_left: bool) -> None:
    counts = ", ".join(f"{desk.counts[action]:,} {done}" for action, done in
                       (("accept", "accepted"), ("reject", "rejected"), ("skip", "skipped")))  # fmt: skip
    click.echo(f"\n{'Nothing else waits. ' if nothing_left else ''}{counts}.")
