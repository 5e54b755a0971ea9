// Check: inverse functional relations with several sources
// name: inverse-functional
// severity: warning
// why: a tail has so many heads and no more, and here it would have another
//   (which rivals count, `functional` says)
// parameters: maxHeads (per relation the most heads of a tail), wrong (ids of proposals that have a fault of their own);
//   in Browser set them first:
//   :param maxHeads => {CAPITAL: 1}
//   :param wrong => []
MATCH (h)-[p:PREDICTED]->(t)
WHERE p.status IN ['proposed', 'quarantined'] AND $maxHeads[toStringOrNull(p.relation)] IS NOT NULL
WITH t, p
ORDER BY p.id IN $wrong, CASE WHEN 0 <= p.score <= 1 THEN p.score ELSE -1 END DESC, p.id  // of several proposals the best one stays
WITH t, p.relation AS path, collect(p) AS edges
WITH t, path, edges, $maxHeads[path] AS most,
     COLLECT { MATCH (y)-[r]->(t)
               WHERE type(r) = path
                 AND (r.kgsyncPredictionId IS NULL
                      OR NOT EXISTS { (y)-[q:PREDICTED]->(t) WHERE q.id = r.kgsyncPredictionId AND q.status <> 'accepted' })
               RETURN DISTINCT y } AS known
WITH t, path, most, size(known) AS asserted, [p IN edges WHERE NOT startNode(p) IN known] AS edges
WHERE asserted + size(edges) > most
UNWIND [i IN range(0, size(edges) - 1) WHERE asserted + i >= most | edges[i]] AS p
RETURN startNode(p) AS h, p, t, p.id AS id, path, CASE WHEN asserted >= most THEN 'asserted' ELSE 'proposed' END AS value,
       CASE most WHEN 1 THEN path + ' comes from one source, and another is '
                 ELSE path + ' comes from ' + most + ' sources at most, and as many are ' END
       + CASE WHEN asserted >= most THEN 'asserted' ELSE 'proposed with a higher score' END AS message
