// promises: read-only; the entities of a label with the given keys
// parameters: $keys, $name, $text, $characters as in pull/entities
// columns: as in pull/entities
UNWIND $keys AS key
MATCH (n:{{label}} {{{key}}: key})
WHERE true {{not_earlier}}
RETURN n.{{key}} AS key, labels(n) AS labels,
       coalesce(toStringOrNull(n[$name]), '') AS name,
       left(reduce(all = '', p IN $text | all + coalesce(toStringOrNull(n[p]) + ' ', '')), $characters) AS text
