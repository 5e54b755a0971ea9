// Predicted edges: accepted
// promises: read-only; the edges that reviewers accepted last, with the relationships that came of them
// columns: h, p, t, made, by, at, reason, id
MATCH (h)-[p:PREDICTED]->(t)
WHERE p.status = 'accepted'
WITH h, p, t
ORDER BY p.reviewedAt DESC, p.id
LIMIT 25
OPTIONAL MATCH (h)-[made]->(t)
WHERE type(made) = p.relation
RETURN h, p, t, made, p.reviewedBy AS by, p.reviewedAt AS at, p.reviewReason AS reason, p.id AS id
