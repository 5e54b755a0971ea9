// promises: read-only; the nodes of one label that have one of the keys, two at most
// parameters: keys (what the key may be: the text, and the number that it says), name (property that people read)
// columns: key, name
MATCH (n:{{label}})
WHERE n.{{key}} IN $keys
RETURN n.{{key}} AS key, toStringOrNull(n[$name]) AS name
ORDER BY key
LIMIT 2
