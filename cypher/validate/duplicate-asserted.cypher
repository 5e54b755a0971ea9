// Check: duplicates of asserted edges
// name: duplicate-asserted
// severity: error
// fix: expire
// why: what the edge proposes stands in the graph already
MATCH (h)-[p:PREDICTED]->(t)
WHERE p.status IN ['proposed', 'quarantined']
  AND EXISTS {
    // not the edge itself, and not a relationship that came of it: those are leakage
    (h)-[r]->(t)
    WHERE type(r) = p.relation AND type(r) <> 'PREDICTED' AND coalesce(r.kgsyncPredictionId, '') <> p.id
  }
RETURN h, p, t, p.id AS id, p.relation AS path, null AS value,
       'the graph holds this ' + p.relation + ' already' AS message
