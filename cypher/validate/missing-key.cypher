// Check: missing keys
// name: missing-key
// severity: error
// why: an end has no key (a string or an integer) any more, so that kgsync cannot find it again
// parameters: names (maps of label, key and name: how entities are found); in Browser set it first:
//   :param names => [{label: 'Country', key: 'id', name: 'name'}]
MATCH (h)-[p:PREDICTED]->(t)
WHERE p.status IN ['proposed', 'quarantined', 'accepted']
UNWIND [['head', h], ['tail', t]] AS end
WITH h, p, t, end[0] AS end, end[1] AS entity
WITH h, p, t, end, entity, head([n IN $names WHERE n.label IN labels(entity)]) AS found
WHERE found IS NOT NULL AND NOT (entity[found.key] IS :: STRING NOT NULL OR entity[found.key] IS :: INTEGER NOT NULL)
RETURN h, p, t, p.id AS id, p.relation AS path, valueType(entity[found.key]) AS value,
       'the ' + end + ' is a ' + found.label + ' without a usable ' + found.key AS message
