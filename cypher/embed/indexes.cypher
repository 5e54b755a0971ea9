// promises: read-only; the vector indexes that kgsync made
// columns: name, label, state, percent (of the nodes that are in it), config
SHOW VECTOR INDEXES YIELD name, state, populationPercent, labelsOrTypes, options
WHERE name STARTS WITH 'kgsync_vector_'
RETURN name, labelsOrTypes[0] AS label, state, populationPercent AS percent, options.indexConfig AS config
ORDER BY name
