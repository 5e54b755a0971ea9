// promises: read-only; how the dates at both ends of the relationships of some types follow each other, as far as the vaguer
//   of the two goes: 1990 and May 1990 are the same
// parameters: dates (properties)
// columns: relation, head, tail (properties), edges (that have both), before, after (of these: the head's is not later, not
//   earlier)
MATCH (h)-[r{{types}}]->(t)
UNWIND [k IN $dates WHERE h[k] IS NOT NULL] AS head
UNWIND [k IN $dates WHERE t[k] IS NOT NULL] AS tail
WITH type(r) AS relation, head, tail, toStringOrNull(h[head]) AS first, toStringOrNull(t[tail]) AS second
WHERE first =~ '[0-9]{4}(-.*)?' AND second =~ '[0-9]{4}(-.*)?'
WITH relation, head, tail, left(first, size(second)) AS first, left(second, size(first)) AS second
RETURN relation, head, tail, count(*) AS edges, sum(CASE WHEN first <= second THEN 1 ELSE 0 END) AS before,
       sum(CASE WHEN first >= second THEN 1 ELSE 0 END) AS after
ORDER BY relation, head, tail
