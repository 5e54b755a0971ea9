// promises: read-only; the relationship types that stand for relations of loaded files
// columns: id, type
MATCH (n:__KgsyncRelation)
RETURN n.id AS id, n.type AS type
