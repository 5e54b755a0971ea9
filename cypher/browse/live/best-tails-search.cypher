// Live predictions: best tails, by SEARCH
// promises: read-only; the same as "best tails" with the SEARCH of Neo4j 2026.01 or newer, among the nodes of one label: put your
//   own label in the place of Entity, twice. SEARCH takes no limit that depends on the entity, so 200 edges that are known or
//   rejected are allowed for; an entity with more may get fewer rows than k
// parameters: label, key, value, relation, k: see "best tails"
// columns: h, t, kgeScore (the model's own value, comparable within one query only; no probability)
CYPHER 25
MATCH (r:__KgsyncRelationVector {relation: $relation})-[:USED_MODEL]->(m:__KgsyncModel)
WHERE m.embeddedAt IS NOT NULL
MATCH (h:$($label))
WHERE h[$key] = $value AND h.kgsyncModelId = m.id
WITH m, r, h, h.kgsyncVector AS a, r.tails AS b, m.rank AS d
WITH m, r, h, CASE m.scoring
  WHEN 'transe-l2' THEN [i IN range(0, d - 1) | a[i] + b[i]]
  WHEN 'distmult' THEN [i IN range(0, d - 1) | a[i] * b[i]] + [0.0]
  WHEN 'complex' THEN [i IN range(0, d - 1) | a[i] * b[i] - a[d + i] * b[d + i]]
                    + [i IN range(0, d - 1) | a[i] * b[d + i] + a[d + i] * b[i]] + [0.0]
END AS q
MATCH (t:Entity)
  SEARCH t IN (VECTOR INDEX kgsync_vector_Entity FOR q LIMIT 4 * $k + 200)
WITH m, h, t, q
WHERE h <> t AND t.kgsyncModelId = m.id AND NOT EXISTS {
  (h)-[e]->(t)
  WHERE type(e) = $relation OR (type(e) = 'PREDICTED' AND e.relation = $relation AND e.status = 'rejected')
}
WITH m, h, t, q, t.kgsyncVector AS v
RETURN h, t, CASE m.scoring
  WHEN 'transe-l2' THEN -sqrt(reduce(sum = 0.0, i IN range(0, size(q) - 1) | sum + (q[i] - v[i]) ^ 2))
  ELSE reduce(sum = 0.0, i IN range(0, size(q) - 1) | sum + q[i] * v[i])
END AS kgeScore
ORDER BY kgeScore DESC
LIMIT $k
