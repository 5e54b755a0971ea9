// Check: asymmetric relations both ways
// name: asymmetric
// severity: warning
// why: the relation holds one way only, and here it would hold both ways
// parameters: asymmetric (the relations that hold one way only), wrong (ids of proposals that have a fault of their own);
//   in Browser set them first:
//   :param asymmetric => ['PARENT']
//   :param wrong => []
MATCH (h)-[p:PREDICTED]->(t)
WHERE p.status IN ['proposed', 'quarantined'] AND h <> t AND p.relation IN $asymmetric
WITH h, p, t, EXISTS { (t)-[r]->(h) WHERE type(r) = p.relation } AS asserted
WHERE asserted OR EXISTS {
  // of two proposals against each other the better one stays; one with a fault of its own is no better
  (t)-[q:PREDICTED {relation: p.relation}]->(h)
  WHERE q.status IN ['proposed', 'quarantined']
    AND CASE WHEN (p.id IN $wrong) <> (q.id IN $wrong) THEN p.id IN $wrong
             ELSE q.score > p.score OR q.score = p.score AND q.id < p.id END
}
RETURN h, p, t, p.id AS id, p.relation AS path, CASE WHEN asserted THEN 'asserted' ELSE 'proposed' END AS value,
       p.relation + ' holds one way only, and the other way is '
       + CASE WHEN asserted THEN 'asserted' ELSE 'proposed with a higher score' END AS message
