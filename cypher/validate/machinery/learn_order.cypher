// promises: read-only; how the dates at both ends of the relationships of some types follow each other
// parameters: dates (properties)
// columns: relation, head, tail (properties), edges (that have both, of the same type), before, after (of these: the head's is
//   not later, not earlier)
MATCH (h)-[r{{types}}]->(t)
UNWIND [k IN $dates WHERE h[k] IS NOT NULL] AS head
UNWIND [k IN $dates WHERE t[k] IS NOT NULL] AS tail
WITH type(r) AS relation, head, tail, h[head] <= t[tail] AS before, h[head] >= t[tail] AS after
WHERE before IS NOT NULL
RETURN relation, head, tail, count(*) AS edges, sum(CASE WHEN before THEN 1 ELSE 0 END) AS before,
       sum(CASE WHEN after THEN 1 ELSE 0 END) AS after
ORDER BY relation, head, tail
