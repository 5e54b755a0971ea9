// promises: read-only; how many predicted edges there are of each relation, run and status
// columns: relation, runId, status, edges
MATCH ()-[p:PREDICTED]->()
RETURN p.relation AS relation, p.runId AS runId, p.status AS status, count(*) AS edges
