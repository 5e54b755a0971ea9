// promises: read-only; some known edges that do not agree with what the schema says of their relation
// parameters: kind, the value of the trait (one of labels, number, name, order: a map of head, tail and before; what does not
//   apply is empty), common (labels that tell nothing), limit
// columns: head, tail (maps of label and name)
MATCH (h)-[:{{relation}}]->(t)
WHERE CASE $kind
  WHEN 'domain' THEN none(l IN labels(h) WHERE l IN $labels)
                     AND NOT ('(none)' IN $labels AND all(l IN labels(h) WHERE l IN $common))
  WHEN 'range' THEN none(l IN labels(t) WHERE l IN $labels)
                    AND NOT ('(none)' IN $labels AND all(l IN labels(t) WHERE l IN $common))
  WHEN 'max_tails' THEN COUNT { MATCH (h)-[:{{relation}}]->(y) RETURN DISTINCT y } > $number
  WHEN 'max_heads' THEN COUNT { MATCH (y)-[:{{relation}}]->(t) RETURN DISTINCT y } > $number
  WHEN 'symmetric' THEN h <> t AND NOT EXISTS { (t)-[:{{relation}}]->(h) }
  WHEN 'asymmetric' THEN h <> t AND EXISTS { (t)-[:{{relation}}]->(h) }
  WHEN 'loops' THEN h = t
  WHEN 'inverse' THEN NOT EXISTS { (t)-[s]->(h) WHERE type(s) = $name }
  WHEN 'order' THEN any(x IN [[toStringOrNull(h[$order.head]), toStringOrNull(t[$order.tail])]]
    WHERE x[0] =~ '[0-9]{4}(-.*)?' AND x[1] =~ '[0-9]{4}(-.*)?'
      AND CASE WHEN $order.before THEN left(x[0], size(x[1])) > left(x[1], size(x[0]))
               ELSE left(x[0], size(x[1])) < left(x[1], size(x[0])) END)
  ELSE false
END
RETURN {label: head(labels(h)), name: coalesce(h.name, h.title, h.key, h.id)} AS head,
       {label: head(labels(t)), name: coalesce(t.name, t.title, t.key, t.id)} AS tail
LIMIT $limit
