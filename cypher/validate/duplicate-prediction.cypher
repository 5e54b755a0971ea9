// Check: duplicate predictions
// name: duplicate-prediction
// severity: error
// fix: expire
// why: the same triple is predicted twice, under two ids; an accepted edge counts as the first, else the best score
MATCH (h)-[p:PREDICTED]->(t)
WHERE p.status IN ['proposed', 'quarantined', 'accepted']
WITH h, t, p.relation AS path, collect(p) AS edges
WHERE size(edges) > 1
UNWIND edges AS p
WITH h, p, t, path
ORDER BY p.status = 'accepted' DESC, CASE WHEN 0 <= p.score <= 1 THEN p.score ELSE -1 END DESC, p.id
WITH h, t, path, collect(p) AS edges
UNWIND edges[1..] AS p
WITH h, p, t, path, edges[0] AS first
WHERE p.status <> 'accepted'
RETURN h, p, t, p.id AS id, path, first.id AS value,
       'is predicted already, as ' + coalesce(first.id, 'an edge without id') AS message
