// promises: read-only; the relationship types of the database, kgsync's own left out
// columns: relation
CALL db.relationshipTypes() YIELD relationshipType AS relation
WHERE relation <> 'PREDICTED' AND relation <> 'USED_MODEL'
RETURN relation ORDER BY relation
