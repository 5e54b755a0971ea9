// promises: read-only; who did what to one predicted edge, the latest first
// parameters: id
// columns: action, by, at, reason
MATCH (n:__KgsyncReview {predictionId: $id})
RETURN n.action AS action, n.by AS by, toString(n.at) AS at, n.reason AS reason
ORDER BY n.at DESC
LIMIT 10
