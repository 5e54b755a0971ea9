// Check: coverage per relation
// name: coverage
// severity: info
// why: nothing is proposed for a relation with 20 or more known edges, though there is for most of these relations;
//   or 20 or more edges are proposed, and more than are known
// parameters: known (per relation the number of known edges); in Browser set it first:
//   :param known => {CAPITAL: 30}
MATCH ()-[p:PREDICTED]->()
WHERE p.status IN ['proposed', 'quarantined', 'accepted']
WITH p.relation AS relation, sum(CASE p.status WHEN 'accepted' THEN 0 ELSE 1 END) AS proposed, collect(p)[0] AS example
WITH collect(relation) AS relations, collect([relation, proposed, example]) AS covered
WITH relations, covered, [r IN keys($known) WHERE $known[r] >= 20] AS large
WITH covered, size(large) AS large, [r IN large WHERE NOT r IN relations | [r, 0, null]] AS bare
// else somebody asked for some relations only
UNWIND covered + CASE WHEN 2 * size(bare) < large THEN bare ELSE [] END AS row
WITH row[0] AS path, row[1] AS value, row[2] AS p, $known[toStringOrNull(row[0])] AS edges
WHERE p IS NULL OR value >= 20 AND value > edges
RETURN startNode(p) AS h, p, endNode(p) AS t, null AS id, path, value,
       CASE WHEN p IS NULL THEN 'nothing is proposed for ' + path + ', of which ' + edges + ' are known'
            ELSE value + ' are proposed, and only ' + edges + ' known' END AS message
ORDER BY path
