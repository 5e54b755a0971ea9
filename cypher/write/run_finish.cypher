// promises: the run is finished, with the counts of all of its batches
// parameters: $runId, $counts
MATCH (r:__KgsyncRun {id: $runId})
CALL {
  MATCH (b:__KgsyncBatch {runId: $runId})
  WHERE b.n >= 0
  RETURN sum(b.created) AS created, sum(b.updated) AS updated, sum(b.expired) AS expired
}
SET r.status = 'finished', r.finishedAt = datetime(),
    r.created = created, r.updated = updated, r.expired = expired, r += $counts
