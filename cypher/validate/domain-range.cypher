// Check: domain and range
// name: domain-range
// severity: warning
// why: no label of the head (or of the tail) is usual there. Usual is what 1 %, or 5, of the relation's known edges have there,
//   given 20 of them. A label that 90 % of the entities carry tells nothing; an entity without any other is of the kind '(none)'.
MATCH ()-[p:PREDICTED]->()
WHERE p.status IN ['proposed', 'quarantined']
WITH collect(DISTINCT p.relation) AS relations
WHERE size(relations) > 0
CALL (relations) {
  MATCH (n)
  WHERE EXISTS { (n)-[r]-() WHERE type(r) IN relations }
  UNWIND labels(n) + [''] AS label  // '', which is no label, counts the entities
  WITH label, count(*) AS carriers
  WITH max(carriers) AS entities, collect([label, carriers]) AS labels
  RETURN [l IN labels WHERE l[1] >= 0.9 * entities | l[0]] AS common
}
CALL (relations, common) {
  MATCH (a)-[r]->(b)
  WHERE type(r) IN relations
  WITH type(r) AS relation, labels(a) AS heads, labels(b) AS tails, count(*) AS edges
  UNWIND [['head', heads], ['tail', tails]] AS end
  WITH relation, end[0] AS end, [l IN end[1] WHERE NOT l IN common] AS kinds, edges
  WITH relation, end, sum(edges) AS edges, collect([kinds, edges]) AS combinations
  WHERE edges >= 20
  UNWIND combinations AS combination
  UNWIND CASE WHEN combination[0] = [] THEN ['(none)'] ELSE combination[0] END AS kind
  WITH relation, end, edges, kind, sum(combination[1]) AS seen
  WHERE seen >= 5 OR seen >= 0.01 * edges
  WITH relation, end, kind ORDER BY seen DESC
  WITH relation, end, collect(kind) AS usual
  RETURN collect({relation: relation, end: end, usual: usual}) AS rules
}
CALL (relations) {
  MATCH (h)-[p:PREDICTED]->(t)
  WHERE p.status IN ['proposed', 'quarantined'] AND p.relation IN relations
  RETURN p.relation AS path, labels(h) AS heads, labels(t) AS tails, collect(p) AS edges
}
UNWIND [['head', heads], ['tail', tails]] AS end
WITH path, edges, rules, end[0] AS end, end[1] AS value, [l IN end[1] WHERE NOT l IN common] AS kinds
WITH path, edges, end, value, CASE WHEN kinds = [] THEN ['(none)'] ELSE kinds END AS kinds,
     head([r IN rules WHERE r.relation = path AND r.end = end | r.usual]) AS usual
WHERE none(k IN kinds WHERE k IN usual)
UNWIND edges AS p
RETURN startNode(p) AS h, p, endNode(p) AS t, p.id AS id, path, value,
       'the ' + end + ' of ' + path + ' is usually ' + reduce(s = usual[0], u IN usual[1..3] | s + ' or ' + u)
       + ', not ' + reduce(s = kinds[0], k IN kinds[1..] | s + ' and ' + k) AS message
