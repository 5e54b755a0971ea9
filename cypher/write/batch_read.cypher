// promises: read-only; what a batch did
// parameters: $runId, $n
// columns: createdIds, before
MATCH (b:__KgsyncBatch {runId: $runId, n: $n})
RETURN b.createdIds AS createdIds, b.before AS before
