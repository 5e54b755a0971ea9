// Check: domain and range
// name: domain-range
// severity: warning
// why: the head (or the tail) has none of the labels that the relation has there
// parameters: kinds (per relation the labels of its heads and tails; '(none)' stands for no telling label),
//   common (labels that tell nothing, as nearly every entity has them); in Browser set them first:
//   :param kinds => {CAPITAL: {head: ['Country'], tail: ['City']}}
//   :param common => []
MATCH (h)-[p:PREDICTED]->(t)
WHERE p.status IN ['proposed', 'quarantined'] AND $kinds[toStringOrNull(p.relation)] IS NOT NULL
WITH p.relation AS path, labels(h) AS heads, labels(t) AS tails, collect(p) AS edges
WITH path, edges, heads, tails, $kinds[path] AS kinds
UNWIND [['head', heads, kinds.head], ['tail', tails, kinds.tail]] AS end
WITH path, edges, end[0] AS end, end[1] AS value, end[2] AS usual, [l IN end[1] WHERE NOT l IN $common] AS telling
WHERE none(l IN value WHERE l IN usual) AND NOT (telling = [] AND '(none)' IN usual)
UNWIND edges AS p
RETURN startNode(p) AS h, p, endNode(p) AS t, p.id AS id, path, value,
       'the ' + end + ' of ' + path + ' is usually ' + reduce(s = usual[0], u IN usual[1..3] | s + ' or ' + u)
       + ', not ' + CASE telling WHEN [] THEN '(none)' ELSE reduce(s = telling[0], k IN telling[1..] | s + ' and ' + k) END
       AS message
