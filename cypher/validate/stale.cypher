// Check: stale predictions
// name: stale
// severity: warning
// fix: expire
// why: an end, or an edge of an end that may support the proposal, was changed since the graph was pulled for the edge's model,
//   or a fact that was kept as evidence for the proposal is not in the graph any more
// parameters: changed (properties: those that say when something was changed; types: the relations that have one),
//   names (maps of label, key and name: how entities are found); in Browser set them first:
//   :param changed => {properties: ['updatedAt'], types: []}
//   :param names => [{label: 'Country', key: 'id', name: 'name'}]
CALL () {
  MATCH (run:__KgsyncRun)-[:USED_MODEL]->(model:__KgsyncModel)
  WHERE size($changed.properties) > 0
  WITH model.id AS model, max(coalesce(run.pulledAt, run.startedAt)) AS since  // of the same content, the latest pull
  WITH collect({model: model, since: since}) AS models
  MATCH (h)-[p:PREDICTED]->(t)
  WHERE p.status IN ['proposed', 'quarantined']
  // a text is compared by its first 19 characters, with the seconds in UTC; with another time zone it is not
  WITH h, p, t, head([m IN models WHERE m.model = p.modelId | m.since]) AS since,
       '[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?Z?)?' AS iso
  WHERE since IS NOT NULL
  UNWIND [h, t] AS entity
  WITH entity, since, iso, collect(p) AS edges
  CALL (entity, since, iso) {
    WITH entity, since, iso
    WHERE size($changed.types) > 0
    MATCH (entity)-[r]-()
    WHERE type(r) IN $changed.types AND type(r) <> 'PREDICTED'
      AND any(k IN $changed.properties WHERE r[k] > since OR r[k] > localdatetime(since) OR r[k] > date(since)
              OR r[k] > since.epochMillis OR (r[k] =~ iso AND left(toStringOrNull(r[k]), 19) > left(toString(since), 19)))
    WITH r LIMIT 1
    RETURN collect(type(r)) AS supports
  }
  WITH edges, since, supports, any(k IN $changed.properties
       WHERE entity[k] > since OR entity[k] > localdatetime(since) OR entity[k] > date(since) OR entity[k] > since.epochMillis
             OR (entity[k] =~ iso AND left(toStringOrNull(entity[k]), 19) > left(toString(since), 19))) AS changed
  WHERE changed OR size(supports) > 0
  UNWIND edges AS p
  WITH p, since, max(coalesce(changed, false)) AS changed, head(collect(supports[0])) AS support
  RETURN startNode(p) AS h, p, endNode(p) AS t, toString(since) AS value,
         CASE WHEN changed THEN 'an end' ELSE 'the ' + support + ' of an end' END + ' was changed since' AS message
  UNION ALL
  MATCH (h)-[p:PREDICTED]->(t)
  WHERE p.status IN ['proposed', 'quarantined']
  CALL (p) {
    MATCH (v:__KgsyncEvidence)
    WHERE v.predictionId = p.id AND v.runId IS NOT NULL AND v.modelId = p.modelId
    RETURN v.content AS content
    ORDER BY v.runId = p.runId DESC, v.runId DESC
    LIMIT 1
  }
  WITH h, p, t, content, [n IN $names WHERE n.label IN labels(h) | n.label + ':' + toStringOrNull(h[n.key])] AS heads,
       [n IN $names WHERE n.label IN labels(t) | n.label + ':' + toStringOrNull(t[n.key])] AS tails
  // the JSON of kgsync.evidence: a quote inside a name has a backslash, so these marks stand between names only
  UNWIND split(content, '"facts":[["')[1..] AS part
  UNWIND split(split(part, '"]],"kind":"')[0], '"],["') AS fact
  WITH h, p, t, heads, tails, fact, split(fact, '","') AS names
  WHERE size(names) = 3
  // each fact lies at an end of the proposal, and is looked for among all that is known of this end
  WITH p, fact, CASE WHEN names[0] IN heads THEN [h, names[0]] WHEN names[2] IN heads THEN [h, names[2]]
                     WHEN names[0] IN tails THEN [t, names[0]] WHEN names[2] IN tails THEN [t, names[2]] END AS end
  WHERE end IS NOT NULL
  WITH end[0] AS entity, end[1] AS name, fact, collect(p) AS edges
  WITH entity, name, fact, split(fact, '","') AS names, edges
  WHERE NOT fact CONTAINS '\\'
    AND all(each IN [names[0], names[2]] WHERE any(n IN $names WHERE each STARTS WITH n.label + ':'))
  WITH entity, name, collect(DISTINCT names[1]) AS relations, collect(fact) AS facts, collect(edges) AS edges
  CALL (entity, name, relations, facts) {
    MATCH (entity)-[r]-(node)
    WHERE type(r) IN relations
    WITH startNode(r) = entity AS out, '","' + type(r) + '","' AS relation, node
    UNWIND [n IN $names WHERE n.label IN labels(node) | n.label + ':' + toStringOrNull(node[n.key])] AS other
    WITH CASE WHEN out THEN name + relation + other ELSE other + relation + name END AS known
    WHERE known IN facts
    RETURN collect(known) AS known
  }
  UNWIND [i IN range(0, size(facts) - 1) WHERE NOT facts[i] IN known] AS i
  UNWIND edges[i] AS p
  WITH p, split(min(facts[i]), '","') AS names
  WITH p, names[0] + ' ' + names[1] + ' ' + names[2] AS value
  RETURN startNode(p) AS h, p, endNode(p) AS t, value, 'rests on ' + value + ', which is not in the graph any more' AS message
}
RETURN h, p, t, p.id AS id, p.relation AS path, value, message
