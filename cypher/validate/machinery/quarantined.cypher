// promises: read-only; the edges in quarantine
// parameters: runId (null: of every run)
// columns: id, reasons
MATCH ()-[p:PREDICTED]->()
WHERE p.status = 'quarantined' AND ($runId IS NULL OR p.runId = $runId)
RETURN p.id AS id, p.reasons AS reasons
