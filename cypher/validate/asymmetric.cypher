// Check: asymmetric relations both ways
// name: asymmetric
// severity: warning
// why: the relation holds one way only (20 or more known edges, under 1 % of them both ways), and here it would hold both ways
MATCH (h)-[p:PREDICTED]->(t)
WHERE p.status IN ['proposed', 'quarantined'] AND h <> t
  AND EXISTS { (t)-[r]->(h) WHERE type(r) = p.relation
               OR type(r) = 'PREDICTED' AND r.relation = p.relation }
WITH collect(DISTINCT p.relation) AS relations
WHERE size(relations) > 0
MATCH (a)-[r]->(b)
WHERE type(r) IN relations AND a <> b
WITH type(r) AS relation, count(*) AS edges,
     sum(CASE WHEN EXISTS { (b)-[s]->(a) WHERE type(s) = type(r) } THEN 1 ELSE 0 END) AS mutual
WHERE edges >= 20 AND mutual < 0.01 * edges
WITH collect(relation) AS asymmetric
MATCH (h)-[p:PREDICTED]->(t)
WHERE p.status IN ['proposed', 'quarantined'] AND h <> t AND p.relation IN asymmetric
WITH h, p, t, EXISTS { (t)-[r]->(h) WHERE type(r) = p.relation } AS asserted
WHERE asserted OR EXISTS {
  // of two proposals against each other the better one stays
  (t)-[q:PREDICTED {relation: p.relation}]->(h)
  WHERE q.status IN ['proposed', 'quarantined']
    AND (q.score > p.score OR q.score = p.score AND q.id < p.id)
}
RETURN h, p, t, p.id AS id, p.relation AS path, CASE WHEN asserted THEN 'asserted' ELSE 'proposed' END AS value,
       p.relation + ' holds one way only, and the other way is '
       + CASE WHEN asserted THEN 'asserted' ELSE 'proposed with a higher score' END AS message
