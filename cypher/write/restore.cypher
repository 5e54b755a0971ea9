// promises: edges carry again what they carried before, as far as it is kgsync's; the evidence of the run that changed them
//   goes, that of the runs before it is still there
// parameters: $rows: list of {id, set (all of kgsync's properties, times as text, null for what was not there)}
UNWIND $rows AS row
MATCH ()-[e:PREDICTED {id: row.id}]->()
OPTIONAL MATCH (v:__KgsyncEvidence {predictionId: row.id, runId: e.runId})
WHERE e.runId <> row.set.runId
DELETE v
WITH row, e
SET e += row.set,
    e.createdAt = datetime(row.set.createdAt),
    e.updatedAt = datetime(row.set.updatedAt),
    e.reviewedAt = datetime(row.set.reviewedAt)
