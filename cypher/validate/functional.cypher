// Check: functional relations with several targets
// name: functional
// severity: warning
// why: a head has so many tails and no more, and here it would have another
//   (what is known counts, and of the proposals those without a fault of their own at first; an accepted edge counts by its
//   relationship, and what is rejected or expired never)
// parameters: maxTails (per relation the most tails of a head), wrong (ids of proposals that have a fault of their own);
//   in Browser set them first:
//   :param maxTails => {CAPITAL: 1}
//   :param wrong => []
MATCH (h)-[p:PREDICTED]->(t)
WHERE p.status IN ['proposed', 'quarantined'] AND $maxTails[toStringOrNull(p.relation)] IS NOT NULL
WITH h, p
ORDER BY p.id IN $wrong, CASE WHEN 0 <= p.score <= 1 THEN p.score ELSE -1 END DESC, p.id  // of several proposals the best one stays
WITH h, p.relation AS path, collect(p) AS edges
WITH h, path, edges, $maxTails[path] AS most,
     COLLECT { MATCH (h)-[r]->(y)
               WHERE type(r) = path
                 // what came of a prediction that is not accepted is no knowledge: it is leakage
                 AND (r.kgsyncPredictionId IS NULL
                      OR NOT EXISTS { (h)-[q:PREDICTED]->(y) WHERE q.id = r.kgsyncPredictionId AND q.status <> 'accepted' })
               RETURN DISTINCT y } AS known
WITH h, path, most, size(known) AS asserted, [p IN edges WHERE NOT endNode(p) IN known] AS edges
WHERE asserted + size(edges) > most
UNWIND [i IN range(0, size(edges) - 1) WHERE asserted + i >= most | edges[i]] AS p
RETURN h, p, endNode(p) AS t, p.id AS id, path, CASE WHEN asserted >= most THEN 'asserted' ELSE 'proposed' END AS value,
       CASE most WHEN 1 THEN path + ' has one target, and another is '
                 ELSE path + ' has ' + most + ' targets at most, and as many are ' END
       + CASE WHEN asserted >= most THEN 'asserted' ELSE 'proposed with a higher score' END AS message
