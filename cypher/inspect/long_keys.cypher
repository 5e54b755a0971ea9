// promises: read-only; the strings among the keys of a label that are longer than a limit
// parameters: $limit (UTF-16 units)
// columns: key
MATCH (n:{{label}})
WHERE n.{{key}} IS :: STRING NOT NULL AND size(n.{{key}}) > $limit
RETURN n.{{key}} AS key
