// promises: deletes some nodes that kgsync keeps for itself, with their relationships, and says how many
// parameters: $limit
// columns: done
MATCH (n:{{label}})
WITH n LIMIT $limit
DETACH DELETE n
RETURN count(*) AS done
