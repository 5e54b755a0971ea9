// promises: marks decided edges that had come up by chance, not for their score: they may re-estimate the base rate
// parameters: ids
// columns: none
UNWIND $ids AS id
MATCH ()-[p:PREDICTED {id: id}]->()
SET p.reviewAudit = true
