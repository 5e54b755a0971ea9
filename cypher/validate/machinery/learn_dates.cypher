// promises: read-only; the properties that hold dates on entities
// parameters: ignored (properties that say when a node was changed)
// columns: property
MATCH (n)
WHERE EXISTS { (n)-[{{types}}]-() }
UNWIND [k IN keys(n) WHERE NOT k IN $ignored AND (n[k] IS :: DATE NOT NULL OR n[k] IS :: ZONED DATETIME NOT NULL
                                                 OR n[k] IS :: LOCAL DATETIME NOT NULL)] AS property
RETURN DISTINCT property
ORDER BY property
