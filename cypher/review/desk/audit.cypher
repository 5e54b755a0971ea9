// promises: read-only; what the random audit has found: of all edges up to the last that it drew, in the order of their ids,
//   those that are decided, by whichever way
// parameters: last (ids below it belong to the audit)
// columns: decided, accepted, promised (by their scores)
OPTIONAL MATCH ()-[drawn:PREDICTED]->()
WHERE drawn.reviewAudit AND drawn.id < $last
WITH max(drawn.id) AS end
OPTIONAL MATCH ()-[p:PREDICTED]->()
WHERE p.id <= end AND p.status IN ['accepted', 'rejected']
RETURN count(p) AS decided, count(CASE p.status WHEN 'accepted' THEN 1 END) AS accepted, coalesce(sum(p.score), 0.0) AS promised
