"""Removal: which known facts carry an edge, by what would change if one of them were not known.

For the rules this is exact but for their confidences, which are kept: the rules that need the fact fall away. For the
embeddings it is first order: with the gradient g_z of the loss of each training fact z of an end's row, taking z out
moves the row by H⁻¹ g_z (influence functions: Koh and Liang 2017, arXiv:1703.04730; of facts, for links: CRIAGE,
Pezeshkpour et al. 2019, arXiv:1905.00563), so the edge's lead over its rival, of gradient g, changes by g · H⁻¹ g_z.
H is the sum of g_z g_zᵀ over the row's facts, damped.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from kgsync.kge.models import KgeModel, ProductModel, as_tensor
from kgsync.rules.explain import Evidence
from kgsync.rules.voice import RuleVoice

Triple = tuple[int, int, int]
MOST = 512  # facts of one end that are looked at, those of the same relation first
LIVE = 1 << 24  # numbers that are kept for a gradient
DAMPING = 0.1  # of the mean curvature, added in every direction


def by_rules(voice: RuleVoice, edge: Triple) -> tuple[float, list[tuple[Triple, float]]]:
    """Return the confidence of all rules together in an edge, and what it would be without each fact that they need.

    A rule whose body holds in several ways needs none of them.
    """
    head, relation, tail = edge
    evidence = voice.explain(head, relation, tail, limit=None)
    power = float(voice.powers[relation])
    needed = dict.fromkeys(fact for one in evidence if one.groundings == 1 for fact in one.facts)
    left = [(fact, _confidence([one for one in evidence if not _needs(one, fact)], power)) for fact in needed]
    left.sort(key=lambda pair: (pair[1], pair[0]))
    return _confidence(evidence, power), left


def _needs(one: Evidence, fact: Triple) -> bool:
    return one.groundings == 1 and fact in one.facts


def _confidence(evidence: list[Evidence], power: float) -> float:
    """Return 1 - exp(-score), for score = (sum w_i^p)^(1/p), w_i = -log(1 - c_i)."""
    total = sum((-math.log1p(-one.confidence)) ** power for one in evidence)
    return -math.expm1(-(total ** (1 / power)))


def by_embeddings(
    model: KgeModel, triples: np.ndarray[Any, Any], edge: Triple, rival: int
) -> tuple[float, list[tuple[Triple, float]]]:
    """Return the lead of an edge over (head, relation, rival), and what it would be without each fact
    of its ends that the model learned from; that which would lower it most first.
    """
    head, relation, tail = edge
    lead, slopes = _lead(model, head, relation, tail, rival)
    change: dict[Triple, float] = defaultdict(float)
    for entity, slope in slopes.items():
        own = _touching(triples, entity, relation, model.n_entities)
        own = own[(own != edge).any(axis=1)]
        if len(own) == 0:
            continue
        gradients = _gradients(model, entity, own)  # [m, d]
        for triple, moved in zip(own.tolist(), (gradients @ _solved(gradients, slope)).tolist(), strict=True):
            change[triple[0], triple[1], triple[2]] += moved
    left = [(fact, lead + by) for fact, by in change.items()]
    left.sort(key=lambda pair: (pair[1], pair[0]))
    return lead, left


def _lead(model: KgeModel, head: int, relation: int, tail: int, rival: int) -> tuple[float, dict[int, Tensor]]:
    """Return the lead, and its slope [d] along the rows of head and tail."""
    with torch.enable_grad():
        start = model.entities[head].detach().clone().requires_grad_()
        end = model.entities[tail].detach().clone().requires_grad_()
        query = model.compose(start[None], model.relations[relation].detach()[None])
        scores = model.similarity(torch.stack([end, model.entities[rival].detach()]), query)[:, 0]
        lead = scores[0] - scores[1]
        at_head, at_tail = torch.autograd.grad(lead, [start, end])
    slopes = {head: at_head + at_tail} if head == tail else {head: at_head, tail: at_tail}
    return float(lead.detach()), slopes


def _touching(triples: np.ndarray[Any, Any], entity: int, relation: int, n_entities: int) -> np.ndarray[Any, Any]:
    """Return facts of an entity [m, 3], those of the relation first, no more than can be looked at."""
    own = triples[(triples[:, 0] == entity) | (triples[:, 2] == entity)]
    most = max(1, min(MOST, 2 * LIVE // n_entities))
    first: np.ndarray[Any, Any] = own[np.argsort(own[:, 1] != relation, kind="stable")][:most]
    return first


def _solved(gradients: Tensor, slope: Tensor) -> Tensor:
    """Return H⁻¹ g [d]."""
    gradients, slope = gradients.double(), slope.double()
    curvature = gradients.T @ gradients
    damping = DAMPING * curvature.diagonal().mean().clamp(min=1e-12)
    solved: Tensor = torch.linalg.solve(curvature + damping * torch.eye(len(slope), dtype=slope.dtype), slope)
    return solved.float()


def _gradients(model: KgeModel, entity: int, triples: np.ndarray[Any, Any]) -> Tensor:
    """Return g_z [m, d]: the slope of each fact's loss along the entity's row, asked from both of its ends.

    The loss is -log softmax of the right answer among all entities.
    """
    width = 1 if isinstance(model, ProductModel) else model.entities.shape[1]
    size = max(1, LIVE // (model.n_entities * width))
    parts = [_some(model, entity, triples[start : start + size]) for start in range(0, len(triples), size)]
    return torch.cat(parts)


def _some(model: KgeModel, entity: int, triples: np.ndarray[Any, Any]) -> Tensor:
    heads, relations, tails = (as_tensor(column) for column in triples.T)
    from_entity = heads == entity
    others = torch.where(from_entity, tails, heads)
    outward = relations + torch.where(from_entity, 0, model.n_relations)  # asked from the entity
    inward = relations + torch.where(from_entity, model.n_relations, 0)
    table = model.entities.detach()
    with torch.enable_grad():
        rows = table[entity].repeat(len(triples), 1).requires_grad_()  # a row for each fact: a gradient for each
        queries = model.compose(rows, model.relations[outward].detach())
        loss = cross_entropy(model.similarity(table, queries).T, others, reduction="sum")
        back = model.compose(table[others], model.relations[inward].detach())
        scores = model.similarity(table, back).T.clone()  # [m, n]
        scores[:, entity] = model.similarity(rows, back).diagonal()
        loss = loss + cross_entropy(scores, torch.full_like(others, entity), reduction="sum")
        (found,) = torch.autograd.grad(loss, [rows])
    return found
