// promises: read-only; the relationships of given types between given ends; one pass where the key has no index
// parameters: $heads, $relations, $tails
// columns: head, relation, tail (each once)
MATCH (h:{{head_label}})
WHERE h.{{head_key}} IN $heads
WITH h
MATCH (h)-[r]->(t)
WHERE type(r) IN $relations
WITH h, r, t  // from the heads on: the planner does not know how long the lists are, and might try every pair
WHERE t:{{tail_label}} AND t.{{tail_key}} IN $tails
RETURN DISTINCT h.{{head_key}} AS head, type(r) AS relation, t.{{tail_key}} AS tail
