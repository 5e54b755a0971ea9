// promises: creates the relationships that are missing and changes no other; both ends are there already
// parameters: $batch: {rows: list of [head key, tail key]}; in a map, because the plan cache keeps
//   one plan per magnitude of a list's length
CYPHER replan=skip UNWIND $batch.rows AS row
MATCH (h:{{head}} {{{key}}: row[0]})
MATCH (t:{{tail}} {{{key}}: row[1]})
MERGE (h)-[:{{relation}}]->(t)
