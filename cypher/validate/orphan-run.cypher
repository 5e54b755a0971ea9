// Check: orphan runs
// name: orphan-run
// severity: warning
// fix: forget
// why: kgsync's notes of a run, a model, or an edge's evidence, to which no edge in the graph belongs
MATCH ()-[p:PREDICTED]->()
UNWIND [p.runId, p.firstRunId] AS run
WITH run, p.modelId AS model, count(*) AS edges
WITH collect(DISTINCT run) AS runs, collect(DISTINCT model) AS models
CALL (runs, models) {
  MATCH (h:__KgsyncRun)
  WHERE NOT h.id IN runs AND h.status = 'finished' AND h.created > 0
    // what it changed, a later rollback may give back to it
    AND coalesce(h.updated, 0) + coalesce(h.expired, 0) = 0
  RETURN h, h.created AS value, 'made ' + h.created + ' edges, and none of them is in the graph' AS message
  UNION ALL
  MATCH (h:__KgsyncBatch)
  WHERE NOT EXISTS { MATCH (run:__KgsyncRun) WHERE run.id = h.runId }
  RETURN h, h.runId AS value, 'is the note of a batch, and its run is not in the graph' AS message
  UNION ALL
  MATCH (h:__KgsyncModel)
  WHERE NOT h.id IN models AND h.embeddedAt IS NULL AND NOT EXISTS { (:__KgsyncRun)-[:USED_MODEL]->(h) }
  RETURN h, h.id AS value, 'is a model that no run and no edge names' AS message
  UNION ALL
  MATCH (h:__KgsyncEvidence)
  WHERE NOT EXISTS { MATCH ()-[p:PREDICTED]->() WHERE p.id = h.predictionId }
  RETURN h, h.predictionId AS value, 'is the evidence of an edge that is not in the graph' AS message
}
RETURN h, null AS p, null AS t, null AS id, null AS path, value, message
