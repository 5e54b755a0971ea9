// promises: read-only; predicted edges, best score first
// parameters: statuses, limit; each of the others may be null: relation, minScore, maxScore, runId, reviewer,
//   head and tail (maps of label, property, keys; keys may be null), names (maps of label, key and name: how an entity is called)
// columns: id, head, relation, tail, score, …
MATCH (h)-[p:PREDICTED]->(t)
WHERE p.status IN $statuses
  AND ($relation IS NULL OR p.relation = $relation)
  AND ($minScore IS NULL OR p.score >= $minScore)
  AND ($maxScore IS NULL OR p.score <= $maxScore)
  AND ($runId IS NULL OR p.runId = $runId)
  AND ($reviewer IS NULL OR p.reviewedBy = $reviewer)
  AND ($head IS NULL OR $head.label IN labels(h) AND ($head.keys IS NULL OR h[$head.property] IN $head.keys))
  AND ($tail IS NULL OR $tail.label IN labels(t) AND ($tail.keys IS NULL OR t[$tail.property] IN $tail.keys))
WITH h, p, t
ORDER BY p.score DESC, p.id
LIMIT $limit
RETURN p.id AS id,
       coalesce(head([n IN $names WHERE n.label IN labels(h) | {label: n.label, key: h[n.key], name: h[n.name]}]),
                {label: head(labels(h)), name: coalesce(h.name, h.title, h.id)}) AS head,
       p.relation AS relation,
       coalesce(head([n IN $names WHERE n.label IN labels(t) | {label: n.label, key: t[n.key], name: t[n.name]}]),
                {label: head(labels(t)), name: coalesce(t.name, t.title, t.id)}) AS tail,
       p.score AS score, p.scoreLow AS scoreLow, p.status AS status, p.rank AS rank, p.reasons AS reasons,
       p.modelId AS modelId, p.runId AS runId, p.reviewedBy AS reviewedBy,
       toString(p.reviewedAt) AS reviewedAt, p.reviewReason AS reviewReason
