// promises: read-only; says whether a property can serve as the key of a label, over all of its nodes
// columns: nodes, present, strings, integers, distinct, longest (UTF-16 units of the longest string)
MATCH (n:{{label}})
WITH n.{{key}} AS key
RETURN count(*) AS nodes,
       count(key) AS present,
       count(CASE WHEN key IS :: STRING NOT NULL THEN 1 END) AS strings,
       count(CASE WHEN key IS :: INTEGER NOT NULL THEN 1 END) AS integers,
       {{distinct}} AS distinct,
       coalesce(max(CASE WHEN key IS :: STRING NOT NULL THEN size(key) END), 0) AS longest
