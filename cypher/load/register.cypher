// promises: notes for which relation a type stands, once; fills in a missing name or description
// parameters: $rows: list of {type, id, name or null, description or null}
// columns: type, id (another one than the row's if somebody else took the type meanwhile)
UNWIND $rows AS row
MERGE (n:__KgsyncRelation {type: row.type})
ON CREATE SET n.id = row.id
SET n.name = coalesce(n.name, row.name), n.description = coalesce(n.description, row.description)
RETURN n.type AS type, n.id AS id
