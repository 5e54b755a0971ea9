// promises: read-only; which of the keys some node with the label has
// parameters: $keys
// columns: key
UNWIND $keys AS key
MATCH (n:{{label}})
WHERE n.{{key}} = key
RETURN DISTINCT key
