// promises: read-only; some entities with a label that have fewer tails (heads) of a relation than the schema says
// parameters: heads (true: count the heads of an entity, false: its tails), number (how many there should be at least), limit
// columns: entity (a map of label and name)
MATCH (n:{{label}})
WHERE $number > CASE WHEN $heads
  THEN COUNT { MATCH (n)<-[:{{relation}}]-(y) RETURN DISTINCT y }
  ELSE COUNT { MATCH (n)-[:{{relation}}]->(y) RETURN DISTINCT y }
END
RETURN {label: head(labels(n)), name: coalesce(n.name, n.title, n.key, n.id)} AS entity
LIMIT $limit
