"""The rule voice: scores by the rules that speak for an answer, redundancy kept in check by one number.

Rules that speak for y, each with confidence c_i and weight w_i = -log(1 - c_i), give

    score = (sum_i w_i^p)^(1/p)

p = 1 is noisy-or, as if rules were independent: 1 - exp(-score) = 1 - prod_i (1 - c_i). With p to infinity only the
surest rule counts (AnyBURL's maximum, arXiv:2004.04412), and others part ties. Rules repeat one another more or
less by relation and graph, so p is chosen on valid for each relation and direction, where SAFRAN clusters rules
(Ott et al. 2021, arXiv:2109.08002).
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from kgsync.kge.known import Integers
from kgsync.rules.explain import Evidence, explain
from kgsync.rules.facts import Facts, Matrix, rows
from kgsync.rules.mine import Rules, confidence

POWERS = (1.0, 4.0, 8.0, 32.0)
REMEMBERED = 1 << 23  # steps of walks that are kept (128 MiB)
PRIOR = 1e-4  # what the share of an answer among the relation's facts adds: it parts ties, no more
DEGREE = 1e-9  # likewise, for answers that the relation was never seen with

Floats = np.ndarray[Any, np.dtype[np.float64]]


def weights(support: np.ndarray[Any, Any], body: np.ndarray[Any, Any]) -> Floats:
    """Return -log(1 - confidence)."""
    logs: Floats = -np.log1p(-confidence(support, body))
    return logs


class Walks:
    """What rules may use of the facts around one anchor x."""

    def __init__(self, facts: Facts, anchor: int, number: Integers, constants: Matrix) -> None:
        asked = facts.asked(anchor)
        edge, self.neighbours, _ = rows(facts.answers, asked)
        self.first = facts.relations[asked][edge]  # of each neighbour y: s of s(x, y)
        product: Matrix = csr_array(facts.answers[asked] @ facts.answering)
        edge, meeting, _ = rows(product, np.arange(len(asked)))
        codes = number[facts.relations[asked][edge], facts.relations[meeting]]
        self.ends = facts.anchors[meeting]
        useful = (codes >= 0) & (self.ends != anchor)
        self.codes, self.ends = codes[useful], self.ends[useful]  # of each path: its shape, and y
        _, bodies, _ = rows(facts.answering, np.array([anchor]))
        _, self.heads, self.weights = rows(constants, bodies)  # r(x, c) for what x has, and how surely

    def __len__(self) -> int:
        """Return how many steps it holds."""
        return len(self.codes) + len(self.neighbours) + len(self.heads)


class RuleVoice:
    """Scores from rules and the facts they were mined from. `powers` has p for every relation id."""

    name = "rules"
    dtype: type[np.floating[Any]] = np.float32

    def __init__(self, facts: Facts, rules: Rules, powers: Floats | None = None) -> None:
        self.facts = facts
        self.rules = rules
        width = 2 * facts.n_relations
        self.powers = np.full(width, POWERS[1]) if powers is None else powers
        self.single = self._singles()  # [2R, 2R]: the rule (relation, s), 0 for none, else 1 + its number
        shapes = rules.double[:, 1] * width + rules.double[:, 2]
        mirrored = rules.double[:, 2] * width + rules.double[:, 1]
        self.shapes = np.unique(np.concatenate([shapes, mirrored]))
        number = np.full(width * width, -1, np.int64)
        number[self.shapes] = np.arange(len(self.shapes))
        self.number = number.reshape(width, width)
        self._doubles = np.searchsorted(self.shapes, shapes), np.searchsorted(self.shapes, mirrored)
        self._double_weights = weights(rules.double[:, 3], rules.double[:, 4])
        self._single_weights = np.append(0.0, weights(rules.single[:, 2], rules.single[:, 3]))
        self._double_starts = np.searchsorted(rules.double[:, 0], np.arange(facts.n_relations + 1))
        body, head, support, size = rules.constant.T
        values = weights(support, size), (body, head)
        self.constants: Matrix = csr_array(values, shape=(len(facts), len(facts)))  # [body query, head query]
        self.for_head: Matrix = csr_array(self.constants.T)
        self.degrees = np.diff(facts.answering.indptr)
        self._walks = OrderedDict[int, Walks]()  # the latest last
        self._steps = 0  # that they hold in all

    def scores(self, anchors: Tensor, relations: Tensor, candidates: Tensor | None = None) -> Tensor:
        """Return scores [B, C] of the candidate ids (None: every entity).

        They are 0 or next to it where no rule speaks, and -1 for a loop that was never seen.
        """
        chosen = slice(None) if candidates is None else candidates.numpy()
        width = self.facts.n_entities if candidates is None else len(candidates)
        out = np.empty((len(anchors), width), self.dtype)
        for place, (anchor, relation) in enumerate(zip(anchors.tolist(), relations.tolist(), strict=True)):
            out[place] = self._scores(anchor, relation)[chosen]
        return torch.from_numpy(out)

    def exact(self) -> RuleVoice:
        """Return the voice without rounding; every query is computed by itself as it is."""
        same = copy.copy(self)
        same.dtype, same._walks, same._steps = np.float64, OrderedDict(), 0
        return same

    def tensors(self) -> dict[str, Tensor]:
        """Return the rules, the facts that ground them, and the powers."""
        tables = {
            "triples": self.facts.triples,
            "single": self.rules.single,
            "double": self.rules.double,
            "constant": self.rules.constant,
        }
        found = {name: torch.from_numpy(table.astype(np.int32)) for name, table in tables.items()}
        return found | {"powers": torch.from_numpy(self.powers)}

    def _scores(self, anchor: int, relation: int) -> Floats:
        facts, n, power = self.facts, self.facts.n_entities, float(self.powers[relation])
        walks = self.walks(anchor)
        sums = np.bincount(walks.ends, self.double_weights(relation)[walks.codes] ** power, minlength=n)
        sums = sums + np.bincount(walks.neighbours, self.single_weights(relation)[walks.first] ** power, minlength=n)
        low, high = facts.starts[facts.inverse(relation)], facts.starts[facts.inverse(relation) + 1]
        wanted = (walks.heads >= low) & (walks.heads < high)
        sums = sums + np.bincount(facts.anchors[walks.heads[wanted]], walks.weights[wanted] ** power, minlength=n)
        query = facts.find(anchor, relation)
        if query >= 0:  # here the anchor is the constant, and whoever has s(y, d) is an answer
            _, bodies, values = rows(self.for_head, np.array([query]))
            place, entities, _ = rows(facts.answers, bodies)
            sums = sums + np.bincount(entities, values[place] ** power, minlength=n)
        scores: Floats = sums ** (1 / power) + self.prior(relation)
        seen = facts.loops[relation]  # r(x, x) is judged by itself: no path leads from x to x
        scores[anchor] = weights(seen, facts.domain[relation] + seen) if seen else -1.0
        return scores

    def walks(self, anchor: int) -> Walks:
        """Return the walks from an anchor; the latest are remembered, as anchors come again with other relations."""
        if anchor not in self._walks:
            self._walks[anchor] = found = Walks(self.facts, anchor, self.number, self.constants)
            self._steps += len(found)
            while self._steps > REMEMBERED and len(self._walks) > 1:
                self._steps -= len(self._walks.popitem(last=False)[1])
        self._walks.move_to_end(anchor)
        return self._walks[anchor]

    def single_weights(self, relation: int) -> Floats:
        """Return the weight of relation(x, y) <- s(x, y) for all s."""
        found: Floats = self._single_weights[self.single[relation]]
        return found

    def double_rules(self, relation: int) -> tuple[Integers, Integers]:
        """Return the relation's double rules, and the shape of each in the relation's direction."""
        r = relation % self.facts.n_relations
        part = slice(self._double_starts[r], self._double_starts[r + 1])
        return np.arange(part.start, part.stop), self._doubles[relation // self.facts.n_relations][part]

    def double_weights(self, relation: int) -> Floats:
        """Return the weight of each shape for the relation."""
        rules, shapes = self.double_rules(relation)
        found = np.zeros(len(self.shapes))
        found[shapes] = self._double_weights[rules]
        return found

    def support(self, body: int, head: int) -> int:
        """Return the support of the rule with constants from one query to another, 0 for none."""
        rules = self.rules.constant  # sorted by body, then head
        low, high = np.searchsorted(rules[:, 0], [body, body + 1])
        at = low + int(np.searchsorted(rules[low:high, 1], head))
        return int(rules[at, 2]) if at < high and rules[at, 1] == head else 0

    def explain(self, anchor: int, relation: int, entity: int, *, limit: int | None = 10) -> list[Evidence]:
        """Return the evidence that `entity` answers (anchor, relation); see `kgsync.rules.explain`."""
        return explain(self, anchor, relation, entity, limit=limit)

    def prior(self, relation: int) -> Floats:
        """Return what parts ties [n_entities]: how often the relation has the answer, then the answer's degree."""
        facts = self.facts
        inverse = facts.inverse(relation)
        part = slice(facts.starts[inverse], facts.starts[inverse + 1])
        found: Floats = self.degrees * (DEGREE / max(1, self.degrees.max(initial=0)))
        found[facts.anchors[part]] += PRIOR * weights(facts.counts[part], facts.domain[relation])
        return found

    def _singles(self) -> Integers:
        width = 2 * self.facts.n_relations
        table = np.zeros((width, width), np.int64)
        head, body = self.rules.single[:, 0], self.rules.single[:, 1]
        numbers = 1 + np.arange(len(head))
        table[head, body] = numbers
        table[self.facts.inverse(head), self.facts.inverse(body)] = numbers
        return table
