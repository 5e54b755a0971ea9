// Predicted edges: rejected
// promises: read-only; the edges that reviewers rejected last; they are never proposed again
// columns: h, p, t, by, at, reason, id
MATCH (h)-[p:PREDICTED]->(t)
WHERE p.status = 'rejected'
RETURN h, p, t, p.reviewedBy AS by, p.reviewedAt AS at, p.reviewReason AS reason, p.id AS id
ORDER BY p.reviewedAt DESC, p.id
LIMIT 25
