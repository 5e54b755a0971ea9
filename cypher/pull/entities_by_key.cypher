// promises: read-only; the entities of a label with the given keys; one pass where the key has no index
// parameters: $keys, $name, $text, $characters as in pull/entities
// columns: as in pull/entities
MATCH (n:{{label}})
WHERE n.{{key}} IN $keys {{not_earlier}}
RETURN n.{{key}} AS key, labels(n) AS labels,
       coalesce(toStringOrNull(n[$name]), '') AS name,
       left(reduce(all = '', p IN $text | all + coalesce(toStringOrNull(n[p]) + ' ', '')), $characters) AS text
