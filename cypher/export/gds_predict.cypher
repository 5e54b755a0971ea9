// promises: projects what has a vector, then ranks the ten best answers of each entity, the best first; none that $relation joins to
//   it already. The first pair of statements asks (h, r, ?), the second (?, r, t)
// parameters: $relation; $vector: that relation's `tails` in relations.json, for the second pair its `heads`
MATCH (source) WHERE source.kgsyncGdsVector IS NOT NULL
OPTIONAL MATCH (source)-[r]->(target) WHERE target.kgsyncGdsVector IS NOT NULL
RETURN gds.graph.project('kgsync-tails', source, target, {
  sourceNodeProperties: source {.kgsyncGdsVector}, targetNodeProperties: target {.kgsyncGdsVector},
  relationshipType: type(r)
}) AS projected;

CALL gds.ml.kge.predict.stream('kgsync-tails', {
  nodeEmbeddingProperty: 'kgsyncGdsVector', relationshipTypeEmbedding: $vector,
  scoringFunction: {{scoring}}, relationshipTypes: [$relation], topK: 10
}) YIELD sourceNodeId, targetNodeId, score
RETURN gds.util.asNode(sourceNodeId) AS head, gds.util.asNode(targetNodeId) AS tail, score
ORDER BY sourceNodeId, CASE WHEN {{scoring}} = 'TransE' THEN score ELSE -score END;

MATCH (source) WHERE source.kgsyncGdsVector IS NOT NULL
OPTIONAL MATCH (source)<-[r]-(target) WHERE target.kgsyncGdsVector IS NOT NULL
RETURN gds.graph.project('kgsync-heads', source, target, {
  sourceNodeProperties: source {.kgsyncGdsVector}, targetNodeProperties: target {.kgsyncGdsVector},
  relationshipType: type(r)
}) AS projected;

CALL gds.ml.kge.predict.stream('kgsync-heads', {
  nodeEmbeddingProperty: 'kgsyncGdsVector', relationshipTypeEmbedding: $vector,
  scoringFunction: {{scoring}}, relationshipTypes: [$relation], topK: 10
}) YIELD sourceNodeId, targetNodeId, score
RETURN gds.util.asNode(sourceNodeId) AS tail, gds.util.asNode(targetNodeId) AS head, score
ORDER BY sourceNodeId, CASE WHEN {{scoring}} = 'TransE' THEN score ELSE -score END
