// promises: read-only; predicted edges in the order in which a look at them helps most
// parameters: those of review/list (without names), and: order (worth, score, doubt), first and last (bounds of the ids; last
//   may be null), skipped (ids to leave out), overall (shift of every logit), shifts (of a relation's logits, by relation),
//   doubt, reach (weights), passed (edges to leave out at the start), limit
// columns: id, chance (that it is true, after what was learned), doubt, reach (the other predicted edges at its ends,
//   whatever their status: nothing is read to count them), worth
MATCH (h)-[p:PREDICTED]->(t)
WHERE p.status IN $statuses
  AND p.id >= $first AND ($last IS NULL OR p.id < $last)
  AND ($relation IS NULL OR p.relation = $relation)
  AND ($minScore IS NULL OR p.score >= $minScore)
  AND ($maxScore IS NULL OR p.score <= $maxScore)
  AND ($runId IS NULL OR p.runId = $runId)
  AND ($reviewer IS NULL OR p.reviewedBy = $reviewer)
  AND ($head IS NULL OR $head.label IN labels(h) AND ($head.keys IS NULL OR h[$head.property] IN $head.keys))
  AND ($tail IS NULL OR $tail.label IN labels(t) AND ($tail.keys IS NULL OR t[$tail.property] IN $tail.keys))
  AND NOT p.id IN $skipped
WITH p, h, t, CASE WHEN p.score < 0.000001 THEN 0.000001 WHEN p.score > 0.999999 THEN 0.999999 ELSE p.score END AS score
WITH p, h, t, score, 1.0 / (1.0 + (1.0 - score) / score * exp(-coalesce($shifts[p.relation], $overall))) AS chance
WITH p, h, t, score, chance, chance * (1.0 - chance) AS doubt,
     // the ends are counted where the order asks for it; that takes longer than all the rest
     CASE $order WHEN 'worth' THEN COUNT { (h)-[:PREDICTED]-() } + COUNT { (t)-[:PREDICTED]-() } - 2 END AS reach
WITH p, h, t, score, chance, doubt, chance + $doubt * doubt + $reach * log(1.0 + reach) AS worth
ORDER BY CASE $order WHEN 'worth' THEN worth WHEN 'doubt' THEN doubt ELSE score END DESC, p.id
SKIP $passed
LIMIT $limit
WITH p, score, chance, doubt, COUNT { (h)-[:PREDICTED]-() } + COUNT { (t)-[:PREDICTED]-() } - 2 AS reach
RETURN p.id AS id, chance, doubt, reach, chance + $doubt * doubt + $reach * log(1.0 + reach) AS worth
ORDER BY CASE $order WHEN 'worth' THEN worth WHEN 'doubt' THEN doubt ELSE score END DESC, id
