// promises: takes the key that kgsync added off some nodes with a label, and says off how many
// parameters: $limit
// columns: done
MATCH (n:{{label}})
WHERE n.kgsyncId IS NOT NULL
WITH n LIMIT $limit
REMOVE n.kgsyncId
RETURN count(*) AS done
