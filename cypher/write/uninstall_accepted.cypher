// promises: read-only; the relationships that came from accepted predictions
// columns: relation, edges
MATCH ()-[e]->()
WHERE e.kgsyncPredictionId IS NOT NULL
RETURN type(e) AS relation, count(*) AS edges
ORDER BY relation
