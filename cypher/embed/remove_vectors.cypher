// promises: takes the vectors of all models but one off some nodes, and says off how many
// parameters: $modelId ('' for no exception), $limit
// columns: done
MATCH (n)
WHERE n.kgsyncModelId <> $modelId
WITH n LIMIT $limit
REMOVE n.kgsyncVector, n.kgsyncModelId, n.kgsyncVectorFrom
RETURN count(*) AS done
