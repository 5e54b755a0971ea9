// promises: read-only; which labels stand together on how many entities; an entity is what has a relationship of one of the types
// columns: labels, entities
MATCH (n)
WHERE EXISTS { (n)-[{{types}}]-() }
RETURN labels(n) AS labels, count(*) AS entities
