// Check: accepted edges without their relationship
// name: accepted-gone
// severity: warning
// why: a reviewer accepted the edge, and the relationship that came of it is not in the graph any more
MATCH (h)-[p:PREDICTED]->(t)
WHERE p.status = 'accepted' AND NOT EXISTS { (h)-[r]->(t) WHERE type(r) = p.relation }
RETURN h, p, t, p.id AS id, p.relation AS path, p.reviewedBy AS value,
       'was accepted, and this ' + p.relation + ' is not in the graph' AS message
