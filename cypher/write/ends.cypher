// promises: read-only; how many nodes with the label have each of the keys; one pass where the key has no index
// parameters: $keys
// columns: key, nodes (at least 1)
MATCH (n:{{label}})
WHERE n.{{key}} IN $keys
RETURN n.{{key}} AS key, count(*) AS nodes
