// promises: read-only; the single node properties by which nodes of a label are found without reading all of them
// columns: label, property
SHOW INDEXES YIELD type, entityType, state, labelsOrTypes, properties
WHERE entityType = 'NODE' AND type = 'RANGE' AND state = 'ONLINE' AND size(properties) = 1
RETURN labelsOrTypes[0] AS label, properties[0] AS property
