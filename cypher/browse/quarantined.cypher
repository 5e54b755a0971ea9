// Predicted edges: in quarantine
// promises: read-only; the edges that failed a check, and which; their reasons are the names of the checks
// columns: h, p, t, relation, score, reasons, id
MATCH (h)-[p:PREDICTED]->(t)
WHERE p.status = 'quarantined'
RETURN h, p, t, p.relation AS relation, p.score AS score, p.reasons AS reasons, p.id AS id
ORDER BY p.score DESC, p.id
LIMIT 25
