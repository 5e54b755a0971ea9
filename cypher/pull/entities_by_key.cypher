// promises: read-only; the entities of a label with the given keys
// parameters: $keys, $name, $text, $characters as in pull/entities
// columns: keys, labels, names, texts: lists of the same length
UNWIND $keys AS key
MATCH (n:{{label}} {{{key}}: key})
WHERE true {{not_earlier}}
RETURN collect(n.{{key}}) AS keys,
       collect(labels(n)) AS labels,
       collect(coalesce(toStringOrNull(n[$name]), '')) AS names,
       collect(left(reduce(all = '', p IN $text | all + coalesce(toStringOrNull(n[p]) + ' ', '')), $characters)) AS texts
