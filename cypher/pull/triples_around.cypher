// promises: read-only; the relationships of given entities, in both directions; predictions never
// parameters: $keys of entities of one label
// columns: relation, head_label, head, tail_label, tail (labels as numbers)
MATCH (n:{{label}})
WHERE n.{{key}} IN $keys {{not_earlier}}
WITH n
MATCH (n)-[r{{types}}]-()
WHERE type(r) <> 'PREDICTED'
WITH DISTINCT r
WITH type(r) AS relation, startNode(r) AS h, endNode(r) AS t
WITH relation, {{head_label}} AS head_label, {{head_key}} AS head, {{tail_label}} AS tail_label, {{tail_key}} AS tail
WHERE head_label IS NOT NULL AND head IS NOT NULL AND tail_label IS NOT NULL AND tail IS NOT NULL
RETURN relation, head_label, head, tail_label, tail
