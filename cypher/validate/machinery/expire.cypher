// promises: edges that nobody has reviewed expire; the others, and those that somebody else made, stay as they are
// parameters: ids
// columns: ids (of those that did)
UNWIND $ids AS id
MATCH ()-[p:PREDICTED {id: id}]->()
SET p.kgsyncLock = true  // lock before the look: a review that commits in between must not be overwritten
WITH p, p.status AS before
REMOVE p.kgsyncLock
WITH p
WHERE before IN ['proposed', 'quarantined'] AND p.firstRunId IS NOT NULL
SET p.status = 'expired', p.reasons = null, p.updatedAt = datetime()
RETURN collect(p.id) AS ids
