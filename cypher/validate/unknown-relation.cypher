// Check: unknown relations
// name: unknown-relation
// severity: error
// fix: expire
// why: no known edge has the relation that is proposed, so that nothing can have been learned about it
// parameters: known (per relation the number of known edges); in Browser set it first:
//   :param known => {CAPITAL: 30}
MATCH (h)-[p:PREDICTED]->(t)
WHERE p.status IN ['proposed', 'quarantined'] AND $known[toStringOrNull(p.relation)] IS NULL
  AND NOT coalesce(p.relation IN ['PREDICTED', 'USED_MODEL'], false)
RETURN h, p, t, p.id AS id, p.relation AS path, p.relation AS value,
       'the graph holds no ' + coalesce(p.relation, 'relation without a name') AS message
