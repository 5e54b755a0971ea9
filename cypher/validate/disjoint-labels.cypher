// Check: disjoint labels
// name: disjoint-labels
// severity: warning
// why: an end has two labels that exclude each other, so that nobody can tell what it is
// parameters: disjoint (lists of labels of which an entity has one at most); in Browser set it first:
//   :param disjoint => [['City', 'Country']]
MATCH (h)-[p:PREDICTED]->(t)
WHERE p.status IN ['proposed', 'quarantined']
UNWIND [['head', labels(h)], ['tail', labels(t)]] AS end
WITH end[0] AS end, end[1] AS value, collect(p) AS edges
WITH end, edges, value, head([d IN $disjoint WHERE size([l IN d WHERE l IN value]) > 1 | [l IN d WHERE l IN value]]) AS both
WHERE both IS NOT NULL
UNWIND edges AS p
RETURN startNode(p) AS h, p, endNode(p) AS t, p.id AS id, p.relation AS path, value,
       'the ' + end + ' is ' + reduce(s = both[0], l IN both[1..] | s + ' and ' + l) + ', which exclude each other' AS message
