// promises: read-only; the batches of a run, the last one first
// parameters: $runId
// columns: n
MATCH (b:__KgsyncBatch {runId: $runId})
WHERE b.n >= 0
RETURN b.n AS n
ORDER BY n DESC
