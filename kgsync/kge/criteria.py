"""The losses: each turns blocks of scores and their labels into a loss and its gradient dL/ds, by hand.

All sum over distinct queries. Query q has the answers T, which count k in all; s_c is its score for candidate c, w_c
the number of entities that c stands for: 1 for an answer, else exp(log_weight), and 0 where c does not compete.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus

LOWEST = -1e30  # in place of -inf, where a block has no candidate that competes


@dataclass
class Block:
    """Scores of some candidates for some queries."""

    low: int  # the first candidate
    scores: Tensor  # [c, b], in the precision of the products; a loss may overwrite them
    answers: tuple[Tensor, Tensor]  # (row, column) of every answer among the scores
    log_weight: Tensor | None  # [c, b], of no meaning for answers; -inf: does not compete
    shares: Tensor | float = 1.0  # what each of the answers counts


class Criterion(ABC):
    """The loss of some queries, whose candidates come in blocks: all once to `see`, then all to `gradient`."""

    def __init__(self, counts: Tensor) -> None:
        self.counts = counts  # [b]: k of each query, the sum of what its answers count
        self.total = 0.0  # the loss, after `finish`

    @abstractmethod
    def see(self, block: Block) -> None:
        """Take in a block while its scores are still in the cache."""

    def finish(self) -> None:  # noqa: B027 (a loss without a sum over all candidates has nothing to do)
        """Complete what needs all blocks."""

    @abstractmethod
    def gradient(self, block: Block) -> Tensor:
        """Return dL/ds [c, b] of a block that was seen."""

    def factors(self, block: Block) -> tuple[Tensor, Tensor] | None:
        """Return P [c, b] and f [b] with dL/ds = P diag(f), less what each answer counts; None if it has another form.

        Where scores are products f moves to the queries, and the large matrix is not touched again.
        """
        return None


class Softmax(Criterion):
    """1-vs-all cross-entropy: k log sum_c w_c exp(s_c) - sum_T s_t.

    That is exactly the sum over triples of -log softmax(s)_t, with one row of scores per query.
    """

    def __init__(self, counts: Tensor) -> None:
        super().__init__(counts)
        self.tops: dict[int, Tensor] = {}  # by block
        self.sums: list[Tensor] = []

    def see(self, block: Block) -> None:
        """Replace the scores by exp(s - top), which the gradient is made of."""
        scores = block.scores.float()
        self.total -= float((scores[block.answers] * block.shares).sum(dtype=torch.float64))
        if block.log_weight is not None:
            scores += block.log_weight
            scores[block.answers] -= block.log_weight[block.answers]
        top = _top(scores)
        scores.sub_(top).exp_()
        self.tops[block.low] = top
        self.sums.append(top + scores.sum(dim=0).log())
        block.scores = scores.to(block.scores.dtype)

    def finish(self) -> None:
        """Join the blocks' log-sum-exps."""
        self.log_sum = torch.stack(self.sums).logsumexp(dim=0)  # [b]
        self.total += float((self.counts * self.log_sum.double()).sum())

    def gradient(self, block: Block) -> Tensor:
        """Return k softmax(s) - y."""
        slopes, factor = self.factors(block)
        slopes *= factor
        slopes[block.answers] -= block.shares
        return slopes

    def factors(self, block: Block) -> tuple[Tensor, Tensor]:
        """Return exp(s - top) and k exp(top) / sum_c w_c exp(s_c)."""
        return block.scores, self.counts * (self.tops[block.low] - self.log_sum).exp()


class BinaryCrossEntropy(Criterion):
    """k-vs-all (Dettmers et al. 2018, arXiv:1707.01476): -sum_c w_c [y_c log σ(x_c) + (1 - y_c) log(1 - σ(x_c))].

    x = s + margin; the label y is (1 - smoothing) [c is an answer] + smoothing / n_entities (Szegedy et al.
    2016, arXiv:1512.00567).
    """

    def __init__(self, counts: Tensor, *, margin: float = 0.0, smoothing: float = 0.0, n_entities: int = 1) -> None:
        super().__init__(counts)
        self.margin = margin
        self.label = smoothing / n_entities  # of everything; answers have `extra` on top
        self.extra = 1 - smoothing

    def see(self, block: Block) -> None:
        """Replace the scores by the gradient, w (σ(x) - y): no other block matters."""
        logits = block.scores.float() + self.margin
        losses = softplus(logits) - self.label * logits
        slopes = torch.sigmoid(logits) - self.label
        if block.log_weight is not None:
            weight = block.log_weight.exp()
            weight[block.answers] = 1.0
            losses *= weight
            slopes *= weight
        slopes[block.answers] -= self.extra * block.shares
        self.total += float(losses.sum(dtype=torch.float64))
        self.total -= self.extra * float((logits[block.answers] * block.shares).sum(dtype=torch.float64))
        block.scores = slopes

    def gradient(self, block: Block) -> Tensor:
        """Return what `see` made."""
        return block.scores


class SelfAdversarial(Criterion):
    """Sun et al. 2019, arXiv:1902.10197: -sum_T log σ(γ + s_t) - k sum_c p_c log σ(-γ - s_c), c not in T.

    p_c = w_c exp(α s_c) / sum_c' w_c' exp(α s_c') is a constant for the gradient; α = 0 weighs all alike. With
    s = -distance these are their γ - d and d - γ; their mean of the two terms is a sum here.
    """

    def __init__(self, counts: Tensor, *, margin: float, temperature: float) -> None:
        super().__init__(counts)
        self.margin = margin
        self.temperature = temperature
        self.sums: list[tuple[Tensor, Tensor]] = []

    def see(self, block: Block) -> None:
        """Add up the weights and the weighted losses of the negatives."""
        logits = self._log_shares(block)
        top = _top(logits)
        shares = logits.sub_(top).exp_()
        losses = softplus(block.scores.float() + self.margin).mul_(shares)
        self.sums.append((top + shares.sum(dim=0).log(), top + losses.sum(dim=0).log()))
        own = block.scores[block.answers].float() + self.margin
        self.total += float((softplus(-own) * block.shares).sum(dtype=torch.float64))

    def finish(self) -> None:
        """Divide the one sum by the other; a query without negatives has no such part."""
        logs = [torch.stack(part).logsumexp(dim=0) for part in zip(*self.sums, strict=True)]
        self.log_sum = logs[0].clamp_min(LOWEST)  # [b]
        self.total += float((self.counts * (logs[1] - self.log_sum).double().exp()).sum())

    def gradient(self, block: Block) -> Tensor:
        """Return k p σ(γ + s), and -σ(-γ - s) for answers."""
        logits = block.scores.float() + self.margin
        slopes = self._log_shares(block).sub_(self.log_sum).exp_().mul_(self.counts).mul_(logits.sigmoid())
        slopes[block.answers] = -torch.sigmoid(-logits[block.answers]) * block.shares
        return slopes

    def _log_shares(self, block: Block) -> Tensor:
        """Return log(w exp(α s)) [c, b], -inf for answers."""
        logits = block.scores.float() * self.temperature
        if block.log_weight is not None:
            logits += block.log_weight
        logits[block.answers] = -torch.inf
        return logits


def _top(scores: Tensor) -> Tensor:
    """Return the maximum over candidates [b], finite even where none competes."""
    return scores.amax(dim=0).clamp_min_(LOWEST)
