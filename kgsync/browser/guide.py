"""The guide: the story as HTML, for the Browser that ships with Neo4j 5, and as AsciiDoc, for the one since.

Both show the statements as they stand in `cypher/`. The older Browser runs its own commands from a link, so there a
click switches the style on; the newer one has no such command, and is told so in words.
"""

from __future__ import annotations

import re
from html import escape

from kgsync.browser.parameters import Parameters
from kgsync.browser.story import SLIDES, TITLE, Query, Shell, Slide, Step, Style
from kgsync.graph import statements

_CODE = re.compile(r"`([^`]+)`")


def html(style: str) -> str:
    """Return the guide for `:play` and `:guide` of the older Browser; `style` is the GraSS that its link puts on."""
    slides = "\n".join(_html_slide(slide, style) for slide in SLIDES)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n'
        f'<head><meta charset="utf-8"><title>{escape(TITLE)}</title></head>\n<body>\n'
        f'<article class="guide">\n<carousel class="deck container-fluid">\n{slides}\n</carousel>\n</article>\n'
        "</body>\n</html>\n"
    )


def _html_slide(slide: Slide, style: str) -> str:
    steps = "\n".join(_html_step(step, style) for step in slide.steps)
    return (
        f'<slide class="row-fluid">\n<div class="col-sm-12">\n<h3>{escape(slide.title)}</h3>\n{steps}\n</div>\n</slide>'
    )


def _html_step(step: Step, style: str) -> str:
    match step:
        case Query():
            query = escape(statements.load(step.name).text, quote=False)
            figure = f'<figure>\n<pre class="pre-scrollable code runnable">{query}</pre>\n'
            return figure + (f"<figcaption>{_html_text(step.after)}</figcaption>\n" if step.after else "") + "</figure>"
        case Parameters():
            return f'<pre class="code runnable">{escape(step.text, quote=False)}</pre>'
        case Style():
            command = "style " + (" ".join(style.split()) if step.on else "reset")
            what = "Switch kgsync's style on" if step.on else "Give Browser its own style back"
            return f'<p><a data-exec="{escape(command)}">{what}</a></p>'
        case Shell():
            return f"<pre>{escape(step.text, quote=False)}</pre>"
        case str():
            return f"<p>{_html_text(step)}</p>"


def _html_text(text: str) -> str:
    return _CODE.sub(r"<code>\1</code>", escape(text, quote=False))


def asciidoc() -> str:
    """Return the guide for the newer Browser."""
    slides = "\n".join(f"== {slide.title}\n\n{_asciidoc_steps(slide)}" for slide in SLIDES)
    return f"= {TITLE}\n\n{slides}"


def _asciidoc_steps(slide: Slide) -> str:
    return "".join(f"{_asciidoc_step(step)}\n\n" for step in slide.steps)


def _asciidoc_step(step: Step) -> str:
    match step:
        case Query():
            block = f"[source,cypher]\n----\n{statements.load(step.name).text}\n----"
            return block + (f"\n\n{_asciidoc_text(step.after)}" if step.after else "")
        case Parameters():
            return f"[source,cypher]\n----\n{step.text}\n----"
        case Style(on=True):
            return (
                "This Browser takes no style from outside. In the overview beside a drawn result, click "
                "`+PREDICTED+`, and choose a colour, a thicker line, and `+relation+` as the caption."
            )
        case Style():
            return "The colours that you chose are reset where you chose them."
        case Shell():
            return f"[source,sh]\n----\n{step.text}\n----"
        case str():
            return _asciidoc_text(step)


def _asciidoc_text(text: str) -> str:
    return _CODE.sub(r"`+\1+`", text)  # plus: nothing in it means anything to AsciiDoc
