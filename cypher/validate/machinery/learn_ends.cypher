// promises: read-only; which labels the ends of the relationships of some types have
// columns: relation, head, tail (lists of labels), edges, loops
MATCH (h)-[r{{types}}]->(t)
RETURN type(r) AS relation, labels(h) AS head, labels(t) AS tail, count(*) AS edges,
       sum(CASE h WHEN t THEN 1 ELSE 0 END) AS loops
