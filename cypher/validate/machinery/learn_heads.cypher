// promises: read-only; how many tails have how many heads, for the relationships of some types
// columns: relation, degree (heads), nodes (tails that have so many)
MATCH (h)-[r{{types}}]->(t)
WITH type(r) AS relation, t, count(DISTINCT h) AS degree
RETURN relation, degree, count(*) AS nodes
