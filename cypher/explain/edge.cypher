// promises: read-only; one predicted edge with its model, its run and the evidence for it: that of the run that changed it
//   last, else the latest
// parameters: $id
// columns: edge (all properties, times as text), head, tail (maps of labels and name), model, run (all properties),
//   evidence (JSON of kgsync.evidence, null where there is none)
MATCH (h)-[p:PREDICTED {id: $id}]->(t)
OPTIONAL MATCH (m:__KgsyncModel {id: p.modelId})
OPTIONAL MATCH (r:__KgsyncRun {id: p.runId})
CALL (p) {
  OPTIONAL MATCH (v:__KgsyncEvidence)
  WHERE v.predictionId = p.id AND v.runId IS NOT NULL AND v.modelId = p.modelId
  RETURN v.content AS evidence
  ORDER BY v.runId = p.runId DESC, v.runId DESC
  LIMIT 1
}
RETURN p {.*, createdAt: toString(p.createdAt), updatedAt: toString(p.updatedAt), reviewedAt: toString(p.reviewedAt)} AS edge,
       {labels: labels(h), name: [x IN [h.name, h.title, h.id] WHERE toStringOrNull(x) IS NOT NULL | toString(x)][0]} AS head,
       {labels: labels(t), name: [x IN [t.name, t.title, t.id] WHERE toStringOrNull(x) IS NOT NULL | toString(x)][0]} AS tail,
       properties(m) AS model,
       r {.*, startedAt: toString(r.startedAt), finishedAt: toString(r.finishedAt), rolledBackAt: toString(r.rolledBackAt),
          pulledAt: toString(r.pulledAt)} AS run,
       evidence
LIMIT 1
