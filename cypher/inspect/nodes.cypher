// promises: read-only; the number of nodes of one label, from the count store
// columns: count
MATCH (n:{{label}})
RETURN count(n) AS count
