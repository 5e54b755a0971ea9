// Predicted edges: the best
// promises: read-only; the proposals with the highest scores
// columns: h, p, t
MATCH (h)-[p:PREDICTED]->(t)
WHERE p.status = 'proposed'
RETURN h, p, t
ORDER BY p.score DESC, p.id
LIMIT 25
