// promises: read-only; the entities of a label in the order of their keys (no sorting where the key is indexed)
// parameters: $name (property), $text (list of properties), $characters (of text that are kept)
// columns: key, labels, name, text; empty name or text stands for none
MATCH (n:{{label}})
WHERE n.{{key}} IS NOT NULL {{not_earlier}}
RETURN n.{{key}} AS key, labels(n) AS labels,
       coalesce(toStringOrNull(n[$name]), '') AS name,
       left(reduce(all = '', p IN $text | all + coalesce(toStringOrNull(n[p]) + ' ', '')), $characters) AS text
ORDER BY key
