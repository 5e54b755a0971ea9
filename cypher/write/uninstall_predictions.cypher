// promises: deletes some of the edges that kgsync predicted, and says how many
// parameters: $limit
// columns: done
MATCH ()-[e:PREDICTED]->()
WHERE e.firstRunId IS NOT NULL
WITH e LIMIT $limit
DELETE e
RETURN count(*) AS done
