"""Evidence: why an edge is predicted, as it is kept with the edge: what each voice says, and the rules that speak.

Reads the voices of a model and what is known. Promises the same evidence for the same model, whatever else is
predicted beside the edge; a few short lines for people, and JSON that holds all of it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kgsync.errors import DataError

if TYPE_CHECKING:
    from kgsync.candidates.admissible import Admissible, Rows
    from kgsync.rules.explain import Evidence as Grounding
    from kgsync.rules.voice import RuleVoice
    from kgsync.voice import Voice

VERSION = 1  # of the JSON
RULES = 5  # that are kept, the surest first
LONGEST_NAME = 60  # characters of a name in a line or in the JSON
SILENT = 1e-3  # a score of the rules below which none speaks: the rest only parts ties
TITLES = {"fused": "all voices", "rules": "rules", "text": "texts"}  # any other voice is the embeddings


@dataclass(frozen=True)
class Opinion:
    """What one voice says of an edge, among all tails that its head could have and has not yet."""

    voice: str
    score: float  # in the voice's own measure
    rank: int  # of the tail, 1 is best
    answers: int  # tails it was compared with, itself among them
    rival: str | None  # the best of the others by name, None where there is no other
    rival_key: str | None  # as Label:key
    ahead: float | None  # score less that of the rival

    @property
    def title(self) -> str:
        """Return what the voice is called when people read it."""
        return TITLES.get(self.voice, "embeddings")

    @property
    def speaks(self) -> bool:
        """Say whether the voice has anything to say: without a rule, the rules have not."""
        return self.voice != "rules" or self.score >= SILENT

    @property
    def times(self) -> float | None:
        """Return how many times as likely as its rival the edge is, for a voice whose scores are logits."""
        return None if self.ahead is None else math.exp(max(-700.0, min(700.0, self.ahead)))


@dataclass(frozen=True)
class Rule:
    """A rule that speaks for an edge, and the known facts that make its body true."""

    kind: str  # "path" from head to tail, or "constant": what one end has, and has in common with others
    relations: tuple[str, ...]  # along `path`; ^R walks R backwards
    path: tuple[str, ...]  # names
    facts: tuple[tuple[str, str, str], ...]  # as Label:key, relation, Label:key
    support: int  # pairs for which rule and edge hold
    body: int  # pairs for which the rule's body holds
    confidence: float
    ways: int  # in which the body holds here; the first is shown

    @property
    def walk(self) -> str:
        """Return the path as people who know Cypher write it."""
        steps = [self.path[0]]
        for relation, name in zip(self.relations, self.path[1:], strict=True):
            steps.append(f"<-{relation[1:]}- {name}" if relation.startswith("^") else f"-{relation}-> {name}")
        return " ".join(steps)

    def __str__(self) -> str:
        more = f", {self.ways - 1:,} more {'way' if self.ways == 2 else 'ways'}" if self.ways > 1 else ""
        return f"{self.walk} (right in {self.support:,} of {self.body:,}{more})"


@dataclass(frozen=True)
class Evidence:
    """Why an edge is predicted."""

    opinions: tuple[Opinion, ...]  # that which decides first
    rules: tuple[Rule, ...]  # the surest first

    def lines(self) -> tuple[str, ...]:
        """Return what the edge carries: the rival, what each voice says, and the best rule, a line each."""
        first = self.opinions[0]
        found = [f"rank {first.rank:,} of {first.answers:,}{_rivalry(first)}"]
        ranks = [f"{one.title} {one.rank:,}" if one.speaks else f"{one.title} silent" for one in self.opinions[1:]]
        if ranks:
            found.append(f"ranks: {', '.join(ranks)}")
        if self.rules:
            found.append(f"rule: {self.rules[0]}")
        return tuple(found)

    def to_json(self) -> str:
        """Return all of it; equal evidence gives equal text. `cypher/validate/stale.cypher` reads the facts in it."""
        return json.dumps(
            {"version": VERSION, **asdict(self)}, ensure_ascii=False, sort_keys=True, separators=(",", ":")
        )

    @classmethod
    def from_json(cls, text: str) -> Evidence:
        """Return what `to_json` was given.

        Raises:
            DataError: the text is something else, or of a later version.
        """
        try:
            value = json.loads(text)
            if value["version"] > VERSION:
                raise DataError("the evidence was written by a later kgsync", fix="pip install -U kgsync")
            opinions = tuple(Opinion(**one) for one in value["opinions"])
            return cls(opinions, tuple(_rule(one) for one in value["rules"]))
        except (ValueError, KeyError, TypeError) as error:
            raise DataError("the evidence in the graph is damaged", fix="predict and write again") from error


def _rivalry(first: Opinion) -> str:
    if first.rival is None or first.times is None:
        return ""
    if first.times >= 1:
        return f", {_times(first.times)} as likely as {first.rival}"
    return f", {first.rival} is {_times(1 / first.times)} as likely"


def _times(ratio: float) -> str:
    return f"{ratio:.1f} times" if ratio < 1_000 else "over 1,000 times"


def _rule(value: Mapping[str, Any]) -> Rule:
    lists = {key: tuple(value[key]) for key in ("relations", "path")}
    return Rule(**{**value, **lists, "facts": tuple((h, r, t) for h, r, t in value["facts"])})


class Witness:
    """Gives the evidence for edges: `voices` speak, and the first of them decides."""

    def __init__(self, voices: Sequence[Voice], admissible: Admissible, *, memory: int) -> None:
        from kgsync.rules.voice import RuleVoice

        self._voices, self._admissible, self._memory = voices, admissible, memory
        self._snapshot = admissible.snapshot
        self.by_rules: RuleVoice | None = next((voice for voice in voices if isinstance(voice, RuleVoice)), None)

    def of(self, relation: int, heads: Rows, tails: Rows) -> list[Evidence]:
        """Return the evidence for admissible edges of one relation. Give voices in double precision."""
        opinions = [self._opinions(voice, relation, heads, tails) for voice in self._voices]
        return [
            Evidence(tuple(each[i] for each in opinions), self.rules(relation, int(head), int(tail)))
            for i, (head, tail) in enumerate(zip(heads, tails, strict=True))
        ]

    def rules(self, relation: int, head: int, tail: int) -> tuple[Rule, ...]:
        """Return the best rules that speak for one edge, the surest first.

        Of rules that take the same facts in another direction, as those of a symmetric relation do, the first stands
        for all.
        """
        if self.by_rules is None:
            return ()
        found: dict[tuple[tuple[int, ...], tuple[int, ...]], Grounding] = {}
        for one in self.by_rules.explain(head, relation, tail, limit=None):
            undirected = tuple(number % len(self._snapshot.relations) for number in one.relations)
            found.setdefault((undirected, one.path), one)
        return tuple(self._readable(one) for one in list(found.values())[:RULES])

    def _readable(self, one: Grounding) -> Rule:
        names, relations = self._snapshot.identities, self._snapshot.relations
        return Rule(
            kind=one.kind,
            relations=tuple(
                relations[r] if r < len(relations) else f"^{relations[r - len(relations)]}" for r in one.relations
            ),
            path=tuple(self._name(entity) for entity in one.path),
            facts=tuple((str(names[h]), relations[r], str(names[t])) for h, r, t in one.facts),
            support=int(one.support),
            body=int(one.body),
            confidence=round(one.confidence, 6),
            ways=int(one.groundings),
        )

    def _name(self, entity: int) -> str:
        return short(self._snapshot.display_name(entity))

    def _opinions(self, voice: Voice, relation: int, heads: Rows, tails: Rows) -> list[Opinion]:
        found: list[Opinion | None] = [None] * len(heads)
        asked, query = np.unique(heads, return_inverse=True)
        for start, table, answers in self._tables(voice, relation, asked):
            inside = (query >= start) & (query < start + len(table))
            for i in np.flatnonzero(inside).tolist():
                column = int(np.searchsorted(answers, tails[i]))
                found[i] = self._opinion(voice.name, table[query[i] - start], column, answers)
        return [one for one in found if one is not None]

    def _opinion(self, name: str, scores: np.ndarray[Any, Any], column: int, answers: Rows) -> Opinion:
        own = scores[column]
        rank = 1 + np.count_nonzero(scores > own) + np.count_nonzero(scores[:column] == own)
        others = scores.copy()
        others[column] = -np.inf
        rival = int(others.argmax())
        alone = not np.isfinite(others[rival])
        return Opinion(
            voice=name,
            score=round(float(own), 6),
            rank=int(rank),
            answers=int(np.isfinite(scores).sum()),
            rival=None if alone else self._name(int(answers[rival])),
            rival_key=None if alone else str(self._snapshot.identities[int(answers[rival])]),
            ahead=None if alone else round(float(own - others[rival]), 6),
        )

    def _tables(self, voice: Voice, relation: int, heads: Rows) -> Iterator[tuple[int, np.ndarray[Any, Any], Rows]]:
        """Yield (number of the first head, scores [b, n answers] with -inf where barred, the answers)."""
        import torch

        admissible = self._admissible
        answers = admissible.ends(relation)[1]
        column = np.full(admissible.n_entities, -1)
        column[answers] = np.arange(len(answers))
        size = max(1, self._memory // (8 * max(1, admissible.n_entities)))
        for start in range(0, len(heads), size):
            block = heads[start : start + size]
            asked = torch.from_numpy(block), torch.full((len(block),), relation)
            with torch.inference_mode():
                table = voice.scores(*asked, torch.from_numpy(answers)).double().numpy()
            positions, entities = admissible.barred_answers(block, relation, backward=False)
            kept = column[entities] >= 0
            table[positions[kept], column[entities[kept]]] = -np.inf
            yield start, table, answers


def short(name: str) -> str:
    """Return a name on one line and not longer than `LONGEST_NAME`."""
    text = " ".join(name.encode("utf-8", "replace").decode("utf-8").split())
    return text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 1] + "…"
