// promises: read-only; the number of nodes of a label whose key is missing, or neither a string nor an integer
// columns: nodes
MATCH (n:{{label}})
WHERE (n.{{key}} IS NULL OR NOT (n.{{key}} IS :: STRING OR n.{{key}} IS :: INTEGER)) {{not_earlier}}
RETURN count(n) AS nodes
