// promises: read-only; the relationships `r` that a person's own query returns; predictions never
// columns: relation, head_label, head, tail_label, tail (labels as numbers)
CALL () {
{{query}}
}
WITH DISTINCT r
WHERE type(r) <> 'PREDICTED'
WITH type(r) AS relation, startNode(r) AS h, endNode(r) AS t
WITH relation, {{head_label}} AS head_label, {{head_key}} AS head, {{tail_label}} AS tail_label, {{tail_key}} AS tail
WHERE head_label IS NOT NULL AND head IS NOT NULL AND tail_label IS NOT NULL AND tail IS NOT NULL
RETURN relation, head_label, head, tail_label, tail
