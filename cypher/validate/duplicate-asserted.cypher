// Check: duplicates of asserted edges
// name: duplicate-asserted
// severity: error
// why: what the edge proposes stands in the graph already
MATCH (h)-[p:PREDICTED]->(t)
WHERE p.status IN ['proposed', 'quarantined']
  AND EXISTS { (h)-[r]->(t) WHERE type(r) = p.relation }
RETURN h, p, t, p.id AS id, p.relation AS path, null AS value,
       'the graph holds this ' + p.relation + ' already' AS message
