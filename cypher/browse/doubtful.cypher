// Predicted edges: the doubtful
// promises: read-only; the proposals with the lowest scores
// columns: h, p, t
MATCH (h)-[p:PREDICTED]->(t)
WHERE p.status = 'proposed'
RETURN h, p, t
ORDER BY p.score, p.id
LIMIT 25
