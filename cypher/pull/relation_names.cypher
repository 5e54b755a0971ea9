// promises: read-only; the names in words of relationship types, where `kgsync load` noted them
// columns: relation, name
MATCH (n:__KgsyncRelation)
WHERE n.name IS NOT NULL
RETURN n.type AS relation, n.name AS name
