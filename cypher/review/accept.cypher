// Accept predicted edges
// promises: each edge that has one of the statuses becomes accepted, and the relationship that it predicts is there afterwards;
//   a note says who decided it; what another reviewer decided is told, never overwritten
// parameters: ids, by, reason, statuses; in Browser set them first:
//   :param ids => ['paste an id here']
//   :param by => 'your name'
//   :param reason => 'why'
//   :param statuses => ['proposed', 'quarantined']
// columns: h, p, t, id, outcome (done, already true, unchanged, refused), message, made (the type of the relationship)
UNWIND $ids AS id
MATCH (h)-[p:PREDICTED {id: id}]->(t)
SET p.kgsyncLock = true  // lock before the look: of two reviewers the second sees what the first decided
WITH h, p, t, id, p.status AS before
REMOVE p.kgsyncLock
WITH h, p, t, id, before, coalesce(p.relation, '') IN ['', 'PREDICTED', 'USED_MODEL'] AS nameless
WITH h, p, t, id, before, nameless, before IN $statuses AND NOT nameless AS free
CALL (h, p, t, free) {
  WITH h, p, t
  WHERE free
  MERGE (h)-[e:$(p.relation)]->(t)
  ON CREATE SET e.kgsyncPredictionId = p.id, e.kgsyncRunId = p.runId, e.kgsyncModelId = p.modelId,
                e.knowledgeLevel = 'knowledge_assertion', e.agentType = 'manual_validation_of_automated_agent'
  WITH p, collect(e.kgsyncPredictionId) AS origins, collect(type(e))[0] AS type
  SET p.status = 'accepted', p.reviewedBy = $by, p.reviewedAt = datetime(), p.reviewReason = $reason,
      p.alreadyTrue = CASE WHEN p.id IN origins THEN null ELSE true END
  CREATE (:__KgsyncReview {predictionId: p.id, action: 'accept', by: $by, reason: $reason, at: datetime()})
  RETURN max(type) AS made  // an aggregate: one row in any case
}
RETURN h, p, t, id,
       CASE WHEN free AND p.alreadyTrue THEN 'already true'
            WHEN free THEN 'done'
            WHEN before = 'accepted' THEN 'unchanged'
            ELSE 'refused' END AS outcome,
       CASE WHEN free AND p.alreadyTrue THEN 'the graph holds this ' + p.relation + ' already'
            WHEN free THEN 'is now a ' + p.relation
            WHEN before IN ['accepted', 'rejected'] THEN
              'was ' + before + ' by ' + coalesce(p.reviewedBy, 'somebody') + coalesce(' on ' + toString(date(p.reviewedAt)), '')
            WHEN nameless THEN 'has no relation that can be made'
            ELSE 'is ' + coalesce(before, 'without status') END AS message,
       made
