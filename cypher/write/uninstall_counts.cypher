// promises: read-only; what of kgsync is in the graph, apart from constraints and indexes
// columns: predictions, foreign (PREDICTED edges that kgsync did not make), keys (nodes with the key that kgsync added),
//   vectors (nodes with a model's vector)
RETURN COUNT { MATCH ()-[e:PREDICTED]->() WHERE e.firstRunId IS NOT NULL } AS predictions,
       COUNT { MATCH ()-[e:PREDICTED]->() WHERE e.firstRunId IS NULL } AS foreign,
       COUNT { MATCH (n) WHERE n.kgsyncId IS NOT NULL } AS keys,
       COUNT { MATCH (n) WHERE n.kgsyncModelId IS NOT NULL } AS vectors
