// promises: read-only; what relationship types stand for, where `kgsync load` noted it
// columns: relation, id (of the relation in the files), name (in words, or null)
MATCH (n:__KgsyncRelation)
RETURN n.type AS relation, n.id AS id, n.name AS name
