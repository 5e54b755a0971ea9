// Check: stale predictions
// name: stale
// severity: warning
// fix: expire
// why: an end, or an edge of an end that may support the proposal, was changed since the graph was pulled for the edge's model
// parameters: changed (properties: those that say when something was changed; types: the relations that have one);
//   in Browser set it first:
//   :param changed => {properties: ['updatedAt'], types: []}
MATCH (run:__KgsyncRun)-[:USED_MODEL]->(model:__KgsyncModel)
WHERE size($changed.properties) > 0
WITH model.id AS model, max(coalesce(run.pulledAt, run.startedAt)) AS since  // of the same content, the latest pull
WITH collect({model: model, since: since}) AS models
MATCH (h)-[p:PREDICTED]->(t)
WHERE p.status IN ['proposed', 'quarantined']
WITH h, p, t, head([m IN models WHERE m.model = p.modelId | m.since]) AS since
WHERE since IS NOT NULL
UNWIND [h, t] AS entity
WITH entity, since, collect(p) AS edges
CALL (entity, since) {
  WITH entity, since
  WHERE size($changed.types) > 0
  MATCH (entity)-[r]-()
  WHERE type(r) IN $changed.types AND type(r) <> 'PREDICTED'
    AND any(k IN $changed.properties WHERE r[k] > since OR r[k] > localdatetime(since) OR r[k] > date(since)
                                            OR r[k] > since.epochMillis)
  WITH r LIMIT 1
  RETURN collect(type(r)) AS supports
}
WITH edges, since, supports, any(k IN $changed.properties
     WHERE entity[k] > since OR entity[k] > localdatetime(since) OR entity[k] > date(since) OR entity[k] > since.epochMillis)
     AS changed
WHERE changed OR size(supports) > 0
UNWIND edges AS p
WITH p, since, max(coalesce(changed, false)) AS changed, head(collect(supports[0])) AS support
RETURN startNode(p) AS h, p, endNode(p) AS t, p.id AS id, p.relation AS path, toString(since) AS value,
       CASE WHEN changed THEN 'an end' ELSE 'the ' + support + ' of an end' END + ' was changed since' AS message
