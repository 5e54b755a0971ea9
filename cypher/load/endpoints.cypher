// promises: creates the nodes that are missing and changes no other
// parameters: $batch: {rows: list of keys}; in a map, because the plan cache keeps
//   one plan per magnitude of a list's length
UNWIND $batch.rows AS key
MERGE (:{{label}} {{{key}}: key})
