// promises: deletes the models that are in the graph for nothing but their vectors, and have none any more; says how many
// parameters: $modelId (which stays; '' for none), $limit
// columns: done
MATCH (m:__KgsyncModel)
WHERE m.id <> $modelId AND NOT EXISTS { ()-[:USED_MODEL]->(m) }
WITH m LIMIT $limit
DELETE m
RETURN count(*) AS done
