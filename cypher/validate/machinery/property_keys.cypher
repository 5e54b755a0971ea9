// promises: read-only; which of some property names the database knows
// parameters: names
// columns: name
CALL db.propertyKeys() YIELD propertyKey AS name
WHERE name IN $names
RETURN name ORDER BY name
