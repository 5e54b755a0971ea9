// promises: deletes some relationships that came from accepted predictions, and says how many
// parameters: $limit
// columns: done
MATCH ()-[e:{{relation}}]->()
WHERE e.kgsyncPredictionId IS NOT NULL
WITH e LIMIT $limit
DELETE e
RETURN count(*) AS done
