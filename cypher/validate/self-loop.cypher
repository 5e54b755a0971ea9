// Check: self-loops
// name: self-loop
// severity: error
// why: the edge leads from an entity to itself, and no edge of its relation does
// parameters: loopless (the relations that join no entity with itself); in Browser set it first:
//   :param loopless => ['BORDERS']
MATCH (h)-[p:PREDICTED]->(t)
WHERE p.status IN ['proposed', 'quarantined'] AND p.relation IN $loopless AND startNode(p) = endNode(p)
RETURN h, p, t, p.id AS id, p.relation AS path, null AS value,
       'leads to itself; no known ' + p.relation + ' does' AS message
