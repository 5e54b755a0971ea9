// promises: read-only; the labels of the nodes with the key that kgsync added
// columns: label
MATCH (n)
WHERE n.kgsyncId IS NOT NULL
UNWIND labels(n) AS label
RETURN DISTINCT label
ORDER BY label
