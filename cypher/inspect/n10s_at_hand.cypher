// promises: read-only; whether the server has n10s, and this user may list its shapes
// columns: procedures (0 or 1)
SHOW PROCEDURES EXECUTABLE YIELD name
WHERE name = 'n10s.validation.shacl.listShapes'
RETURN count(*) AS procedures
