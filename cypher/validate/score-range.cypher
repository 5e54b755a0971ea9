// Check: scores out of range
// name: score-range
// severity: error
// fix: expire
// why: a score is a probability, and its lower bound is no higher than itself
MATCH (h)-[p:PREDICTED]->(t)
WHERE p.status IN ['proposed', 'quarantined', 'accepted']
  // false for a NaN, null for a missing value or one of another type
  AND NOT coalesce(0 <= p.scoreLow <= p.score <= 1, false)
RETURN h, p, t, p.id AS id, p.relation AS path, p.score AS value,
       'score ' + coalesce(toStringOrNull(p.score), 'missing')
       + ', scoreLow ' + coalesce(toStringOrNull(p.scoreLow), 'missing')
       + '; must be 0 <= scoreLow <= score <= 1' AS message
