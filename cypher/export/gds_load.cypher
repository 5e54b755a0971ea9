// promises: sets the vectors of the entities of one label, from a CSV file that `kgsync export --format gds` wrote
// parameters: $from: where the server finds the CSV files, with a slash at the end: 'file:///' is its import folder (the server of
//   `kgsync up` has none: the whole path), or a URL
LOAD CSV WITH HEADERS FROM $from + {{file}} AS row
CALL (row) {
  MATCH (n:{{label}} {{{key}}: CASE WHEN {{integers}} THEN toInteger(row.key) ELSE row.key END})
  CALL db.create.setNodeVectorProperty(n, 'kgsyncGdsVector', [x IN split(row.vector, ' ') | toFloat(x)])
} IN TRANSACTIONS OF 1000 ROWS
