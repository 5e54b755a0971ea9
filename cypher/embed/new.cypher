// promises: read-only; the entities of a label that do not carry the vector of a model's training: the new ones, and those whose
//   vector was made afterwards
// parameters: $modelId, $name, $text, $characters as in pull/entities
// columns: key, labels, name, text, made (of what its vector of this model was made afterwards; null: it has none)
MATCH (n:{{label}})
WHERE (n.{{key}} IS :: STRING NOT NULL OR n.{{key}} IS :: INTEGER NOT NULL)
  AND (coalesce(n.kgsyncModelId, '') <> $modelId OR n.kgsyncVectorFrom IS NOT NULL) {{not_earlier}}
RETURN n.{{key}} AS key, labels(n) AS labels,
       coalesce(toStringOrNull(n[$name]), '') AS name,
       left(reduce(all = '', p IN $text | all + coalesce(toStringOrNull(n[p]) + ' ', '')), $characters) AS text,
       CASE WHEN n.kgsyncModelId = $modelId THEN n.kgsyncVectorFrom END AS made
ORDER BY key
