"""Telling: turns an explanation into numbered facts, and into sentences that are tied to them."""

from __future__ import annotations

from kgsync.evidence import Opinion
from kgsync.explain.answer import Explanation, Fact, Likeness, Removal, Sentence

TELLING = 0.1  # share of what the rules say, or lead in the embeddings, that a removal must take to be summed up
CERTAIN = 0.0006  # what is nearer to 0 or 1 could be rounded to it
MANY = 0.3  # share of those alike from which on they speak for an edge


def tell(it: Explanation) -> tuple[tuple[Fact, ...], tuple[Sentence, ...]]:
    """Return the facts, numbered from 1, and the sentences that sum them up."""
    teller = _Teller(it)
    for about in (teller.score, teller.voices, teller.rules, teller.like, teller.texts, teller.removals, teller.origin):
        about()
    return tuple(teller.facts), tuple(teller.sentences)


def percent(share: float) -> str:
    """Return a probability in percent: no more digits than it is worth, and never 0 % or 100 %."""
    if share < CERTAIN:
        return "under 0.1 %"
    if share > 1 - CERTAIN:
        return "over 99.9 %"
    return f"{100 * share:.1f} %" if share < 0.0995 or share > 0.9905 else f"{100 * share:.0f} %"


class _Teller:
    def __init__(self, it: Explanation) -> None:
        self.it = it
        self.facts: list[Fact] = []
        self.sentences: list[Sentence] = []

    def fact(self, about: str, text: str) -> int:
        """Add a fact and return its number."""
        self.facts.append(Fact(len(self.facts) + 1, about, text))
        return len(self.facts)

    def say(self, text: str, *facts: int) -> None:
        """Add a sentence that tells these facts."""
        self.sentences.append(Sentence(text, facts))

    def score(self) -> None:
        it, edge = self.it, self.it.in_words or f"{self.it.head} {self.it.relation} {self.it.tail}"
        if it.score is None:
            return
        low = f", at least {percent(it.score_low)}" if it.score_low and it.score_low >= CERTAIN else ""
        told = [self.fact("score", f"{edge}: {percent(it.score)} likely{low}")]
        base = ""
        if it.base_rate:
            basis = f"{it.base_rate_basis} base rate" if it.base_rate_basis else "base rate"
            told.append(self.fact("score", f"of such candidates {percent(it.base_rate)} are true ({basis})"))
            base = f", {_ratio(it.score / it.base_rate)} as likely as candidates are in general"
        self.say(f"That {edge} is {percent(it.score)} likely{base}.", *told)

    def voices(self) -> None:
        it = self.it
        for line in it.kept:
            self.fact("voice", line)
        if not it.opinions:
            return
        numbers = [self.fact("voice", self._opinion(one)) for one in it.opinions]
        first = it.opinions[0]
        place = "the first" if first.rank == 1 else f"number {first.rank:,}"
        rival = ""
        if it.rival is not None:
            likely = f", {percent(it.rival.score)} likely" if it.rival.score is not None else _behind(it.rival.times)
            said = f"the best other answer is {it.rival.thing}{likely}"
            numbers.append(self.fact("voice", said))
            rival = f"; {said}"
        self.say(
            f"It is {place} of {first.answers:,} possible answers{rival}.", numbers[0], *numbers[len(it.opinions) :]
        )
        self._agreement(numbers[1 : len(it.opinions)])

    def _opinion(self, one: Opinion) -> str:
        if not one.speaks:
            return f"{one.title}: none speaks for it"
        other = f"; best other answer: {one.rival}" if one.rival else ""
        return f"{one.title}: rank {one.rank:,} of {one.answers:,}, score {one.score:.2f}{other}"

    def _agreement(self, numbers: list[int]) -> None:
        """Say which voices put the edge first, and which put another before it."""
        alone = list(zip(self.it.opinions[1:], numbers, strict=True))
        speaking = [(one, number) for one, number in alone if one.speaks]
        if not speaking:
            return
        by = [f"the {one.title}" for one, _ in speaking if one.rank == 1]
        against: dict[str, list[str]] = {}
        for one, _ in speaking:
            if one.rank > 1 and one.rival:
                against.setdefault(one.rival, []).append(f"the {one.title}")
        parts = [f"{_list(by)} put it first"] if by else []
        parts += [f"{_list(voices)} would rather say {rival}" for rival, voices in against.items()]
        if parts:
            self.say(f"{_capital('; '.join(parts))}.", *(number for _, number in speaking))

    def rules(self) -> None:
        numbers = [
            self.fact("rule", f"{rule.walk}: right in {_of(rule.support, rule.body)}{_ways(rule.ways)}")
            for rule in self.it.rules
        ]
        if numbers:
            best = self.it.rules[0]
            right = _of(best.support, best.body)
            self.say(f"The strongest rule rests on {best.walk}; it is right in {right}.", numbers[0])

    def like(self) -> None:
        it = self.it
        if it.known is not None and it.known.count:
            names = ", ".join(it.known.names)
            self.fact("likeness", f"{it.head} has {it.known.count:,} known {it.relation} already, such as {names}")
        told = [(one, self.fact("likeness", self._likeness(one))) for one in it.likeness]
        if told:
            one, number = max(told, key=lambda pair: pair[0].same / pair[0].looked)
            end, other = (it.head, it.tail) if one.end == "head" else (it.tail, it.head)
            few = "only " if one.same < MANY * one.looked else ""
            amount = f"{few}{one.same}" if one.same else "none"
            go = "goes" if one.same == 1 else "go"
            self.say(f"Of the {one.looked} most like {end} by {one.basis}, {amount} {go} with {other}.", number)

    def _likeness(self, one: Likeness) -> str:
        end = self.it.head if one.end == "head" else self.it.tail
        other = self.it.tail if one.end == "head" else self.it.head
        shown = ", ".join(f"{near.thing} ({near.likeness:.2f}: {', '.join(near.answers)})" for near in one.nearest)
        return f"most like {end} by {one.basis}, {one.same} of {one.looked} with {other}: {shown}"

    def texts(self) -> None:
        it = self.it
        if it.words is None:
            return
        numbers = []
        if it.words.head_names_tail:
            numbers.append(self.fact("text", f"the text of {it.head} names {it.tail}"))
        if it.words.tail_names_head:
            numbers.append(self.fact("text", f"the text of {it.tail} names {it.head}"))
        for number in numbers:
            self.say(f"{_capital(self.facts[number - 1].text)}.", number)
        if it.words.shared:
            self.fact("text", f"words that both texts use: {', '.join(it.words.shared)}")

    def removals(self) -> None:
        told = False
        for one in self.it.removals:
            change = self._change(one)
            number = self.fact("removal", f"without {one}, {change}")
            lost = one.before - one.after
            if not told and lost >= TELLING * (one.before if one.voice == "rules" else 1):
                self.say(f"Without {one}, {change}.", number)
                told = True

    def _change(self, one: Removal) -> str:
        if one.voice == "rules":
            return f"the rules would say {percent(one.after)} and not {percent(one.before)}"
        rival = self.it.rival.thing if self.it.rival else "the next"
        now = f"{one.before:.2f} ahead" if one.before >= 0 else f"{-one.before:.2f} behind"
        moved = f"{abs(one.before - one.after):.2f} {'lower' if one.after < one.before else 'higher'}"
        return f"the embeddings would put it {moved} against {rival} (now {now})"

    def origin(self) -> None:
        model, run = self.it.model, self.it.run
        if model:
            learned = f", learned from {model['trainTriples']:,} facts" if "trainTriples" in model else ""
            good = f", MRR {model['mrr']:.3f} on its test" if "mrr" in model else ""
            self.fact("model", f"model {model.get('id')} ({model.get('kind')}){learned}{good}")
        if run:
            self.fact("run", f"run {run.get('id')}, {run.get('status')}, of {str(run.get('startedAt'))[:19]}")
        for gap in self.it.gaps:
            self.fact("gap", gap)


def _ways(ways: int) -> str:
    return f", {ways - 1:,} more {'way' if ways == 2 else 'ways'}" if ways > 1 else ""


def _of(support: int, body: int) -> str:
    return f"{support:,} of {body:,} {'case' if body == 1 else 'cases'}"


def _behind(times: float | None) -> str:
    if times is None:
        return ""
    return f", {_ratio(max(times, 1 / times))} {'less' if times >= 1 else 'more'} likely"


def _list(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _ratio(times: float) -> str:
    return f"{times:.1f} times" if times < 10 else f"{times:,.0f} times" if times <= 1_000 else "over 1,000 times"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
