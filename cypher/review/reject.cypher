// Reject predicted edges
// promises: each edge that has one of the statuses becomes rejected, and is never proposed again;
//   a note says who decided it; what another reviewer decided is told, never overwritten
// parameters: ids, by, reason, statuses; in Browser set them first:
//   :param ids => ['paste an id here']
//   :param by => 'your name'
//   :param reason => 'why'
//   :param statuses => ['proposed', 'quarantined']
// columns: h, p, t, id, outcome (done, unchanged, refused), message
UNWIND $ids AS id
MATCH (h)-[p:PREDICTED {id: id}]->(t)
SET p.kgsyncLock = true  // lock before the look: of two reviewers the second sees what the first decided
WITH h, p, t, id, p.status AS before
REMOVE p.kgsyncLock
WITH h, p, t, id, before, before IN $statuses AS free
CALL (p, free) {
  WITH p
  WHERE free
  SET p.status = 'rejected', p.reviewedBy = $by, p.reviewedAt = datetime(), p.reviewReason = $reason
  CREATE (:__KgsyncReview {predictionId: p.id, action: 'reject', by: $by, reason: $reason, at: datetime()})
  RETURN count(p) AS rejected
}
RETURN h, p, t, id,
       CASE WHEN free THEN 'done' WHEN before = 'rejected' THEN 'unchanged' ELSE 'refused' END AS outcome,
       CASE WHEN free THEN 'is now rejected'
            WHEN before IN ['accepted', 'rejected'] THEN
              'was ' + before + ' by ' + coalesce(p.reviewedBy, 'somebody') + coalesce(' on ' + toString(date(p.reviewedAt)), '')
            ELSE 'is ' + coalesce(before, 'without status') END AS message
