"""A relation as a sentence with two holes: "{head} is located in {tail}".

Reads what a person wrote in the configuration, or derives it from the relation's name; promises a sentence with a
full stop, in which names are put but never read.
"""

from __future__ import annotations

from kgsync.errors import ConfigError
from kgsync.lm import phrases

STOPS = (".", "。", "!", "?", "؟", "।", "！", "？")


class Template:
    """The words around head and tail, such as "{head} is located in {tail}"."""

    def __init__(self, text: str, relation: str) -> None:
        parts = text.replace("{head}", "{tail}").split("{tail}")
        if text.count("{head}") != 1 or text.count("{tail}") != 1 or any(c in part for part in parts for c in "{}"):
            raise ConfigError(
                f"the template {text!r} of {relation} has not {{head}} and {{tail}} once each",
                fix='write it like "{head} is located in {tail}"',
            )
        self.text = text
        before, self.between, after = (" ".join(part.split()) for part in parts)
        raw_before, raw_between, raw_after = parts
        self.before = before + " " * (raw_before.endswith(" ") and bool(before))
        self.between = " " * raw_between.startswith(" ") + self.between + " " * raw_between.endswith(" ")
        self.between = " " if self.between.isspace() else self.between
        after = " " * (raw_after.startswith(" ") and bool(after)) + after
        self.spaced = not phrases.unspaced(before + self.between + after)
        self.latin = any(c.isascii() and c.isalpha() for c in before + self.between + after)
        self.after = after if after.endswith(STOPS) else after + ("." if self.spaced else "。")
        self.head_first = text.index("{head}") < text.index("{tail}")

    @classmethod
    def derived(cls, relation: str, name: str = "") -> Template:
        """Return the template for a relation type, or for its name in words where that is known."""
        words = phrases.phrase(name or relation).replace("{", "(").replace("}", ")")
        return cls(f"{{head}}{words}{{tail}}" if phrases.unspaced(words) else f"{{head}} {words} {{tail}}", relation)

    def filled(self, head: str, tail: str) -> tuple[str, int, int]:
        """Return the sentence, and where head and tail begin in it."""
        first, second = (head, tail) if self.head_first else (tail, head)
        places = len(self.before), len(self.before) + len(first) + len(self.between)
        text = self.before + first + self.between + second + self.after
        return text, *(places if self.head_first else places[::-1])
