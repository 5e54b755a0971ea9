// Check: leakage of predictions into a snapshot
// name: leakage
// severity: error
// why: a proposal that nobody has accepted stands in the graph as knowledge, so that a snapshot holds it; or a model has learned
//   from one that did
CALL () {
  MATCH (h)-[p:PREDICTED]->(t)
  WHERE p.status <> 'accepted' AND EXISTS { (h)-[e]->(t) WHERE e.kgsyncPredictionId = p.id }
  RETURN h, p, t, p.id AS id, p.relation AS path, p.status AS value,
         'is ' + p.status + ', and its relationship is in the graph' AS message
  UNION ALL
  MATCH (h)-[p:PREDICTED]->(t)
  WHERE p.relation IN ['PREDICTED', 'USED_MODEL']
  RETURN h, p, t, p.id AS id, p.relation AS path, p.modelId AS value,
         'its model has learned from ' + p.relation + ', which is no relation of the graph' AS message
  UNION ALL
  MATCH (h)-[p]->(t)
  WHERE p.kgsyncPredictionId IS NOT NULL
    AND NOT EXISTS { (h)-[q:PREDICTED]->(t) WHERE q.id = p.kgsyncPredictionId }
  RETURN h, p, t, null AS id, type(p) AS path, p.kgsyncPredictionId AS value,
         'came from a prediction, and the review of it is not in the graph' AS message
}
RETURN h, p, t, id, path, value, message
