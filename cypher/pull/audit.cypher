// promises: read-only; what the random audit has found, in groups of about one score: of all edges up to the last that it
//   drew, in the order of their ids, those that are decided, by whichever way; as in review/desk/audit only up to the first
//   that was skipped and still waits
// parameters: none
// columns: score, missingShare (that this score assumes), decided, accepted
MATCH ()-[drawn:PREDICTED]->()
WHERE drawn.reviewAudit
WITH max(drawn.id) AS end
CALL () {
  MATCH (n:__KgsyncReview {action: 'skip'})
  MATCH ()-[skipped:PREDICTED {id: n.predictionId}]->()
  WHERE skipped.status = 'proposed'
  RETURN min(skipped.id) AS open
}
MATCH ()-[p:PREDICTED]->()
WHERE p.id <= end AND (open IS NULL OR p.id < open) AND p.status IN ['accepted', 'rejected']
MATCH (m:__KgsyncModel {id: p.modelId})
WITH round(p.score, 2) AS score, m.missingShare AS missingShare, p.status = 'accepted' AS accepted
WHERE score IS NOT NULL AND missingShare > 0
RETURN score, missingShare, count(*) AS decided, count(CASE WHEN accepted THEN 1 END) AS accepted
ORDER BY missingShare, score
