// promises: read-only; whether a node with this label is found by one of the labels that identify
// columns: found (no row: none is)
MATCH (n:{{label}})
WHERE {{among}}
RETURN true AS found
LIMIT 1
