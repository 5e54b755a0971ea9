// Check: functional relations with several targets
// name: functional
// severity: warning
// why: the relation has one target (20 or more known heads, 95 % of them with one), and here it would have another
MATCH ()-[p:PREDICTED]->()
WHERE p.status IN ['proposed', 'quarantined']
WITH collect(DISTINCT p.relation) AS relations
WHERE size(relations) > 0
MATCH (x)
CALL (x, relations) {
  MATCH (x)-[r]->(y)
  WHERE type(r) IN relations
  RETURN type(r) AS relation, count(DISTINCT y) AS targets
}
WITH relation, count(*) AS heads, sum(CASE targets WHEN 1 THEN 1 ELSE 0 END) AS single
WHERE heads >= 20 AND single >= 0.95 * heads
WITH collect(relation) AS functional
MATCH (h)-[p:PREDICTED]->(t)
WHERE p.status IN ['proposed', 'quarantined'] AND p.relation IN functional
WITH h, p, t, EXISTS { (h)-[r]->(y) WHERE type(r) = p.relation AND y <> t } AS asserted
WHERE asserted OR EXISTS {
  // of several proposals the best one stays
  (h)-[q:PREDICTED {relation: p.relation}]->(y)
  WHERE y <> t AND q.status IN ['proposed', 'quarantined']
    AND (q.score > p.score OR q.score = p.score AND q.id < p.id)
}
RETURN h, p, t, p.id AS id, p.relation AS path, CASE WHEN asserted THEN 'asserted' ELSE 'proposed' END AS value,
       p.relation + ' has one target, and another is '
       + CASE WHEN asserted THEN 'asserted' ELSE 'proposed with a higher score' END AS message
