// promises: read-only; waiting edges whose ids lie in a range, in the order of their ids: a random one, as ids are hashes
// parameters: last (ids below it), skipped (ids to leave out), limit
// columns: id
MATCH ()-[p:PREDICTED]->()
WHERE p.id < $last AND p.status = 'proposed' AND NOT p.id IN $skipped
RETURN p.id AS id
ORDER BY id
LIMIT $limit
