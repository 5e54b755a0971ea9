// promises: read-only; some of the predicted edges that fit, in the order of their ids: a random one, as ids are hashes
// parameters: those of review/desk/bulk_look, and limit
// columns: id
MATCH (h)-[p:PREDICTED]->(t)
WHERE p.status IN $statuses
  AND p.id >= $first
  AND ($relation IS NULL OR p.relation = $relation)
  AND ($minScore IS NULL OR p.score >= $minScore)
  AND ($maxScore IS NULL OR p.score <= $maxScore)
  AND ($runId IS NULL OR p.runId = $runId)
  AND ($reviewer IS NULL OR p.reviewedBy = $reviewer)
  AND ($head IS NULL OR $head.label IN labels(h) AND ($head.keys IS NULL OR h[$head.property] IN $head.keys))
  AND ($tail IS NULL OR $tail.label IN labels(t) AND ($tail.keys IS NULL OR t[$tail.property] IN $tail.keys))
RETURN p.id AS id
ORDER BY id
LIMIT $limit
