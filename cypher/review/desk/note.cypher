// promises: keeps one note per edge of what a reviewer did, and marks the decisions on edges that came up by chance
// parameters: ids, action (accept, reject, skip, undo), by, reason, audit (those of the ids that came up by chance)
// columns: none
UNWIND $ids AS id
CREATE (:__KgsyncReview {predictionId: id, action: $action, by: $by, reason: $reason, at: datetime(),
                         audit: CASE WHEN id IN $audit THEN true END})
WITH id
MATCH ()-[p:PREDICTED {id: id}]->()
WHERE id IN $audit OR p.reviewAudit
SET p.reviewAudit = CASE WHEN id IN $audit AND $action IN ['accept', 'reject'] THEN true END
