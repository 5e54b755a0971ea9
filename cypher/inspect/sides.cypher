// promises: read-only; at which end of the relationships of a type a label stands, from the count store
// columns: heads, tails (relationships that have the label there)
RETURN COUNT { (:{{label}})-[:{{relation}}]->() } AS heads, COUNT { ()-[:{{relation}}]->(:{{label}}) } AS tails
