// promises: what remains of a batch after it was taken back; nothing remaining, the batch goes
// parameters: $runId, $n, $createdIds, $before
MATCH (b:__KgsyncBatch {runId: $runId, n: $n})
SET b.createdIds = $createdIds, b.before = $before
WITH b
WHERE size($createdIds) = 0 AND $before IS NULL
DELETE b
