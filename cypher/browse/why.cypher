// Predicted edges: why this one
// promises: read-only; the known facts around a predicted edge: how its ends are connected otherwise, over one entity or none
//   (the way of the best rule first), what else the head is connected to in the same way, and who else has this tail; with
//   them its run and its model, and the evidence that was kept; `because` says it in a few lines
// parameters: id; in Browser set it first:
//   :param id => 'paste an id here'
// columns: h, p, t, direct, first, between, second, others, alike, run, model, because, evidence (because: lines on the edge; evidence: JSON)
MATCH (h)-[p:PREDICTED {id: $id}]->(t)
CALL (h, p, t) {
  OPTIONAL MATCH (h)-[direct]-(t)
  WHERE type(direct) <> 'PREDICTED'
  RETURN collect(direct) AS direct
}
CALL (h, p, t) {
  OPTIONAL MATCH (h)-[first]-(between)-[second]-(t)
  WHERE type(first) <> 'PREDICTED' AND type(second) <> 'PREDICTED'
  WITH p, first, between, second
  LIMIT 2000
  WITH first, between, second, [line IN p.evidence WHERE line STARTS WITH 'rule: '][0] AS rule
  ORDER BY coalesce(rule CONTAINS '-' + type(first) + '-' AND rule CONTAINS '-' + type(second) + '-', false) DESC
  LIMIT 25
  RETURN collect(first) AS first, collect(DISTINCT between) AS between, collect(second) AS second
}
CALL (h, p) {
  OPTIONAL MATCH path = (h)-[other]->()
  WHERE type(other) = p.relation
  WITH path
  LIMIT 10
  RETURN collect(path) AS others
}
CALL (t, p) {
  OPTIONAL MATCH path = ()-[other]->(t)
  WHERE type(other) = p.relation
  WITH path
  LIMIT 10
  RETURN collect(path) AS alike
}
CALL (p) {
  OPTIONAL MATCH (v:__KgsyncEvidence)
  WHERE v.predictionId = p.id AND v.runId = p.runId
  RETURN v.content AS evidence
}
CALL (p) {
  OPTIONAL MATCH (run:__KgsyncRun {id: p.runId})
  OPTIONAL MATCH (model:__KgsyncModel {id: p.modelId})
  RETURN run, model
}
RETURN h, p, t, direct, first, between, second, others, alike, run, model, p.evidence AS because, evidence
