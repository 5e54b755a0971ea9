// promises: first statement of a transaction: locks the lock node and, if it is still ours and the batch is the next one,
//   counts the batch and gives a sign of life; changes nothing otherwise
// parameters: $owner, $batch, $advance (1 for a batch; 0 for work that may be repeated)
// columns: mine, owner, runId, nextBatch (before this batch), age, now (text)
MATCH (l:__KgsyncLock {name: 'write'})
SET l.kgsyncLock = true  // lock before the look: WHERE alone would trust what it read before it waited
WITH l
REMOVE l.kgsyncLock
WITH l, l.nextBatch AS nextBatch, coalesce(l.owner = $owner AND l.nextBatch = $batch, false) AS mine,
     duration.inSeconds(l.heartbeat, datetime.realtime()).seconds AS age
FOREACH (_ IN CASE WHEN mine THEN [1] ELSE [] END |
  SET l.nextBatch = $batch + $advance, l.heartbeat = datetime.realtime())
RETURN mine, l.owner AS owner, l.runId AS runId, nextBatch, age, toString(datetime.realtime()) AS now
