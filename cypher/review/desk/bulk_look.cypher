// promises: read-only; how many predicted edges a decision about all that fit would be about
// parameters: those of review/list (without names and limit), and first: waiting edges with lower ids are left to the audit
// columns: edges, low, high, mean (of their scores), left (to the audit)
MATCH (h)-[p:PREDICTED]->(t)
WHERE p.status IN $statuses
  AND ($relation IS NULL OR p.relation = $relation)
  AND ($minScore IS NULL OR p.score >= $minScore)
  AND ($maxScore IS NULL OR p.score <= $maxScore)
  AND ($runId IS NULL OR p.runId = $runId)
  AND ($reviewer IS NULL OR p.reviewedBy = $reviewer)
  AND ($head IS NULL OR $head.label IN labels(h) AND ($head.keys IS NULL OR h[$head.property] IN $head.keys))
  AND ($tail IS NULL OR $tail.label IN labels(t) AND ($tail.keys IS NULL OR t[$tail.property] IN $tail.keys))
WITH p.score AS score, p.id < $first AS audit
RETURN count(CASE WHEN NOT audit THEN 1 END) AS edges, min(CASE WHEN NOT audit THEN score END) AS low,
       max(CASE WHEN NOT audit THEN score END) AS high, avg(CASE WHEN NOT audit THEN score END) AS mean,
       count(CASE WHEN audit THEN 1 END) AS left
