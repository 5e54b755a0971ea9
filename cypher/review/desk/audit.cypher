// promises: read-only; what the random audit has found: of all edges up to the last that it drew, in the order of their ids,
//   those that are decided, by whichever way; only up to the first that was skipped and still waits, as who skips chooses
// parameters: last (ids below it belong to the audit)
// columns: decided, accepted, promised (by their scores)
OPTIONAL MATCH ()-[drawn:PREDICTED]->()
WHERE drawn.reviewAudit AND drawn.id < $last
WITH max(drawn.id) AS end
CALL () {
  MATCH (n:__KgsyncReview {action: 'skip'})
  MATCH ()-[skipped:PREDICTED {id: n.predictionId}]->()
  WHERE skipped.status = 'proposed'
  RETURN min(skipped.id) AS open
}
OPTIONAL MATCH ()-[p:PREDICTED]->()
WHERE p.id <= end AND (open IS NULL OR p.id < open) AND p.status IN ['accepted', 'rejected']
RETURN count(p) AS decided, count(CASE p.status WHEN 'accepted' THEN 1 END) AS accepted, coalesce(sum(p.score), 0.0) AS promised
