// promises: read-only; which edges the beginnings of ids mean
// parameters: prefixes
// columns: prefix, ids (two of them, if it is not unique)
UNWIND $prefixes AS prefix
RETURN prefix, COLLECT { MATCH ()-[p:PREDICTED]->() WHERE p.id STARTS WITH prefix RETURN p.id LIMIT 2 } AS ids
