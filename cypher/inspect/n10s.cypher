// promises: read-only; how many sets of SHACL shapes n10s keeps in the graph (0 or 1)
// columns: kept
MATCH (n:_n10sValidatorConfig)
RETURN count(n) AS kept
