// promises: read-only; says which database this is
// columns: id (changes when the database is made anew), name
CALL db.info() YIELD id, name
RETURN id, name
