// promises: read-only; how many heads have how many tails, for the relationships of some types
// columns: relation, degree (tails), nodes (heads that have so many)
MATCH (h)-[r{{types}}]->(t)
WITH type(r) AS relation, h, count(DISTINCT t) AS degree
RETURN relation, degree, count(*) AS nodes
