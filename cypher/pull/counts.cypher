// promises: read-only; the number of relationships of one type, from the count store
// columns: count
MATCH ()-[r:{{relation}}]->()
RETURN count(r) AS count
