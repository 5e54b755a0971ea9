// promises: changes properties of edges, in the name of a run; null removes one; new evidence is kept beside the edge, and
//   that of earlier runs stays as it is
// parameters: $rows: list of {id, set}, $runId, $now
UNWIND $rows AS row
MATCH ()-[e:PREDICTED {id: row.id}]->()
WITH e, row.id AS id, row.set AS new
SET e += new {.*, kgsyncDetails: null}, e.runId = $runId, e.updatedAt = datetime($now)
FOREACH (content IN CASE WHEN new.kgsyncDetails IS NULL THEN [] ELSE [new.kgsyncDetails] END |
  MERGE (v:__KgsyncEvidence {predictionId: id, runId: $runId})
  ON CREATE SET v.modelId = e.modelId, v.content = content)
