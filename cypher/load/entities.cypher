// promises: creates the nodes that are missing; fills in a missing name or description; overwrites nothing
// parameters: $batch: {rows: list of [key, name or null, description or null, further labels]}; in a map, because the plan cache keeps
//   one plan per magnitude of a list's length
// columns: differing (nodes that keep another name or description than the row's)
UNWIND $batch.rows AS row
MERGE (n:{{label}} {{{key}}: row[0]})
SET n.name = coalesce(n.name, row[1]), n.description = coalesce(n.description, row[2]), n:$(row[3])
RETURN count(CASE WHEN n.name <> row[1] OR n.description <> row[2] THEN 1 END) AS differing
