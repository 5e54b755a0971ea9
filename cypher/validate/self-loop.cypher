// Check: self-loops
// name: self-loop
// severity: error
// why: the edge leads from an entity to itself, and no known edge of its relation does
MATCH (h)-[p:PREDICTED]->(h)
WHERE p.status IN ['proposed', 'quarantined']
WITH collect(DISTINCT p.relation) AS relations
WHERE size(relations) > 0
WITH COLLECT { MATCH (x)-[r]->(x) WHERE type(r) IN relations RETURN DISTINCT type(r) } AS reflexive
MATCH (h)-[p:PREDICTED]->(h)
WHERE p.status IN ['proposed', 'quarantined'] AND NOT p.relation IN reflexive
RETURN h, p, h AS t, p.id AS id, p.relation AS path, null AS value,
       'leads to itself; no known ' + p.relation + ' does' AS message
