// promises: read-only; what the graph knows of one run
// parameters: $runId
// columns: status, planHash
MATCH (r:__KgsyncRun {id: $runId})
RETURN r.status AS status, r.planHash AS planHash
