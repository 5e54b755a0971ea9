// promises: read-only; the predicted edges that a reviewer rejected
// columns: relation, head_label, head, tail_label, tail (labels as numbers)
MATCH (h)-[p:PREDICTED]->(t)
WHERE p.status = 'rejected'
WITH p.relation AS relation, {{head_label}} AS head_label, {{head_key}} AS head, {{tail_label}} AS tail_label, {{tail_key}} AS tail
WHERE head_label IS NOT NULL AND head IS NOT NULL AND tail_label IS NOT NULL AND tail IS NOT NULL
RETURN relation, head_label, head, tail_label, tail
