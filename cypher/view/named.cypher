// promises: read-only; the nodes of one label that have a name, three at most
// parameters: name (property that people read), text
// columns: key, name
MATCH (n:{{label}})
WHERE n[$name] = $text AND n.{{key}} IS NOT NULL
RETURN n.{{key}} AS key, toStringOrNull(n[$name]) AS name
ORDER BY key
LIMIT 3
