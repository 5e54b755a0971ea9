// promises: takes the write lock if it is free, stale or held by a dead process; says who holds it afterwards
// parameters: $owner, $runId, $planHash, $dead: owners that are known to be dead, $timeout (milliseconds)
// columns: owner, runId, age, nextBatch (after the run's last committed batch)
MERGE (l:__KgsyncLock {name: 'write'})
SET l.kgsyncLock = true  // lock before the look: what is read next stays true until the end of the transaction
WITH l
REMOVE l.kgsyncLock
WITH l, l.owner IS NULL OR l.owner = $owner OR l.owner IN $dead
        OR l.heartbeat < datetime.realtime() - duration({milliseconds: $timeout}) AS free
CALL {
  MATCH (b:__KgsyncBatch {runId: $runId})
  WHERE b.n >= 0
  RETURN coalesce(max(b.n), 0) + 1 AS next
}
FOREACH (_ IN CASE WHEN free THEN [1] ELSE [] END |
  SET l.owner = $owner, l.runId = $runId, l.planHash = $planHash, l.nextBatch = next, l.heartbeat = datetime.realtime())
RETURN l.owner AS owner, l.runId AS runId, l.nextBatch AS nextBatch,
       duration.inSeconds(l.heartbeat, datetime.realtime()).seconds AS age
