// promises: read-only; the relations that predicted edges have
// columns: relation
MATCH ()-[p:PREDICTED]->()
WHERE p.status IN ['proposed', 'quarantined', 'accepted', 'rejected']
RETURN DISTINCT p.relation AS relation
ORDER BY relation
