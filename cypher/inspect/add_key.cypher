// promises: gives every node of a label that has none a random kgsyncId; changes nothing else; goes on when repeated
// columns: added
MATCH (n:{{label}})
WHERE n.kgsyncId IS NULL
CALL (n) {
  SET n.kgsyncId = randomUUID()
} IN TRANSACTIONS OF 10000 ROWS
RETURN count(*) AS added
