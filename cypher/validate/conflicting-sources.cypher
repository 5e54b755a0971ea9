// Check: conflicting sources
// name: conflicting-sources
// severity: warning
// why: what the proposal rests on contradicts itself: reviewers, or a reviewer and the graph, or known edges of a relation
//   that has fewer targets, by sources of their own (source, or Biolink's primary_knowledge_source) or by one
// parameters: maxTails (per relation the most tails of a head); in Browser set it first:
//   :param maxTails => {CAPITAL: 1}
CALL () {
  MATCH (h)-[p:PREDICTED]->(t)
  WHERE p.status = 'rejected'
    AND EXISTS { (h)-[r]->(t) WHERE type(r) = p.relation AND coalesce(r.kgsyncPredictionId, '') <> p.id }
  RETURN h, p, t, p.relation AS path, coalesce(p.reviewedBy, 'a reviewer') AS value,
         'was rejected, and the graph holds this ' + p.relation AS message
  UNION ALL
  MATCH (h)-[p:PREDICTED]->(t)
  WHERE p.status = 'rejected' AND EXISTS { (h)-[q:PREDICTED {relation: p.relation}]->(t) WHERE q.status = 'accepted' }
  RETURN h, p, t, p.relation AS path, coalesce(p.reviewedBy, 'a reviewer') AS value,
         'was rejected, and accepted under another id' AS message
  UNION ALL
  MATCH (h)-[p:PREDICTED]->()
  WHERE p.status IN ['proposed', 'quarantined'] AND $maxTails[toStringOrNull(p.relation)] IS NOT NULL
  WITH h, p.relation AS path, collect(p) AS edges
  WITH h, path, edges, COLLECT { MATCH (h)-[r]->(y)
                                 WHERE type(r) = path
                                   // what came of a prediction that is not accepted is no source: it is leakage
                                   AND (r.kgsyncPredictionId IS NULL
                                        OR NOT EXISTS { (h)-[q:PREDICTED]->(y)
                                                        WHERE q.id = r.kgsyncPredictionId AND q.status <> 'accepted' })
                                 WITH y, collect(coalesce(toStringOrNull(r.source), toStringOrNull(r.primary_knowledge_source),
                                                          'no source'))[0] AS source
                                 RETURN source ORDER BY source } AS sources
  WHERE size(sources) > $maxTails[path]
  WITH path, edges, sources, reduce(found = [], s IN sources | CASE WHEN s IN found THEN found ELSE found + s END) AS each
  UNWIND edges AS p
  RETURN startNode(p) AS h, p, endNode(p) AS t, path, sources AS value,
         'the head has ' + size(sources) + ' known ' + path + ', and ' + $maxTails[path] + ' at most can be right: '
         + CASE WHEN size(each) > 1 THEN reduce(s = each[0], e IN each[1..] | s + ' and ' + e) + ' say different things'
                WHEN each[0] = 'no source' THEN 'they have no source'
                ELSE each[0] + ' contradicts itself' END AS message
}
RETURN h, p, t, p.id AS id, path, value, message
