// promises: read-only; which labels stand together on how many nodes, kgsync's own nodes left out
// columns: labels, nodes
MATCH (n)
WHERE none(label IN labels(n) WHERE label STARTS WITH '__Kgsync')
RETURN labels(n) AS labels, count(*) AS nodes
