// promises: read-only; the types of relationships of which one has one of some properties
// parameters: properties
// columns: relation
MATCH ()-[r]->()
WHERE type(r) <> 'PREDICTED' AND any(k IN $properties WHERE r[k] IS NOT NULL)
RETURN DISTINCT type(r) AS relation
ORDER BY relation
