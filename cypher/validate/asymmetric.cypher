// Check: asymmetric relations both ways
// name: asymmetric
// severity: warning
// why: the relation holds one way only, and here it would hold both ways
// parameters: asymmetric (the relations that hold one way only); in Browser set it first:
//   :param asymmetric => ['PARENT']
MATCH (h)-[p:PREDICTED]->(t)
WHERE p.status IN ['proposed', 'quarantined'] AND h <> t AND p.relation IN $asymmetric
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
