"""The story that the guide tells an analyst: slide by slide, in words, with what to run.

Promises plain text with `code` in backticks, and queries by the names of their files; how it looks is `guide`'s job.
"""

from __future__ import annotations

from dataclasses import dataclass

from kgsync.browser import parameters
from kgsync.browser.parameters import Parameters

TITLE = "kgsync: predicted relationships"


@dataclass(frozen=True)
class Query:
    """A statement to run, by its name below `cypher/`; `after` says what is seen then."""

    name: str
    after: str = ""


@dataclass(frozen=True)
class Style:
    """Switch kgsync's style on, or back off."""

    on: bool


@dataclass(frozen=True)
class Shell:
    """What is run in a terminal, not in Browser."""

    text: str


Step = str | Query | Parameters | Style | Shell  # text: a paragraph


@dataclass(frozen=True)
class Slide:
    """One page of the guide."""

    title: str
    steps: tuple[Step, ...]


SLIDES = (
    Slide(
        "What was found",
        (
            "kgsync has learned from this graph, and proposes relationships that it seems to lack. Each stands in the "
            "graph as a `PREDICTED` relationship: `relation` says what it would be, `score` how probable it is, and "
            "`scoreLow` how probable at least. Your own data are as they were: a proposal becomes one of them only "
            "when somebody accepts it.",
            "A click on a query puts it into the editor; the play button, or Ctrl and Enter, runs it. Start with the "
            "style, so that predicted relationships are orange, with relation and score, and your own stay grey:",
            Style(on=True),
            Query("browse/overview", "How many proposals there are of each relation, and how sure they are."),
        ),
    ),
    Slide(
        "The best",
        (
            "The proposals with the highest scores. A score of 0.8 means: of ten such proposals, about eight are true. "
            "How many relationships are missing in all is an assumption; the run's report says which.",
            Query("browse/best", "Click an orange arrow: its properties say which model and run it is from."),
        ),
    ),
    Slide(
        "The doubtful",
        (
            "At the other end are those that just passed. Here a person's eye is worth most.",
            Query("browse/doubtful"),
            "And these failed a check in Cypher: `reasons` names the checks. They are kept apart until somebody "
            "decides.",
            Query("browse/quarantined", "No rows: nothing is in quarantine, or `kgsync validate` has not run yet."),
        ),
    ),
    Slide(
        "Why is one believed?",
        (
            "Choose an edge by its id. This line takes the best proposal; to look at another one, paste its id.",
            parameters.BEST,
            "Then see what speaks for it in your own data:",
            Query("browse/why", "Grey is what the graph knows, orange what kgsync concludes."),
        ),
    ),
    Slide(
        "Accept",
        (
            "First say who you are, and why you decide so. Put your name into the editor before you run this:",
            parameters.REVIEWER,
            "Which edges? This line takes the best proposal; `ids` may hold any number of ids.",
            parameters.ACCEPT,
            "Accepting makes the relationship itself, in the same transaction. If the graph held it already, it stays "
            "as it is. What another reviewer has decided is told, never overwritten.",
            Query("review/accept", "`outcome` and `message` say what happened to each edge."),
            Query("browse/accepted", "The accepted edges, with the relationships that came of them."),
        ),
    ),
    Slide(
        "Reject",
        (
            "A rejected edge is never proposed again, by any model, and the next training counts it as false.",
            parameters.REJECT,
            Query("review/reject"),
            Query("browse/rejected"),
        ),
    ),
    Slide(
        "Undo",
        (
            "You can take back what you decided yourself. The relationship that accepting made goes, unless somebody "
            "has put a property on it since; one that was there before stays in any case.",
            parameters.UNDO,
            Query("review/undo", "The edges wait again for a decision."),
        ),
    ),
    Slide(
        "Ask the model yourself",
        (
            "Proposals come from a plan. You can also ask the model directly, about any entity and relation, after "
            "`kgsync embed --yes` has put its vectors into the graph. Nothing is written. These values take an end of "
            "the best proposal; put your own in their place.",
            parameters.TAILS,
            Query("browse/live/best-tails", "`kgeScore` is the model's own value: higher is better, no probability."),
            "The same from the other end:",
            parameters.HEADS,
            Query("browse/live/best-heads"),
        ),
    ),
    Slide(
        "Where it comes from",
        (
            "Every predicted edge names its run and its model.",
            Query("browse/runs"),
            Query("browse/by-run", "The best edges of the latest run."),
        ),
    ),
    Slide(
        "Clean up",
        (
            "What kgsync has put into this graph:",
            Query("browse/traces"),
            "kgsync can take it out again, in a terminal; without `--yes` it only shows what would go. A rollback "
            "leaves alone what somebody has decided on.",
            Shell(
                "kgsync rollback RUN --yes   # one run; RUN is on the slide before\n"
                "kgsync uninstall --yes      # every trace"
            ),
            Style(on=False),
        ),
    ),
)
