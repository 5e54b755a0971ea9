// promises: read-only; the indexes that kgsync made, and with them the constraints that own an index
// columns: name, constraint (null for an index of its own), label, property
SHOW INDEXES YIELD name, owningConstraint, labelsOrTypes, properties
WHERE name STARTS WITH 'kgsync_' OR properties = ['kgsyncId']
RETURN name, owningConstraint AS constraint, labelsOrTypes[0] AS label, properties[0] AS property
ORDER BY name
