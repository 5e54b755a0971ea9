// promises: read-only; the predicted edges with one of the ids, wherever they are
// parameters: $ids, $properties, $labels, $keys: key properties of the labels
// columns: id, seen (the values of $properties), headLabels, headKeys, tailLabels, tailKeys
MATCH (h)-[e:PREDICTED]->(t)
WHERE e.id IN $ids
RETURN e.id AS id, [p IN $properties | e[p]] AS seen,
       [l IN labels(h) WHERE l IN $labels] AS headLabels, [k IN $keys | h[k]] AS headKeys,
       [l IN labels(t) WHERE l IN $labels] AS tailLabels, [k IN $keys | t[k]] AS tailKeys
