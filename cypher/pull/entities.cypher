// promises: read-only; one page of the entities of a label in the order of their keys (a seek where the key is indexed)
// parameters: $after (the last key of the page before; a key of the same type), $first (whether $after itself counts),
//   $limit, $name (property), $text (list of properties), $characters (of text that are kept)
// columns: keys, labels, names, texts: lists of the same length; empty text stands for none
MATCH (n:{{label}})
WHERE n.{{key}} >= $after AND ($first OR n.{{key}} > $after) AND n.{{key}} IS :: {{key_type}} NOT NULL {{not_earlier}}
WITH n ORDER BY n.{{key}} LIMIT $limit
RETURN collect(n.{{key}}) AS keys,
       collect(labels(n)) AS labels,
       collect(coalesce(toStringOrNull(n[$name]), '')) AS names,
       collect(left(reduce(all = '', p IN $text | all + coalesce(toStringOrNull(n[p]) + ' ', '')), $characters)) AS texts
