// promises: changes properties of edges, in the name of a run; null removes one
// parameters: $rows: list of {id, set}, $runId, $now
UNWIND $rows AS row
MATCH ()-[e:PREDICTED {id: row.id}]->()
SET e += row.set, e.runId = $runId, e.updatedAt = datetime($now)
