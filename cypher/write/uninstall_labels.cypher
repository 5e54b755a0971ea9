// promises: read-only; the nodes that kgsync keeps for itself
// columns: label, nodes
MATCH (n)
WHERE any(label IN labels(n) WHERE label STARTS WITH '__Kgsync')
UNWIND [label IN labels(n) WHERE label STARTS WITH '__Kgsync'] AS label
RETURN label, count(*) AS nodes
ORDER BY label
