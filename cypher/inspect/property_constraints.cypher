// promises: read-only; how many constraints there are on properties, kgsync's own left out
// columns: constraints
SHOW CONSTRAINTS YIELD name, properties
WHERE size(properties) > 0 AND NOT name STARTS WITH 'kgsync_'
RETURN count(*) AS constraints
