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
from dataclasses import dataclass
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
LIVE_SCORES = 1 << 20  # scores made at a time (8 MiB)
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


@dataclass(frozen=True)
class _Weighed:
    """What the rules of one relation, in one direction, weigh: to the power of `power`."""

    relation: int
    power: float
    double: Floats  # [shapes]
    single: Floats  # [2R]
    prior: Floats  # [n_entities], as it is


class _Memory:
    """The walks from the anchors that were asked last: anchors come again with other relations."""

    def __init__(self) -> None:
        self.walks = OrderedDict[int, Walks]()  # the latest last
        self.steps = 0  # that they hold in all

    def put(self, anchor: int, found: Walks) -> None:
        self.walks[anchor] = found
        self.steps += len(found)
        while self.steps > REMEMBERED and len(self.walks) > 1:
            self.steps -= len(self.walks.popitem(last=False)[1])


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
        self._memory = _Memory()

    def scores(self, anchors: Tensor, relations: Tensor, candidates: Tensor | None = None) -> Tensor:
        """Return scores [B, C] of the candidate ids (None: every entity).

        They are 0 or next to it where no rule speaks, and -1 for a loop that was never seen.
        """
        chosen = slice(None) if candidates is None else candidates.numpy()
        width = self.facts.n_entities if candidates is None else len(candidates)
        out = np.empty((len(anchors), width), self.dtype)
        asked = relations.numpy()
        size = max(1, LIVE_SCORES // max(1, self.facts.n_entities))
        for relation in np.unique(asked).tolist():  # what rules weigh is the same for all its queries
            places = np.flatnonzero(asked == relation)
            weighed = self._weighed(relation)
            for part in np.split(places, np.arange(size, len(places), size)):
                out[part] = self._scores(anchors.numpy()[part], weighed)[:, chosen]
        return torch.from_numpy(out)

    def exact(self) -> RuleVoice:
        """Return the voice without rounding; every query is computed by itself as it is."""
        same = copy.copy(self)
        same.dtype = np.float64
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

    def _weighed(self, relation: int) -> _Weighed:
        power = float(self.powers[relation])
        double, single = self.double_weights(relation) ** power, self.single_weights(relation) ** power
        return _Weighed(relation, power, double, single, self.prior(relation))

    def _scores(self, anchors: Integers, weighed: _Weighed) -> Floats:  # [b, n_entities]
        facts, power, shape = self.facts, weighed.power, (len(anchors), self.facts.n_entities)
        walks = [self.walks(anchor) for anchor in anchors.tolist()]

        def summed(places: Integers, entities: Integers, values: Floats) -> Floats:
            cells = np.bincount(places * shape[1] + entities, values, minlength=shape[0] * shape[1])
            return cells.astype(np.float64, copy=False)  # of nothing it is a sum of integers

        def joined(name: str) -> tuple[Integers, np.ndarray[Any, Any]]:
            parts = [getattr(each, name) for each in walks]
            return np.repeat(np.arange(len(parts)), [len(part) for part in parts]), np.concatenate(parts)

        places, ends = joined("ends")
        sums = summed(places, ends, weighed.double[joined("codes")[1]])
        places, neighbours = joined("neighbours")
        sums += summed(places, neighbours, weighed.single[joined("first")[1]])
        places, heads = joined("heads")
        inverse = facts.inverse(weighed.relation)
        wanted = (heads >= facts.starts[inverse]) & (heads < facts.starts[inverse + 1])
        values = joined("weights")[1][wanted] ** power
        sums += summed(places[wanted], facts.anchors[heads[wanted]], values)
        # Where the anchor is the constant, whoever has s(y, d) is an answer.
        queries = np.array([facts.find(anchor, weighed.relation) for anchor in anchors.tolist()])
        place, bodies, values = rows(self.for_head, queries[queries >= 0])
        answer, entities, _ = rows(facts.answers, bodies)
        sums += summed(np.flatnonzero(queries >= 0)[place[answer]], entities, values[answer] ** power)
        spoken = np.flatnonzero(sums)
        sums[spoken] **= 1 / power
        scores = sums.reshape(shape) + weighed.prior
        seen = facts.loops[weighed.relation]  # r(x, x) is judged by itself: no path leads from x to x
        at_itself = weights(seen, facts.domain[weighed.relation] + seen) if seen else -1.0
        scores[np.arange(len(anchors)), anchors] = at_itself
        return scores

    def walks(self, anchor: int) -> Walks:
        """Return the walks from an anchor; the latest are remembered, as anchors come again with other relations."""
        known = self._memory.walks
        if anchor not in known:
            self._memory.put(anchor, Walks(self.facts, anchor, self.number, self.constants))
        known.move_to_end(anchor)
        return known[anchor]

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
