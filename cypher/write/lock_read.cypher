// promises: read-only; who holds the write lock, never waits
// columns: owner, runId, age (seconds since the last sign of life)
MATCH (l:__KgsyncLock {name: 'write'})
WHERE l.owner IS NOT NULL
RETURN l.owner AS owner, l.runId AS runId, duration.inSeconds(l.heartbeat, datetime.realtime()).seconds AS age
