// promises: read-only; the edges that kgsync predicted for some relations
// parameters: $relations, $properties, $labels, $keys: key properties of the labels
// columns: id, seen (the values of $properties), headLabels, headKeys, tailLabels, tailKeys
MATCH (h)-[e:PREDICTED]->(t)
WHERE e.relation IN $relations AND e.firstRunId IS NOT NULL
RETURN e.id AS id, [p IN $properties | e[p]] AS seen,
       [l IN labels(h) WHERE l IN $labels] AS headLabels, [k IN $keys | h[k]] AS headKeys,
       [l IN labels(t) WHERE l IN $labels] AS tailLabels, [k IN $keys | t[k]] AS tailKeys
