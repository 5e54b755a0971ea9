// Live predictions: best heads
// promises: read-only; the heads that the embedded model ranks highest for an entity and a relation, asked of the vector index:
//   no plan, nothing is written. Known and rejected edges and the entity itself are left out. Scores and their order are exact;
//   which entities are looked at is approximate: the 4 * k nearest and one more for each known edge, in each label that the
//   relation's heads have. No rows: nothing is embedded (see `kgsync embed`), or the model does not know the entity or relation
// parameters: label, key, value (the entity is the node of that label whose property key has that value), relation, k; in a
//   large graph, replace that MATCH by your own, which an index can serve; in Browser set them first:
//   :params {label: 'Language', key: 'name', value: 'Quechua', relation: 'SPEAKS', k: 10}
// columns: h, t, kgeScore (the model's own value, comparable within one query only; no probability)
MATCH (r:__KgsyncRelationVector {relation: $relation})-[:USED_MODEL]->(m:__KgsyncModel)
WHERE m.embeddedAt IS NOT NULL
MATCH (t:$($label))
WHERE t[$key] = $value AND t.kgsyncModelId = m.id
WITH m, r, t, t.kgsyncVector AS a, r.heads AS b, m.rank AS d
WITH m, r, t, CASE m.scoring
  WHEN 'transe-l2' THEN [i IN range(0, d - 1) | a[i] + b[i]]
  WHEN 'distmult' THEN [i IN range(0, d - 1) | a[i] * b[i]] + [0.0]
  WHEN 'complex' THEN [i IN range(0, d - 1) | a[i] * b[i] - a[d + i] * b[d + i]]
                    + [i IN range(0, d - 1) | a[i] * b[d + i] + a[d + i] * b[i]] + [0.0]
END AS q, 4 * $k + 1 + COUNT { ()-[e]->(t) WHERE type(e) IN [$relation, 'PREDICTED'] } AS candidates
UNWIND r.headIndexes AS index
CALL db.index.vector.queryNodes(index, candidates, q) YIELD node AS h
WITH DISTINCT m, h, t, q  // a node may have several of the labels
WHERE h <> t AND h.kgsyncModelId = m.id AND NOT EXISTS {
  (h)-[e]->(t)
  WHERE type(e) = $relation OR (type(e) = 'PREDICTED' AND e.relation = $relation AND e.status = 'rejected')
}
WITH m, h, t, q, h.kgsyncVector AS v
RETURN h, t, CASE m.scoring
  WHEN 'transe-l2' THEN -sqrt(reduce(sum = 0.0, i IN range(0, size(q) - 1) | sum + (q[i] - v[i]) ^ 2))
  ELSE reduce(sum = 0.0, i IN range(0, size(q) - 1) | sum + q[i] * v[i])
END AS kgeScore
ORDER BY kgeScore DESC
LIMIT $k
