// Check: unknown statuses
// name: status
// severity: error
// why: the edge has no status that kgsync knows, so that neither a review nor another check sees it
MATCH (h)-[p:PREDICTED]->(t)
WHERE p.firstRunId IS NOT NULL  // else somebody else made it
  AND NOT coalesce(p.status IN ['proposed', 'quarantined', 'accepted', 'rejected', 'expired'], false)
RETURN h, p, t, p.id AS id, p.relation AS path, p.status AS value,
       'the status is ' + coalesce(toStringOrNull(p.status), 'missing') AS message
