// promises: read-only; what leads back from the tail to the head, for the relationships of some types, loops left out
// columns: relation, back (types), edges
MATCH (h)-[r{{types}}]->(t)
WHERE h <> t
WITH type(r) AS relation, COLLECT { MATCH (t)-[s]->(h) WHERE type(s) <> 'PREDICTED' RETURN DISTINCT type(s) } AS back
RETURN relation, back, count(*) AS edges
