// Check: functional relations with several targets
// name: functional
// severity: warning
// why: a head has so many tails and no more, and here it would have another
// parameters: maxTails (per relation the most tails of a head); in Browser set it first:
//   :param maxTails => {CAPITAL: 1}
MATCH (h)-[p:PREDICTED]->(t)
WHERE p.status IN ['proposed', 'quarantined'] AND $maxTails[toStringOrNull(p.relation)] IS NOT NULL
WITH h, p ORDER BY CASE WHEN 0 <= p.score <= 1 THEN p.score ELSE -1 END DESC, p.id  // of several proposals the best one stays
WITH h, p.relation AS path, collect(p) AS edges
WITH h, path, edges, $maxTails[path] AS most,
     COLLECT { MATCH (h)-[r]->(y) WHERE type(r) = path RETURN DISTINCT y } AS known
WITH h, path, most, size(known) AS asserted, [p IN edges WHERE NOT endNode(p) IN known] AS edges
WHERE asserted + size(edges) > most
UNWIND [i IN range(0, size(edges) - 1) WHERE asserted + i >= most | edges[i]] AS p
RETURN h, p, endNode(p) AS t, p.id AS id, path, CASE WHEN asserted >= most THEN 'asserted' ELSE 'proposed' END AS value,
       CASE most WHEN 1 THEN path + ' has one target, and another is '
                 ELSE path + ' has ' + most + ' targets at most, and as many are ' END
       + CASE WHEN asserted >= most THEN 'asserted' ELSE 'proposed with a higher score' END AS message
