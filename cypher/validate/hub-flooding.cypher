// Check: hub flooding
// name: hub-flooding
// severity: warning
// why: more edges of one relation are proposed at an entity than 99 of 100 entities have at all, and more than ten;
//   the best so many stay
// parameters: usualHeads, usualTails (per relation: so many heads has a tail usually at most, so many tails a head),
//   wrong (ids of proposals that have a fault of their own); in Browser set them first:
//   :param usualHeads => {}
//   :param usualTails => {}
//   :param wrong => []
MATCH (h)-[p:PREDICTED]->(t)
WHERE p.status IN ['proposed', 'quarantined']
UNWIND [['tail', t, $usualHeads[toStringOrNull(p.relation)]], ['head', h, $usualTails[toStringOrNull(p.relation)]]] AS end
WITH end[0] AS end, end[1] AS hub, p.relation AS path, coalesce(end[2], 0) AS usual, collect(p) AS edges
WITH end, hub, path, CASE WHEN usual > 10 THEN usual ELSE 10 END AS most, edges
WHERE size(edges) > most
UNWIND edges AS p
WITH end, hub, path, most, p ORDER BY p.id IN $wrong, CASE WHEN 0 <= p.score <= 1 THEN p.score ELSE -1 END DESC, p.id
WITH end, hub, path, most, collect(p) AS edges
UNWIND edges[most..] AS p
RETURN startNode(p) AS h, p, endNode(p) AS t, p.id AS id, path, size(edges) AS value,
       'one of ' + size(edges) + ' proposals of ' + path + ' with this ' + end + '; usually there are ' + most + ' at most' AS message
