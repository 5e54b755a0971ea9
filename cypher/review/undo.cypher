// Undo your reviews
// promises: each edge that this reviewer accepted or rejected is again what it was before; the relationship that accepting
//   made is deleted only if nobody has put a property on it since, otherwise nothing changes; a note says who undid it
// parameters: ids, by; in Browser set them first:
//   :param ids => ['paste an id here']
//   :param by => 'your name'
// columns: h, p, t, id, outcome (done, refused), message
UNWIND $ids AS id
MATCH (h)-[p:PREDICTED {id: id}]->(t)
SET p.kgsyncLock = true  // lock before the look, here and below
WITH h, p, t, id, p.status AS before
REMOVE p.kgsyncLock
WITH h, p, t, id, before, before IN ['accepted', 'rejected'] AS reviewed
WITH h, p, t, id, before, reviewed, reviewed AND coalesce(p.reviewedBy = $by, false) AS mine
CALL (h, p, t, mine) {
  MATCH (h)-[e]->(t)
  WHERE mine AND e.kgsyncPredictionId = p.id
  SET e.kgsyncLock = true
  WITH e
  REMOVE e.kgsyncLock
  WITH e, all(key IN keys(e) WHERE key IN ['kgsyncPredictionId', 'kgsyncRunId', 'kgsyncModelId', 'knowledgeLevel',
                                           'agentType']) AS untouched
  RETURN collect(e) AS made, coalesce(min(untouched), true) AS untouched
}
WITH h, p, t, id, before, reviewed, mine, made, mine AND untouched AS free
CALL (p, made, free) {
  WITH p, made
  WHERE free
  FOREACH (e IN made | DELETE e)
  SET p.status = CASE WHEN size(p.reasons) > 0 THEN 'quarantined' ELSE 'proposed' END
  REMOVE p.reviewedBy, p.reviewedAt, p.reviewReason, p.reviewAudit, p.alreadyTrue
  CREATE (:__KgsyncReview {predictionId: p.id, action: 'undo', by: $by, at: datetime()})
  RETURN count(p) AS undone
}
RETURN h, p, t, id,
       CASE WHEN free THEN 'done' ELSE 'refused' END AS outcome,
       CASE WHEN free THEN 'is ' + p.status + ' again'
            WHEN mine THEN 'stays accepted: somebody has put more properties on its ' + p.relation
            WHEN reviewed THEN
              'was ' + before + ' by ' + coalesce(p.reviewedBy, 'somebody') + coalesce(' on ' + toString(date(p.reviewedAt)), '')
            ELSE 'is ' + coalesce(before, 'without status') + ', not reviewed' END AS message
