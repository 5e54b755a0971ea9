// Predicted edges: of the latest run
// promises: read-only; the best edges that the latest run made or changed
// columns: run, h, p, t
MATCH (run:__KgsyncRun)
WITH run
ORDER BY run.startedAt DESC
LIMIT 1
MATCH (h)-[p:PREDICTED {runId: run.id}]->(t)
RETURN run, h, p, t
ORDER BY p.score DESC, p.id
LIMIT 25
