// promises: read-only; the labels that the database has ever seen
// columns: label
CALL db.labels() YIELD label
RETURN label
