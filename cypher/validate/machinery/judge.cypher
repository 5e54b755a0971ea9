// promises: edges with reasons go into quarantine, edges without go back to proposed; a reviewed or expired edge, and one that
//   somebody else made, stays as it is
// parameters: rows (maps of id and reasons)
// columns: quarantined, released
UNWIND $rows AS row
MATCH ()-[p:PREDICTED {id: row.id}]->()
SET p.kgsyncLock = true  // lock before the look: a review that commits in between must not be overwritten
WITH p, row, p.status AS before
REMOVE p.kgsyncLock
WITH p, row
WHERE before IN ['proposed', 'quarantined'] AND p.firstRunId IS NOT NULL
SET p.status = CASE row.reasons WHEN [] THEN 'proposed' ELSE 'quarantined' END,
    p.reasons = CASE row.reasons WHEN [] THEN null ELSE row.reasons END,
    p.updatedAt = datetime()
RETURN count(CASE p.status WHEN 'quarantined' THEN 1 END) AS quarantined,
       count(CASE p.status WHEN 'proposed' THEN 1 END) AS released
