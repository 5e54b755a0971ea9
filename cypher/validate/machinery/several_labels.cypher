// promises: read-only; some entities that have more than one of several labels
// parameters: labels, limit
// columns: entity (a map of label and name)
MATCH (n{{any_label}})
WHERE size([l IN labels(n) WHERE l IN $labels]) > 1
RETURN {label: head(labels(n)), name: coalesce(n.name, n.title, n.key, n.id)} AS entity
LIMIT $limit
